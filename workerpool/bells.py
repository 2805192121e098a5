"""Wake-ups: ring a thread, or a task on any event loop, from any thread."""

import asyncio
import threading
from contextlib import suppress

__all__ = ["Bell", "Ending", "LoopBell", "ThreadBell"]


_LONG = 10.0**6  # seconds; some loops take no timer of a hundred years


class ThreadBell:
    """Wake one thread, once; ringing again does nothing."""

    __slots__ = ("_gate",)

    def __init__(self) -> None:
        self._gate = threading.Lock()  # no Event: Ctrl-C within its Python code may leave it locked
        self._gate.acquire()

    def ring(self) -> None:
        """Wake the thread. From any thread."""
        with suppress(RuntimeError):  # rung before
            self._gate.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it rings, or for so many seconds; returns whether it has rung."""
        return self._gate.acquire(timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX))


class LoopBell:
    """Wake one task of the running loop, once; ringing again does nothing."""

    __slots__ = ("_loop", "rung")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.rung: asyncio.Future[bool] = self._loop.create_future()

    def ring(self) -> None:
        """Wake the task. From any thread; on a loop that is closed nobody waits."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._note)

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until it rings, or for so many seconds; returns whether it has rung."""
        if timeout is None:
            return await self.rung
        timer = self._loop.call_later(min(timeout, _LONG), self._note, False)
        try:
            return await self.rung
        finally:
            timer.cancel()

    def _note(self, rung: bool = True) -> None:
        if not self.rung.done():
            self.rung.set_result(rung)


Bell = ThreadBell | LoopBell


class Ending:
    """Something that ends once."""

    def __init__(self) -> None:
        # Reentrant: what the garbage collector frees within may end the very thing.
        self._lock = threading.RLock()  # guards the next one
        self._waiting: list[Bell] = []
        self.is_over: bool = False

    def note(self) -> None:
        """Note the end and wake all who wait for it. From any thread, repeatable."""
        with self._lock:
            self.is_over = True
            for bell in self._waiting:
                bell.ring()
            self._waiting.clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the end, or for so many seconds; returns whether it has come."""
        self._add(bell := ThreadBell())
        if not self.is_over:
            bell.wait(timeout)
        self._drop(bell)
        return self.is_over

    async def await_(self, timeout: float | None = None) -> bool:
        """Wait for the end, or for so many seconds, on any loop; returns whether it has come."""
        self._add(bell := LoopBell())
        try:
            if not self.is_over:
                await asyncio.wait([bell.rung], timeout=timeout)
        finally:
            self._drop(bell)
            bell.rung.cancel()
        return self.is_over

    def _add(self, bell: Bell) -> None:
        with self._lock:
            self._waiting.append(bell)

    def _drop(self, bell: Bell) -> None:
        with self._lock:
            if bell in self._waiting:
                self._waiting.remove(bell)
