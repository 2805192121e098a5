"""Which thread, and which process, this is: what a blocking call and a forked child have to know."""

import os
import threading
from types import FrameType

from ..errors import ForkedPool, WrongThread

__all__ = ["Process", "check_may_block", "is_amid_pool_code", "mark_worker_thread", "on_worker_thread"]


class _Thread(threading.local):
    is_worker = False  # of the class: looking for what is not there costs four times as much


_thread = _Thread()


def mark_worker_thread() -> None:
    """Declare the current thread a worker's: blocking calls on it are refused from now on."""
    _thread.is_worker = True


def on_worker_thread() -> bool:
    """Return whether the current thread is a worker's, of any pool."""
    return _thread.is_worker


def check_may_block(what: str) -> None:
    """Raise WrongThread on a worker's own thread."""
    if on_worker_thread():
        raise WrongThread(
            f"{what} would block a worker's own thread; await pool.submit(...) there instead,"
            " and in a callback leave it to a thread of yours"
        )


# Code that holds locks for a moment which a worker may need before it can end.
_LOCKING = frozenset(
    {
        "workerpool.bells",
        "workerpool.handover.channel",
        "workerpool.handover.queues",
        "workerpool.handover.deadlines",
        "workerpool.handover.inbox",
        "workerpool.caller.results",
        "workerpool.caller.switchboard",
        "workerpool.worker.loop",
        "workerpool.worker.watchdog",
    }
)


def is_amid_pool_code(frame: FrameType | None) -> bool:
    """Return whether the frame was called, however far, from code of the pool's that may hold a lock.

    So it is with a signal handler or a `__del__` that comes at such a moment: it must not wait for a worker.
    """
    while frame is not None:
        if frame.f_globals.get("__name__") in _LOCKING:
            return True
        frame = frame.f_back
    return False


class Process:
    """Tell whether this is still the process that something was made in."""

    __slots__ = ("_number",)
    _forks = 0

    def __init__(self) -> None:
        self._number = Process._forks

    @property
    def has_forked(self) -> bool:
        """Whether this is a child: threads, and the locks that they may have held, stayed with the parent."""
        return self._number != Process._forks

    def check(self, what: str) -> None:
        """Raise ForkedPool in a forked child."""
        if self.has_forked:
            raise ForkedPool(f"{what} was made before a fork, and its threads stayed with the parent; make one here")

    @classmethod
    def count_fork(cls) -> None:
        """Note, in a child, that there was a fork."""
        cls._forks += 1


def _begin_child() -> None:
    """Note the fork; the thread that lives on is nobody's worker, even where a job has forked."""
    Process.count_fork()
    _thread.is_worker = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
