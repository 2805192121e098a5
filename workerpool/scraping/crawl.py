"""A run: items in, outcomes out, each exactly once, at the pace of its host."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing import get_context
from time import monotonic, process_time, thread_time

from ..caller.anypool import AnyPool
from ..caller.pool import WorkerPool
from ..settings import Retry
from .backlog import Accepts, Backlog, Given, Source
from .checking import check, check_inputs, check_options, checked_sinks
from .downloads import Downloads
from .engine import Engine
from .errors import StateError
from .outcome import Outcome
from .parsing import Parse
from .politeness import Politeness
from .progress import Progress
from .record import Record
from .sinks.base import Sink
from .sinks.folder import Folder
from .state import Mode
from .summary import Summary
from .telling import Headers, Signs, Telling
from .watching import Watcher

__all__ = ["Crawl"]

_LOOK = 0.25  # seconds between two looks at how the run stands
_SELDOM = 2.0  # and at most, where with many hosts a look is much of what the run does
_SHARE = 0.01  # of the CPU of the process, that looks may take
_RETRY = Retry(attempts=3, wait_initial=1.0, wait_max=30.0)


class Crawl:
    """Fetch every input, and what `parse` finds in the answers, politely and each exactly once.

    Iterate over it for the outcomes as they come, or `run()` it for its sinks alone; once. `inputs` are URLs, Items or
    Requests, pulled as they are needed, or a Source. With a `state` file a run that was stopped or killed goes on where
    it was, and its sinks with it: the same inputs, in the same order, are passed over as far as they were taken. An
    outcome counts as done once the next one is asked for; `identity` says by which options another run is told apart.
    With `since_last` a run that is complete is gone through once more, as a round over its inputs of today: each
    outcome has its `change`, and what the site says has not changed comes without a body (`is_unchanged`). With a `key`
    pages of the round before are asked for even where nothing names them.

    `parse` gets each outcome that has an answer, on the thread of the run or in one of `processes`, and yields what it
    finds: URLs, which may be relative to the page, and Items to follow, and Mappings that become `fields` of the
    outcome. `accepts` returns the rule by which an item is left out, or None; `key` returns what tells items that are
    the same: redirects to what is left out, or known, end there. `headers` returns what goes with a request for a URL,
    and is not asked where a redirect has led to another origin; `signer` signs each request (see `signing.Signer`).
    A `parse` that learns, as `Following` does of traps, goes on where it was, too (see `memory.Remembers`).
    `sitemaps` has those asked for that robots.txt names. `skip_existing` leaves out what is there already in a
    `Folder(path, keep=True)` among the sinks. Without `pool` one is made and closed.

    Raises InvalidRequest at once for what cannot be, StateError, SinkError, InputError, OSError; what goes wrong with
    an item is its outcome.
    """

    def __init__(
        self,
        inputs: Iterable[Given] | Source,
        *,
        parse: Parse | None = None,
        sinks: Iterable[Sink] = (),
        state: str | os.PathLike[str] | None = None,
        mode: Mode = "continue",
        identity: Mapping[str, str] | None = None,
        since_last: bool = False,
        politeness: Politeness | None = None,
        accepts: Accepts | None = None,
        key: Callable[[str], bytes] | None = None,
        headers: Headers | None = None,
        signer: Signs | None = None,
        sitemaps: bool = False,
        skip_existing: bool = False,
        retry: Retry | None = _RETRY,
        pool: AnyPool | None = None,
        processes: int = 0,
        max_pages: int | None = None,
        max_seconds: float | None = None,
        max_bytes: int | None = None,
    ) -> None:
        check_inputs(inputs)
        sinks = checked_sinks(sinks)
        check_options(locals())
        self.summary: Summary = Summary()
        self.progress: Progress = Progress()  # as of a moment ago, while it runs; read by any thread
        self._inputs, self._parse, self._accepts, self._key = inputs, parse, accepts, key
        self._sinks = sinks
        self._record = Record(sinks, state, mode, identity or {}, since_last=since_last)
        self._politeness = Politeness() if politeness is None else politeness
        self._retry, self._pool, self._processes = retry, pool, processes
        self._pages, self._seconds, self._bytes = max_pages, max_seconds, max_bytes
        # Where each place that a redirect leads to is to be judged, or asked whether it has changed.
        each_hop = accepts is not None or key is not None or self._record.tells_changes
        self._telling = Telling(self._politeness, headers, signer, each_hop=each_hop)
        self._sitemaps, self._skips_existing = sitemaps, skip_existing
        self._stops = 0
        self._began: float | None = None
        self._watchers: list[Watcher] = []
        self._looking = 0.0  # seconds of CPU that looks have taken
        self._cpu = 0.0  # of the process, before the run

    def run(self) -> Summary:
        """Run to the end, for the sinks' sake; return what became of the items. Blocks."""
        for _ in self:
            pass
        return self.summary

    def watch(self, watcher: Watcher) -> None:
        """Have a Watcher, a Report for one, look on from the beginning."""
        if self._began is not None:
            raise StateError("the run has begun; have it watched before that")
        check("a watcher", watcher, lambda it: isinstance(it, Watcher), "a Watcher, such as Report('run.html')")
        self._watchers.append(watcher)

    def stop(self) -> None:
        """Begin nothing more, and end when what is under way has come; the second time, end at once.

        From any thread, or a signal handler. Returns at once.
        """
        self._stops += 1

    def __iter__(self) -> Iterator[Outcome]:
        if self._began is not None:
            raise StateError("a Crawl runs once; make another one with the same state to go on")
        self._began, self._cpu = monotonic(), process_time()
        with ExitStack() as stack:
            record = stack.enter_context(self._record)
            record.remember(self._parse)
            pool = self._pool or stack.enter_context(self._own_pool())
            processes = stack.enter_context(_processes(self._processes)) if self._processes else None
            backlog = Backlog(self._inputs, record, self._accepts, self._key)
            downloads = self._downloads()
            stack.callback(downloads.close if downloads is not None else bool)
            engine = Engine(pool, record, backlog, self._politeness, self._retry, self._parse, processes,
                            self._telling, sitemaps=self._sitemaps, skip_existing=self._skips_existing,
                            downloads=downloads)  # fmt: skip
            stack.callback(engine.give_up)
            for watcher in self._watchers:
                watcher.begin(record.state)
                stack.callback(watcher.end, self.summary, record.state)
            stack.callback(self._end, engine)
            for outcome in self._outcomes(engine):
                self.summary.count(outcome)
                yield outcome
                record.end(outcome)
                for watcher in self._watchers:
                    watcher.outcome(outcome)
                record.commit_when_due()
            self.summary.left_out = dict(backlog.left_out)
            if engine.is_done:
                record.finish()
                self.summary.not_named = record.not_named
                self.summary.complete = True

    def _outcomes(self, engine: Engine) -> Iterator[Outcome]:
        while self._stops < 2:
            stopping = self._is_over
            if self._stops:
                engine.hold_back()
            if not stopping:
                yield from engine.begin(self._room(engine))
            if not engine.is_busy and (stopping or engine.is_done):
                return
            self._look(engine)
            yield from engine.come(idle=stopping)

    def _look(self, engine: Engine, every: float = _LOOK) -> None:
        assert self._began is not None
        seconds = monotonic() - self._began
        past = seconds - self.progress.seconds
        if past < every or (every and past < _SELDOM and self._looking > _SHARE * (process_time() - self._cpu)):
            return
        began = thread_time()
        self.progress = replace(
            engine.progress(self.summary, seconds),
            max_pages=self._pages, max_seconds=self._seconds, max_bytes=self._bytes,
        )  # fmt: skip
        for watcher in self._watchers:
            watcher.look(self.progress)
        self._looking += thread_time() - began

    def _end(self, engine: Engine) -> None:
        assert self._began is not None
        self.summary.retried = engine.retried
        self.summary.seconds = monotonic() - self._began
        self._look(engine, every=0.0)

    @property
    def _is_over(self) -> bool:
        """Whether nothing more is begun: somebody stops it, or a budget is used up."""
        assert self._began is not None
        return bool(
            self._stops
            or (self._pages is not None and self.summary.asked >= self._pages)
            or (self._seconds is not None and monotonic() - self._began >= self._seconds)
            or (self._bytes is not None and self.summary.bytes >= self._bytes)
        )

    def _room(self, engine: Engine) -> int | None:
        return None if self._pages is None else self._pages - self.summary.asked - len(engine.asked)

    def _downloads(self) -> Downloads | None:
        """Return what brings large bodies into the files of a sink that wants them so; a cluster streams none."""
        if self._pool is not None and not isinstance(self._pool, WorkerPool):
            return None
        for sink in self._sinks:
            if isinstance(sink, Folder) and sink.parts is not None:
                digests = self._record.state is not None
                return Downloads(sink.parts, held=sink.held, digests=digests, largest=sink.largest)
        return None

    def _own_pool(self) -> WorkerPool:
        return WorkerPool(retry=None)


@contextmanager
def _processes(number: int) -> Iterator[Executor]:
    """Give processes that no thread of this one is copied into."""
    executor = ProcessPoolExecutor(number, mp_context=get_context("spawn"))
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)
