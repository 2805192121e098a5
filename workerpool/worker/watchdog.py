"""The watchdog: tell when a job blocks its event loop, and where; routing avoids that worker meanwhile.

Only code of the user's can do that, so the watch is kept only while some is under way: a pool that fetches
URLs has no such thread.
"""

import logging
import sys
import threading
import traceback
from time import monotonic

from .loop import State, WorkerLoop

__all__ = ["Watchdog"]

log: logging.Logger = logging.getLogger("workerpool.watchdog")


class Watchdog:
    """Ask each loop that runs code of the user's to answer within `patience` seconds, from a thread of its own."""

    def __init__(self, name: str, patience: float) -> None:
        self._name = f"{name}-watchdog"
        self._patience = patience
        self._lock = threading.RLock()  # guards the start; a signal handler may stop where it is held
        self._thread: threading.Thread | None = None
        self._needed = threading.Event()
        self._over = threading.Event()
        self._watched: set[WorkerLoop] = set()  # added to by the loops
        self._asked: dict[WorkerLoop, tuple[float, int]] = {}  # when, and of which loop; the worker takes it out
        self._blocked: dict[WorkerLoop, float] = {}  # since when; the thread's own

    def watch(self, loop: WorkerLoop) -> None:
        """Keep watch from now on, until no code of the user's is under way. From any thread, cheap."""
        self._watched.add(loop)
        if not self._needed.is_set():
            self._needed.set()
            self._start()

    def stop(self, *, wait: bool = True) -> None:
        """End the watch, for good. From any thread, repeatable; with `wait` it blocks shortly."""
        self._over.set()
        self._needed.set()
        with self._lock:
            thread = self._thread
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._over.is_set():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            self._needed.wait()
            self._needed.clear()
            while any(loop.user_code for loop in self._watched.copy()) and not self._over.is_set():
                for loop in self._watched.copy():
                    self._look_at(loop)
                self._over.wait(self._patience / 2)
            self._asked.clear()
            for loop in tuple(self._blocked):
                self._goes_on(loop)

    def _look_at(self, loop: WorkerLoop) -> None:
        now = monotonic()
        since, losses = self._asked.get(loop, (now, loop.losses))
        if since == now or losses != loop.losses:
            self._asked[loop] = now, loop.losses
            loop.call_soon(self._asked.pop, loop, None)
            if loop in self._blocked:
                self._goes_on(loop)
        elif now - since >= self._patience and loop not in self._blocked:
            self._blocked[loop] = since
            loop.blocked = True
            log.warning(
                "%s has been blocked for %.1f s by code that does not await; all its other jobs wait. It is here:\n%s",
                loop.name,
                now - since,
                _stack(loop.ident),
            )

    def _goes_on(self, loop: WorkerLoop) -> None:
        loop.blocked = loop.state is State.OVER
        log.warning("%s goes on after %.1f s", loop.name, monotonic() - self._blocked.pop(loop))


def _stack(ident: int | None) -> str:
    frame = None if ident is None else sys._current_frames().get(ident)
    return "(the thread has ended)" if frame is None else "".join(traceback.format_stack(frame))
