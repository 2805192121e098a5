"""What a test has left behind: threads, sockets, jobs of a pool, and tasks on its loops."""

import asyncio
import gc
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from ..caller.client import board_of
from ..caller.pool import WorkerPool
from ..handover.job import Work
from ..worker.thread import Worker

__all__ = ["Watch", "jobs_left", "tasks_left"]

_PATIENCE = 2.0  # seconds that threads and sockets get to end
_MOMENT = 0.2  # seconds that what has been answered gets to be counted, and what has been cancelled to end
_POLL = 0.01
_NAMED = 5  # of many jobs
_DESCRIPTORS = ("/proc/self/fd", "/dev/fd")
_NOT_THE_TESTS = frozenset({"aiohttp", "aiohappyeyeballs", "asyncio", "workerpool"})  # packages with tasks of their own


class Watch:
    """Remember the threads and sockets that there are, to tell later which are new. Sockets not on Windows."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._sockets = set(_sockets())

    def left(self, *, threads: bool = True, sockets: bool = True) -> list[str]:
        """Return what is new and still there, a text for each; blocks for two seconds at most while there is any."""

        def find() -> list[str]:
            return (self._new_threads() if threads else []) + (self._new_sockets() if sockets else [])

        if not find():
            return []
        gc.collect()
        return _settled(find, _PATIENCE)

    def _new_threads(self) -> list[str]:
        now = threading.enumerate()
        return [f"thread '{thread.name}'" for thread in now if thread not in self._threads and thread.is_alive()]

    def _new_sockets(self) -> list[str]:
        return [f"socket {_told(number)}" for number, inode in _sockets() if (number, inode) not in self._sockets]


def jobs_left(pool: WorkerPool) -> list[str]:
    """Return a text that names the jobs that have no outcome; empty if there are none. Blocks for a moment only."""
    if not pool.is_open or pool.drain(_MOMENT):
        return []
    stats = pool.stats()
    works = [*board_of(pool).outstanding.all()]
    named = ", ".join([*map(_named, works[:_NAMED]), *(["..."] if len(works) > _NAMED else [])])
    return [f"{stats.in_flight + stats.queued} jobs of pool '{pool.name}', {stats.in_flight} in flight: {named}"]


def tasks_left(pool: WorkerPool) -> list[str]:
    """Return a text for each task that code of the test's has left on a loop of the pool. Blocks for a moment only."""
    return _settled(lambda: [text for worker in board_of(pool).workers for text in _tasks(worker)], _MOMENT)


def _settled(find: Callable[[], list[str]], patience: float) -> list[str]:
    end = monotonic() + patience
    while (left := find()) and monotonic() < end:
        sleep(_POLL)
    return left


def _named(work: Work) -> str:
    return str(work.facts())


def _tasks(worker: Worker) -> list[str]:
    """Ask a loop for its tasks; a loop that does not answer shows as a thread."""
    found: Future[list[str]] = Future()

    def look() -> None:
        found.set_result([name for task in asyncio.all_tasks() if (name := _foreign(task)) is not None])

    if worker.alive and worker.loop.call_soon(look):
        with suppress(TimeoutError):
            return [f"task '{name}' on {worker.name}" for name in found.result(_MOMENT)]
    return []


def _foreign(task: "asyncio.Task[Any]") -> str | None:
    """Return the name of a task that neither the pool nor its libraries have made."""
    coroutine: Any = task.get_coro()
    frame = getattr(coroutine, "cr_frame", None)
    package = "" if frame is None else str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return None if package in _NOT_THE_TESTS else str(getattr(coroutine, "__qualname__", coroutine))


def _sockets() -> Iterator[tuple[int, int]]:
    """Yield the descriptor and inode of each socket of this process; the number alone is soon another one's."""
    where = next(filter(os.path.isdir, _DESCRIPTORS), None)
    for name in [] if where is None else os.listdir(where):
        with suppress(OSError):  # closed meanwhile; one of them is the listing's own
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                yield int(name), status.st_ino


def _told(number: int) -> str:
    """Return what a socket is bound and connected to."""
    with suppress(OSError):
        with socket.socket(fileno=os.dup(number)) as copy:
            ends = [str(copy.getsockname())]
            with suppress(OSError):  # not connected
                ends.append(str(copy.getpeername()))
            return f"{number}: {' to '.join(ends)}"
    return str(number)
