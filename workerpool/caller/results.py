"""The results of `fetch_many`: inputs pulled lazily within a window, outcomes through one queue."""

import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import Context
from math import ceil
from time import monotonic
from typing import Any, TypeVar

from ..bells import Bell, LoopBell, ThreadBell
from ..errors import InvalidRequest, QueueFull, WorkerPoolError
from ..handover.channel import Closed
from ..handover.errand import Fetch
from ..handover.job import Process, Work, check_may_block
from ..handover.queues import ResultQueue
from ..handover.work import Verdict
from ..lane import Lane
from ..messages.request import Request
from ..messages.result import Result
from ..settings import Timeout
from .waiting import seconds_left

__all__ = ["Entry", "Results", "window"]

B = TypeVar("B", ThreadBell, LoopBell)

_WINDOW = 256  # inputs pulled ahead at most, unless that is less than two for each connection
_AHEAD = 8  # inputs pulled ahead for each connection: what can start soon, and enough to be handed over in bulk
_SOON = 2.0  # seconds' worth of inputs that are pulled ahead of a rate
_FEW = 8


def window(lane: Lane, buffersize: int | None) -> int:
    """Return how many inputs may be pulled ahead: by default no more than can start soon."""
    if buffersize is None:
        ahead = max(_WINDOW, 2 * lane.connections)
        if lane.connections:
            ahead = min(ahead, max(_FEW, _AHEAD * lane.connections))
        if lane.rate is not None:
            ahead = min(ahead, _FEW + lane.rate.burst + ceil(_SOON * lane.rate.limit / lane.rate.per))
        return ahead
    if isinstance(buffersize, bool) or not isinstance(buffersize, int) or buffersize < 1:
        raise ValueError("buffersize must be a whole number, at least 1")
    return min(buffersize, sys.maxsize)


class Entry(Work):
    """One input of `fetch_many`: the Work whose way back is the queue of results."""

    def __init__(
        self,
        lane: str,
        pool: object,
        errand: Fetch,
        limits: Timeout,
        context: Context | None,
        *,
        inner: bool,
        index: int,
        out: "ResultQueue[Result]",
    ) -> None:
        request = errand.request
        super().__init__(lane, pool, errand, limits, context, request.priority, not inner, inner)
        self.index = index
        self._asked = request
        self._out = out

    def _tell(self, verdict: Verdict) -> None:
        outcome, value, _at = verdict
        if outcome == "cancelled":
            value = WorkerPoolError("the request was cancelled, by the reader of its results or with the pool")
        response, error = (value, None) if outcome == "succeeded" else (None, value)
        self._out.put(Result(self.index, self._asked, response, error))


class _NoMore(Exception):
    """All results have been handed out."""


