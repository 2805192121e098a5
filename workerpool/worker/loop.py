"""The event loop of one worker as others see it: how it is reached, its load, how it is given up."""

import asyncio
import logging
import threading
from collections.abc import Callable
from enum import IntEnum

from ..handover.deadlines import Deadlines
from ..handover.job import Work
from ..handover.outstanding import Outstanding

__all__ = ["State", "WorkerLoop"]

_MUCH = 64  # jobs on their way
_TOGETHER = 32  # jobs that are told of together at most, but for what one turn brings
_MOMENT = 0.001  # seconds

log: logging.Logger = logging.getLogger("workerpool.worker")


class State(IntEnum):
    """How far a worker's life has gone; it only ever goes on."""

    RUNNING = 0
    STOPPING = 1
    OVER = 2  # the thread is at its end


class WorkerLoop:
    """Hand callbacks to the loop that a worker has just now; between two of them, after one was lost, there is none.

    `watch` is told of this when code of the user's begins here.
    """

    def __init__(self, name: str, outstanding: Outstanding, watch: "Callable[[WorkerLoop], object]") -> None:
        self.name = name
        self.outstanding = outstanding
        self.deadlines: Deadlines = Deadlines(self.call_soon)
        self.current: asyncio.AbstractEventLoop | None = None  # read by all
        self.ident: int | None = None  # of the thread
        self.blocked = False  # avoided by routing: code of the user's keeps the loop, or the thread has ended
        self.user_code: int = 0  # jobs in flight that run code of the user's; the loop's only, read by all
        self.losses = 0  # loops that were lost and replaced
        self.posted = 0  # jobs handed over here, under the pool's lock
        self.moved: int = 0  # and by other workers, under the lock
        self.ended = 0  # and settled, or passed on to another worker; the loop's only
        self.state: State = State.RUNNING
        self._lock = threading.RLock()  # guards the state, and what comes from other workers
        self._watch = watch
        self._stopped: asyncio.Event | None = None  # the loop's only, as is the next one
        self._broken: BaseException | None = None
        self._untold: list[Work] = []  # decided, and nobody knows; the loop's only, as are the next two
        self._is_due = False  # whether they are told with the end of this turn
        self._telling: asyncio.TimerHandle | None = None  # else they are then

    @property
    def load(self) -> int:
        """How many jobs are on their way here."""
        return self.posted + self.moved - self.ended

    def call_soon(self, callback: Callable[..., object], *args: object) -> bool:
        """Call back on the loop, from any thread; False if there is none."""
        if (loop := self.current) is None:
            return False
        try:
            loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def tell(self, work: Work) -> None:
        """Tell whoever waits for decided work; all that one turn of the loop has brought together. From any thread.

        Each thread that is woken wants the GIL, which the loop gives away with the next system call. So where there is
        much more to do, what several turns bring is told together, a moment later (measured: a tenth of what a request
        of many costs). Code of the user's, which may keep the loop, is not waited for, nor is it let in before.
        """
        is_last = self.posted + self.moved <= self.ended
        if is_last or self.user_code or threading.get_ident() != self.ident or self.current is None:
            work.tell()
            return
        self._untold.append(work)
        if self.load < _MUCH or len(self._untold) >= _TOGETHER:
            self._tell_soon()
        elif self._telling is None:
            self._telling = self.current.call_later(_MOMENT, self._tell_all)

    def tell_from_outside(self) -> None:
        """Tell of what is decided in the place of a thread that does not. From any thread, repeatable."""
        for work in tuple(self._untold):
            work.tell()

    def count_moved(self) -> None:
        """Count a job that another worker has passed on. From any thread."""
        with self._lock:
            self.moved += 1

    def go_on_to(self, state: State) -> None:
        """Enter a later state. From any thread."""
        with self._lock:
            self.state = max(self.state, state)

    def stop(self) -> None:
        """End the loop for good: what is held is stopped. From any thread, repeatable."""
        self.go_on_to(State.STOPPING)
        self.call_soon(self._stop)

    def lose(self, error: BaseException) -> None:
        """Leave this loop to be replaced, since its state is no longer sure. On the loop."""
        self._broken = error
        self._stop()

    @property
    def has_begun(self) -> bool:
        """Whether the loop came to run, and was not lost before. On the thread."""
        return self._stopped is not None

    def attach(self) -> None:
        """Be reached on the running loop from now on."""
        self._broken, self._stopped = None, asyncio.Event()
        self.current = asyncio.get_running_loop()
        self.deadlines.start()

    async def until_stopped(self) -> None:
        """Wait for the end; raises why the loop is given up, if it is."""
        assert self._stopped is not None
        if self.state >= State.STOPPING:  # while there was no loop
            self._stop()
        await self._stopped.wait()
        if self._broken is not None:
            raise self._broken
        self.deadlines.stop()

    def detach(self) -> None:
        """Be reached no longer: the loop has ended. On the thread."""
        self.current = self._stopped = None
        self.user_code = 0
        while self._untold:
            try:
                self._tell_all()
            except BaseException:
                log.exception("%s: while it told of what was done", self.name)

    def begin_user_code(self) -> None:
        """Note that code of the user's begins here: others are told first of what is done. On the loop."""
        if self._untold:
            self._tell_all()
        self.user_code += 1
        if self.user_code == 1:
            self._watch(self)

    def end_user_code(self) -> None:
        """Note that some of it has ended. On the loop."""
        self.user_code -= 1

    def _tell_soon(self) -> None:
        if self._untold and not self._is_due and self.current is not None:
            self._is_due = True
            self.current.call_soon(self._tell_all)

    def _tell_all(self) -> None:
        self._is_due = False
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        try:
            while self._untold:
                work = self._untold.pop(0)
                try:
                    work.tell()
                except BaseException:
                    work.tell()  # it was interrupted on the way, or the caller's own callback has raised
                    raise
        finally:
            self._tell_soon()

    def _stop(self) -> None:
        if self._stopped is not None:
            self._stopped.set()
