"""Tell when a job does not give its loop back, and where it hangs; routing avoids that worker meanwhile.

Only code of the user's can do that, so the watch is kept only while some is under way: a pool that fetches
URLs has no such thread.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Sequence
from time import monotonic

from .thread import Worker

__all__ = ["Watchdog"]

log = logging.getLogger("workerpool.watchdog")


class Watchdog:
    """Ask each worker that runs code of the user's to answer within `patience` seconds, from a thread of its own."""

    def __init__(self, name: str, workers: Sequence[Worker], patience: float) -> None:
        self._name = f"{name}-watchdog"
        self._workers = workers
        self._patience = patience
        self._lock = threading.RLock()  # guards the start; a signal handler may stop where it is held
        self._thread: threading.Thread | None = None
        self._needed = threading.Event()
        self._over = threading.Event()
        self._asked: dict[Worker, tuple[float, int]] = {}  # when, and of which loop; the worker takes it out
        self._blocked: dict[Worker, float] = {}  # since when; the thread's own

    def wake(self) -> None:
        """Keep watch from now on, until no code of the user's is under way. From any thread, cheap."""
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
            while any(worker.runs_own_code for worker in self._workers) and not self._over.is_set():
                for worker in self._workers:
                    self._look_at(worker)
                self._over.wait(self._patience / 2)
            self._asked.clear()
            for worker in tuple(self._blocked):
                self._goes_on(worker)

    def _look_at(self, worker: Worker) -> None:
        now = monotonic()
        since, loop = self._asked.get(worker, (now, worker.losses))
        if since == now or loop != worker.losses:
            self._asked[worker] = now, worker.losses
            worker.call_soon(self._asked.pop, worker, None)
            if worker in self._blocked:
                self._goes_on(worker)
        elif now - since >= self._patience and worker not in self._blocked:
            self._blocked[worker] = since
            worker.blocked = True
            log.warning(
                "%s has been blocked for %.1f s by code that does not await; all its other jobs wait. It is here:\n%s",
                worker.name,
                now - since,
                _stack(worker.ident),
            )

    def _goes_on(self, worker: Worker) -> None:
        worker.blocked = False
        log.warning("%s goes on after %.1f s", worker.name, monotonic() - self._blocked.pop(worker))


def _stack(ident: int | None) -> str:
    frame = None if ident is None else sys._current_frames().get(ident)
    return "(the thread has ended)" if frame is None else "".join(traceback.format_stack(frame))
