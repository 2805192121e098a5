"""One thread, one loop: the dispatchers of the lanes that this worker serves."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from enum import IntEnum
from math import inf
from typing import Any

from ..errors import PoolClosed, WorkerLost
from ..handover.deadlines import Deadlines
from ..handover.job import mark_worker_thread
from ..lane import Lane
from ..loops import never_free
from ..transport import Environment
from .dispatcher import Dispatcher

__all__ = ["State", "Worker"]

log = logging.getLogger("workerpool.worker")


class State(IntEnum):
    """How far a worker's life has gone; it only ever goes on."""

    OPEN = 0
    FINISHING = 1  # ends as soon as nothing is held
    SHUT = 2  # its end is decided: nothing comes from other workers any more
    HALTING = 3  # ends now
    OVER = 4  # the thread is at its end


_PATIENCE = 1.0  # seconds that a session of a lost loop gets to close
_TRIES = 3


class Worker:
    """Run one event loop on one thread until it is told to stop.

    A loop that is lost (SystemExit in a task of the user's, an exception set from another thread) is replaced by a
    new one: what was under way fails with WorkerLost, what waits is done by the new loop.
    """

    def __init__(self, name: str, factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.name = name
        self.blocked = False  # set by the watchdog: a job does not give the loop back
        self.losses = 0  # loops that were lost and replaced
        self.on_own_code: Callable[[], object] = _nothing  # called before code of the user's runs here
        self.deadlines = Deadlines(self.call_soon)
        self._factory = factory
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._ready: Future[None] = Future()
        # Waited for instead of the thread: Ctrl-C in Thread.join() makes 3.11 believe that the thread has ended.
        self._ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dispatchers: dict[str, Dispatcher] = {}  # added under the pool's lock, read by all
        self._stopped: asyncio.Event | None = None  # the loop's only
        self._broken: BaseException | None = None  # why the loop is to be given up; the loop's only
        self.posted = 0  # jobs handed over here, under the pool's lock
        self.taken = 0  # and by other workers, under the door
        self.ended = 0  # and settled, or passed on to other workers; the loop's only
        self._door = threading.RLock()  # guards the next three, and what comes from other workers
        self._state = State.OPEN
        self._idle_waiters: list[Future[None]] = []
        self._leaving: dict[Dispatcher, Future[None]] = {}

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return not self._ended.is_set()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this worker's thread."""
        return self._thread is threading.current_thread()

    @property
    def ident(self) -> int | None:
        """The thread's identifier, None before it was started."""
        return self._thread.ident

    @property
    def runs_own_code(self) -> bool:
        """Whether code of the user's is under way here."""
        return any(dispatcher.runs_own_code for dispatcher in self.dispatchers)

    @property
    def dispatchers(self) -> tuple[Dispatcher, ...]:
        """The lanes served here."""
        return tuple(list(self._dispatchers.values()))  # noqa: C414  tuple() alone is not atomic without the GIL

    @property
    def load(self) -> int:
        """How many jobs are on their way here."""
        return self.posted + self.taken - self.ended

    def start(self) -> None:
        """Start the thread; returns when its loop runs, or raises what kept it from running."""
        self._thread.start()
        self._ready.result()

    def serve(self, lane: Lane, connections: int, queue: int, environment: Environment) -> Dispatcher:
        """Serve one more lane from now on. Under the pool's lock."""
        dispatcher = Dispatcher(self, lane, connections, queue, environment)
        self._dispatchers[lane.name] = dispatcher
        self.call_soon(self._attach, dispatcher)
        return dispatcher

    def leave(self, lane_name: str) -> "Future[None]":
        """Stop serving a lane: its work is given up, its session closed; the Future tells when."""
        dispatcher = self._dispatchers.pop(lane_name)
        dispatcher.inbox.close()
        done: Future[None] = Future()
        with self._door:
            self._leaving[dispatcher] = done
        self.call_soon(self._spawn_close, dispatcher)
        if self._state is State.OVER:
            self._tell_all()
        return done

    def when_idle(self) -> "Future[None]":
        """Return a Future that is done when nothing is held and nothing waits."""
        idle: Future[None] = Future()
        with self._door:
            self._idle_waiters.append(idle)
        self.call_soon(self.on_idle)
        if self._state is State.OVER:
            self._tell_all()
        return idle

    def finish(self, *, cancel_queued: bool = False, until: float = inf) -> None:
        """Take nothing new, do what there is (or only what has begun), then end. From any thread, repeatable.

        What is to be cancelled is, as far as the time until then suffices.
        """
        for dispatcher in self.dispatchers:
            dispatcher.inbox.close()
            if cancel_queued:
                dispatcher.cancel_queued(until)
        self._go_on_to(State.FINISHING)
        self.call_soon(self.on_idle)

    def halt(self) -> None:
        """End at once: everything held is stopped. From any thread, repeatable."""
        for dispatcher in self.dispatchers:
            dispatcher.inbox.close()
        self._go_on_to(State.HALTING)
        self.call_soon(self._stop)

    def join(self, timeout: float | None) -> bool:
        """Wait for the thread's end; False if it did not come in time, or if this is that thread."""
        if self.is_current:
            return False
        if not self._ended.wait(timeout):
            return False
        self._thread.join()
        return True

    def abandon(self) -> None:
        """Answer for a thread that does not end: fail everything it holds."""
        for dispatcher in self.dispatchers:
            dispatcher.inbox.close()
            dispatcher.abandon(lambda: PoolClosed(f"{self.name} stopped before it could answer"))

    def forget(self, error: Exception) -> None:
        """Answer, in a forked child, for a thread that stayed behind: its loop must be neither used nor freed."""
        for dispatcher in self.dispatchers:
            dispatcher.forget(error)
        never_free(self)

    def call_soon(self, callback: Callable[..., object], *args: object) -> bool:
        """Call back on the loop, from any thread; False if there is none."""
        if self._loop is None:
            return False
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def while_open(self, step: Callable[[], object]) -> bool:
        """Do the step and return True, unless the end has been decided. From any thread."""
        with self._door:
            if self._state >= State.SHUT:
                return False
            step()
            return True

    def on_idle(self) -> None:
        """Tell who waits for it that nothing is held and nothing waits, if so. On the loop."""
        if self._state is State.OPEN and not self._idle_waiters:
            return
        with self._door:
            if not all(dispatcher.is_idle for dispatcher in self.dispatchers):
                return
            if self._state is State.FINISHING:
                self._state = State.SHUT
            waiters, self._idle_waiters = self._idle_waiters, []
        for waiter in waiters:
            waiter.set_result(None)
        if self._state is not State.OPEN:
            self._stop()

    def on_broken(self, error: BaseException) -> None:
        """Give this loop up, since its state is no longer sure. On the loop."""
        self._broken = error
        self._stop()

    def _run(self) -> None:
        mark_worker_thread()
        try:
            while self._lives_on():
                self.losses += 1
        except BaseException as exc:
            if not self._ready.done():
                self._ready.set_exception(exc)
            else:
                log.exception("%s ended and is not replaced", self.name)
        finally:
            try:
                self.blocked = True  # new work goes to others, where there are any
                self._go_on_to(State.OVER)
                self.abandon()
                self._tell_all()
            finally:
                self._ended.set()  # whatever happens: others wait for it without a limit

    def _lives_on(self) -> bool:
        """Run a loop, as `_live` does; one that could not even be made is tried again, once there has been one."""
        tries_left = _TRIES
        while True:
            tries_left -= 1
            try:
                return self._live()
            except BaseException:
                if not self._ready.done() or not tries_left:
                    raise
                log.exception("%s: the loop could not be made; it is tried again", self.name)

    def _live(self) -> bool:
        """Run a loop; True if it was lost and another one is to take over."""
        lost = False
        self._stopped = None
        try:
            with asyncio.Runner(loop_factory=self._factory) as runner:
                try:
                    runner.run(self._main())
                except BaseException as exc:
                    if self._stopped is None:  # it did not come to run: neither would the next
                        raise
                    lost = True
                    self._lose(runner, exc)
        except BaseException:
            if not lost:
                raise
            log.exception("%s: what was left of the lost loop", self.name)
        return lost and self._state < State.HALTING

    def _lose(self, runner: asyncio.Runner, error: BaseException) -> None:
        log.error("%s was lost and is replaced", self.name, exc_info=error)
        self._loop = None

        def lost() -> WorkerLost:
            reason = WorkerLost(f"{self.name} was lost ({type(error).__name__}) while it held the job; submit it again")
            reason.__cause__ = error
            return reason

        with self._door:
            leaving, self._leaving = self._leaving, {}
        transports = [dispatcher.lose(lost) for dispatcher in (*self.dispatchers, *leaving)]
        for done in leaving.values():
            done.set_result(None)
        for transport in transports:
            if transport is not None:
                _run_bounded(runner, transport.close)

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loop_error)
        self._broken = None
        self._stopped = asyncio.Event()
        self._loop = loop
        self.deadlines.start()
        for dispatcher in self.dispatchers:
            dispatcher.attach(loop)
        with self._door:
            leaving = tuple(self._leaving)
        for dispatcher in leaving:  # left while there was no loop
            self._spawn_close(dispatcher)
        if not self._ready.done():
            self._ready.set_result(None)
        self.on_idle()  # while there was no loop, an end may have been asked for
        if self._state >= State.HALTING:
            self._stop()
        await self._stopped.wait()
        if self._broken is not None:
            raise self._broken
        self.deadlines.stop()
        # With those that are being closed just now: uvloop waits for ever at its end for a connection left open.
        for dispatcher in (*self.dispatchers, *tuple(self._leaving)):
            await self._close(dispatcher)
        await asyncio.sleep(0)  # lets the transports call their connection_lost

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        log.error("%s: %s", self.name, context.get("message"), exc_info=context.get("exception"))
        # The callback that failed may have been one of ours (out of memory, or an error set from another thread).
        self.call_soon(self._look_again)

    def _look_again(self) -> None:
        self.deadlines.start()
        for dispatcher in self.dispatchers:
            self._attach(dispatcher)

    def _attach(self, dispatcher: Dispatcher) -> None:
        loop = asyncio.get_running_loop()
        if loop is self._loop:  # and not a lost one that is being cleared away
            dispatcher.attach(loop)

    async def _close(self, dispatcher: Dispatcher) -> None:
        tasks = dispatcher.cancel_all()
        if tasks:
            await asyncio.wait(tasks)
        dispatcher.abandon(lambda: PoolClosed(f"{self.name} stopped before it could answer"))
        await dispatcher.close()

    def _spawn_close(self, dispatcher: Dispatcher) -> None:
        def tell(_task: object) -> None:
            with self._door:
                done = self._leaving.pop(dispatcher, None)
            if done is not None:
                done.set_result(None)

        asyncio.get_running_loop().create_task(self._close(dispatcher)).add_done_callback(tell)

    def _tell_all(self) -> None:
        """Tell everybody who waits that nothing more will come: the thread has ended."""
        # Taken out under the lock: several threads come here, the last of them when this one's has ended.
        with self._door:
            waiters, self._idle_waiters = self._idle_waiters, []
            leaving, self._leaving = self._leaving, {}
        for waiter in (*waiters, *leaving.values()):
            waiter.set_result(None)

    def _go_on_to(self, state: State) -> None:
        with self._door:
            self._state = max(self._state, state)

    def _stop(self) -> None:
        if self._stopped is not None:
            self._stopped.set()


def _run_bounded(runner: asyncio.Runner, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Close what is left of a lost loop; other callbacks there may end it once more."""

    async def bounded() -> None:
        async with asyncio.timeout(_PATIENCE):
            await close()

    for _ in range(_TRIES):
        try:
            runner.run(bounded())
        except BaseException:
            log.exception("while a lost loop was cleared away")
        else:
            return


def _nothing() -> None:
    pass
