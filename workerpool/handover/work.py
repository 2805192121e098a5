"""Work: one job on its way through the pool, and the way back to whoever waits for it.

`Work` is decided exactly once, whoever comes first: an answer, an error, or a cancel. Later ones are
refused, not raised. `Blocking` is the Work that a thread waits for in place.

Deciding and recording is one atomic step, the `append` to a list: whoever finds its own verdict first has decided. So
there is no moment at which work is decided and its outcome unknown, whatever interrupts a thread where (Ctrl-C, a
collection, an exception set from another thread). Telling who waits comes after it and may be repeated.
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextvars import Context
from time import monotonic
from typing import Any

from yarl import URL

from ..errors import DeadlineExceeded, Facts, Stage
from ..messages.hop import Onward
from ..messages.request import Request
from ..redaction import redact
from ..settings import Timeout
from .channel import Channel
from .errand import Errand, Fetch

__all__ = ["UNLIMITED", "Blocking", "Holder", "Ride", "Verdict", "Work", "host_of"]

UNLIMITED = Timeout(total=None)
Verdict = tuple[str, Any, float]  # outcome, value or error, and when


def host_of(url: URL) -> str:
    """Return host and port of an absolute URL: what limits per host count by."""
    return f"{url.raw_host}:{url.port}"


class Holder(ABC):
    """Whoever has taken the work on and can be told to stop it."""

    name: str

    @abstractmethod
    def stop(self, work: "Work") -> None:
        """Stop the work soon, from any thread; does nothing once it has ended."""

    @abstractmethod
    def waits_for(self, work: "Work") -> str:
        """Say what work that has not begun waits for. From any thread."""

    @abstractmethod
    def refuse(self, work: "Work") -> None:
        """Forget work that was not handed over after all. Under the pool's lock."""

    @abstractmethod
    def when_room(self, callback: Callable[[], object]) -> None:
        """Call back, once and from any thread, when the queue may have room again."""


class Ride(ABC):
    """Whatever carries work that no task has."""

    __slots__ = ()

    @abstractmethod
    def cancel(self) -> None:
        """Give the work up. On the loop."""


