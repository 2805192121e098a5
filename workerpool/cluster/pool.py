"""DaskPool: the pool's calls, done by the worker processes of a Dask cluster."""

import asyncio
import atexit
import weakref
from collections.abc import Iterable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from os import PathLike
from time import monotonic
from types import TracebackType
from typing import Any, NoReturn, Self, Unpack

from distributed import Client

from ..bells import ThreadBell
from ..caller.anypool import AnyPool
from ..caller.client import SubmitOptions
from ..caller.options import checked_lanes, checked_name, checked_workers, default_workers
from ..caller.results import Results, window
from ..caller.session import LaneView
from ..caller.waiting import seconds_left
from ..errors import InvalidRequest
from ..handover.job import check_may_block, mark_worker_thread
from ..lane import Lane, LaneOptions, check_options, shows_lane_options
from ..messages.receipt import BodyStore
from ..settings import checked_seconds
from ..stats import PoolStats, WorkerStats
from .board import Board
from .control import Control
from .errors import NotOnCluster, SchedulerLost
from .starting import Stations, connected, local_cluster, packed_lanes
from .store import checked_store

__all__ = ["ClusterStats", "DaskPool"]

DEFAULT = "default"
_AHEAD = 1024  # inputs of fetch_many that are pulled ahead for each worker process
_LEAVING = 1.0  # seconds that what runs gets when an error leaves the `with` block
_CLOSING = 10.0  # seconds that stations, client and cluster get to close
_LOST = 10.0  # seconds without a scheduler after which all is given up
_LOOK = 0.5
_numbers = count(1)
_pools: "weakref.WeakSet[DaskPool]" = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class ClusterStats(PoolStats):
    """The numbers of a pool on a cluster; its workers are processes.

    `late` answers came for work that was handed to another worker meanwhile and were refused; `lost` workers went away
    with work in their hands or without, `repeated` is how often work was handed over once more for that, and
    `exchanges` how often a worker was asked: for outcomes, or to take a parcel.
    """

    late: int = 0
    lost: int = 0
    repeated: int = 0
    exchanges: int = 0


