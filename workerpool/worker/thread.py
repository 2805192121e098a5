"""The worker: one thread with one event loop, and the dispatchers of the lanes that it serves."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from socket import gaierror
from typing import Any

from ..errors import WorkerLost
from ..handover.job import Work, mark_worker_thread
from ..handover.outstanding import Outstanding
from ..lane import Lane
from ..loading import keep_memory
from ..loops import never_free
from ..transport import Environment, has_struck
from .dispatcher import Dispatcher
from .loop import State, WorkerLoop

__all__ = ["Worker"]

log: logging.Logger = logging.getLogger("workerpool.worker")

_PATIENCE = 1.0  # seconds that a session of a lost loop gets to close
_TRIES = 3
_AFTERWARDS = {"task", "future"}  # what a loop tells of long after it was raised, and to others, too


class Worker:
    """Run one event loop on one thread until it is told to stop.

    A loop that is lost (SystemExit in a task of the user's, an exception set from another thread) is replaced by a
    new one: what was under way fails with WorkerLost, what waits is done by the new loop. `watch` is told when code of
    the user's begins on the loop.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[], asyncio.AbstractEventLoop],
        outstanding: Outstanding,
        watch: Callable[[WorkerLoop], object],
    ) -> None:
        self.name = name
        self.loop: WorkerLoop = WorkerLoop(name, outstanding, watch)
        self._factory = factory
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._ready: Future[None] = Future()
        # Waited for instead of the thread: Ctrl-C in Thread.join() makes 3.11 believe that the thread has ended.
        self._ended = threading.Event()
        self._dispatchers: dict[str, Dispatcher] = {}  # added under the pool's lock, read by all
        self._closing: dict[Dispatcher, Future[None]] = {}  # being closed; its own methods are atomic

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return not self._ended.is_set()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this worker's thread."""
        return self._thread is threading.current_thread()

    @property
    def dispatchers(self) -> tuple[Dispatcher, ...]:
        """The lanes served here."""
        return tuple(list(self._dispatchers.values()))  # noqa: C414  tuple() alone is not atomic without the GIL

    def start(self) -> None:
        """Start the thread; returns when its loop runs, or raises what kept it from running."""
        self._thread.start()
        self._ready.result()

    def open_lane(
        self,
        lane: Lane,
        connections: int,
        queue: int,
        environment: Environment,
        forward: Callable[[Work], object],
    ) -> Dispatcher:
        """Serve one more lane from now on. Under the pool's lock."""
        dispatcher = Dispatcher(self.loop, lane, connections, queue, environment, forward)
        self._dispatchers[lane.name] = dispatcher
        return dispatcher

    def close_lane(self, lane_name: str) -> "Future[None]":
        """Stop serving a lane: its work is given up, its session closed; the Future tells when."""
        dispatcher = self._dispatchers.pop(lane_name)
        dispatcher.inbox.close()
        done = self._closing[dispatcher] = Future()
        self.loop.call_soon(self._spawn_close, dispatcher)
        if self.loop.state is State.OVER:
            self._tell_closed()
        return done

    def refuse_new(self) -> None:
        """Refuse new work, and wake those that wait for room in a queue. From any thread, repeatable."""
        for dispatcher in self.dispatchers:
            dispatcher.inbox.close()

    def cancel_queued(self, until: float) -> None:
        """Cancel what has not begun, as far as the time until then suffices. From any thread, repeatable."""
        for dispatcher in self.dispatchers:
            dispatcher.cancel_queued(until)

    def stop(self) -> None:
        """End at once: everything held is stopped. From any thread, repeatable."""
        self.refuse_new()
        self.loop.stop()

    def join(self, timeout: float | None) -> bool:
        """Wait for the thread's end; False if it did not come in time, or if this is that thread."""
        if self.is_current:
            return False
        if not self._ended.wait(timeout):
            return False
        self._thread.join()
        return True

    def fail_all(self) -> None:
        """Answer for a thread that does not end: fail everything it holds."""
        self.refuse_new()
        for dispatcher in (*self.dispatchers, *list(self._closing)):
            dispatcher.fail_all()
        self.loop.tell_from_outside()
        self._tell_closed()

    def fail_in_child(self, error: Exception) -> None:
        """Answer, in a forked child, for a thread that stayed behind: its loop must be neither used nor freed."""
        for dispatcher in (*self.dispatchers, *list(self._closing)):
            dispatcher.fail_in_child(error)
        never_free(self)

    def _run(self) -> None:
        mark_worker_thread()
        keep_memory()
        self.loop.ident = threading.get_ident()
        try:
            while self._lives_on():
                self.loop.losses += 1
        except BaseException as exc:
            if not self._ready.done():
                self._ready.set_exception(exc)
            else:
                log.exception("%s ended and is not replaced", self.name)
        finally:
            try:
                self.loop.blocked = True  # new work goes to others, where there are any
                self.loop.go_on_to(State.OVER)
                self.loop.detach()  # which tells of what its last turns have brought
                self.fail_all()
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
        self.loop.detach()
        try:
            with asyncio.Runner(loop_factory=self._factory) as runner:
                try:
                    runner.run(self._main())
                except BaseException as exc:
                    if not self.loop.has_begun:  # neither would the next
                        raise
                    lost = True
                    self._lose(runner, exc)
        except BaseException:
            if not lost:
                raise
            log.exception("%s: what was left of the lost loop", self.name)
        return lost and self.loop.state is State.RUNNING

    def _lose(self, runner: asyncio.Runner, error: BaseException) -> None:
        log.error("%s was lost and is replaced", self.name, exc_info=error)
        self.loop.detach()

        def lost() -> WorkerLost:
            reason = WorkerLost(f"{self.name} was lost ({type(error).__name__}) while it held the job; submit it again")
            reason.__cause__ = error
            return reason

        closing = list(self._closing)
        transports = [dispatcher.lose(lost) for dispatcher in (*self.dispatchers, *closing)]
        for dispatcher in closing:
            dispatcher.fail_all()  # what waits there is no next loop's
        self._tell_closed()
        for transport in transports:
            if transport is not None:
                _run_bounded(runner, transport.close)

    async def _main(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        self.loop.attach()
        for dispatcher in self.dispatchers:
            dispatcher.drain()
        for dispatcher in list(self._closing):  # left while there was no loop
            self._spawn_close(dispatcher)
        if not self._ready.done():
            self._ready.set_result(None)
        await self.loop.until_stopped()
        # With those that are being closed just now: uvloop waits for ever at its end for a connection left open.
        for dispatcher in (*self.dispatchers, *list(self._closing)):
            await dispatcher.close()
        await asyncio.sleep(0)  # lets the transports call their connection_lost

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), gaierror):
            return  # of a look-up that aiohttp has shielded, and that nobody waits for any more; 3.14 tells of those
        log.error("%s: %s", self.name, context.get("message"), exc_info=context.get("exception"))
        # The callback that failed may have been one of ours (out of memory, or an error set from another thread).
        self.loop.call_soon(self._look_again)
        error = context.get("exception")
        if error is not None and has_struck(error, in_callback=True) and not context.keys() & _AFTERWARDS:
            self.loop.lose(error)  # amid connections: nobody may know of one that is open

    def _look_again(self) -> None:
        self.loop.deadlines.start()
        for dispatcher in self.dispatchers:
            dispatcher.drain()

    def _spawn_close(self, dispatcher: Dispatcher) -> None:
        def tell(_task: object) -> None:
            done = self._closing.pop(dispatcher, None)
            if done is not None:
                done.set_result(None)

        asyncio.get_running_loop().create_task(dispatcher.close()).add_done_callback(tell)

    def _tell_closed(self) -> None:
        """Tell everybody who waits for a lane to be closed that nothing more will come: its loop has ended."""
        while self._closing:
            try:
                _dispatcher, done = self._closing.popitem()
            except KeyError:  # several threads come here, the last of them when this one's has ended
                return
            done.set_result(None)


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
