"""The queues between threads and loops: the only home of janus.

Each class says which side may call what. Nobody here waits for a task that janus would make per put
(measured: 49 for 50 puts): the loop is rung once and then drains with `get_nowait`.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

import janus

from .errors import PoolClosed, QueueFull
from .job import Work

__all__ = ["Chunks", "Closed", "Inbox", "ResultQueue"]

T = TypeVar("T")

ROOM = 16  # chunks on their way between a body and its reader; a guess, about 1 MiB of 64 KiB chunks


class Closed(Exception):
    """The channel has come to its end."""


class _ByPriority(janus.Queue[Work]):
    """Hand out the highest priority first, and first in first out among equals."""

    def _init(self, maxsize: int) -> None:
        self.size = 0  # read without a lock, to see whether there is anything
        self._plain: deque[Work] = deque()  # of priority 0, as nearly all are
        self._ranked: list[tuple[int, int, Work]] = []  # heap of the others by priority, then arrival
        self._arrival = count()

    def _qsize(self) -> int:
        return self.size

    def _put(self, item: Work) -> None:
        priority = item.priority
        if priority:
            heappush(self._ranked, (-priority, next(self._arrival), item))
        else:
            self._plain.append(item)
        self.size += 1

    def _get(self) -> Work:
        self.size -= 1
        ranked = self._ranked
        if ranked and (ranked[0][0] < 0 or not self._plain):
            return heappop(ranked)[2]
        return self._plain.popleft()

    def content(self) -> set[Work]:
        """Return what is in the queue."""
        while True:
            try:
                return {*self._plain, *(item[2] for item in self._ranked)}
            except RuntimeError:  # it changed meanwhile
                continue


class Inbox:
    """Carry work from any thread to one loop."""

    def __init__(self, name: str, room: int) -> None:
        self._name = name
        self._queue = _ByPriority(room)
        # The sync side only: the async one asks which loop this is (on 3.11 that is a system call).
        self._sync = self._queue.sync_q
        self._rung = False
        self._ring: Callable[[], object] | None = None

    def connect(self, ring: Callable[[], object]) -> None:
        """Say how the loop is woken; `ring` is called from the putting threads."""
        self._ring = ring

    def put(self, work: Work, timeout: float | None = None, *, block: bool = True) -> None:
        """Hand the work over; blocks while the queue is full, `timeout` seconds at most.

        Raises QueueFull or PoolClosed. From any thread.
        """
        try:
            self._sync.put(work, block, timeout)
        except janus.SyncQueueFull:
            waited = "" if not block else f" for {timeout:g} s"
            raise QueueFull(
                f"{self._name} was full{waited} ({self._queue.maxsize} waiting); submit slower or raise Lane.queue"
            ) from None
        except janus.SyncQueueShutDown:
            raise PoolClosed(f"{self._name} is closed; nothing was sent") from None
        # Rung once for many puts: whoever finds the bell rung knows that a drain is still to come.
        if not self._rung and self._ring is not None:
            self._rung = True
            self._ring()

    def answered(self) -> None:
        """Note that the loop is awake, before it drains: the next put rings again."""
        self._rung = False

    def take(self) -> Work | None:
        """Return the next work, or None if there is none. On the loop only."""
        if not self._queue.size:
            return None
        try:
            return self._sync.get(False)
        except (janus.SyncQueueEmpty, janus.SyncQueueShutDown):
            return None

    def take_all(self) -> list[Work]:
        """Empty the queue, from any thread; for the end, when the loop may be gone."""
        taken: list[Work] = []
        while True:
            try:
                taken.append(self._sync.get(False))
            except (janus.SyncQueueEmpty, janus.SyncQueueShutDown):
                return taken

    def waiting(self) -> set[Work]:
        """Return what is in the queue, and leave it there."""
        return self._queue.content()

    def close(self) -> None:
        """Refuse further puts and wake blocked ones; what is in the queue stays. From any thread."""
        self._queue.shutdown(immediate=False)

    def __len__(self) -> int:
        return self._queue.size


class ResultQueue(Generic[T]):
    """Carry results from many loops to one reader, a thread or a loop; unbounded, the sender's window bounds it.

    What one turn of a loop brings travels as one batch: waking the reader once per result would make the two
    threads hand the GIL to and fro (measured: half as much CPU again per request).
    """

    def __init__(self) -> None:
        self._queue: janus.Queue[list[T]] = janus.Queue()
        self._batches: dict[int, list[T]] = {}  # by thread, each written by its own only

    def put(self, item: T) -> None:
        """Add a result; never blocks. From any thread; dropped once the reader has gone."""
        thread = threading.get_ident()
        batch = self._batches.get(thread)
        if batch is not None:
            batch.append(item)
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._send([item])
            return
        self._batches[thread] = [item]
        loop.call_soon(self._flush, thread)

    def get(self) -> list[T]:
        """Block for the next results."""
        return self._queue.sync_q.get()

    async def aget(self) -> list[T]:
        """Wait for the next results; on one loop only."""
        return await self._queue.async_q.get()

    def close(self) -> None:
        """Drop what is there and refuse the rest."""
        self._queue.close()

    def _flush(self, thread: int) -> None:
        self._send(self._batches.pop(thread))

    def _send(self, batch: list[T]) -> None:
        with suppress(janus.SyncQueueShutDown):
            self._queue.sync_q.put_nowait(batch)


class Chunks:
    """Carry the bytes of one body between a thread and a loop, bounded, in either direction."""

    def __init__(self, room: int = ROOM) -> None:
        self._queue: janus.Queue[bytes] = janus.Queue(room)
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._ended = False
        self.given_up = False  # closed before the sender had come to the end

    def put(self, chunk: bytes) -> None:
        """Send a chunk from a thread; blocks while the channel is full, raises Closed."""
        try:
            self._queue.sync_q.put(chunk)
        except janus.SyncQueueShutDown:
            raise Closed from None

    async def aput(self, chunk: bytes) -> None:
        """Send a chunk from the loop; waits while the channel is full, raises Closed."""
        try:
            await self._queue.async_q.put(chunk)
        except janus.AsyncQueueShutDown:
            raise Closed from None

    def get(self) -> bytes:
        """Take a chunk in a thread; blocks, raises Closed at the end or the sender's error."""
        try:
            return self._queue.sync_q.get()
        except janus.SyncQueueShutDown:
            error = self._error or Closed()
            raise error from error.__cause__

    async def aget(self) -> bytes:
        """Take a chunk on the loop; waits, raises Closed at the end or the sender's error."""
        try:
            return await self._queue.async_q.get()
        except janus.AsyncQueueShutDown:
            error = self._error or Closed()
            raise error from error.__cause__

    def end(self) -> None:
        """Say that nothing follows; what is under way is still read."""
        self._ended = True
        self._queue.shutdown(immediate=False)

    def fail(self, error: BaseException) -> None:
        """Say that the rest does not come; the first error stands, later ones are dropped."""
        with self._lock:
            if self._error is None and not self._queue.closed:
                self._error = error
        self.end()

    def close(self) -> None:
        """Drop everything and wake whoever waits; for a side that gives up."""
        if not self._ended or self._queue.sync_q.qsize():
            self.given_up = True
        self._queue.close()

    @property
    def error(self) -> BaseException | None:
        """The error that ended the channel, if any."""
        return self._error
