"""The pool: workers, lanes and the synchronous face of both.

Threads and locks: `_lock` guards the state, the routes and the choice of a worker; nothing is logged, joined or sent
while it is held. It is one that its thread may take again: a signal handler, a collection or a `__del__` that comes
back to the pool (to shut it down, as a rule) may run where the lock is held, and each section is right at each of its
steps. All else is done by the workers' own threads.
"""

import asyncio
import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Executor
from dataclasses import replace
from functools import partial
from itertools import count
from math import inf
from time import monotonic
from types import TracebackType
from typing import Any, NoReturn, Self, Unpack

from ..errors import ForkedPool, InvalidRequest, PoolClosed
from ..handover.job import Job, Work, check_may_block, on_worker_thread
from ..handover.link import Link
from ..handover.threads import is_amid_own_code
from ..lane import Lane, LaneOptions, check_options
from ..loops import loop_factory
from ..settings import checked_seconds
from ..stats import Durations, LaneStats, PoolStats, WorkerStats
from ..transport import read_environment
from ..worker.thread import Worker
from ..worker.watchdog import Watchdog
from .client import Client
from .options import check_threads, checked_lanes, checked_name, checked_patience, checked_workers, default_workers
from .routing import Route
from .session import LaneView, PoolSession
from .waiting import seconds_left

__all__ = ["WorkerPool", "default_workers", "workers_of"]

DEFAULT = "default"
_GRACE = 0.3  # seconds that halted workers get to close their connections
_LEAVING = 1.0  # seconds that what runs gets when an error leaves the `with` block
_AT_EXIT = 2.0  # seconds that the interpreter's exit waits for each pool

_pools: "weakref.WeakSet[WorkerPool]" = weakref.WeakSet()

_TALLIED = ("submitted", "succeeded", "failed", "cancelled")
_COUNTED = ("in_flight", "queued", "attempts")


