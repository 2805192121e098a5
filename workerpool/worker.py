"""One thread, one loop: the dispatchers of the lanes that this worker serves."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from .deadlines import Deadlines
from .dispatcher import Dispatcher
from .errors import PoolClosed
from .job import mark_worker_thread
from .lane import Lane

__all__ = ["Worker", "loop_factory"]

log = logging.getLogger("workerpool.worker")


class Worker:
    """Run one event loop on one thread until it is told to stop."""

    def __init__(self, name: str, factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.name = name
        self._factory = factory
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deadlines = Deadlines(self._call_soon)
        self._dispatchers: dict[str, Dispatcher] = {}  # added under the pool's lock, read by all
        self._stopped = asyncio.Event()  # the loop's only
        self._finishing = False  # the loop's only: end as soon as nothing is held
        self._idle_waiters: list[Future[None]] = []  # the loop's only

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this worker's thread."""
        return self._thread is threading.current_thread()

    @property
    def dispatchers(self) -> tuple[Dispatcher, ...]:
        """The lanes served here."""
        return tuple(self._dispatchers.values())

    @property
    def load(self) -> int:
        """How many jobs are on their way here."""
        return sum(dispatcher.load for dispatcher in self._dispatchers.values())

    def start(self) -> None:
        """Start the thread; returns when its loop runs, or raises what kept it from running."""
        self._thread.start()
        self._ready.result()

    def serve(self, lane: Lane, connections: int, queue: int) -> Dispatcher:
        """Serve one more lane from now on. Under the pool's lock."""
        dispatcher = Dispatcher(self.name, lane, connections, queue, self._on_idle)
        assert self._loop is not None
        dispatcher.open(self._loop, self._deadlines)
        self._dispatchers[lane.name] = dispatcher
        return dispatcher

    def leave(self, lane_name: str) -> "Future[None]":
        """Stop serving a lane: its work is given up, its session closed; the Future tells when."""
        done: Future[None] = Future()
        dispatcher = self._dispatchers.pop(lane_name)
        dispatcher.inbox.close()
        if not self._call_soon(lambda: self._spawn(self._close(dispatcher), done)):
            done.set_result(None)
        return done

    def when_idle(self) -> "Future[None]":
        """Return a Future that is done when nothing is held and nothing waits."""
        idle: Future[None] = Future()
        if not self._call_soon(lambda: self._await_idle(idle)):
            idle.set_result(None)
        return idle

    def finish(self, *, cancel_queued: bool = False) -> None:
        """Take nothing new, do what there is (or only what has begun), then end. From any thread, repeatable."""
        for dispatcher in self.dispatchers:
            dispatcher.inbox.close()
            if cancel_queued:
                dispatcher.cancel_queued()
        self._call_soon(self._finish)

    def halt(self) -> None:
        """End at once: everything held is stopped. From any thread, repeatable."""
        for dispatcher in self.dispatchers:
            dispatcher.inbox.close()
        self._call_soon(self._halt)

    def join(self, timeout: float | None) -> bool:
        """Wait for the thread's end; False if it did not come in time, or if this is that thread."""
        if self.is_current:
            return False
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Answer for a thread that does not end: fail everything it holds."""
        for dispatcher in self.dispatchers:
            dispatcher.inbox.close()
            dispatcher.abandon(lambda: PoolClosed(f"{self.name} stopped before it could answer"))

    def _call_soon(self, callback: Callable[[], object]) -> bool:
        if self._loop is None:
            return False
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _run(self) -> None:
        mark_worker_thread()
        try:
            with asyncio.Runner(loop_factory=self._factory) as runner:
                runner.run(self._main())
        except BaseException as exc:
            if self._ready.done():
                log.exception("%s ended by an error", self.name)
            else:
                self._ready.set_exception(exc)
        finally:
            self.abandon()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_log_loop_error)
        self._ready.set_result(None)
        await self._stopped.wait()
        self._deadlines.stop()
        for dispatcher in self.dispatchers:
            await self._close(dispatcher)
        await asyncio.sleep(0)  # lets the transports call their connection_lost

    async def _close(self, dispatcher: Dispatcher) -> None:
        tasks = dispatcher.cancel_all()
        if tasks:
            await asyncio.wait(tasks)
        dispatcher.abandon(lambda: PoolClosed(f"{self.name} stopped before it could answer"))
        await dispatcher.close()

    def _spawn(self, work: Any, done: "Future[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda _: done.set_result(None))

    def _await_idle(self, idle: "Future[None]") -> None:
        self._idle_waiters.append(idle)
        self._on_idle()

    def _finish(self) -> None:
        self._finishing = True
        self._on_idle()

    def _halt(self) -> None:
        self._finishing = True
        self._stopped.set()

    def _on_idle(self) -> None:
        if not self._finishing and not self._idle_waiters:
            return
        if not all(dispatcher.is_idle for dispatcher in self._dispatchers.values()):
            return
        waiters, self._idle_waiters = self._idle_waiters, []
        for waiter in waiters:
            waiter.set_result(None)
        if self._finishing:
            self._stopped.set()


def loop_factory(
    kind: "str | Callable[[], Any]",
) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the workers' loops: uvloop where it is installed, unless told otherwise."""
    if callable(kind):
        return kind
    if kind != "asyncio":
        try:
            import uvloop
        except ImportError:
            if kind == "uvloop":
                raise ImportError(
                    "event_loop='uvloop' needs an extra: pip install 'aiohttp-workerpool[speed]'"
                ) from None
        else:
            return uvloop.new_event_loop
    return asyncio.new_event_loop


def _log_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.error("%s", context.get("message"), exc_info=context.get("exception"))