class DaskPool(AnyPool, Executor):  # type: ignore[misc]  # what runs here are async functions, with a session
    """Run HTTP requests and async functions in the worker processes of a Dask cluster, each with a WorkerPool.

    Give a Client, a cluster or the address of a scheduler; without, `processes` on this machine, one per core if left
    out, which end with the pool. Lanes are those of WorkerPool, and so are the calls, their types and errors, but for
    `stream`, `websocket` and `session`. `workers_per_process` are the threads of each WorkerPool.
    With a `store` (a folder, a URL such as s3://bucket/pages, or a Store) the workers put large bodies there: the
    answer is a StoredResponse, which has a receipt, and reads its body from there when asked for.

    Every method is thread-safe. Use it in a `with` or `async with` block, or call `shutdown`. Raises InvalidRequest for
    settings that cannot be, Unreachable, VersionMismatch, NotPicklable.
    """

    @shows_lane_options
    def __init__(
        self,
        client_or_address: Any = None,
        *,
        lanes: Iterable[Lane] = (),
        processes: int | None = None,
        workers_per_process: int | None = None,
        store: "BodyStore | str | PathLike[str] | None" = None,
        name: str = "cluster",
        **default_lane: Unpack[LaneOptions],
    ) -> None:
        known = ("lanes", "processes", "workers_per_process", "store", "name")
        check_options("DaskPool()", default_lane, also=known)
        checked_name(name)
        every_lane = checked_lanes(Lane(DEFAULT, **default_lane), lanes)
        workers = None if workers_per_process is None else checked_workers(workers_per_process)
        packed = packed_lanes(every_lane)
        store = checked_store(store)
        self._local = None
        if client_or_address is None:
            self._local = client_or_address = local_cluster(_checked_processes(processes))
        elif processes is not None:
            raise InvalidRequest("processes= is for a cluster that the pool starts; leave it or the address out")
        board = Board(name, every_lane, store)
        super().__init__(board, board.routes[DEFAULT])
        self._board: Board = board
        self._closed = False
        try:
            self._client: Client = connected(client_or_address, name)
            loop: Any = self._client.loop
            self._loop: asyncio.AbstractEventLoop = loop.asyncio_loop
            self._stations = Stations(self._client, f"{name}-{next(_numbers)}", packed, workers, store)
            self._control = Control(board, self._loop, self._stations.open, workers or default_workers())
            board.control = self._control
            self._on_loop(self._start())
        except BaseException:
            self._tear_down()
            raise
        _pools.add(self)

    async def _start(self) -> None:
        mark_worker_thread()  # what would wait there for this very thread is refused
        await self._stations.start()
        await self._join_all()
        self._watch = asyncio.create_task(self._watch_scheduler())

    async def _join_all(self) -> None:
        """Open a station on each worker there is, and hear of those that come and go."""
        self._client.subscribe_topic("all", self._hear)  # type: ignore[no-untyped-call]
        found = await self._client.scheduler.identity(n_workers=-1)  # type: ignore[union-attr]
        for address in set(self._control.members) - set(found["workers"]):
            self._control.leave(address)
        await asyncio.gather(*(self._control.join(address) for address in found["workers"]))

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Note who comes and who goes. On the loop."""
        what = event[1]
        if what.get("action") == "add-worker":
            asyncio.ensure_future(self._control.join_late(what["worker"]))  # noqa: RUF006  it keeps itself
        elif what.get("action") == "remove-worker":
            self._control.leave(what["worker"])

    async def _watch_scheduler(self) -> None:
        """Give all up when the scheduler is gone for good; hear anew of its workers where it is back."""
        since: float | None = None
        while not self._closed:
            await asyncio.sleep(_LOOK)
            if self._client.status == "running":
                if since is not None:
                    since = None
                    with suppress(Exception):
                        await self._join_all()
                continue
            since = since or monotonic()
            if self._client.status in ("closed", "closing") or monotonic() - since > _LOST:
                text = f"the scheduler of pool '{self.name}' is gone, and with it what was under way"
                self._control.end(SchedulerLost(f"{text}; start a cluster, and make a new pool"))
                return

    @property
    def name(self) -> str:
        """The pool's name."""
        return self._board.name

    @property
    def is_open(self) -> bool:
        """Whether work is taken."""
        return self._board.state == "open"

    @property
    def client(self) -> Client:
        """The pool's own Dask client."""
        return self._client

    def lane(self, name: str) -> LaneView:
        """Return the verbs bound to that lane; raises InvalidRequest if there is none of that name."""
        return LaneView(self._board, self._board.route_of(name))

    def session(self, **lane_options: Any) -> NoReturn:
        """Not on a cluster: raises NotOnCluster."""
        raise NotOnCluster("a cluster has no sessions that come and go; give the pool a lane: Lane(name, cookies={})")

    def fetch_many(
        self, requests: Any, *, ordered: bool = False, buffersize: int | None = None, **options: Unpack[SubmitOptions]
    ) -> Results:
        """Fetch any number of URLs or Requests and yield a Result for each; see `WorkerPool.fetch_many`.

        By default as many inputs are pulled ahead as keep all workers busy, 1024 for each, unless a rate needs less.
        """
        lane = self.lane_settings
        if buffersize is None:
            buffersize = window(lane, None)
            if lane.rate is None:
                buffersize = max(buffersize, _AHEAD * max(1, len(self._control.members)))
        return super().fetch_many(requests, ordered=ordered, buffersize=buffersize, **options)

    def stats(self) -> ClusterStats:
        """Return the pool's numbers as they are now."""
        control, board = self._control, self._board
        workers = tuple(
            WorkerStats(address, not member.gone, False, 0, control.handed(address), 0)
            for address, member in sorted(control.members.copy().items())
        )
        lanes = tuple(route.stats() for route in board.routes.values())
        return ClusterStats(
            self.name,
            board.state,
            lanes,
            workers,
            late=control.late,
            lost=control.lost,
            repeated=control.repeated,
            exchanges=control.exchanges,
        )

    def drain(self, timeout: float | None = None) -> bool:
        """Block until every job submitted so far has an outcome; False if `timeout` seconds were too short."""
        check_may_block("drain()")
        return self._drained(_end_of(timeout, "drain()"))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False, timeout: float | None = None) -> None:
        """Take no more work and let go of the cluster; repeatable, from any thread but the pool's own.

        Blocks, unless `wait` is False, until the jobs are done; with `cancel_futures` those that no worker has are
        cancelled. After `timeout` seconds whatever is left fails with PoolClosed.
        """
        end = _end_of(timeout, "shutdown()")
        self._board.close()
        if self._closed:
            return
        if cancel_futures:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._control.cancel_queued)
        if wait:
            check_may_block("shutdown()")
            self._drained(end)
            self._tear_down()
        else:
            self._board.outstanding.when_none(lambda: self._loop.call_soon_threadsafe(self._tear_down_aside))

    def _tear_down_aside(self) -> None:
        self._loop.run_in_executor(None, self._tear_down)

    def _drained(self, end: float | None) -> bool:
        bell = ThreadBell()
        self._board.outstanding.when_none(bell.ring)
        try:
            return bell.wait(seconds_left(end))
        finally:
            self._board.outstanding.cancel(bell.ring)

    def _tear_down(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._board.close()
        if hasattr(self, "_control"):
            with suppress(Exception):  # whatever is gone already; the rest is closed all the same
                self._on_loop(self._stop(), _CLOSING)
        if hasattr(self, "_client"):
            with suppress(Exception):
                self._client.close(timeout=_CLOSING)  # type: ignore[no-untyped-call]
        if self._local is not None:
            with suppress(Exception):
                self._local.close(timeout=_CLOSING)

    async def _stop(self) -> None:
        if hasattr(self, "_watch"):
            self._watch.cancel()
        with suppress(Exception):  # the scheduler may be gone
            self._client.unsubscribe_topic("all")  # type: ignore[no-untyped-call]
        members = list(self._control.members.values())
        await self._control.close()
        await self._stations.close(members)

    def _on_loop(self, what: Any, timeout: float | None = None) -> Any:
        future = asyncio.run_coroutine_threadsafe(what, self._loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown(cancel_futures=kind is not None, timeout=None if kind is None else _LEAVING)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a DaskPool can't be pickled or copied: its client is here; make one there, by the address")

    def __repr__(self) -> str:
        stats = self.stats()
        return (
            f"<DaskPool '{self.name}' {stats.state}, {len(stats.workers)} worker processes,"
            f" {stats.in_flight} in flight, {stats.queued} waiting>"
        )


def _checked_processes(processes: int | None) -> int | None:
    if processes is not None and (isinstance(processes, bool) or not isinstance(processes, int) or processes < 1):
        raise InvalidRequest("processes must be a whole number, at least 1, or None for one per core")
    return processes


def _end_of(timeout: object, what: str) -> float | None:
    try:
        seconds = checked_seconds(timeout)
    except (TypeError, ValueError) as exc:
        raise InvalidRequest(f"{what}: timeout {exc}") from None
    return None if seconds is None else monotonic() + seconds


def _end_all() -> None:
    for pool in list(_pools):
        with suppress(Exception):
            pool.shutdown(cancel_futures=True, timeout=0.0)


atexit.register(_end_all)