class Work(ABC):
    """One piece of work on its way through the pool.

    `limits.total` is how many seconds it may take, from now on, or with `at_place` from when it gets its place;
    `limits.queue` is how many it may wait for that. With `inner` it was submitted on a worker's own thread.
    """

    # Defaults of the class: what a piece of work does not need is never written (a third of its cost to make).
    # Those that change (attempts, stage, task, begun, written, deadline) are written on the worker's loop only.
    place: URL | None = None  # whose host's limits count: where the request goes, or where a redirect has led it
    onward: Onward | None = None  # what is to be sent there after a redirect, until it is
    grace: float = 0.0  # seconds beyond the deadline after which the worker lets it fall
    total: float | None = None
    patience: float | None = None
    at_place: bool = False
    inner: bool = False
    deadline: float | None = None  # as monotonic() counts; none yet where the time begins with the place
    slot = 0  # of the deadline, among those of the worker
    begun: float | None = None  # when it got its place; moved on by what limits of the lane's hold it up for later
    written: float | None = None  # when a request last began to go out on a connection that was waited for
    aside: float | None = None  # since when it waits for a place anew
    attempts = 0
    stage: Stage = "queued"
    priority: int = 0  # the place in the lane's order: the higher, the sooner
    holder: Holder | None = None
    task: "asyncio.Task[None] | None" = None
    ride: Ride | None = None  # what carries it where no task does
    rest: Any = None  # what a task goes on with: seconds to pause before the next attempt, or the head of an answer
    context: Context | None = None  # the submitter's, where code of the user's runs
    channel: Channel[Any] | None = None  # where a body, or messages, go on after the answer
    has_room = False  # in a bounded queue, or it had
    told: bool = False  # whether who waits has been told of the outcome
    taken: bool = False  # whether the result is the caller's alone

    def __init__(
        self,
        lane: str,
        pool: object,
        errand: Errand,
        limits: Timeout = UNLIMITED,
        context: Context | None = None,
        priority: int = 0,
        at_place: bool = False,
        inner: bool = False,
    ) -> None:
        self.lane = lane
        self.pool: object = pool  # keeps an otherwise forgotten pool alive while its work is under way
        self.errand = errand
        self.started: float = monotonic()
        self._verdicts: list[Any] = []  # the first one counts; deciding only ever appends
        if isinstance(errand, Fetch):
            self.place = errand.target
        if context is not None:
            self.context = context
        if priority:
            self.priority = priority
        if limits.total is not None:
            self.total = limits.total
            if at_place:
                self.at_place = True
            else:
                self.deadline = self.started + limits.total
        if limits.queue is not None:
            self.patience = limits.queue
            self.deadline = _earlier(self.deadline, self.started + limits.queue)
        if inner:
            self.inner = True

    @property
    def request(self) -> Request | None:
        """What is sent; None for a function."""
        return self.errand.request

    @property
    def counts_at_host(self) -> bool:
        """Whether it is a request, for which there are limits per host and rates."""
        return self.place is not None

    def facts(self, url: object = None) -> Facts:
        """Return what an error of this work tells, at this URL or where it was to go."""
        errand = self.errand
        where = errand.url if url is None else redact(url)
        return Facts(where, errand.method, self.attempts, self.stage, self.lane)

    @property
    def host(self) -> str:
        """Host and port that the work is at, for limits per host; empty for a function."""
        return "" if self.place is None else host_of(self.place)

    @property
    def worker(self) -> str | None:
        """The name of the worker that has the work, None before it was handed over."""
        return None if self.holder is None else self.holder.name

    @property
    def decided(self) -> bool:
        """Whether the outcome stands."""
        return bool(self._verdicts)

    @property
    def outcome(self) -> str:
        """What came of it: succeeded, failed, cancelled, or pending."""
        verdict = self.verdict
        return "pending" if verdict is None else verdict[0]

    @property
    def elapsed(self) -> float:
        """Seconds since submit, or between submit and outcome."""
        verdict = self.verdict
        return (monotonic() if verdict is None else verdict[2]) - self.started

    @property
    def sent_at(self) -> float | None:
        """When its last request began to go out, as monotonic() counts; None if it never had its place."""
        return self.begun if self.written is None else self.written

    @property
    def final_deadline(self) -> float | None:
        """The deadline of work that has begun."""
        if self.total is None or self.begun is None:
            return None
        return (self.begun if self.at_place else self.started) + self.total

    def answer(self, value: Any) -> bool:
        """Offer the result; False if the work was decided before."""
        return self._decide("succeeded", value)

    def fail(self, error: BaseException) -> bool:
        """Offer the error; False if the work was decided before."""
        return self._decide("failed", error)

    def conclude(self, outcome: str, value: Any) -> bool:
        """Decide as the worker that has the work, without telling: that follows when it has counted the work.

        A thread would be woken only to wait for the GIL until the worker's loop has done the rest.
        """
        mine = (outcome, value, monotonic())
        self._verdicts.append(mine)  # the step that decides
        return self._verdicts[0] is mine or self.verdict is mine

    def cancel(self) -> bool:
        """Give the work up, queued or in flight; False only if it has an outcome. Thread-safe, never blocks."""
        if self.decided:
            return self.outcome == "cancelled"
        try:
            return self.mark_cancelled()
        finally:
            self.stop()

    def mark_cancelled(self) -> bool:
        """Cancel work that is known to be in no worker's hands; else `stop` has to follow."""
        return self._decide("cancelled", None) or self.outcome == "cancelled"

    def time_for_room(self, usual: Timeout) -> float | None:
        """Return how many seconds its submitter may wait for room in a queue; a function without limits, the usual."""
        if self.deadline is not None:
            return max(0.0, self.deadline - monotonic())
        return self.total if self.total is not None or self.counts_at_host else usual.total

    def begin(self) -> bool:
        """Note that it has its place, the first time or anew; returns whether that moves the deadline. On the loop."""
        now = monotonic()
        if self.begun is None:
            self.begun = now
        elif self.aside is not None and self.at_place:
            self.begun += now - self.aside
        self.aside = None
        if not self.at_place and self.patience is None:
            return False
        self.deadline = self.final_deadline
        return True

    def set_aside(self) -> None:
        """Note that it waits for a place anew; where its time began with the first, that stands still. On the loop."""
        self.aside = monotonic()
        self.deadline = None if self.at_place else self.final_deadline
        if self.patience is not None and self.begun is not None:
            self.deadline = _earlier(self.deadline, self.aside + self.patience - (self.begun - self.started))

    def put_off(self, wait: float) -> None:
        """Note that a rate of the lane's holds it up for so many seconds; its time stands still as in `set_aside`.

        On the loop; raises DeadlineExceeded where that is longer than it may wait.
        """
        self.stage = "queued"
        if not self.at_place or self.begun is None:
            return
        self.begun += wait
        self.deadline = self.final_deadline
        if self.patience is not None and self.begun - self.started > self.patience:
            text = f"held up for more than {self.patience:g} s, its next turn is in {wait:.3g} s"
            raise DeadlineExceeded.about(self.facts(), f"{text}; raise Timeout(queue=...) to wait longer")

    def lead(self, onward: Onward) -> None:
        """Note where it goes on: at another host, or in another turn. On the loop."""
        self.onward = onward

    def lift_deadline(self) -> None:
        """Let what follows take any time: what had to be done until then is done. On the loop."""
        self.deadline = None

    def expire(self) -> None:
        """Let the deadline fall, from any thread: whoever waits gets DeadlineExceeded, and the task is stopped."""
        if self.deadline is None:
            return
        error = self._deadline_error()
        try:
            if not self.fail(error) and self.channel is not None:
                self.channel.fail(error)
        finally:
            self.stop()

    def stop(self) -> None:
        """Tell the worker that nobody wants the outcome any more."""
        if self.holder is not None:
            self.holder.stop(self)

    def hand_out(self) -> None:
        """Let the result be its caller's alone, once and for all: a stream that nobody else holds can be collected."""
        self.taken = True
        self.drop_value()

    def drop_value(self) -> None:
        """Forget a result that was taken. For the caller, and for whoever has decided: the later one does it."""
        if self.taken and self.told:
            outcome, _value, at = self._verdicts[0]
            self._verdicts[0] = (outcome, None, at)

    def detach(self) -> None:
        """Let go of task and context, whose ends lead back here; the worker is done with the work."""
        self.task = self.context = self.ride = None

    def tell(self) -> None:
        """Tell whoever waits of the outcome; for work that is decided. Repeatable, from any thread."""
        verdict = self.verdict
        assert verdict is not None
        self.pool = None
        self._tell(verdict)
        self.told = True

    @property
    def verdict(self) -> Verdict | None:
        """Outcome, value or error, and when; None while it is pending."""
        return self._verdicts[0] if self._verdicts else None

    def _decide(self, outcome: str, value: Any) -> bool:
        verdicts = self._verdicts
        if verdicts and self.verdict is not None:
            return False
        mine = (outcome, value, monotonic())
        verdicts.append(mine)  # the step that decides
        if verdicts[0] is not mine and self.verdict is not mine:
            return False
        try:
            self.pool = None
            self._tell(mine)
            self.told = True
        except BaseException:
            if not self.told:  # interrupted on the way; where that fails, too, the worker tells when it counts the work
                self.tell()
            raise
        return True

    @abstractmethod
    def _tell(self, verdict: Verdict) -> None:
        """Hand the outcome to whoever waits; may be called again after it was interrupted."""

    def _deadline_error(self) -> DeadlineExceeded:
        return DeadlineExceeded.about(self.facts(), self._lateness())

    def _lateness(self) -> str:
        """Say for what the time was spent, and which limit it was."""
        short = self.patience is not None and (self.total is None or self.at_place or self.patience < self.total)
        waits = self.begun is None or (self.aside is not None and short)
        if self.holder is None or not waits:
            since = "from its start " if self.at_place else ""
            return (
                f"not done within {self.total or 0:g} s {since}and the time ran out at stage '{self.stage}'"
                f" (attempt {self.attempts}); raise timeout= to wait longer"
            )
        what = "begun" if self.begun is None else "gone on"
        waited = monotonic() - (self.aside or self.started)
        limit, cure = (self.patience, "Timeout(queue=...)") if short else (self.total, "timeout=")
        blame = "; it was submitted on a worker's own thread, by code that may hold the places itself" * self.inner
        return (
            f"not {what} within {limit or 0:g} s, the time ran out at stage 'queued': waited {waited:.3g} s"
            f" for {self.holder.waits_for(self)}{blame}; raise {cure} to wait longer"
        )


