"""The results of `fetch_many`: inputs pulled lazily within a window, outcomes through one queue."""

from collections import deque
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from typing import Protocol

from .channels import ResultQueue
from .errors import InvalidRequest, QueueFull, WorkerPoolError
from .job import Process, Work, check_may_block
from .messages.request import Request
from .messages.response import Response, Result

__all__ = ["Entry", "Results"]


class Entry(Work):
    """One input of `fetch_many`: the Work whose way back is the queue of results."""

    index: int
    out: "ResultQueue[Result]"

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
        self.out.put(Result(self.index, self.request, response, error))
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
        self._space = buffersize  # inputs that may be pulled now
        self._worth_it = max(1, buffersize // 4)  # pulled in bulk: each post may wake a worker
        self._queue: ResultQueue[Result] = ResultQueue()
        self._entries: dict[int, Entry] = {}  # in flight, by index
        self._ready: deque[Result] = deque()  # finished, to be handed out next
        self._early: dict[int, Result] | None = {} if ordered else None  # finished before their turn
        self._turn = 0  # the index that is handed out next, where ordered
        self._waiting: Entry | None = None  # made, but the lane's queue was full
        self._pulled = 0
        self._process = Process()

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
                self._refill(block=False)
                while not self._ready and self._entries:
                    self._keep(await self._queue.aget())
                    self._refill(block=False)
                if not self._ready:
                    return
                yield self._handed_out()
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
        self._refill(block=True)
        while not self._ready:
            if not self._entries:
                return None
            check_may_block("waiting for results")
            self._process.check("fetch_many")
            self._keep(self._queue.get())
            self._refill(block=True)
        return self._handed_out()

    def _handed_out(self) -> Result:
        self._space += 1
        return self._ready.popleft()

    def _keep(self, results: list[Result]) -> None:
        """Sort what came in: to be handed out next or, where ordered, before its turn."""
        for result in results:
            self._entries.pop(result.index, None)
        if self._early is None:
            self._ready.extend(results)
            return
        self._early.update((result.index, result) for result in results)
        while self._turn in self._early:
            self._ready.append(self._early.pop(self._turn))
            self._turn += 1

    def _refill(self, *, block: bool) -> None:
        """Pull and post inputs until the window is full, they are at their end, or the lane's queue is full."""
        if self._space < self._worth_it and self._entries and self._waiting is None:
            return
        while (entry := self._waiting or self._pull()) is not None:
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
                request = given if isinstance(given, Request) else Request(given)
                return self._sender._make_entry(index, request, self._queue)
            except InvalidRequest as exc:
                self._keep([Result(index, given, None, exc)])
        return None