class Results:
    """Yield one Result per input, with `for` or `async for`, as they finish or in the order of the inputs.

    At most `buffersize` inputs are pulled ahead of what was handed out. Leaving the loop early, or
    `close()`, cancels what is in flight. An error of the inputs' own iterator is raised here. Several threads may read:
    each result goes to one of them.
    """

    _made = False  # interrupted within `__init__`, there is nothing to give up

    def __init__(
        self,
        make_entry: "Callable[[int, Request, ResultQueue[Result]], Entry]",
        post: Callable[..., None],
        inputs: Iterable[str | Request],
        options: Mapping[str, Any],
        *,
        ordered: bool,
        buffersize: int,
    ) -> None:
        self._make_entry = make_entry  # raises InvalidRequest
        self._post = post  # raises QueueFull or PoolClosed
        self._inputs: Iterator[str | Request] | None = _iterator(inputs)
        self._options = options
        # One reader at a time; the thread that has it may come back here by a signal handler.
        self._reading = threading.RLock()
        self._space = buffersize  # inputs that may be pulled now
        self._worth_it = max(1, buffersize // 4)  # pulled in bulk: each post may wake a worker
        self._queue: ResultQueue[Result] = ResultQueue()
        self._entries: dict[int, Entry] = {}  # in flight, by index
        self._ready: deque[Result] = deque()  # finished, to be handed out next
        self._early: dict[int, Result] | None = {} if ordered else None  # finished before their turn
        self._turn = 0  # the index that is handed out next, where ordered
        self._waiting: Entry | None = None  # made, but the lane's queue was full
        self._bell: Bell | None = None  # of the reader that waits for room
        self._over = False  # closed
        self._pulled = 0
        self._process = Process()
        self._made = True

    def __iter__(self) -> Generator[Result, None, None]:
        try:
            with suppress(_NoMore):
                while True:
                    # Not kept in a name: it is the reader's alone while the next one is waited for.
                    yield self._next()
        finally:
            self.close()

    def __next__(self) -> Result:
        try:
            return self._next()
        except _NoMore:
            raise StopIteration from None

    async def __aiter__(self) -> AsyncIterator[Result]:
        try:
            while True:
                was_over = self._over
                self._refill()
                while not self._ready:
                    if self._entries:
                        try:
                            self._keep(await self._queue.aget())
                        except Closed:
                            raise _closed() from None
                    elif (entry := self._waiting) is not None:
                        await self._room_for(entry, LoopBell).wait(seconds_left(entry.deadline))
                        self._check_open()
                    else:
                        self._check_open(was_over=was_over)
                        return
                    self._refill()
                yield self._handed_out()
        finally:
            self.close()

    def close(self) -> None:
        """Cancel what is in flight and pull no more inputs; who is reading in another thread is told. Repeatable."""
        self._over = True
        inputs, self._inputs = self._inputs, None
        self._waiting = None
        self._give_up()
        self._queue.close()
        if (bell := self._bell) is not None:
            bell.ring()
        if isinstance(inputs, Generator):
            with suppress(ValueError):  # another thread is in it, and finds that nothing more is wanted
                inputs.close()

    def _give_up(self) -> None:
        self._queue.drop()
        entries, self._entries = self._entries, {}
        for entry in entries.values():
            entry.cancel()

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Takes no lock of the queue's: a collection may run this on the very thread that is putting a result in.
        if self._made:
            self._give_up()

    def _next(self) -> Result:
        """Block for the next result; raises _NoMore."""
        with self._reading:
            was_over = self._over
            self._refill()
            while not self._ready:
                if self._entries:
                    self._check_may_block()
                    try:
                        self._keep(self._queue.get())
                    except Closed:
                        raise _closed() from None
                elif (entry := self._waiting) is not None:
                    self._check_may_block()
                    self._room_for(entry, ThreadBell).wait(seconds_left(entry.deadline))
                    self._check_open()
                else:
                    self._check_open(was_over=was_over)
                    raise _NoMore
                self._refill()
            return self._handed_out()

    def _room_for(self, entry: Entry, kind: Callable[[], B]) -> B:
        """Return a bell that rings when the queue may have room for the entry, or nobody wants it any more."""
        bell = self._bell = kind()
        assert entry.holder is not None
        entry.holder.when_room(bell.ring)
        if self._over:  # before the bell was there
            bell.ring()
        return bell

    def _check_may_block(self) -> None:
        check_may_block("waiting for results")
        self._process.check("fetch_many")

    def _check_open(self, *, was_over: bool = False) -> None:
        """Raise where it was closed; what was so before this was called has its end, and is not cut."""
        if self._over and not was_over:
            raise _closed()

    def _handed_out(self) -> Result:
        self._space += 1
        return self._ready.popleft()

    def _keep(self, results: list[Result]) -> None:
        """Sort what came in: to be handed out next or, where ordered, before its turn."""
        results = [result for result in results if self._entries.pop(result.index, None) is not None]
        self._sort(results)

    def _sort(self, results: list[Result]) -> None:
        if self._early is None:
            self._ready.extend(results)
            return
        self._early.update((result.index, result) for result in results)
        while self._turn in self._early:
            self._ready.append(self._early.pop(self._turn))
            self._turn += 1

    def _refill(self) -> None:
        """Pull and post inputs until the window is full, they are at their end, or the lane's queue is full."""
        if self._space < self._worth_it and self._entries and self._waiting is None:
            return
        while (entry := self._waiting or self._pull()) is not None:
            self._waiting = entry
            self._entries[entry.index] = entry
            if self._over:  # closed since it was pulled: nobody gives it up any more
                self._entries.pop(entry.index, None)
                self._waiting = None
                return
            try:
                self._post(entry, block=False)
            except QueueFull:
                if entry.deadline is not None and monotonic() >= entry.deadline:
                    entry.expire()
                if not entry.decided:
                    self._entries.pop(entry.index, None)
                    return
            self._waiting = None
            if self._over:  # or since it was posted
                self._give_up()

    def _pull(self) -> Entry | None:
        """Return the next input as an entry; what cannot be sent becomes a result at once."""
        while self._space > 0 and self._inputs is not None:
            try:
                given = next(self._inputs)
            except StopIteration:
                self._inputs = None
                return None
            self._space -= 1
            index = self._pulled
            self._pulled += 1
            try:
                request = given if isinstance(given, Request) else Request(given, **self._options)
                return self._make_entry(index, request, self._queue)
            except InvalidRequest as exc:
                self._sort([Result(index, given, None, exc)])
        return None


def _iterator(inputs: Any) -> Iterator[str | Request]:
    if isinstance(inputs, str | bytes | Request):
        name = type(inputs).__name__
        raise TypeError(f"fetch_many takes an iterable of URLs or Requests, not one {name}; put it into a list")
    try:
        return iter(inputs)
    except TypeError:
        name = type(inputs).__name__
        raise TypeError(f"fetch_many takes an iterable of URLs or Requests, not {name}") from None


def _closed() -> WorkerPoolError:
    return WorkerPoolError("these results were closed while they were read; what was in flight is cancelled")
