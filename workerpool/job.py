"""What a worker holds: the work to do, and the way back to whoever waits for it.

`Work` is decided exactly once, whoever comes first: an answer, an error, or a cancel. Later ones are
refused, not raised. `Job` is the Work whose way back is a `concurrent.futures.Future`; `Blocking` the one
that a thread waits for in place.
"""

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future
from contextvars import Context
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from yarl import URL

from .errors import DeadlineExceeded, ForkedPool, WrongThread
from .messages.request import Request
from .redaction import redact

if TYPE_CHECKING:
    from .channels import Chunks
    from .transport.hops import Onward

__all__ = [
    "Blocking",
    "Call",
    "Holder",
    "Job",
    "Process",
    "Work",
    "check_may_block",
    "host_of",
    "mark_worker_thread",
    "on_worker_thread",
]


class _Thread(threading.local):
    is_worker = False  # of the class: looking for what is not there costs four times as much


_thread = _Thread()


def host_of(url: URL) -> str:
    """Return host and port of an absolute URL: what limits per host count by."""
    return f"{url.raw_host}:{url.port}"


def mark_worker_thread() -> None:
    """Declare the current thread a worker's: blocking calls on it are refused from now on."""
    _thread.is_worker = True


def on_worker_thread() -> bool:
    """Return whether the current thread is a worker's, of any pool."""
    return _thread.is_worker


def check_may_block(what: str) -> None:
    """Raise WrongThread on a worker's own thread."""
    if on_worker_thread():
        raise WrongThread(f"{what} would block a worker's own thread; await pool.submit(...) there instead")


class Process:
    """Tell whether this is still the process that something was made in."""

    __slots__ = ("_number",)
    _forks = 0

    def __init__(self) -> None:
        self._number = Process._forks

    def check(self, what: str) -> None:
        """Raise ForkedPool in a forked child."""
        if self._number != Process._forks:
            raise ForkedPool(f"{what} was made before a fork, and its threads stayed with the parent; make one here")

    @classmethod
    def count_fork(cls) -> None:
        """Note, in a child, that there was a fork."""
        cls._forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Process.count_fork)


class Call(NamedTuple):
    """An async function to run, with its arguments; the session goes before them."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Holder(Protocol):
    """Whoever has taken the work on and can be told to stop it."""

    name: str

    def abort(self, work: "Work") -> None:
        """Stop the work soon, from any thread; does nothing once it has ended."""


class Work(ABC):
    """One piece of work on its way through the pool."""

    # Defaults of the class: what a piece of work does not need is never written (a third of its cost to make).
    # Those that change (attempts, stage, task) are written on the worker's loop only.
    request: Request | None = None
    call: Call | None = None
    target: URL | None = None
    place: URL | None = None  # where a redirect has led it, if to another host whose limits count
    onward: "Onward | None" = None  # what is to be sent there, until it is
    streamed = False
    watched = True  # whether the worker is to let the deadline fall
    deadline: float | None = None  # as monotonic() counts
    finished: float | None = None
    attempts = 0
    stage = "queued"
    outcome = "pending"
    holder: Holder | None = None
    task: "asyncio.Task[None] | None" = None
    context: Context | None = None  # the submitter's, where code of the user's runs
    channel: "Chunks | None" = None  # where the body goes on after the answer, when streamed

    def __init__(
        self,
        lane: str,
        pool: object,
        request: Request | None = None,
        target: URL | None = None,
        call: Call | None = None,
        total: float | None = None,
        streamed: bool = False,
        context: Context | None = None,
    ) -> None:
        self.lane = lane
        self.pool = pool  # keeps an otherwise forgotten pool alive while its work is under way
        self.started = monotonic()
        self._verdict = threading.Lock()  # locked for good by whoever decides the work
        if call is None:
            self.request = request
            self.target = target
        else:
            self.call = call
        if context is not None:
            self.context = context
        if total is not None:
            self.deadline = self.started + total
        if streamed:
            self.streamed = True

    @property
    def host(self) -> str:
        """Host and port that the work is at, for limits per host; empty for a function."""
        place = self.place or self.target
        return "" if place is None else host_of(place)

    @property
    def worker(self) -> str | None:
        """The name of the worker that has the work, None before it was handed over."""
        return None if self.holder is None else self.holder.name

    @property
    def decided(self) -> bool:
        """Whether the outcome stands."""
        return self._verdict.locked()

    def final_outcome(self) -> str:
        """Return the outcome of decided work, which another thread may be about to write down."""
        while self.outcome == "pending" and self.decided:
            sleep(0)
        return self.outcome

    @property
    def elapsed(self) -> float:
        """Seconds since submit, or between submit and outcome."""
        return (monotonic() if self.finished is None else self.finished) - self.started

    @property
    def priority(self) -> int:
        """The place in the lane's order: the higher, the sooner."""
        return 0 if self.request is None else self.request.priority

    def answer(self, value: Any) -> bool:
        """Offer the result; False if the work was decided before."""
        if not self._claim("succeeded"):
            return False
        self._deliver(value)
        return True

    def fail(self, error: BaseException) -> bool:
        """Offer the error; False if the work was decided before."""
        if not self._claim("failed"):
            return False
        self._deliver_error(error)
        return True

    def cancel(self) -> bool:
        """Give the work up, queued or in flight; False only if it has an outcome. Thread-safe, never blocks."""
        if not self._claim("cancelled"):
            return self.final_outcome() == "cancelled"
        self._deliver_cancel()
        self.stop()
        return True

    def expire(self) -> None:
        """Let the deadline fall, from any thread: whoever waits gets DeadlineExceeded, and the task is stopped."""
        error = self._deadline_error()
        if not self.fail(error) and self.channel is not None:
            self.channel.fail(error)
        self.stop()

    def stop(self) -> None:
        """Tell the worker that nobody wants the outcome any more."""
        if self.holder is not None:
            self.holder.abort(self)

    def detach(self) -> None:
        """Let go of task and context, whose ends lead back here; the worker is done with the work."""
        self.task = self.context = None

    def _claim(self, outcome: str) -> bool:
        if not self._verdict.acquire(blocking=False):
            return False
        self.outcome = outcome
        self.finished = monotonic()
        return True

    @abstractmethod
    def _deliver(self, value: Any) -> None:
        """Hand the result to whoever waits."""

    @abstractmethod
    def _deliver_error(self, error: BaseException) -> None:
        """Hand the error to whoever waits."""

    @abstractmethod
    def _deliver_cancel(self) -> None:
        """Tell whoever waits that nothing will come."""

    def _deadline_error(self) -> DeadlineExceeded:
        method = "call" if self.request is None else self.request.method
        url = "" if self.target is None else redact(self.target)
        return DeadlineExceeded(
            f"{method} {url}: not done within {(self.deadline or self.started) - self.started:g} s,"
            f" the time ran out at stage '{self.stage}' (attempt {self.attempts}); raise timeout= to wait longer",
            url=url,
            method=method,
            attempts=self.attempts,
            stage=self.stage,
            lane=self.lane,
        )


