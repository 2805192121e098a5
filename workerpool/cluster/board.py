"""What takes the work of a pool on, from any thread, and counts it; the rest is done on the loop of its Dask client."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn, Protocol

from ..bells import ThreadBell
from ..errors import InvalidRequest, PoolClosed, QueueFull
from ..handover.job import Holder, Process, Work, on_worker_thread
from ..handover.link import Link
from ..handover.outstanding import Outstanding
from ..lane import Lane
from ..messages.receipt import BodyStore
from ..stats import LaneStats
from ..worker.tally import Stopwatch
from .errors import NotOnCluster
from .wire import packed

__all__ = ["Board", "Route"]


class Control(Protocol):
    """What does the work, on its loop."""

    def add(self, work: Work) -> None:
        """Take work on. From any thread."""

    def stop(self, work: Work) -> None:
        """Give work up soon. From any thread."""


class Route(Holder):
    """One lane of a pool on a cluster: who holds its work, and its numbers."""

    def __init__(self, lane: Lane, board: "Board") -> None:
        self.lane = lane
        self.name: str = lane.name
        self.submitted: int = 0  # under the board's lock
        self.attempts = 0  # this and what follows on the loop, read by all
        self.in_flight = 0
        self._ended = {"succeeded": 0, "failed": 0, "cancelled": 0}
        self._durations = Stopwatch()
        self._board = board
        self._left = 0  # under the board's lock
        self._most = lane.queue + lane.connections if lane.queue and lane.connections else 0
        self._asking: deque[Callable[[], object]] = deque()

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may; what is in flight has places of its own."""
        return bool(self._most) and self._left >= self._most

    def accept(self) -> None:
        """Count work in. Under the board's lock."""
        self.submitted += 1
        self._left += 1

    def settle(self, work: Work) -> None:
        """Count the outcome. On the loop, once."""
        verdict = work.verdict
        assert verdict is not None
        self._ended[verdict[0]] += 1
        self._durations.note(verdict[2] - work.started)
        with self._board.lock:
            self._left -= 1
        while self._asking and not self.is_full:
            with suppress(IndexError):
                self._asking.popleft()()

    def stop(self, work: Work) -> None:
        """Stop the work soon, from any thread."""
        self._board.control.stop(work)

    def waits_for(self, work: Work) -> str:
        """Say what work that has not begun waits for. From any thread."""
        return f"a worker of '{self._board.name}' with room for lane '{self.name}' ({self._left} outstanding)"

    def refuse(self, work: Work) -> None:
        """Forget work that was not handed over: none is counted before it is."""

    def when_room(self, callback: Callable[[], object]) -> None:
        """Call back, once and from any thread, when there may be room again."""
        self._asking.append(callback)
        if not self.is_full:
            with suppress(ValueError):
                self._asking.remove(callback)
                callback()

    def stats(self) -> LaneStats:
        """Return the numbers as they are now."""
        ended = dict(self._ended)
        queued = max(0, self.submitted - sum(ended.values()) - self.in_flight)
        return LaneStats(
            name=self.name, submitted=self.submitted, in_flight=self.in_flight, queued=queued,
            attempts=self.attempts, durations=self._durations.read(), group=self.name, **ended,
        )  # fmt: skip


class Board:
    """Take work on for a cluster. Every method is thread-safe."""

    control: Control

    def __init__(self, name: str, lanes: Sequence[Lane], store: BodyStore | None = None) -> None:
        self.name = name
        self.store = store
        self.lock: threading.Lock = threading.Lock()
        self.outstanding: Outstanding = Outstanding()
        self.routes: dict[str, Route] = {lane.name: Route(lane, self) for lane in lanes}
        self.state: str = "open"  # or "closed", "lost"
        self._lost: Exception | None = None
        self._process = Process()

    def route_of(self, name: str) -> Route:
        """Return the route of a lane; raises InvalidRequest if there is none of that name."""
        route = self.routes.get(name) if isinstance(name, str) else None
        if route is None:
            names = ", ".join(sorted(self.routes))
            raise InvalidRequest(f"pool '{self.name}' has no lane {name!r}; it has: {names}", lane=str(name))
        return route

    def post(self, route: Route, work: Work, *, block: bool = True) -> None:
        """Take work on; raises QueueFull, PoolClosed, NotPicklable, NotOnCluster, ForkedPool."""
        self._process.check(f"pool '{self.name}'")
        work.rest = packed(work.errand)
        work.holder = route
        while True:
            with self.lock:
                if self.state != "open":
                    work.holder = None
                    self._refuse()
                if not route.is_full:
                    route.accept()
                    self.outstanding.add(work)
                    break
            self._wait_for_room(route, work, block=block and not on_worker_thread())
        self.control.add(work)

    def _wait_for_room(self, route: Route, work: Work, *, block: bool) -> None:
        limit = work.time_for_room(route.lane.timeout)
        if block:
            bell = ThreadBell()
            route.when_room(bell.ring)
            if bell.wait(limit):
                return
        work.holder = None
        wait = f" within {limit:.3g} s" if block and limit is not None else ""
        raise QueueFull(f"the queue of lane '{route.name}' of pool '{self.name}' has no free place{wait}")

    def keep_open(self, link: Link) -> None:
        """There are no WebSockets on a cluster."""
        raise NotOnCluster("a WebSocket needs its socket in this process; use a WorkerPool for it")

    def close(self) -> None:
        """Take no more work."""
        with self.lock:
            if self.state == "open":
                self.state = "closed"

    def lose(self, error: Exception) -> None:
        """Take no more work, since the cluster is gone."""
        with self.lock:
            self.state, self._lost = "lost", error

    def _refuse(self) -> NoReturn:
        if self._lost is not None:
            raise type(self._lost)(str(self._lost))
        raise PoolClosed(f"pool '{self.name}' is shut down; make a new one")
