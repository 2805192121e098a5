"""The switchboard of one pool: its workers and routes, the choice between them, and their end.

Threads and locks: `_lock` guards the state, the routes and the choice of a worker; nothing is logged, joined or sent
while it is held. It is one that its thread may take again: a signal handler, a collection or a `__del__` that comes
back to the pool (to shut it down, as a rule) may run where the lock is held, and each section is right at each of its
steps. All else is done by the workers' own threads.
"""

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from functools import partial
from math import inf
from time import monotonic
from typing import Any, NoReturn

from ..bells import ThreadBell
from ..errors import ForkedPool, InvalidRequest, PoolClosed
from ..handover.job import Work, on_worker_thread
from ..handover.link import Link
from ..handover.outstanding import Outstanding
from ..lane import Lane
from ..loops import loop_factory
from ..stats import LaneStats, PoolStats
from ..transport import load_inflater, read_environment
from ..worker.loop import WorkerLoop
from ..worker.thread import Worker
from ..worker.watchdog import Watchdog
from .counts import lane_stats, worker_stats
from .routing import Route
from .waiting import seconds_left

__all__ = ["Switchboard"]

_GRACE = 0.3  # seconds that halted workers get to close their connections
_AT_EXIT = 2.0  # seconds that the interpreter's exit waits for each pool

_boards: "weakref.WeakSet[Switchboard]" = weakref.WeakSet()


