"""The queues between threads and loops: the only home of janus.

Each class says which side may call what. The inbox waits for no task that janus would make per put
(measured: 49 for 50 puts): the loop is rung once and then takes all that has come.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from itertools import chain, count
from typing import Generic, TypeVar

import janus

from .chunks import Chunks, Closed
from .errors import PoolClosed, QueueFull
from .job import Work

__all__ = ["Chunks", "Closed", "Inbox", "Messages", "ResultQueue"]

T = TypeVar("T")


class _Parcel(deque[Work]):
    """Work that travels as one item: more is put in, from any thread, until the loop finds it empty and closes it."""

    closed = False

    def add(self, work: Work) -> bool:
        """Put the work in; False if the parcel was closed before. From any thread.

        Without a lock, since a deque's own methods are atomic: the loop closes first and looks once more then.
        """
        self.append(work)
        if not self.closed:
            return True
        try:
            self.remove(work)
        except ValueError:  # the loop's last look has found it
            return True
        return False

    def take(self) -> Work | None:
        """Return the next work; close the parcel and return None if there is none."""
        try:
            return self.popleft()
        except IndexError:
            self.closed = True
        try:
            return self.popleft()
        except IndexError:
            return None


class _Incoming(janus.Queue["Work | _Parcel"]):
    """Keep what was put for the loop, which takes it without the lock.

    janus takes its lock in code of Python's; an exception set in the loop's thread just there would leave it locked for
    ever (measured on free-threaded CPython: one in a thousand). A deque's own methods are atomic.
    """

    def _init(self, maxsize: int) -> None:
        self.items: deque[Work | _Parcel] = deque()

    def _qsize(self) -> int:
        return len(self.items)

    def _put(self, item: "Work | _Parcel") -> None:
        self.items.append(item)

    def _get(self) -> "Work | _Parcel":
        return self.items.popleft()


class _Room:
    """The places of a bounded queue. Held by work until it starts or is given up, wherever it waits meanwhile."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._changed = threading.Condition()
        self._taken: set[Work] = set()
        self._closed = False

    def enter(self, work: Work, timeout: float | None) -> bool:
        """Take a place, or wait for one for `timeout` seconds at most; False if there was none. From any thread."""
        with self._changed:
            try:
                self._changed.wait_for(lambda: self._closed or len(self._taken) < self.size, timeout)
            except BaseException:
                self._changed.notify()  # the one that woke this thread may have been meant for another
                raise
            if not self._closed and len(self._taken) >= self.size:
                return False
            self._taken.add(work)
            return True

    def leave(self, work: Work) -> None:
        """Give the place back, if there is one. From any thread."""
        with self._changed:
            if work in self._taken:
                self._taken.discard(work)
                self._changed.notify()

    def close(self) -> None:
        """Let everybody in: what they are told further on is that the queue is closed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Inbox:
    """Carry work from any thread to one loop.

    What comes while the loop is busy goes into one parcel, so that janus is asked once for many (measured: an eighth of
    what a job costs that does nothing). What has a priority travels by itself. `room` is how many may wait, 0 for any
    number; the room is counted here and not by janus, since work that was cancelled or has been set aside is in no
    queue's order any more.
    """

    def __init__(self, name: str, room: int) -> None:
        self._name = name
        self._queue = _Incoming()
        self._incoming = self._queue.items
        # The sync side only: the async one asks which loop this is (on 3.11 that is a system call).
        self._sync = self._queue.sync_q
        self._room = _Room(room) if room else None
        self._lock = threading.Lock()  # guards the making of parcels, so that only the last in the queue is added to
        self._last: _Parcel | None = None
        self._parcels: deque[_Parcel] = deque()  # the loop's only, read by all; so is the next one
        self._ranked: list[tuple[int, int, Work]] = []  # heap of what has a priority, then by arrival
        self._arrival = count()
        self._closed = False
        self._rung = False
        self._ring: Callable[[], object] | None = None

    def connect(self, ring: Callable[[], object]) -> None:
        """Say how the loop is woken; `ring` is called from the putting threads."""
        self._ring = ring

    def put(self, work: Work, timeout: float | None = None, *, block: bool = True) -> None:
        """Hand the work over; blocks while the queue is full, `timeout` seconds at most.

        Raises QueueFull or PoolClosed. From any thread.
        """
        if self._room is not None and not self._room.enter(work, timeout if block else 0):
            raise self._full(timeout if block else None)
        try:
            if work.priority:
                self._send(work)
            else:
                self._send_with_others(work)
        except BaseException:
            self.leave(work)
            raise
        # Rung once for many puts: whoever finds the bell rung knows that a drain is still to come.
        if not self._rung and self._ring is not None:
            self._rung = True
            self._ring()

    def leave(self, work: Work) -> None:
        """Note that the work waits no longer: it starts, or was given up. From any thread, repeatable."""
        if self._room is not None:
            self._room.leave(work)

    def answered(self) -> None:
        """Note that the loop is awake, before it drains: the next put rings again."""
        self._rung = False

    def take(self) -> Work | None:
        """Return the next work, the highest priority first, or None if there is none. On the loop only."""
        if self._incoming:
            self._sort_in()
        while True:
            if self._ranked and (self._ranked[0][0] < 0 or not self._parcels):
                return heappop(self._ranked)[2]
            if not self._parcels:
                return None
            if (work := self._parcels[0].take()) is not None:
                return work
            self._parcels.popleft()

    def waiting(self) -> set[Work]:
        """Return what is in the queue, and leave it there."""
        while True:
            try:
                items = (*self._incoming, *self._parcels, *(each[2] for each in self._ranked))
                return {*chain.from_iterable(item if isinstance(item, _Parcel) else (item,) for item in items)}
            except RuntimeError:  # something changed meanwhile
                continue

    def close(self) -> None:
        """Refuse further puts and wake blocked ones; what is in the queue stays. From any thread."""
        self._closed = True
        self._queue.shutdown(immediate=False)
        if self._room is not None:
            self._room.close()

    def __len__(self) -> int:
        return len(self.waiting()) if self._incoming or self._parcels or self._ranked else 0

    def _sort_in(self) -> None:
        """Move what has come to its place: a parcel is never nowhere, and single work never in two places."""
        while self._incoming:
            item = self._incoming[0]
            if isinstance(item, _Parcel):
                self._parcels.append(item)
                self._incoming.popleft()
            else:
                self._incoming.popleft()
                heappush(self._ranked, (-item.priority, next(self._arrival), item))

    def _send_with_others(self, work: Work) -> None:
        while (last := self._last) is None or not last.add(work):
            if self._start_parcel(last, work):
                break
        if self._closed and self._withdrawn(work):
            raise self._refusal()

    def _start_parcel(self, last: _Parcel | None, work: Work) -> bool:
        """Put a new parcel behind the last one, unless somebody else has done so meanwhile."""
        with self._lock:
            if self._last is not last:
                return False
            parcel = _Parcel((work,))
            self._send(parcel)
            self._last = parcel
            return True

    def _send(self, item: "Work | _Parcel") -> None:
        try:
            self._sync.put_nowait(item)
        except janus.SyncQueueShutDown:
            raise self._refusal() from None

    def _full(self, waited: float | None) -> QueueFull:
        assert self._room is not None
        how_long = "" if waited is None else f" for {waited:g} s"
        return QueueFull(
            f"{self._name} was full{how_long} ({self._room.size} waiting); submit slower or raise Lane.queue"
        )

    def _refusal(self) -> PoolClosed:
        return PoolClosed(f"{self._name} is closed; nothing was sent")

    def _withdrawn(self, work: Work) -> bool:
        """Take the work back that was put in beside the closing; False if the loop has it."""
        last = self._last
        try:
            if last is not None:
                last.remove(work)
                return True
        except ValueError:
            pass
        return False


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


class Messages(Generic[T]):
    """Carry messages between threads and one loop, bounded, in one direction."""

    def __init__(self, room: int) -> None:
        self._queue: janus.Queue[T] = janus.Queue(room)

    def put(self, message: T, timeout: float | None) -> None:
        """Send from a thread; blocks while there is no room. Raises TimeoutError, Closed."""
        try:
            self._queue.sync_q.put(message, timeout=timeout)
        except janus.SyncQueueFull:
            raise TimeoutError from None
        except janus.SyncQueueShutDown:
            raise Closed from None

    def get(self, timeout: float | None) -> T:
        """Take in a thread; blocks. Raises TimeoutError, and Closed when all that was sent has been taken."""
        try:
            return self._queue.sync_q.get(timeout=timeout)
        except janus.SyncQueueEmpty:
            raise TimeoutError from None
        except janus.SyncQueueShutDown:
            raise Closed from None

    async def aput(self, message: T) -> None:
        """Send from the loop; waits while there is no room. Raises Closed."""
        try:
            await self._queue.async_q.put(message)
        except janus.AsyncQueueShutDown:
            raise Closed from None

    async def aget(self) -> T:
        """Take on the loop; waits. Raises Closed when all that was sent has been taken."""
        try:
            return await self._queue.async_q.get()
        except janus.AsyncQueueShutDown:
            raise Closed from None

    def end(self) -> None:
        """Say that nothing follows; what is under way is still taken. From any thread, repeatable."""
        self._queue.shutdown(immediate=False)

    def close(self) -> None:
        """Drop what is under way and refuse the rest. From any thread, repeatable."""
        self._queue.shutdown(immediate=True)
