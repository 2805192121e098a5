"""WorkerPool: the synchronous interface of the workers and their lanes."""

import asyncio
import sys
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import replace
from itertools import count
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, Unpack

from ..errors import InvalidRequest
from ..handover.job import check_may_block
from ..handover.threads import is_amid_pool_code
from ..lane import Lane, LaneOptions, check_options, shows_lane_options
from ..loading import loaded_once
from ..settings import checked_seconds
from ..stats import PoolStats
from .anypool import AnyPool
from .options import check_threads, checked_lanes, checked_name, checked_patience, checked_workers, default_workers
from .session import LaneView, PoolSession

if TYPE_CHECKING:
    from .switchboard import Switchboard

__all__ = ["WorkerPool", "default_workers"]

DEFAULT = "default"
_LEAVING = 1.0  # seconds that what runs gets when an error leaves the `with` block


@loaded_once
def _switchboard() -> "type[Switchboard]":
    """Return it once the workers and the decoders are loaded, which an import of the library does without."""
    from .switchboard import Switchboard

    return Switchboard


class WorkerPool(AnyPool, Executor):  # type: ignore[misc]  # what runs here are async functions, with a session
    """Run HTTP requests and async functions on worker threads, each with its own loop and private sessions.

    `workers` threads (None: as many as pay off), the `lanes` beside a lane named "default", which is configured
    by the other keywords: any field of Lane but name. Code of yours that does not give its worker's loop back for
    `slow_callback` seconds is logged with its stack, and no new job goes to that worker meanwhile.

    Every method is thread-safe. Use it in a `with` or `async with` block, or call `shutdown`. An error that leaves the
    block, Ctrl-C included, cancels what is queued and gives what runs a second to end. The constructor returns when the
    threads run; it raises InvalidRequest for settings that cannot be.
    """

    _board: "Switchboard"

    @shows_lane_options
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
        checked_name(name)
        patience = checked_patience(slow_callback)
        every_lane = checked_lanes(Lane(DEFAULT, **default_lane), lanes)
        check_threads()
        board = _switchboard()(name, checked_workers(workers), every_lane, patience)
        super().__init__(board, board.route_of(DEFAULT))
        self._numbers = count(1)  # of sessions

    @property
    def name(self) -> str:
        """The pool's name."""
        return self._board.name

    def lane(self, name: str) -> LaneView:
        """Return the verbs bound to that lane; raises InvalidRequest if there is none of that name."""
        return LaneView(self._board, self._board.route_of(name))

    @shows_lane_options
    def session(self, **lane_options: Unpack[LaneOptions]) -> PoolSession:
        """Open a private "browser": own cookies and connections on one worker. For a `with` block.

        Takes any field of Lane but name; what is left out is as in the default lane.
        """
        check_options("session()", lane_options)
        options: dict[str, Any] = {"cookies": {}, **lane_options}
        lane = _replaced(self.lane_settings, f"session-{next(self._numbers)}", options)
        return PoolSession(self._board, self._board.open(lane, "session", alone=True))

    @shows_lane_options
    def like(self, lane: str, **lane_options: Unpack[LaneOptions]) -> PoolSession:
        """Open a lane like the one of that name, on all workers, until it is closed. For a `with` block.

        Takes any field of Lane but name; what is left out is as in that lane, whose numbers it counts to. Connections,
        limits and cookies are its own. Thread-safe; nothing is sent, so that it does not wait for the network. Raises
        InvalidRequest where there is no such lane or a setting cannot be, and PoolClosed.
        """
        check_options("like()", lane_options)
        model = self._board.route_of(lane)
        derived = _replaced(model.lane, f"{lane}-{next(self._numbers)}", {**lane_options})
        return PoolSession(self._board, self._board.open(derived, model.group, alone=False))

    @property
    def is_open(self) -> bool:
        """Whether work is taken: the pool is not shut down, and this is the process that made it."""
        return self._board.is_open

    def stats(self) -> PoolStats:
        """Return the pool's numbers as they are now; those of closed sessions are summed up in one entry."""
        return self._board.stats()

    def drain(self, timeout: float | None = None) -> bool:
        """Block until every job submitted so far has an outcome; False if `timeout` seconds were too short."""
        check_may_block("drain()")
        return self._board.drain(_end_of(timeout, "drain()"))

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
        wait = wait and not is_amid_pool_code(sys._getframe(1))
        self._board.shutdown(wait, cancel_futures, end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._board.shutdown(*_ways_to_leave(kind))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._board.shutdown, *_ways_to_leave(kind))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a WorkerPool can't be pickled or copied: its threads are here; use get_pool(name) there")

    def __repr__(self) -> str:
        stats = self.stats()
        return (
            f"<WorkerPool '{self.name}' {stats.state}, {len(stats.workers)} workers,"
            f" {stats.in_flight} in flight, {stats.queued} waiting>"
        )


def _replaced(lane: Lane, name: str, options: dict[str, Any]) -> Lane:
    return replace(lane, name=name, **options)


def _ways_to_leave(kind: type[BaseException] | None) -> tuple[bool, bool, float | None]:
    """Return how the pool is shut down at the end of a `with` block: wait, cancel, until when."""
    return True, kind is not None, None if kind is None else monotonic() + _LEAVING


def _end_of(timeout: object, what: str) -> float | None:
    try:
        seconds = checked_seconds(timeout)
    except (TypeError, ValueError) as exc:
        raise InvalidRequest(f"{what}: timeout {exc}") from None
    return None if seconds is None else monotonic() + seconds
