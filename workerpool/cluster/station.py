"""The side of a worker: one WorkerPool in a process of Dask's, which takes parcels of work and gives outcomes back."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import fields, replace
from time import monotonic
from typing import Any

from distributed import Worker
from distributed.diagnostics.plugin import WorkerPlugin

from ..caller.client import board_of
from ..caller.pool import WorkerPool
from ..handover.errand import Call, Fetch
from ..handover.job import Work
from ..handover.work import Verdict, host_of
from ..lane import Lane
from ..messages.hop import Onward
from ..messages.receipt import BodyStore, PlainReceipt
from ..messages.response import Response
from ..settings import Timeout
from .errors import NotPicklable
from .wire import as_onward, errors_of, opened, pack, plain_answer, plain_onward, unpacked

__all__ = ["LEASE", "Station", "StationPlugin", "op_of"]

log: logging.Logger = logging.getLogger("workerpool.cluster")

LEASE = 15.0  # seconds without a word of the client's after which its work is given up
_POLL = 1.0  # seconds that the client's question waits for outcomes
_LINGER = 0.04  # seconds that outcomes wait for more of them, where many are under way
_MANY = 64  # under way, from which on that is worth it
_MOST = 1024  # outcomes in one answer
_BYTES = 8 * 2**20  # of bodies in one answer, unless one alone is larger
_PUTTING = 8  # bodies that go into the store at once
_LOOK = 1.0  # seconds between two looks at the lease


def op_of(name: str, what: str) -> str:
    """Return what a station's handler is called."""
    return f"{name}-{what}"


class _Carried(Work):
    """Work that came in a parcel: its outcome goes back with others."""

    def __init__(
        self, number: int, station: "Station", tell: "Callable[[_Carried], None]", stays: bool, *args: Any
    ) -> None:
        super().__init__(*args)
        self.number = number
        self._station = station
        self._hand_back = tell
        self._stays = stays
        self.receipt: PlainReceipt | None = None  # for its body, where that was put into the store

    def begin(self) -> bool:
        """Note that it has its place: from now on it may have been sent."""
        self._station.note_begun(self.number)
        return super().begin()

    def lead(self, onward: Onward) -> None:
        """Leave a redirect to a host that another member may have to the client."""
        if self._stays or self.place is None or host_of(onward.hop.url) == host_of(self.place):
            self.onward = onward
        else:
            self.answer(onward)

    def _tell(self, verdict: Verdict) -> None:
        self._hand_back(self)