class Switchboard:
    """Hand work to the workers of one pool, and end them. Every method is thread-safe.

    The threads run when it is made; they end with `shutdown`, or when nobody holds it any more.
    """

    def __init__(self, name: str, workers: int, lanes: Sequence[Lane], patience: float | None) -> None:
        self.name = name
        self._lock = threading.RLock()
        self._state = "open"  # or "closed", "forked"
        self._outstanding = Outstanding()
        self._closing: dict[str, Route] = {}  # sessions that are being closed
        self._retired: dict[str, LaneStats] = {}  # of closed sessions, a sum for each group
        self._links: weakref.WeakSet[Link] = weakref.WeakSet()  # of open WebSockets
        environments = [read_environment(lane) for lane in lanes]
        self._watchdog = None if patience is None else Watchdog(name, patience)
        watch = _unwatched if self._watchdog is None else self._watchdog.watch
        factory = loop_factory(lanes[0].event_loop)
        load_inflater()
        self.workers: tuple[Worker, ...] = tuple(
            Worker(f"{name}-{i}", factory, self._outstanding, watch) for i in range(workers)
        )
        try:
            for worker in self.workers:
                worker.start()
            self._routes = {
                lane.name: Route(lane, environment, self.workers)
                for lane, environment in zip(lanes, environments, strict=True)
            }
            self._finalizer = weakref.finalize(self, _end_unheld, self.workers, self._watchdog)
            self._finalizer.atexit = False  # _end_all comes first, and waits
            _boards.add(self)
        except BaseException:
            _stop(self.workers)
            raise

    @property
    def is_open(self) -> bool:
        """Whether work is taken: nothing was ended, and this is the process that made it."""
        return self._state == "open"

    @property
    def outstanding(self) -> Outstanding:
        """What was accepted and has not been settled."""
        return self._outstanding

    def route_of(self, name: str) -> Route:
        """Return the route of a lane; raises InvalidRequest if there is none of that name."""
        if not isinstance(name, str):
            raise InvalidRequest(f"a lane's name is a str, not {type(name).__name__}")
        with self._lock:
            route = self._routes.get(name)
            names = sorted(self._routes)
        if route is None:
            raise InvalidRequest(
                f"pool '{self.name}' has no lane {name!r}; it has: {', '.join(names)}",
                lane=name,
            )
        return route

    def open(self, lane: Lane, group: str, *, alone: bool) -> Route:
        """Serve one more lane until it is closed: on all workers, or `alone` on the one that has the least to do."""
        environment = read_environment(lane)
        with self._lock:
            if self._state != "open":
                self._refuse()
            workers = [min(self.workers, key=lambda worker: worker.loop.load)] if alone else self.workers
            route = self._routes[lane.name] = Route(lane, environment, workers, group)
        return route

    def post(self, route: Route, work: Work, *, block: bool = True) -> None:
        """Choose a worker under the lock, and hand the work over outside it; raises QueueFull or PoolClosed."""
        try:
            with self._lock:
                if self._state != "open":
                    self._refuse()
                dispatcher = route.choose(work)
                dispatcher.accept(work)
            dispatcher.post(work, block=block)
        except BaseException as exc:
            self._take_back(work)  # also where it was interrupted anywhere in between
            if isinstance(exc, PoolClosed) and self.is_open and self._routes.get(route.lane.name) is not route:
                raise PoolClosed(f"'{route.lane.name}' of pool '{self.name}' was closed; open another one") from None
            raise

    def _take_back(self, work: Work) -> None:
        if work.holder is not None:
            with self._lock:
                work.holder.refuse(work)
            self._outstanding.remove(work)  # not under the lock: it may be the last, and end the workers

    def close(self, route: Route, *, wait: bool = True) -> None:
        """Close a session's lane, without `wait` from a worker's thread; its numbers stay in the sums."""
        if not wait:
            any(worker.loop.call_soon(self.close, route) for worker in self.workers)
            return
        with self._lock:
            if self._routes.pop(route.lane.name, None) is None or self._state == "forked":
                return
            self._closing[route.lane.name] = route
        closing = [worker.close_lane(route.lane.name) for worker in route.workers]

        def note(_closed: object) -> None:
            if all(each.done() for each in closing):
                self._note_closed(route)

        for each in closing:
            each.add_done_callback(note)
        if not on_worker_thread():
            for each in closing:
                each.result()
            self._note_closed(route)

    def _note_closed(self, route: Route) -> None:
        """Keep the numbers of a closed lane in the sum of its group; repeatable."""
        with self._lock:
            if self._closing.pop(route.lane.name, None) is not None:
                numbers = replace(lane_stats(route), name=f"{route.group} (closed)")
                before = self._retired.get(route.group)
                self._retired[route.group] = numbers if before is None else before.plus(numbers)

    def keep_open(self, link: Link) -> None:
        """Note a WebSocket that is closed in order at the end, as long as somebody holds it."""
        with self._lock:
            self._links.add(link)

    def stats(self) -> PoolStats:
        """Return the numbers as they are now; those of closed sessions are summed up in one entry for each group."""
        with self._lock:
            routes = (*self._routes.values(), *self._closing.values())
            retired = tuple(self._retired.values())
            state = self._state
        workers = tuple(map(worker_stats, self.workers))
        return PoolStats(self.name, state, (*map(lane_stats, routes), *retired), workers)

    def drain(self, end: float | None) -> bool:
        """Block until nothing is outstanding; False if it did not come to that until then."""
        if self._state == "forked":
            self._refuse()
        bell = ThreadBell()
        self._outstanding.when_none(bell.ring)
        try:
            return bell.wait(seconds_left(end))
        finally:
            self._outstanding.cancel(bell.ring)

    def shutdown(self, wait: bool, cancel: bool, end: float | None) -> None:
        """Take no more work, and end the threads when nothing is outstanding; see WorkerPool.shutdown."""
        wait = wait and not on_worker_thread()  # which would wait for itself, or for another that waits for it
        with self._lock:
            if self._state == "forked":
                return
            self._state = "closed"
            links = tuple(self._links)
        for link in links:
            link.go_away()
        for worker in self.workers:
            worker.refuse_new()
        if cancel:
            for worker in self.workers:
                worker.cancel_queued(inf if end is None else end)
        self._outstanding.when_none(partial(_stop, self.workers))
        if wait:
            _join(self.workers, end)
        if self._watchdog is not None:
            self._watchdog.stop(wait=wait)

    def shutdown_at_exit(self) -> None:
        """End at the interpreter's exit: pending jobs are cancelled."""
        if self._state != "forked":
            _stop(self.workers)
            self.shutdown(wait=True, cancel=True, end=monotonic() + _AT_EXIT)

    def mark_forked(self) -> None:
        """Note in a forked child that the threads stayed behind; the lock may be held for ever by one of them."""
        self._lock = threading.RLock()
        self._state = "forked"
        self._finalizer.detach()
        error = ForkedPool(f"pool '{self.name}' was made before a fork; only the parent gets this job's outcome")
        for worker in self.workers:
            worker.fail_in_child(error)

    def _refuse(self) -> NoReturn:
        if self._state == "forked":
            raise ForkedPool(f"pool '{self.name}' was made before a fork; make one in the child, or use get_pool()")
        raise PoolClosed(f"pool '{self.name}' is shut down; make a new one")


def _unwatched(_loop: WorkerLoop) -> None:
    pass


def _stop(workers: Iterable[Worker]) -> None:
    for worker in workers:
        worker.stop()


def _end_unheld(workers: tuple[Worker, ...], watchdog: Watchdog | None) -> None:
    """End the threads of a pool that nobody holds any more."""
    _stop(workers)
    if watchdog is not None:
        watchdog.stop(wait=False)


def _join(workers: tuple[Worker, ...], end: float | None) -> None:
    late = tuple(worker for worker in workers if not worker.join(seconds_left(end)) and not worker.is_current)
    _stop(late)
    end = monotonic() + _GRACE
    for worker in late:
        if not worker.join(seconds_left(end)):
            worker.fail_all()


def _end_all() -> None:
    """Stop every pool at the interpreter's exit: nothing hangs, nothing is printed."""
    threading.excepthook = partial(_print_unless_ours, threading.excepthook)
    for board in list(_boards):
        board.shutdown_at_exit()


def _print_unless_ours(hook: Callable[[Any], object], args: Any) -> None:
    """Say nothing of a daemon thread that waited for a job until the interpreter's end."""
    if not issubclass(args.exc_type, PoolClosed | CancelledError):
        hook(args)


def _mark_all_forked() -> None:
    for board in list(_boards):
        board.mark_forked()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_all_forked)
