"""The inbox: a queue from any thread to one event loop, with priorities and a bound.

The inbox waits for no task that janus would make per put (measured: 49 for 50 puts): the loop is rung once and then
takes all that has come.
"""

import threading
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import chain, count
from time import monotonic
from typing import Any, NoReturn

from ..errors import PoolClosed, QueueFull
from .channel import Closed
from .queues import Incoming
from .work import Work

__all__ = ["Inbox"]


class _Parcel(deque[Work]):
    """Work that travels as one item: more is put in, from any thread, until the loop finds it empty and closes it."""

    closed = False

    def add(self, work: Work) -> bool:
        """Put the work in; False if the parcel was closed before. From any thread.

        Without a lock, since a deque's own methods are atomic: the loop closes first and looks once more then.
        """
        if self.closed:
            return False
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


class _Room:
    """The places of a bounded queue. Held by work until it starts or is given up, wherever it waits meanwhile."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._lock = threading.RLock()  # guards all of these; one that a signal handler or a collection may take again
        self._taken: set[Work] = set()
        self._gates: deque[Any] = deque()  # of threads that wait, each woken for one place
        self._callbacks: list[Callable[[], object]] = []
        self._closed = False

    def hold(self, work: Work, timeout: float | None) -> bool:
        """Take a place, or wait for one for `timeout` seconds at most; False if there was none. From any thread."""
        end = None if timeout is None else monotonic() + timeout
        while (gate := self._take_or_wait(work)) is not None:
            left = -1 if end is None else min(max(0.0, end - monotonic()), threading.TIMEOUT_MAX)
            try:
                woken = gate.acquire(timeout=left)
            except BaseException:
                if not self._withdraw(gate):
                    self._wake()  # the place that this thread was woken for is another's
                raise
            if not woken and self._withdraw(gate):
                return False
        return True

    def release(self, work: Work) -> None:
        """Give the place back, if there is one. From any thread."""
        with self._lock:
            if work not in self._taken:
                return
            self._taken.discard(work)
        self._wake()

    def when_free(self, callback: Callable[[], object]) -> None:
        """Call back once, soon after a place came free or the room was closed. From any thread."""
        with self._lock:
            if not self._closed and len(self._taken) >= self.size:
                self._callbacks.append(callback)
                return
        callback()

    def close(self) -> None:
        """Let everybody in: what they are told further on is that the queue is closed."""
        with self._lock:
            self._closed = True
            number = len(self._gates)
        for _ in range(max(1, number)):
            self._wake()

    def _take_or_wait(self, work: Work) -> Any:
        with self._lock:
            if self._closed or len(self._taken) < self.size:
                self._taken.add(work)
                return None
            gate = threading.Lock()
            gate.acquire()
            self._gates.append(gate)
            return gate

    def _withdraw(self, gate: Any) -> bool:
        """Wait no longer; False if the gate has been opened."""
        with self._lock:
            if gate not in self._gates:
                return False
            self._gates.remove(gate)
            return True

    def _wake(self) -> None:
        with self._lock:
            if self._gates:
                self._gates.popleft().release()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class Inbox:
    """Hold what waits on one loop, and wake that.

    What comes while the loop is busy goes into one parcel, so that janus is asked once for many (measured: an eighth of
    what a job costs that does nothing). What has a priority travels by itself. `room` is how many may wait, 0 for any
    number; the room is counted here and not by janus, since work that was cancelled or has been set aside is in no
    queue's order any more.
    """

    def __init__(self, name: str, room: int, ring: Callable[[], object]) -> None:
        self._name = name
        self._ring = ring  # wakes the loop; called from the putting threads
        self._queue: Incoming[Work | _Parcel] = Incoming()
        self._incoming = self._queue.items
        self._room = _Room(room) if room else None
        # Guards the making of parcels, so that only the last in the queue is added to; a signal handler that submits
        # while its thread has the lock starts one more, which does no harm.
        self._lock = threading.RLock()
        self._last: _Parcel | None = None
        self._parcels: deque[_Parcel] = deque()  # the loop's only, read by all; so is the next one
        self._ranked: list[tuple[int, int, Work]] = []  # heap of what has a priority, then by arrival
        self._arrival = count()
        self._closed = False
        self._rung = False

    def put(self, work: Work, timeout: float | None = None, *, block: bool = True) -> None:
        """Hand the work over; blocks while the queue is full, `timeout` seconds at most.

        Raises QueueFull or PoolClosed. From any thread.
        """
        try:
            if self._room is not None:
                if not self._room.hold(work, timeout if block else 0):
                    self._refuse_full(timeout if block else None)
                work.has_room = True
            if work.priority:
                self._send(work)
            else:
                self._send_with_others(work)
        except BaseException:
            self.release(work)
            raise
        finally:  # also where it was interrupted, since the work may be in the queue
            if not self._rung:
                self._ring_once()

    def when_room(self, callback: Callable[[], object]) -> None:
        """Call back once, from any thread, when a full queue may have room again."""
        if self._room is None:
            callback()
        else:
            self._room.when_free(callback)

    def release(self, work: Work) -> None:
        """Note that the work waits no longer: it starts, or was given up. From any thread, repeatable."""
        if self._room is not None:
            self._room.release(work)

    def _ring_once(self) -> None:
        """Wake the loop; once for many puts: whoever finds the bell rung knows that a drain is still to come."""
        try:
            self._rung = True
            self._ring()
        except BaseException:
            # Others have seen the bell rung meanwhile, and do not ring.
            self._rung = False
            self._ring()
            raise

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

    def first(self) -> Work | None:
        """Return what `take` would, and leave it there. On the loop only."""
        if self._incoming:
            self._sort_in()
        if self._ranked and (self._ranked[0][0] < 0 or not any(self._parcels)):
            return self._ranked[0][2]
        return next((parcel[0] for parcel in self._parcels if parcel), None)

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
        """How many wait: counted, not collected, since there may be many. What is being sorted in may count twice."""
        size = len(self._ranked)
        while self._incoming or self._parcels:
            try:
                items = (*self._incoming, *self._parcels)
            except RuntimeError:  # something changed meanwhile
                continue
            return size + sum(len(item) if isinstance(item, _Parcel) else 1 for item in items)
        return size

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
            self._queue.send(item)
        except Closed:
            raise self._refusal() from None

    def _refuse_full(self, waited: float | None) -> NoReturn:
        assert self._room is not None
        how_long = "" if waited is None else f" for {waited:.3g} s"
        raise QueueFull(
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