class Station:
    """Run what one client hands over in the pool of this process. On Dask's loop, but for `_hand_back`."""

    def __init__(self, name: str, lanes: list[Lane], workers: int | None, store: BodyStore | None = None) -> None:
        default, *others = (replace(lane, queue=0) for lane in lanes)
        options = {each.name: getattr(default, each.name) for each in fields(Lane) if each.name != "name"}
        self.name = name
        self._pool = WorkerPool(workers=workers, lanes=others, name=name, **options)
        self._board = board_of(self._pool)
        self._routes = {lane.name: self._board.route_of(lane.name) for lane in lanes}
        self._loop = asyncio.get_running_loop()
        self._done: deque[_Carried] = deque()
        self._rung = False
        self._came = asyncio.Event()
        self._works: dict[int, _Carried] = {}
        self._answer: tuple[int, bytes] | None = None  # the last one, until the client has confirmed it
        self._parcels = 0  # taken so far
        self._begun: list[int] = []  # since the client was told; from any thread
        self._places: dict[str, int] = {}
        self._store = store
        self._putting = ThreadPoolExecutor(_PUTTING, f"{name}-store") if store is not None else None
        self._gathered: list[_Carried] = []
        self._gathered_size = 0
        self._timer: asyncio.TimerHandle | None = None
        self.touched: float = monotonic()

    async def put(self, number: int, parcel: bytes, places: dict[str, int], given_up: list[int]) -> dict[str, Any]:
        """Take a parcel on, unless it was before; a limit of connections and what is not wanted come with it."""
        self.touched = monotonic()
        for lane, most in places.items():
            self._places[lane] = most
            self._routes[lane].limit(most)
        if number > self._parcels:
            self._parcels = number
            for entry in opened(parcel) if parcel else ():
                self._take(*entry)
        for each in given_up:
            if (work := self._works.pop(each, None)) is not None:
                work.cancel()
        return self._standing()

    async def take(self, confirmed: int) -> dict[str, Any]:
        """Wait for outcomes and hand them over; those of before come again where they were not confirmed."""
        self.touched = monotonic()
        if self._answer is not None and self._answer[0] != confirmed:
            return {**self._standing(), "number": self._answer[0], "outcomes": self._answer[1]}
        self._answer = None
        await self._wait()
        self.touched = monotonic()
        found = self._outcomes()
        if not found:
            return {**self._standing(), "number": confirmed, "outcomes": b""}
        self._answer = confirmed + 1, pack(found)
        return {**self._standing(), "number": confirmed + 1, "outcomes": self._answer[1]}

    async def close(self, timeout: float = 1.0) -> None:
        """Give up what is under way, and end the pool."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True, timeout=timeout)
        if self._putting is not None:
            self._putting.shutdown(wait=False, cancel_futures=True)

    def _take(self, number: int, lane: str, what: Any, limits: Timeout | None, attempts: int, onward: Any) -> None:
        route = self._routes[lane]
        settings = route.lane
        try:
            given = unpacked(what)
            if isinstance(given, tuple):
                errand: Any = Call(*given)
                limits = limits or Timeout(total=None)
                priority = 0
            else:
                errand = Fetch(given, settings.resolve(given))
                limits, priority = limits or settings.timeout_for(given), given.priority
            work = _Carried(
                number, self, self._hand_back, settings.in_one_place, lane, self._board, errand, limits,
                copy_context() if settings.has_hooks or isinstance(errand, Call) else None, priority, True,
            )  # fmt: skip
            work.attempts = attempts
            if onward is not None:
                work.onward = as_onward(onward, errand.request, lane)
                work.place = work.onward.hop.url
            self._works[number] = work
            self._board.post(route, work)
        except Exception as exc:  # noqa: BLE001  whatever it is, the client is to know
            self._refuse(number, exc)

    def _refuse(self, number: int, error: Exception) -> None:
        if isinstance(error, ImportError):
            cure = "install it on the workers too, or define the function in the program itself"
            error = NotPicklable(f"the worker {self.name} cannot read what was sent: {error}; {cure}")
        work = _Carried(number, self, self._hand_back, True, "", None, Call(_refused), Timeout(total=None))
        self._works[number] = work
        work.fail(error)

    def _hand_back(self, work: _Carried) -> None:
        """Put decided work to what goes back, a large body into the store before. From any thread."""
        if self._store is not None and (answer := self._for_the_store(work, self._store)) is not None:
            with suppress(RuntimeError):  # the process ends
                self._loop.call_soon_threadsafe(self._gather, work, len(answer.content), self._store)
            return
        self._done.append(work)
        self._ring()

    def _for_the_store(self, work: _Carried, store: BodyStore) -> Response | None:
        """Return an answer that the store takes. From any thread."""
        answer = _answer_of(work)
        try:
            return answer if answer is not None and store.takes(answer) else None
        except Exception as exc:  # noqa: BLE001  a store may be anybody's
            log.warning("%s: a body goes to the client itself: %s", self.name, exc)
            return None

    def _gather(self, work: _Carried, size: int, store: BodyStore) -> None:
        """Have the body wait for others that are put with it. On Dask's loop."""
        self._gathered.append(work)
        self._gathered_size += size
        if len(self._gathered) >= store.answers or self._gathered_size >= store.size or self._is_half_gathered:
            self._put_gathered(store)
        elif self._timer is None:
            self._timer = self._loop.call_later(store.pause, self._put_gathered, store)

    @property
    def _is_half_gathered(self) -> bool:
        """Whether half of what is here waits: the client sends more when it hears of that."""
        return 2 * len(self._gathered) >= len(self._works)

    def _put_gathered(self, store: BodyStore) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        works, self._gathered, self._gathered_size = self._gathered, [], 0
        if works and self._putting is not None:
            with suppress(RuntimeError):  # the station is closed: nobody asks any more
                self._putting.submit(self._put_away, works, store)

    def _put_away(self, works: list[_Carried], store: BodyStore) -> None:
        """Put bodies into the store; where that refuses they travel, so that nothing is lost."""
        answers = [answer for work in works if (answer := _answer_of(work)) is not None]
        try:
            for work, receipt in zip(works, store.put(answers), strict=True):
                work.receipt = receipt
        except Exception as exc:  # noqa: BLE001  a store may be anybody's
            log.warning("%s: bodies go to the client itself: %s", self.name, exc)
        self._done.extend(works)
        self._ring()

    def note_begun(self, number: int) -> None:
        """Have the client told soon that work may have been sent. From any thread."""
        self._begun.append(number)
        self._ring()

    def _ring(self) -> None:
        if not self._rung:
            self._rung = True
            try:
                self._loop.call_soon_threadsafe(self._came.set)
            except RuntimeError:  # the process ends
                self._rung = False

    async def _wait(self) -> None:
        """Wait for outcomes; where many are under way, for some more of them, so that an answer is worth its cost."""
        if not self._done:
            try:
                async with asyncio.timeout(_POLL):
                    await self._came.wait()
            except TimeoutError:
                return
            finally:
                self._came.clear()
                self._rung = False
        if len(self._works) > _MANY and len(self._done) < _MOST:
            await asyncio.sleep(_LINGER)
        self._came.clear()
        self._rung = False

    def _outcomes(self) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        size = 0
        while self._done and len(found) < _MOST and size < _BYTES:
            work = self._done.popleft()
            if self._works.pop(work.number, None) is None:  # nobody wants it
                continue
            plain, length = self._plain(work)
            found.append(plain)
            size += length
        if self._store is not None and self._is_half_gathered:
            self._put_gathered(self._store)
        return found

    def _plain(self, work: _Carried) -> tuple[tuple[Any, ...], int]:
        """Return the outcome as plain values, and about how large it is."""
        verdict = work.verdict
        assert verdict is not None
        outcome, value, _at = verdict
        number, delay = work.number, self._delay(work)
        if outcome == "cancelled":
            return (number, "c", None, delay), 0
        if outcome == "failed":
            return (number, "e", errors_of(value), delay), 0
        if isinstance(value, Onward):
            left = None if work.final_deadline is None else max(0.001, work.final_deadline - monotonic())
            return (number, "m", (plain_onward(value), work.attempts, left), delay), 0
        if isinstance(value, Response) and not isinstance(work.errand, Call):
            size = 0 if work.receipt is not None else len(value.content)
            return (number, "r", plain_answer(value, work.receipt), delay), size
        try:
            data = pack(value)
        except Exception as exc:  # noqa: BLE001  it is the user's, and may raise anything
            text = f"{work.errand.method} returned a {type(value).__name__}, which cannot be pickled ({exc})"
            error = NotPicklable(f"{text}; return plain values, such as a dict or the body's bytes")
            return (number, "e", errors_of(error), delay), 0
        return (number, "v", data, delay), len(data)

    def _delay(self, work: _Carried) -> float:
        """Return what the host's robots.txt asks for: the client is to know when the host moves to another worker."""
        route = self._routes.get(work.lane)
        return route.delay(work.host) if route is not None and route.lane.robots and work.host else 0.0

    def _standing(self) -> dict[str, Any]:
        """Return for each limit what it is, and how much is in flight; and what has begun since the last time."""
        begun, self._begun = self._begun, []
        places = {lane: (most, self._in_flight(lane)) for lane, most in self._places.items()}
        return {"places": places, "begun": [number for number in begun if number in self._works]}

    def _in_flight(self, lane: str) -> int:
        return sum(dispatcher.in_flight for dispatcher in self._routes[lane].dispatchers)