class WorkerPool(Client, Executor):  # type: ignore[misc]  # what runs here are async functions, with a session
    """Run HTTP requests and async functions on worker threads, each with its own loop and private sessions.

    `workers` threads (None: as many as pay off), the `lanes` beside a lane named "default", which is configured
    by the other keywords: any field of Lane but name. Code of yours that does not give its worker's loop back for
    `slow_callback` seconds is logged with its stack, and no new job goes to that worker meanwhile.

    Every method is thread-safe. Use it in a `with` or `async with` block, or call `shutdown`. An error that leaves the
    block, Ctrl-C included, cancels what is queued and gives what runs a second to end. The constructor returns when the
    threads run; it raises InvalidRequest for settings that cannot be.
    """

    def __init__(
        self,
        *refused: object,
        workers: int | None = None,
        lanes: Iterable[Lane] = (),
        name: str = "workerpool",
        slow_callback: float | None = 1.0,
        **default_lane: Unpack[LaneOptions],
    ) -> None:
        if refused:
            raise TypeError("WorkerPool() takes keywords only; was workers= meant?")
        check_options("WorkerPool()", default_lane, also=("workers", "lanes", "name", "slow_callback"))
        self._name = checked_name(name)
        self._lock = threading.RLock()
        self._state = "open"  # or "closed", "forked"
        self._numbers = count(1)
        patience = checked_patience(slow_callback)
        self._lane = Lane(DEFAULT, **default_lane)
        every_lane = checked_lanes(self._lane, lanes)
        environments = [read_environment(lane) for lane in every_lane]
        check_threads()
        self._leaving: dict[str, Route] = {}  # sessions that are being closed
        self._retired: dict[str, LaneStats] = {}  # of closed sessions, a sum for each group
        self._links: set[Link] = set()  # of open WebSockets
        self._workers = _made_workers(name, checked_workers(workers), every_lane)
        try:
            for worker in self._workers:
                worker.start()
            self._watchdog = _watchdog(name, self._workers, patience)
            self._routes = {
                lane.name: Route(lane, environment, self._workers)
                for lane, environment in zip(every_lane, environments, strict=True)
            }
            self._finalizer = weakref.finalize(self, _forget, self._workers, self._watchdog)
            self._finalizer.atexit = False  # _close_all comes first, and waits
            _pools.add(self)
        except BaseException:
            _halt(self._workers)
            raise

    @property
    def name(self) -> str:
        """The pool's name."""
        return self._name

    def lane(self, name: str) -> LaneView:
        """Return the verbs bound to that lane; raises InvalidRequest if there is none of that name."""
        return LaneView(self, self._route_of(name))

    def _route_of(self, name: str) -> Route:
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

    def session(self, **lane_options: Unpack[LaneOptions]) -> PoolSession:
        """Open a private "browser": own cookies and connections on one worker. For a `with` block.

        Takes any field of Lane but name; what is left out is as in the default lane.
        """
        check_options("session()", lane_options)
        options: dict[str, Any] = {"cookies": {}, **lane_options}
        lane = _replaced(self._lane, f"session-{next(self._numbers)}", options)
        return self._open(lane, lambda: [min(self._workers, key=lambda worker: worker.load)], "session")

    def like(self, lane: str, **lane_options: Unpack[LaneOptions]) -> PoolSession:
        """Open a lane like the one of that name, on all workers, until it is closed. For a `with` block.

        Takes any field of Lane but name; what is left out is as in that lane, whose numbers it counts to. Connections,
        limits and cookies are its own. Thread-safe; nothing is sent, so that it does not wait for the network. Raises
        InvalidRequest where there is no such lane or a setting cannot be, and PoolClosed.
        """
        check_options("like()", lane_options)
        model = self._route_of(lane)
        derived = _replaced(model.lane, f"{lane}-{next(self._numbers)}", {**lane_options})
        return self._open(derived, lambda: self._workers, model.group)

    def _open(self, lane: Lane, workers: Callable[[], Sequence[Worker]], group: str) -> PoolSession:
        environment = read_environment(lane)
        with self._lock:
            if self._state != "open":
                self._refuse()
            route = self._routes[lane.name] = Route(lane, environment, workers(), group)
        return PoolSession(self, route)

    @property
    def is_open(self) -> bool:
        """Whether work is taken: the pool is not shut down, and this is the process that made it."""
        return self._state == "open"

    def stats(self) -> PoolStats:
        """Return the pool's numbers as they are now; those of closed sessions are summed up in one entry."""
        with self._lock:
            routes = (*self._routes.values(), *self._leaving.values())
            retired = tuple(self._retired.values())
            state = self._state
        workers = tuple(
            WorkerStats(
                worker.name,
                worker.alive,
                worker.blocked,
                worker.losses,
                *_sums(worker.dispatchers, "in_flight", "queued"),
            )
            for worker in self._workers
        )
        return PoolStats(self.name, state, (*map(_lane_stats, routes), *retired), workers)

    def drain(self, timeout: float | None = None) -> bool:
        """Block until every job submitted so far has an outcome; False if `timeout` seconds were too short."""
        check_may_block("drain()")
        if self._state == "forked":
            self._refuse()
        end = _end_of(timeout, "drain()")
        while True:
            moves = self._moves()
            for idle in [worker.when_idle() for worker in self._workers]:
                try:
                    idle.result(seconds_left(end))
                except TimeoutError:
                    return False
            if moves == self._moves():  # else a redirect may have led work from one that was busy to one that was idle
                return True

    def _moves(self) -> int:
        return sum(dispatcher.tally.taken_over for worker in self._workers for dispatcher in worker.dispatchers)

    def shutdown(
        self,
        wait: bool = True,
        *,
        cancel_futures: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Take no more work and end the threads; repeatable, from any thread.

        Blocks, unless `wait` is False, until the jobs are done; WebSockets are closed, and with `cancel_futures` jobs
        still queued are cancelled. After `timeout` seconds whatever is left is stopped and fails with PoolClosed. It
        does not wait on a worker's thread, nor in a signal handler that has interrupted the pool's own code.
        """
        end = _end_of(timeout, "shutdown()")
        # A signal handler that has interrupted this very code would wait for workers that wait for its locks.
        wait = wait and not is_amid_own_code(sys._getframe(1))
        self._end(wait, cancel_futures, end)

    def _end(self, wait: bool, cancel_futures: bool, end: float | None) -> None:
        wait = wait and not on_worker_thread()  # which would wait for itself, or for another that waits for it
        with self._lock:
            if self._state == "forked":
                return
            self._state = "closed"
            links = tuple(self._links)
        for link in links:
            link.go_away()
        for worker in self._workers:
            worker.finish(cancel_queued=cancel_futures, until=inf if end is None else end)
        if wait:
            _join(self._workers, end)
        if self._watchdog is not None:
            self._watchdog.stop(wait=wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(**_ways_to_leave(kind))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._end, **_ways_to_leave(kind))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a WorkerPool can't be pickled or copied: its threads are here; use get_pool(name) there")

    def __repr__(self) -> str:
        stats = self.stats()
        return (
            f"<WorkerPool '{self.name}' {stats.state}, {len(stats.workers)} workers,"
            f" {stats.in_flight} in flight, {stats.queued} waiting>"
        )

    @property
    def _owner(self) -> object:
        return self

    def _keep_open(self, link: Link, job: Job[None]) -> None:
        with self._lock:
            self._links.add(link)

        def forget(_job: object) -> None:
            with self._lock:
                self._links.discard(link)

        job.add_done_callback(forget)

    def _post(self, work: Work, *, block: bool = True) -> None:
        self._post_to(self._routes[DEFAULT], work, block=block)

    def _post_to(self, route: Route, work: Work, *, block: bool = True) -> None:
        """Choose a worker under the lock, and hand the work over outside it."""
        with self._lock:
            if self._state != "open":
                self._refuse()
            dispatcher = route.choose(work)
            dispatcher.tally.count(1)
        try:
            dispatcher.post(work, block=block)
        except BaseException:
            with self._lock:
                dispatcher.tally.count(-1)
            raise

    def _retire(self, route: Route, *, wait: bool = True) -> None:
        """Close a session's lane, without `wait` from a worker's thread; its numbers stay in the sums."""
        if not wait:
            any(worker.call_soon(self._retire, route) for worker in self._workers)
            return
        with self._lock:
            if self._routes.pop(route.lane.name, None) is None or self._state == "forked":
                return
            self._leaving[route.lane.name] = route
        try:
            for left in [worker.leave(route.lane.name) for worker in route.workers]:
                if not on_worker_thread():
                    left.result()
        finally:
            with self._lock:
                del self._leaving[route.lane.name]
                numbers = replace(_lane_stats(route), name=f"{route.group} (closed)")
                before = self._retired.get(route.group)
                self._retired[route.group] = numbers if before is None else before.plus(numbers)

    def _refuse(self) -> NoReturn:
        if self._state == "forked":
            raise ForkedPool(f"pool '{self.name}' was made before a fork; make one in the child, or use get_pool()")
        raise PoolClosed(f"pool '{self.name}' is shut down; make a new one")

    def _mark_forked(self) -> None:
        """Note in a forked child that the threads stayed behind; the lock may be held for ever by one of them."""
        self._lock = threading.RLock()
        self._state = "forked"
        self._finalizer.detach()
        error = ForkedPool(f"pool '{self.name}' was made before a fork; only the parent gets this job's outcome")
        for worker in self._workers:
            worker.forget(error)


def workers_of(pool: WorkerPool) -> tuple[Worker, ...]:
    """Return the pool's workers, for whoever looks for what is left on their loops."""
    return pool._workers


def _replaced(lane: Lane, name: str, options: dict[str, Any]) -> Lane:
    return replace(lane, name=name, **options)


def _ways_to_leave(kind: type[BaseException] | None) -> dict[str, Any]:
    """Return how the pool is shut down at the end of a `with` block."""
    end = None if kind is None else monotonic() + _LEAVING
    return {"wait": True, "cancel_futures": kind is not None, "end": end}


def _made_workers(name: str, number: int, lanes: list[Lane]) -> tuple[Worker, ...]:
    factory = loop_factory(lanes[0].event_loop)
    return tuple(Worker(f"{name}-{i}", factory) for i in range(number))


def _halt(workers: tuple[Worker, ...]) -> None:
    for worker in workers:
        worker.halt()


def _watchdog(name: str, workers: tuple[Worker, ...], patience: float | None) -> Watchdog | None:
    if patience is None:
        return None
    watchdog = Watchdog(name, workers, patience)
    for worker in workers:
        worker.on_own_code = watchdog.wake
    return watchdog


def _forget(workers: tuple[Worker, ...], watchdog: Watchdog | None) -> None:
    """End the threads of a pool that nobody holds any more."""
    _halt(workers)
    if watchdog is not None:
        watchdog.stop(wait=False)


def _join(workers: tuple[Worker, ...], end: float | None) -> None:
    late = tuple(worker for worker in workers if not worker.join(seconds_left(end)) and not worker.is_current)
    _halt(late)
    end = monotonic() + _GRACE
    for worker in late:
        if not worker.join(seconds_left(end)):
            worker.abandon()


def _end_of(timeout: object, what: str) -> float | None:
    try:
        seconds = checked_seconds(timeout)
    except (TypeError, ValueError) as exc:
        raise InvalidRequest(f"{what}: timeout {exc}") from None
    return None if seconds is None else monotonic() + seconds


def _lane_stats(route: Route) -> LaneStats:
    dispatchers = route.dispatchers
    durations = Durations.sum(dispatcher.tally.durations.read() for dispatcher in dispatchers)
    tallied = _sums([dispatcher.tally for dispatcher in dispatchers], *_TALLIED)
    counted = _sums(dispatchers, *_COUNTED)
    counts = dict(zip((*_TALLIED, *_COUNTED), (*tallied, *counted), strict=True))
    return LaneStats(name=route.lane.name, group=route.group, durations=durations, **counts)


def _sums(items: Iterable[Any], *names: str) -> list[int]:
    items = tuple(items)
    return [sum(getattr(item, name) for item in items) for name in names]


def _close_all() -> None:
    """Stop every pool at the interpreter's exit: pending jobs are cancelled, nothing hangs, nothing is printed."""
    threading.excepthook = partial(_print_unless_ours, threading.excepthook)
    for pool in [pool for pool in _pools if pool._state != "forked"]:
        _halt(pool._workers)
        pool._end(wait=True, cancel_futures=True, end=monotonic() + _AT_EXIT)


def _print_unless_ours(hook: Callable[[Any], object], args: Any) -> None:
    """Say nothing of a daemon thread that waited for a job until the interpreter's end."""
    if not issubclass(args.exc_type, PoolClosed | CancelledError):
        hook(args)


def _mark_all_forked() -> None:
    for pool in list(_pools):
        pool._mark_forked()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_all_forked)
