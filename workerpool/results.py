"""The results of `fetch_many`: inputs pulled lazily within a window, outcomes through one queue."""

from collections import deque
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from typing import Any, Protocol

from .channels import ResultQueue
from .errors import InvalidRequest, QueueFull, WorkerPoolError
from .job import Work, check_may_block
from .request import Request
from .response import Response, Result

__all__ = ["Entry", "Results"]


class Entry(Work):
    """One input of `fetch_many`: the Work whose way back is the queue of results."""

    __slots__ = ("_out", "index")

    def __init__(self, index: int, out: "ResultQueue[Result]", lane: str, **facts: Any) -> None:
        super().__init__(lane, **facts)
        self.index = index
        self._out = out

    def _deliver(self, value: Response) -> None:
        self._put(value, None)

    def _deliver_error(self, error: BaseException) -> None:
        self._put(None, error)

    def _deliver_cancel(self) -> None:
        self._put(
            None,
            WorkerPoolError("the request was cancelled: the reader of its results had gone"),
        )

    def _put(self, response: Response | None, error: BaseException | None) -> None:
        assert self.request is not None
        self._out.put(Result(self.index, self.request, response, error))
        self.pool = None


class Sender(Protocol):
    """What `Results` needs of the pool."""

    def _make_entry(self, index: int, request: Request, out: "ResultQueue[Result]") -> Entry:
        """Make the work for one input; raises InvalidRequest."""

    def _post(self, work: Work, *, block: bool = True) -> None:
        """Hand the work to a worker; raises QueueFull or PoolClosed."""


class Results:
    """Yield one Result per input, with `for` or `async for`, as they finish or in the order of the inputs.

    At most `buffersize` inputs are pulled ahead of what was handed out. Leaving the loop early, or
    `close()`, cancels what is in flight. An error of the inputs' own iterator is raised here.
    """

    def __init__(
        self,
        sender: Sender,
        inputs: Iterable[str | Request],
        *,
        ordered: bool,
        buffersize: int,
    ) -> None:
        self._sender = sender
        self._inputs: Iterator[str | Request] | None = iter(inputs)
        self._ordered = ordered
        self._room = buffersize
        self._queue: ResultQueue[Result] = ResultQueue()
        self._entries: dict[int, Entry] = {}  # in flight, by index
        self._early: dict[int, Result] = {}  # ordered only: finished before their turn
        self._ready: deque[Result] = deque()  # finished, to be handed out next
        self._waiting: Entry | None = None  # made, but the lane's queue was full
        self._pulled = 0
        self._turn = 0

    def __iter__(self) -> Generator[Result, None, None]:
        try:
            while (result := self._next()) is not None:
                yield result
        finally:
            self.close()

    def __next__(self) -> Result:
        if (result := self._next()) is None:
            raise StopIteration
        return result

    async def __aiter__(self) -> AsyncIterator[Result]:
        try:
            while True:
                while (result := self._step(block=False)) is None and self._entries:
                    self._keep_all(await self._queue.aget())
                if result is None:
                    return
                yield result
        finally:
            self.close()

    def close(self) -> None:
        """Cancel what is in flight and pull no more inputs. Repeatable."""
        inputs, self._inputs = self._inputs, None
        entries, self._entries = self._entries, {}
        self._waiting = None
        self._queue.close()
        for entry in entries.values():
            entry.cancel()
        if isinstance(inputs, Generator):
            inputs.close()

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _next(self) -> Result | None:
        while (result := self._step(block=True)) is None and self._entries:
            check_may_block("waiting for results")
            self._keep_all(self._queue.get())
        return result

    def _step(self, *, block: bool) -> Result | None:
        """Return a result that is there, after the window was filled; None if one must be waited for."""
        # Filled in bulk, when half the window is used up: each post may wake a worker.
        if 2 * len(self._entries) <= self._room:
            self._fill(block=block)
        result = self._pop()
        if result is None and self._ahead < self._room:
            self._fill(block=block)
            result = self._pop()
        return result

    def _keep_all(self, results: list[Result]) -> None:
        for result in results:
            self._keep(result)

    def _keep(self, result: Result) -> None:
        self._entries.pop(result.index, None)
        if self._ordered:
            self._early[result.index] = result
        else:
            self._ready.append(result)

    def _pop(self) -> Result | None:
        if not self._ordered:
            return self._ready.popleft() if self._ready else None
        result = self._early.pop(self._turn, None)
        if result is not None:
            self._turn += 1
        return result

    def _fill(self, *, block: bool) -> None:
        """Pull and post inputs until the window is full, the inputs are at their end, or the lane's queue is full."""
        while self._ahead < self._room:
            entry = self._waiting or self._pull()
            if entry is None:
                return
            self._waiting = entry
            self._entries[entry.index] = entry
            try:
                # While something is in flight its result is the better thing to wait for.
                self._sender._post(entry, block=block and len(self._entries) == 1)
            except QueueFull:
                del self._entries[entry.index]
                if not self._entries:
                    raise
                return
            self._waiting = None

    @property
    def _ahead(self) -> int:
        return len(self._entries) + len(self._early) + len(self._ready)

    def _pull(self) -> Entry | None:
        """Return the next input as an entry; what cannot be sent becomes a result at once."""
        while self._inputs is not None and self._ahead < self._room:
            try:
                given = next(self._inputs)
            except StopIteration:
                self._inputs = None
                return None
            index, self._pulled = self._pulled, self._pulled + 1
            try:
                request = given if isinstance(given, Request) else Request(given)
                return self._sender._make_entry(index, request, self._queue)
            except InvalidRequest as exc:
                self._keep(Result(index, given, None, exc))
        return None