def _answer_of(work: _Carried) -> Response | None:
    """Return the answer that came of a request, None of whatever else came of it."""
    if work.verdict is None or isinstance(work.errand, Call):
        return None
    value: Any = work.verdict[1]
    return value if isinstance(value, Response) else None


async def _refused() -> None:
    """Stand for what could not be read."""


class StationPlugin(WorkerPlugin):
    """Open a station in a worker process, and close it with it, or when the client is not heard any more."""

    def __init__(self, name: str, lanes: bytes, workers: int | None, store: BodyStore | None = None) -> None:
        self.name = name
        self._lanes, self._workers, self._store = lanes, workers, store
        self._station: Station | None = None

    async def setup(self, worker: Worker) -> None:
        """Make the pool and answer the client. On the worker's loop."""
        if self._store is not None:
            await asyncio.to_thread(self._store.check)
        station = self._station = Station(self.name, opened(self._lanes), self._workers, self._store)
        worker.handlers[op_of(self.name, "put")] = station.put
        worker.handlers[op_of(self.name, "take")] = station.take
        self._watch = asyncio.create_task(self._watch_lease(worker, station))

    async def teardown(self, worker: Worker) -> None:
        """Close the pool. On the worker's loop."""
        station, self._station = self._station, None
        for what in ("put", "take"):
            worker.handlers.pop(op_of(self.name, what), None)
        if station is not None:
            self._watch.cancel()
            await station.close()

    async def _watch_lease(self, worker: Worker, station: Station) -> None:
        while monotonic() - station.touched < LEASE:
            await asyncio.sleep(_LOOK)
        log.warning("%s: the client was not heard for %s s; its work is given up", self.name, LEASE)
        self._station = None
        for what in ("put", "take"):
            worker.handlers.pop(op_of(self.name, what), None)
        worker.plugins.pop(self.name, None)
        await station.close()
