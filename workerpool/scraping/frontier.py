"""The frontier: what waits to be asked for, by host, and whose turn is next."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from math import inf
from typing import Protocol

from .entry import Entry

__all__ = ["Frontier", "Pace"]


class Pace(Protocol):
    """Whoever knows when a host may be asked next."""

    def ready_at(self, host: str) -> float:
        """Return the moment, as monotonic() counts; inf where only the end of a request tells."""


class Frontier:
    """Give out entries in the order of their hosts' turns; first in, first out at each host. Of the run's thread only.

    `more` returns further entries of a host whose own are used up, where a state file holds them.
    """

    def __init__(self, pace: Pace, more: Callable[[str], Iterable[Entry]] = lambda _host: ()) -> None:
        self._pace = pace
        self._more = more
        self._queues: dict[str, deque[Entry]] = {}
        self._turns: list[tuple[float, int, str]] = []  # a heap; a host is in it once at most
        self._listed: set[str] = set()
        self._held: set[str] = set()
        self._paused: list[tuple[float, int, Entry]] = []  # a heap of entries that wait before they are tried again
        self._numbers = count()  # first in, first out among equals
        self._size = 0

    def __len__(self) -> int:
        """How many entries are here, those that pause included."""
        return self._size

    @property
    def hosts(self) -> int:
        """How many hosts have entries here."""
        return len(self._queues)

    def add(self, entry: Entry, *, first: bool = False, due: float = 0.0) -> None:
        """Take an entry; `first` puts it before the others of its host, `due` is the moment before which it waits."""
        self._size += 1
        if due:
            heapq.heappush(self._paused, (due, next(self._numbers), entry))
            return
        queue = self._queues.setdefault(entry.host, deque())
        if first:
            queue.appendleft(entry)
        else:
            queue.append(entry)
        self.renew(entry.host)

    def open(self, host: str) -> None:
        """Give a host turns whose entries are elsewhere: `more` is asked for them."""
        self._queues.setdefault(host, deque())
        self.renew(host)

    def __contains__(self, host: str) -> bool:
        """Whether the host has its turns here."""
        return host in self._queues

    def next(self, now: float) -> Entry | None:
        """Return the next entry whose host may be asked now; `renew` is to follow once it was."""
        self._unpause(now)
        while self._turns and self._turns[0][0] <= now:
            host = heapq.heappop(self._turns)[2]
            self._listed.discard(host)
            ready = self._pace.ready_at(host)
            if ready > now:
                self._list(host, ready)
            elif (entry := self._taken(host)) is not None:
                return entry
        return None

    def renew(self, host: str) -> None:
        """Note that a host may have another turn: something was begun, has ended or come in."""
        if host in self._queues and host not in self._listed and host not in self._held:
            self._list(host, self._pace.ready_at(host))

    def hold(self, host: str) -> None:
        """Give this host no turn until it is let go."""
        self._held.add(host)

    def holds(self, host: str) -> bool:
        """Whether the host is given no turn."""
        return host in self._held

    def let_go(self, host: str) -> None:
        """Give this host its turns again."""
        self._held.discard(host)
        self.renew(host)

    def due(self) -> float:
        """Return the moment of the next turn, as monotonic() counts; inf where only the end of a request tells."""
        return min(self._turns[0][0] if self._turns else inf, self._paused[0][0] if self._paused else inf)

    def waiting(self) -> Iterator[tuple[str, int]]:
        """Yield the hosts with how many entries of each are here; 0 where only `more` knows of them."""
        return ((host, len(queue)) for host, queue in self._queues.items())

    def _list(self, host: str, ready: float) -> None:
        if ready < inf:
            self._listed.add(host)
            heapq.heappush(self._turns, (ready, next(self._numbers), host))

    def _taken(self, host: str) -> Entry | None:
        if host in self._held:
            return None
        queue = self._queues[host]
        if not queue:
            found = self._more(host)
            queue.extend(found)
            self._size += len(queue)
        if not queue:
            del self._queues[host]
            return None
        self._size -= 1
        return queue.popleft()

    def _unpause(self, now: float) -> None:
        while self._paused and self._paused[0][0] <= now:
            self._size -= 1
            self.add(heapq.heappop(self._paused)[2], first=True)
