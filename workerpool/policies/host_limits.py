"""Limits per host: who may start, and when the next may. Used on one worker's loop only."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf
from time import monotonic

from ..handover.job import Work
from ..settings import Rate
from .pace import Pace

__all__ = ["HostLimits"]

_KEPT = 10_000  # paces of hosts remembered before the idle ones are dropped; a guess


class HostLimits:
    """Park the work whose host has no free place or is not due yet, and give it back when it is.

    `drop` is told of parked work that was decided meanwhile; it costs its host neither a place nor a turn.
    """

    def __init__(
        self,
        places: int,
        rate: Rate | None,
        drop: Callable[[Work], object],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._places = places
        self._rate = rate
        self._drop = drop
        self._clock = clock
        self._busy: dict[str, int] = {}
        self._paces: dict[str, Pace] = {}
        self._parked: dict[str, list[tuple[int, int, Work]]] = {}  # heaps by priority, then arrival
        self._due: list[tuple[float, str]] = []  # heap of when to look at a host again
        self._when: dict[str, float] = {}  # which entry of the heap counts for a host; others are passed over
        self._arrival = count()
        self._slowed: dict[str, Rate] = {}  # hosts whose own wish is slower than the lane's rate
        self.parked: int = 0

    def offer(self, work: Work) -> bool:
        """Take a place for the work and return True, or keep the work for later."""
        if work.host not in self._parked and self._wait(work.host) == 0:
            self._enter(work.host)
            return True
        self._park(work)
        return False

    def take(self) -> Work | None:
        """Return parked work that may start now, its place taken; None if there is none."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            when, host = heappop(self._due)
            if self._when.get(host) != when:
                continue
            del self._when[host]
            waiting = self._alive(host)
            if waiting is None:
                continue
            if (wait := self._wait(host)) != 0:
                self._look_again(host, wait)
                continue
            work = heappop(waiting)[2]
            self.parked -= 1
            self._enter(host)
            if waiting:
                self._look_again(host, self._wait(host))
            else:
                del self._parked[host]
            return work
        return None

    def release(self, host: str, sent: float | None = None) -> None:
        """Give back a place at the host, of what was `sent` then, as monotonic() counts."""
        if sent is not None and (pace := self._paces.get(host)) is not None:
            pace.note_sent(sent)
        left = self._busy[host] - 1
        if left:
            self._busy[host] = left
        else:
            del self._busy[host]
        if host in self._parked:
            self._look_again(host, self._wait(host))

    def reserve(self, host: str) -> float:
        """Book one more start at the host (a retry, a redirect) and return the seconds to wait for it."""
        rate = self._slowed.get(host, self._rate) if self._slowed else self._rate
        return 0.0 if rate is None else self._pace(host, rate).reserve(self._clock())

    def slow(self, host: str, delay: float) -> None:
        """Have the starts at the host keep so many seconds apart, from now on, unless they do already."""
        if self._rate is not None and delay <= self._rate.per / self._rate.limit:
            return
        if self.delay(host) == delay:
            return
        if len(self._slowed) >= _KEPT:
            del self._slowed[next(iter(self._slowed))]
        self._slowed[host] = Rate(1, per=delay)
        self._paces.pop(host, None)
        self.reserve(host)  # for what has told the delay

    def delay(self, host: str) -> float:
        """Return the seconds that `slow` has set; 0 where it has not. From any thread."""
        rate = self._slowed.get(host)
        return 0.0 if rate is None else rate.per

    def drop_decided(self, host: str) -> None:
        """Let go of work at the head of the host's queue that was decided while it waited."""
        self._alive(host)

    def holds(self, host: str) -> bool:
        """Whether work for the host is parked. From any thread."""
        return host in self._parked

    def due_in(self) -> float | None:
        """Return the seconds until parked work may be due, None if only a release can make it so."""
        return max(0.0, self._due[0][0] - self._clock()) if self._due else None

    def waiting(self) -> set[Work]:
        """Return what is parked."""
        return {item[2] for waiting in self._parked.values() for item in waiting}

    def _alive(self, host: str) -> list[tuple[int, int, Work]] | None:
        """Return what is parked for the host, with work in front that still waits; None if there is none."""
        waiting = self._parked.get(host)
        while waiting and waiting[0][2].decided:
            self._drop(heappop(waiting)[2])
            self.parked -= 1
        if waiting == []:
            del self._parked[host]
        return waiting or None

    def _park(self, work: Work) -> None:
        waiting = self._parked.setdefault(work.host, [])
        heappush(waiting, (-work.priority, next(self._arrival), work))
        self.parked += 1
        if len(waiting) == 1:
            self._look_again(work.host, self._wait(work.host))

    def _look_again(self, host: str, wait: float | None) -> None:
        """See to it that the host is looked at in time: one entry each, or a queue of n would cost n times n."""
        if wait is None:
            return
        when = self._clock() + wait
        if when < self._when.get(host, inf):
            self._when[host] = when
            heappush(self._due, (when, host))

    def _wait(self, host: str) -> float | None:
        """Return the seconds to wait for a start; None if a place must come free first."""
        if self._places and self._busy.get(host, 0) >= self._places:
            return None
        pace = self._paces.get(host)
        return 0.0 if pace is None else pace.wait(self._clock())

    def _enter(self, host: str) -> None:
        self._busy[host] = self._busy.get(host, 0) + 1
        self.reserve(host)

    def _pace(self, host: str, rate: Rate) -> Pace:
        pace = self._paces.get(host)
        if pace is None:
            self._forget_idle()
            pace = self._paces[host] = Pace(rate)
        return pace

    def _forget_idle(self) -> None:
        if len(self._paces) < _KEPT:
            return
        now = self._clock()
        self._paces = {host: pace for host, pace in self._paces.items() if pace.wait(now) > 0}