class Blocking(Work):
    """Work that one thread waits for in place: a lock is all that its way back takes, and the thread keeps the time.

    A Future costs as much again as the rest of the work (measured: 23,000 of 47,000 instructions).
    """

    watched = False
    _value: Any = None
    _error: BaseException | None = None

    def __init__(
        self, lane: str, pool: object, request: Request, target: URL, total: float | None, context: Context | None
    ) -> None:
        super().__init__(lane, pool, request, target, None, total, False, context)
        self._gate = threading.Lock()  # opened with the outcome
        self._gate.acquire()

    def wait(self) -> Any:
        """Block for the outcome; returns it or raises it. Whatever interrupts the wait cancels the work."""
        try:
            left = -1 if self.deadline is None else min(max(0.0, self.deadline - monotonic()), threading.TIMEOUT_MAX)
            if not self._gate.acquire(timeout=left):
                self.expire()
                self._gate.acquire()
        except BaseException:
            self.cancel()
            raise
        if self._error is None:
            return self._value
        try:
            raise self._error
        finally:
            self = None  # type: ignore[assignment]  # else the error's traceback would lead back to the error

    def _deliver(self, value: Any) -> None:
        self._value = value
        self._open()

    def _deliver_error(self, error: BaseException) -> None:
        self._error = error
        self._open()

    def _deliver_cancel(self) -> None:
        self._error = CancelledError()
        self._open()

    def _open(self) -> None:
        self.pool = None
        self._gate.release()


class Job(Work, Future[Any]):
    """A Future of the pool's; `await job` works on any event loop too.

    `cancel()` also stops a job in flight: its request is aborted and its connection closed.
    """

    def __init__(
        self,
        lane: str,
        pool: object,
        request: Request | None = None,
        target: URL | None = None,
        call: Call | None = None,
        total: float | None = None,
        streamed: bool = False,
        context: Context | None = None,
    ) -> None:
        Work.__init__(self, lane, pool, request, target, call, total, streamed, context)
        Future.__init__(self)

    def running(self) -> bool:
        """Whether a worker is at it."""
        return self.task is not None and not self.done()

    def cancel(self) -> bool:
        """Give the job up, queued or in flight; False only if it has an outcome. Thread-safe, never waits for I/O."""
        cancelled = super().cancel()
        while not self.done():  # another thread has decided the job and is about to write that down
            sleep(0)
        return cancelled

    def result(self, timeout: float | None = None) -> Any:
        """Block until the outcome is there; returns it or raises it. Refused on a worker's thread."""
        if not self.decided:
            check_may_block("job.result()")
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Block until the outcome is there; returns its error, if any. Refused on a worker's thread."""
        if not self.decided:
            check_may_block("job.exception()")
        return super().exception(timeout)

    def renew(self, error: Exception) -> None:
        """Fail the job in a forked child, where a thread that stayed behind may hold its locks for ever."""
        self._condition = threading.Condition()
        self._verdict = threading.Lock()
        if not self.done():
            self.fail(error)

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self).__await__()

    def __repr__(self) -> str:
        what = repr(self.request) if self.call is None else getattr(self.call.fn, "__qualname__", "call")
        state = "cancelled" if self.cancelled() else "done" if self.done() else self.stage
        return f"<Job {what} in lane '{self.lane}', {state}>"

    def _deliver_cancel(self) -> None:
        self.pool = None
        Future.cancel(self)
        self.set_running_or_notify_cancel()  # wakes wait() and as_completed()

    def _deliver(self, value: Any) -> None:
        self.pool = None
        self.set_result(value)

    def _deliver_error(self, error: BaseException) -> None:
        self.pool = None
        self.set_exception(error)
