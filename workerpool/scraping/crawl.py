"""A run: items in, outcomes out, each exactly once, at the pace of its host."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic, time
from typing import Any, TypeAlias

from ..caller.pool import WorkerPool
from ..errors import InvalidRequest, WorkerPoolError
from ..messages.response import Response
from ..settings import Retry
from .backlog import Backlog
from .entry import Entry
from .frontier import Frontier
from .gate import Gate
from .hosts import Hosts, Politeness
from .item import Item
from .outcome import Attempt, Outcome
from .parsing import Parse, parsed
from .record import Record
from .sinks.base import Sink

__all__ = ["Crawl", "Summary"]

Given: TypeAlias = str | Item
_USUAL_RETRY = Retry(attempts=3, wait_initial=1.0, wait_max=30.0)
_TURN = 1.0  # seconds that a turn waits at most: so long a stop may take to be seen
_MOST_REDIRECTS = 20


@dataclass(slots=True)
class Summary:
    """Count what became of the items; `reasons` counts why they were skipped or failed."""

    fetched: int = 0
    failed: int = 0
    skipped: int = 0
    retried: int = 0
    bytes: int = 0
    seconds: float = 0.0
    complete: bool = False
    reasons: dict[str, int] = field(default_factory=dict)

    def count(self, outcome: Outcome) -> None:
        """Count an outcome."""
        setattr(self, outcome.verdict, getattr(self, outcome.verdict) + 1)
        if outcome.response is not None:
            self.bytes += len(outcome.response.content)
        if outcome.reason is not None:
            self.reasons[outcome.reason] = self.reasons.get(outcome.reason, 0) + 1


class Crawl:
    """Fetch every input, and what `parse` finds in the answers, politely and each exactly once.

    Iterate over it for the outcomes as they come, or `run()` it for its sinks alone; once. `inputs` are URLs or Items,
    pulled as they are needed. With a `state` file a run that was stopped or killed goes on where it was, its sinks
    with it: the same inputs, in the same order, are passed over as far as they were taken. An outcome counts as done
    once the next one is asked for.

    `parse` gets each outcome that has an answer, on the thread of the run, or in one of `processes`, and yields what
    it finds: URLs and Items to follow, each once, and Mappings whose values become `fields` of the outcome. Without
    `pool` one is made and closed. Raises StateError, SinkError, InputError; what goes wrong with an item is its
    outcome. `stop` may be called from any thread or a signal handler.
    """

    def __init__(
        self,
        inputs: Iterable[Given],
        *,
        parse: Parse | None = None,
        sinks: Iterable[Sink] = (),
        state: str | os.PathLike[str] | None = None,
        mode: str = "continue",
        identity: Mapping[str, str] | None = None,
        politeness: Politeness | None = None,
        accepts: Callable[[Item], str | None] | None = None,
        key: Callable[[str], bytes] | None = None,
        retry: Retry | None = _USUAL_RETRY,
        pool: WorkerPool | None = None,
        processes: int = 0,
        max_pages: int | None = None,
        max_seconds: float | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self.summary = Summary()
        self._politeness = Politeness() if politeness is None else politeness
        self._hosts = Hosts(self._politeness)
        self._parse = parse
        self._retry = retry
        self._pool = pool
        self._processes = processes
        self._budget = (max_pages, max_seconds, max_bytes)
        self._record = Record(list(sinks), state, mode, identity or {})
        self._backlog = Backlog(inputs, self._record, accepts=accepts, key=key)
        self._arrived: SimpleQueue[Future[Any]] = SimpleQueue()
        self._asked: dict[Future[Any], Entry] = {}
        self._parsing: dict[Future[Any], tuple[Entry, Outcome]] = {}
        self._stops = 0
        self._began = monotonic()

    def run(self) -> Summary:
        """Run to the end, for the sinks' sake; return what became of the items."""
        for _ in self:
            pass
        return self.summary

    def stop(self) -> None:
        """Begin nothing more and end when what is asked for has come; called twice, end at once. From any thread."""
        self._stops += 1

    def __iter__(self) -> Iterator[Outcome]:
        self._began = monotonic()
        with ExitStack() as stack:
            stack.callback(self._note_time)
            stack.enter_context(self._record)
            pool = self._pool or stack.enter_context(_pool_for(self._politeness))
            stack.callback(self._give_up)
            workers = stack.enter_context(_workers(self._processes)) if self._processes else None
            self._limit = 2 * (pool.lane_settings.connections or 1000)
            self._frontier = Frontier(self._hosts, self._backlog.more)
            self._gate = Gate(self._politeness, self._hosts)
            for outcome in self._outcomes(pool, workers):
                yield outcome
                self._note(outcome)
            if not self._stopping:
                self._record.finish()
                self.summary.complete = True
            else:
                self._record.abandon()

    @property
    def _stopping(self) -> bool:
        if self._stops:
            return True
        pages, seconds, size = self._budget
        done = self.summary.fetched + self.summary.failed
        return (
            (pages is not None and done + len(self._asked) >= pages)
            or (seconds is not None and monotonic() - self._began >= seconds)
            or (size is not None and self.summary.bytes >= size)
        )

    def _outcomes(self, pool: WorkerPool, workers: Executor | None) -> Iterator[Outcome]:
        while self._stops < 2:
            if not self._stopping:
                yield from self._backlog.take(self._frontier)
                yield from self._begin_what_may(pool)
            if not self._asked and not self._parsing and (self._stopping or self._is_done()):
                return
            for future in self._come():
                if (outcome := self._after(future, workers)) is not None:
                    yield outcome
            self._record.commit_when_due()

    def _is_done(self) -> bool:
        return not len(self._frontier) and not self._gate.waiting and self._backlog.is_empty()

    def _begin_what_may(self, pool: WorkerPool) -> Iterator[Outcome]:
        """Ask for what may be asked for now; yields the outcome of what may not be at all."""
        now = monotonic()
        while len(self._asked) < self._limit and not self._stopping:
            entry = self._frontier.next(now)
            if entry is None:
                return
            reason = self._gate.judge(entry)
            if reason == "ask":
                self._ask_robots(pool, entry)
            elif reason is not None:
                self._record.begin(entry)
                self._frontier.renew(entry.host)
                yield Outcome(index=entry.index, item=entry.given, verdict="skipped", reason=reason,
                              attempts=tuple(entry.attempts), redirects=tuple(entry.redirects))  # fmt: skip
            elif (outcome := self._ask(pool, entry, now)) is not None:
                yield outcome

    def _ask(self, pool: WorkerPool, entry: Entry, now: float) -> Outcome | None:
        """Ask for an item; returns its outcome where it cannot be asked for."""
        item = entry.item
        self._record.begin(entry)
        try:
            client = pool if item.lane is None else pool.lane(item.lane)
            request = item.request(
                headers=self._politeness.headers, retry=None, allow_redirects=not self._politeness.robots, meta=entry
            )
            job = client.submit(request)
        except InvalidRequest as exc:
            self._frontier.renew(entry.host)
            return _failed(entry, exc)
        self._hosts.started(entry.host, now)
        self._frontier.renew(entry.host)
        self._asked[job] = entry
        entry.attempts.append(Attempt(started=time(), waited=now - entry.since))
        job.add_done_callback(self._arrived.put)
        return None

    def _ask_robots(self, pool: WorkerPool, entry: Entry) -> None:
        """Ask for the robots.txt of the entry's origin before it."""
        self._frontier.hold(entry.host)
        self._gate.hold(entry)
        self._hosts.started(entry.host, monotonic())
        job = pool.submit(self._gate.request(entry.origin))
        self._asked[job] = entry
        job.add_done_callback(self._arrived.put)

    def _come(self) -> Iterator[Future[Any]]:
        """Yield what has come; waits for it until the next host has its turn."""
        wait = min(max(self._frontier.due() - monotonic(), 0.0), _TURN)
        if len(self._asked) >= self._limit or self._stopping:
            wait = _TURN
        if wait > 0.005:
            self._record.commit_when_idle()
        try:
            yield self._arrived.get(timeout=wait) if wait > 0 else self._arrived.get_nowait()
            for _ in range(self._limit):
                yield self._arrived.get_nowait()
        except Empty:
            return

    def _after(self, future: Future[Any], workers: Executor | None) -> Outcome | None:
        if future in self._parsing:
            entry, outcome = self._parsing.pop(future)
            return self._follow(entry, _parsed_elsewhere(future, outcome))
        entry = self._asked.pop(future)
        try:
            answer: Response | WorkerPoolError = future.result()
        except CancelledError:
            return None  # it stays asked for, and comes again in the next run
        except WorkerPoolError as exc:
            answer = exc
        if self._gate.waits_for(entry, future):
            self._open(entry, answer)
            return None
        outcome_or_none = self._judge(entry, answer)
        if outcome_or_none is None or self._parse is None or outcome_or_none.response is None:
            return outcome_or_none
        if workers is None:
            return self._follow(entry, parsed(self._parse, outcome_or_none))
        work = workers.submit(parsed, self._parse, outcome_or_none)
        self._parsing[work] = (entry, outcome_or_none)
        work.add_done_callback(self._arrived.put)
        return None
