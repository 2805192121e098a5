"""The bounded channel between two sides, each a thread or a task on any loop: of a body's bytes, of messages."""

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

from ..bells import Bell, LoopBell, ThreadBell

__all__ = ["ROOM", "Channel", "Chunks", "Closed"]

T = TypeVar("T")
B = TypeVar("B", ThreadBell, LoopBell)

_GRACE = 0.5  # seconds beyond the deadline that the sender gets to end the channel, whose loop may be blocked
ROOM = 4  # runs on their way, by default: of a body 3 MiB at the most


class Closed(Exception):
    """The channel has come to its end."""


class Channel(Generic[T]):
    """Carry items in one direction, bounded, between two sides that are threads or tasks, each on any loop.

    What is there at once travels as one run: waking the other side for each item would make the two threads hand the
    GIL to and fro (measured: as much CPU again as the download). Not by janus, whose async side belongs to one loop,
    and whose locks stay locked where Ctrl-C comes at the wrong moment: the other side is a worker's loop.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room  # runs
        # Reentrant: what the garbage collector frees within may close this very channel.
        self._lock = threading.RLock()  # guards all that follows
        self._runs: deque[deque[T]] = deque()
        self._run: deque[T] = deque()  # the one that is being read
        self._waiting: list[Bell] = []  # of either side
        self._ended = False
        self._deadline: float | None = None  # as monotonic() counts
        self._on_deadline: Callable[[], None] = self.fail
        self.error: BaseException | None = None  # what ended the channel, if anything did
        self.given_up: bool = False  # closed or cut before the sender had come to the end

    @property
    def is_over(self) -> bool:
        """Whether nothing more is sent."""
        return self._ended

    def put(self, item: T, timeout: float | None = None) -> None:
        """Send from a thread; blocks while the channel is full. Raises Closed, TimeoutError after so many seconds."""
        run, end = deque((item,)), _end_of(timeout)
        while (bell := self._send(run, ThreadBell)) is not None:
            if not bell.wait(None if end is None else max(0.0, end - monotonic())):
                self._note_late(bell, end)

    async def aput(self, item: T) -> None:
        """Send from a loop; waits while the channel is full, raises Closed."""
        await self.aput_run(deque((item,)))

    async def aput_run(self, run: deque[T]) -> None:
        """Send what is there at once from a loop; waits while the channel is full, raises Closed."""
        while (bell := self._send(run, LoopBell)) is not None:
            await bell.rung

    def get(self, timeout: float | None = None) -> T:
        """Take in a thread; blocks. Raises Closed at the end or the sender's error, TimeoutError after the seconds."""
        end = _end_of(timeout)
        while isinstance(found := self._take(ThreadBell), ThreadBell):
            if not found.wait(self._left(end)):
                self._note_late(found, end)
        return found

    async def aget(self) -> T:
        """Take on a loop; waits, raises Closed at the end or the sender's error. A cancel takes nothing."""
        while isinstance(found := self._take(LoopBell), LoopBell):
            if not await found.wait(self._left(None)):
                self._note_late(found, None)
        return found

    def keep_time(self, deadline: float | None, fall: Callable[[], None]) -> None:
        """Let the reader call `fall`, which ends the channel, where nobody else does so soon after the deadline."""
        self._deadline, self._on_deadline = deadline, fall

    def end(self) -> None:
        """Say that nothing follows; what is under way is still taken."""
        self._stop(None, given_up=False)

    def fail(self, error: BaseException | None = None) -> None:
        """Say that the rest does not come, and why, unless all is there; what is said first stands."""
        self._stop(error, given_up=error is None)

    def close(self) -> None:
        """Drop everything and wake whoever waits; for a side that gives up."""
        with self._lock:
            self.given_up = self.given_up or not self._ended or any(self._runs) or bool(self._run)
            self._ended = True
            self._runs.clear()
            self._run.clear()
            self._wake()

    def _send(self, run: deque[T], kind: Callable[[], B]) -> B | None:
        """Send the run, or return a bell that tells when to try again."""
        with self._lock:
            if self._ended:
                raise Closed
            if len(self._runs) >= self._room:
                return self._wait_for(kind())
            self._runs.append(run)
            self._wake()
            return None

    def _take(self, kind: Callable[[], B]) -> T | B:
        """Return an item, or a bell that tells when to try again.

        Woken first and changed then, shown before it is taken away: Ctrl-C may come between any two steps.
        """
        with self._lock:
            while not self._run and self._runs:
                if len(self._runs) <= self._room // 2 + 1:  # not for each run: the two threads would take turns
                    self._wake()
                self._run = self._runs[0]
                if self._runs:  # else closed meanwhile, by a collection of garbage
                    self._runs.popleft()
            if self._run:
                return self._run.popleft()
            if self._ended:
                error = self.error or Closed()
                raise error from error.__cause__
            return self._wait_for(kind())

    def _stop(self, error: BaseException | None, *, given_up: bool) -> None:
        with self._lock:
            if not self._ended:
                self.error, self.given_up, self._ended = error, given_up, True
            self._wake()

    def _wait_for(self, bell: B) -> B:
        self._waiting.append(bell)
        return bell

    def _wake(self) -> None:
        for bell in self._waiting:
            bell.ring()
        self._waiting.clear()

    def _left(self, end: float | None) -> float | None:
        if self._deadline is not None:
            end = self._deadline + _GRACE if end is None else min(end, self._deadline + _GRACE)
        return None if end is None else max(0.0, end - monotonic())

    def _note_late(self, bell: Bell, end: float | None) -> None:
        """Raise TimeoutError if the end has come; or let the deadline fall, which ends the channel."""
        with self._lock:
            if bell in self._waiting:
                self._waiting.remove(bell)
        now = monotonic()
        if end is not None and now >= end:
            raise TimeoutError
        if self._deadline is not None and now >= self._deadline + _GRACE:
            self._deadline = None
            self._on_deadline()


Chunks = Channel[bytes]  # of one body


def _end_of(timeout: float | None) -> float | None:
    return None if timeout is None else monotonic() + timeout
