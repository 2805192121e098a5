"""The queues between threads and loops: the only home of janus. Each class says which side may call what."""

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Generic, TypeVar

import janus

from ..bells import Bell, LoopBell, ThreadBell
from .channel import Closed

__all__ = ["Incoming", "ResultQueue"]

T = TypeVar("T")

_LONG_TURN = 0.1  # seconds; the loop may be blocked


class _Condition(threading.Condition):
    """A condition that no interrupt can leave locked for ever, over an RLock.

    `with` and the wait of the standard library's are code of Python's: a signal, or an exception set from another
    thread, that comes between the taking of the lock and the noting of it leaves it taken (python/cpython#74174 for
    `with`). Here `with` finds the lock's own methods, which are code of C's, and a wait asks the lock whose it is. A
    collection or a signal handler that comes back here, on the thread that has the lock, goes through.
    """

    __slots__ = ("__enter__", "__exit__")

    def __init__(self, lock: Any) -> None:
        super().__init__(lock)
        self.__enter__ = lock.__enter__  # type: ignore[method-assign]
        self.__exit__ = lock.__exit__  # type: ignore[method-assign]

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be notified, so many seconds at the most; the lock is held before and after, whatever is raised."""
        gate = threading.Lock()
        gate.acquire()
        waiters, lock = self._waiters, self._lock  # type: ignore[attr-defined]
        waiters.append(gate)
        try:
            lock.release()
            return gate.acquire(timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX))
        finally:
            _hold(lock)
            with suppress(ValueError):
                waiters.remove(gate)


def _hold(lock: Any) -> None:
    """Take the lock back, whatever interrupts that: what follows releases it."""
    interrupt = None
    while not lock._is_owned():
        try:
            lock.acquire()
        except BaseException as exc:  # noqa: BLE001  raised again below
            interrupt = exc
    if interrupt is not None:
        raise interrupt


class _Queue(janus.Queue[T]):
    """janus's queue, made safe for threads that may be interrupted."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._sync_mutex = lock = threading.RLock()  # type: ignore[assignment]
        self._sync_not_empty = _Condition(lock)
        self._sync_not_full = _Condition(lock)
        self._sync_tasks_done = _Condition(lock)


class Incoming(_Queue[T]):
    """Keep what was put for the loop, which takes it without the lock.

    The deque's own methods are atomic; `items` is the loop's to take from, and anybody's to look at.
    """

    def _init(self, maxsize: int) -> None:
        self.items: deque[T] = deque()

    def _qsize(self) -> int:
        return len(self.items)

    def _put(self, item: T) -> None:
        self.items.append(item)

    def _get(self) -> T:
        return self.items.popleft()

    def send(self, item: T) -> None:
        """Put an item in, from any thread; raises Closed."""
        try:
            self.sync_q.put_nowait(item)
        except janus.SyncQueueShutDown:
            raise Closed from None


class ResultQueue(Generic[T]):
    """Carry results from many loops to one reader, a thread or a loop; unbounded, the sender's window bounds it.

    What one turn of a loop brings travels as one batch: waking the reader once per result would make the two
    threads hand the GIL to and fro (measured: half as much CPU again per request). A turn that does not end, since code
    of the user's blocks the loop, keeps nothing: a reader that has waited for a moment takes from the batch itself.
    """

    def __init__(self) -> None:
        self._queue: janus.Queue[list[T]] = _Queue()
        # Each added to by its loop only; the reader may take out.
        self._batches: dict[asyncio.AbstractEventLoop, list[T]] = {}
        self._gone = False  # the reader
        self._bell: Bell | None = None  # of the reader that waits

    def put(self, item: T) -> None:
        """Add a result; never blocks. From any thread; dropped once the reader has gone."""
        if self._gone:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._send([item])
            return
        if (batch := self._batches.get(loop)) is not None:
            batch.append(item)
            return
        self._batches[loop] = [item]
        loop.call_soon(self._flush, loop)

    def get(self) -> list[T]:
        """Block for the next results; raises Closed. For one reader at a time."""
        while not (found := self._take()):
            # Not waited for within the queue's lock, which an interrupt there might leave to nobody.
            bell = self._bell = ThreadBell()
            if self._may_wait and not bell.wait(_LONG_TURN) and (found := self._gathered()):
                break
        return found

    async def aget(self) -> list[T]:
        """Wait for the next results, on any loop; raises Closed. For one reader at a time."""
        while not (found := self._take()):
            bell = self._bell = LoopBell()
            if self._may_wait and not await bell.wait(_LONG_TURN) and (found := self._gathered()):
                break
        return found

    def drop(self) -> None:
        """Drop what comes from now on; takes no lock, so that a collection may call it anywhere."""
        self._gone = True

    def close(self) -> None:
        """Drop what is there and what comes, and wake the reader."""
        self._gone = True
        self._queue.close()
        self._ring()

    @property
    def _may_wait(self) -> bool:
        """Whether nothing came between the look and the making of the bell, which was not rung for it."""
        return not self._queue.sync_q.qsize() and not self._gone

    def _take(self) -> list[T]:
        """Return the next batch; empty if there is none, or its reader had it while it grew."""
        try:
            return self._queue.sync_q.get_nowait()
        except janus.SyncQueueShutDown:
            raise Closed from None
        except janus.SyncQueueEmpty:
            return []

    def _gathered(self) -> list[T]:
        """Take what turns that have not ended have brought so far. For the reader, while loops add to it."""
        found: list[T] = []
        for batch in self._batches.copy().values():
            found += (some := batch[:])
            del batch[: len(some)]
        return found

    def _ring(self) -> None:
        if (bell := self._bell) is not None:
            bell.ring()

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        if batch := self._batches.pop(loop):
            self._send(batch)

    def _send(self, batch: list[T]) -> None:
        with suppress(janus.SyncQueueShutDown):
            self._queue.sync_q.put_nowait(batch)
        self._ring()