class Blocking(Work):
    """Work that one thread waits for in place: a lock is all that its way back takes, and the thread keeps the time.

    A Future costs as much again as the rest of the work (measured: 23,000 of 47,000 instructions).
    """

    grace: float = 1.0  # the thread may have been interrupted between the posting and the wait

    def __init__(
        self,
        lane: str,
        pool: object,
        errand: Errand,
        limits: Timeout,
        context: Context | None,
        priority: int,
    ) -> None:
        super().__init__(lane, pool, errand, limits, context, priority)
        self._gate = threading.Lock()  # opened with the outcome
        self._gate.acquire()

    def wait(self) -> Any:
        """Block for the outcome; returns it or raises it. Whatever interrupts the wait cancels the work."""
        try:
            if not self._opens_by(self.deadline):
                if self.begun is not None and self.patience is not None and self._opens_by(self.final_deadline):
                    return self._outcome()
                self.expire()
                if not self.decided:  # else it may be that a loop that other code keeps has yet to tell
                    self._gate.acquire()
        except BaseException:
            self.cancel()
            raise
        return self._outcome()

    def _opens_by(self, deadline: float | None) -> bool:
        left = -1 if deadline is None else min(max(0.0, deadline - monotonic()), threading.TIMEOUT_MAX)
        return self._gate.acquire(timeout=left)

    def _outcome(self) -> Any:
        outcome, value, _at = self._verdicts[0]
        if outcome == "succeeded":
            return value
        try:
            raise value if outcome == "failed" else CancelledError()
        finally:
            del self, value  # else the error's traceback would lead back to the error

    def _tell(self, verdict: Verdict) -> None:
        try:  # noqa: SIM105  for each request: suppress() costs more than what it guards
            self._gate.release()
        except RuntimeError:  # told before
            pass


def _earlier(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)
