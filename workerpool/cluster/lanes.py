"""One lane as the client's side sees it: what waits, for which host, and at which member."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from math import ceil

from ..handover.job import Work
from ..lane import Lane
from .placing import Placing, leaders
from .shares import Shares

__all__ = ["Home", "LaneQueue", "Waiting"]

_REST = 1.0  # seconds that a host rests which has moved to another member: for the server to see the end of the first
_DELAYS = 10_000  # hosts whose Crawl-delay is remembered
_UNLIMITED = 256  # connections reckoned with where there is no limit
_AHEAD = 0.25  # seconds' worth of work that a member has beyond what is in flight there
_MOST_AHEAD = 4096
_WORTH = 0.05  # seconds' worth of work that make a parcel
_FEW = 16  # requests to one host that a member has at least, where limits count per host


class Waiting:
    """What waits, by priority, then by arrival; decided work is passed over."""

    __slots__ = ("_arrival", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Work]] = []
        self._arrival = count()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, work: Work) -> None:
        """Let work wait."""
        heappush(self._heap, (-work.priority, next(self._arrival), work))

    def next(self) -> Work | None:
        """Return what is due next and still wanted; None if there is nothing."""
        while self._heap:
            work = heappop(self._heap)[2]
            if not work.decided:
                return work
        return None

    def all(self) -> Iterable[Work]:
        """Return what waits."""
        return [entry[2] for entry in self._heap]


class Home:
    """What one host, or one lane that is in one place, has waiting, and the member that it belongs to."""

    __slots__ = ("due", "flying", "is_ready", "key", "member", "rests", "waiting")

    def __init__(self, key: str) -> None:
        self.key: str = key
        self.member: str | None = None
        self.flying: int = 0  # handed over to the member, and not back
        self.waiting: Waiting = Waiting()
        self.due: float = 0.0  # not before that it may begin there
        self.rests: bool = False  # whether somebody will look at it when it is due
        self.is_ready: bool = False  # whether it is among those that the member takes from


class LaneQueue:
    """Keep what waits in one lane, and say what a member may have next. On one thread only."""

    def __init__(self, lane: Lane, workers: int) -> None:
        self.lane = lane
        self.shared: Waiting = Waiting()  # what any member may do
        self.homes: dict[str, Home] = {}
        self.placing: Placing = Placing()
        self.shares: Shares | None = Shares(lane.connections) if lane.connections and not lane.in_one_place else None
        self.handed: dict[str, int] = {}  # to each member
        self.flying = 0  # to all of them
        self._least = min(workers, lane.connections or workers)  # connections that each member needs
        self._ready: dict[str, deque[Home]] = {}
        self._rates: dict[str, float] = {}
        self._delays: OrderedDict[str, float] = OrderedDict()
        self._most = max(_FEW, 2 * lane.per_host)

    def __len__(self) -> int:
        return len(self.shared) + sum(len(home.waiting) for home in self.homes.values())

    def serving(self, members: Sequence[str]) -> list[str]:
        """Return the members that serve the lane: no more than there are connections for."""
        if self.shares is None:
            return sorted(members)
        return leaders(self.lane.name, members, max(1, self.lane.connections // self._least))

    def key_of(self, work: Work) -> str | None:
        """Return what the member follows from; None where any may do it."""
        if self.lane.in_one_place:
            return f"lane {self.lane.name}"
        return work.host if self.lane.by_host and work.counts_at_host else None

    def home_of(self, key: str) -> Home:
        """Return the home of that key, perhaps a new one, which has no member yet."""
        home = self.homes.get(key)
        if home is None:
            home = self.homes[key] = Home(key)
        return home

    def rest(self, key: str) -> float:
        """Return the seconds that a key rests when it has moved: those after which no limit of before counts."""
        lane, rest = self.lane, _REST
        for rate in (lane.rate if lane.in_one_place else None, lane.per_host_rate):
            if rate is not None:
                rest = max(rest, rate.burst * rate.per / rate.limit)
        return max(rest, self._delays.get(key, 0.0))

    def note_delay(self, key: str, delay: float) -> None:
        """Remember the Crawl-delay of a host."""
        self._delays[key] = delay
        self._delays.move_to_end(key)
        if len(self._delays) > _DELAYS:
            self._delays.popitem(last=False)

    def make_ready(self, home: Home) -> None:
        """Have its member take from it."""
        if not home.is_ready and home.member is not None and len(home.waiting) and home.flying < self._cap:
            home.is_ready = True
            self._ready.setdefault(home.member, deque()).append(home)

    def withdraw(self, home: Home) -> None:
        """Have nobody take from it."""
        if home.is_ready and home.member is not None:
            self._ready[home.member].remove(home)
        home.is_ready = False

    @property
    def _cap(self) -> float:
        return float("inf") if self.lane.in_one_place else self._most

    def room(self, member: str, serving: int) -> int:
        """Return how many pieces of work the member is to get now; 0 where that is not worth a parcel yet."""
        handed = self.handed.get(member, 0)
        places = self.shares.of(member) if self.shares is not None else self.lane.connections or _UNLIMITED
        if not places:
            return 0
        rate = self._rates.get(member, 0.0)
        window = min(max(2 * places, places + ceil(rate * _AHEAD)), places + _MOST_AHEAD)
        room = window - handed
        if handed and room < min(window // 4, max(1, int(rate * _WORTH))):
            return 0
        if not self.homes:  # of little, no member gets all
            fair = ceil((self.flying + len(self.shared)) / max(serving, 1))
            room = min(room, fair - handed)
        return max(room, 0)

    def next(self, member: str) -> tuple[Work, Home | None] | None:
        """Return the next work for the member, by turns of its hosts; None if there is none."""
        ready = self._ready.get(member)
        while ready:
            home = ready.popleft()
            home.is_ready = False
            work = home.waiting.next()
            if work is None:
                self.drop_idle(home)
                continue
            home.flying += 1
            self.make_ready(home)
            return work, home
        work = self.shared.next()
        return None if work is None else (work, None)

    def drop_idle(self, home: Home) -> None:
        """Forget a home that has nothing to do."""
        if not home.flying and not len(home.waiting):
            self.homes.pop(home.key, None)

    def note_rate(self, member: str, rate: float) -> None:
        """Learn how much the member does a second."""
        before = self._rates.get(member)
        self._rates[member] = rate if before is None else (before + rate) / 2

    def forget(self, member: str) -> None:
        """Forget a member that is gone; its homes are to be placed anew."""
        self.handed.pop(member, None)
        self._rates.pop(member, None)
        for home in self._ready.pop(member, ()):
            home.is_ready = False
