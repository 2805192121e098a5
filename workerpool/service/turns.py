"""The turns of a lane: which ticket may be sent next, by its host's pace, then by priority, then in order."""

import heapq
from collections.abc import Iterator
from itertools import count
from math import inf

from ..scraping.hosts import Hosts
from .ticket import Ticket

__all__ = ["Turns"]


class Turns:
    """Hold tickets that wait, and give them out. Of the runner's loop only.

    `common` knows each host's pace across all lanes, `own` what this lane adds to it.
    """

    def __init__(self, common: Hosts, own: Hosts | None) -> None:
        self._common = common
        self.own: Hosts | None = own
        self._queues: dict[str, list[tuple[int, int, Ticket]]] = {}  # a heap of each host
        self._turns: list[tuple[float, int, str]] = []  # a heap; a host is in it once at most
        self._listed: set[str] = set()
        self._held: set[str] = set()  # hosts whose rules are asked for
        self._paused: list[tuple[float, int, Ticket]] = []  # a heap of tickets that pause before they are tried again
        self._numbers = count()
        self.waiting: int = 0  # tickets that pause are not counted

    def add(self, ticket: Ticket, *, due: float | None = None) -> None:
        """Take a ticket; `due` is the moment before which it waits."""
        if due is not None:
            heapq.heappush(self._paused, (due, next(self._numbers), ticket))
            return
        self.waiting += 1
        lease = ticket.lease
        heapq.heappush(self._queues.setdefault(ticket.host, []), (-lease.priority, lease.key, ticket))
        self.renew(ticket.host)

    def next(self, now: float) -> Ticket | None:
        """Return the next ticket whose host may be asked now; `renew` is to follow once it was."""
        while self._paused and self._paused[0][0] <= now:
            self.add(heapq.heappop(self._paused)[2])
        while self._turns and self._turns[0][0] <= now:
            host = heapq.heappop(self._turns)[2]
            self._listed.discard(host)
            ready = self._ready_at(host)
            if ready > now:
                self._list(host, ready)
            elif (ticket := self._taken(host)) is not None:
                return ticket
        return None

    def renew(self, host: str) -> None:
        """Note that a host may have another turn: something was begun, has ended or come in."""
        if host in self._queues and host not in self._listed and host not in self._held:
            self._list(host, self._ready_at(host))

    def renew_all(self) -> None:
        """Note that every host may have another turn: the lane's limits are others now."""
        self._turns.clear()
        self._listed.clear()
        for host in self._queues:
            self.renew(host)

    def hold(self, host: str) -> None:
        """Give this host no turn until it is let go."""
        self._held.add(host)

    def let_go(self, host: str) -> None:
        """Give this host its turns again."""
        self._held.discard(host)
        self.renew(host)

    def due(self) -> float:
        """Return the moment of the next turn; inf where only the end of a request tells."""
        return min(self._turns[0][0] if self._turns else inf, self._paused[0][0] if self._paused else inf)

    def hosts(self) -> Iterator[tuple[str, int]]:
        """Yield hosts with how many tickets of each wait."""
        return ((host, len(queue)) for host, queue in self._queues.items())

    def tickets(self) -> Iterator[Ticket]:
        """Yield all tickets that are here."""
        for queue in self._queues.values():
            yield from (ticket for _priority, _key, ticket in queue)
        yield from (ticket for _due, _number, ticket in self._paused)

    def withdraw(self, host: str) -> list[Ticket]:
        """Take out all that waits for a host."""
        found = [ticket for _priority, _key, ticket in self._queues.pop(host, [])]
        self.waiting -= len(found)
        return found

    def standing(self, host: str, now: float) -> tuple[str, float]:
        """Return what a host's next request waits for, and for how many seconds, as far as that is known."""
        if host in self._held:
            return "robots", 0.0
        cause, seconds = self._common.standing(host, now)
        return (cause, seconds) if cause or self.own is None else self.own.standing(host, now)

    def _ready_at(self, host: str) -> float:
        ready = self._common.ready_at(host)
        return ready if self.own is None else max(ready, self.own.ready_at(host))

    def _list(self, host: str, ready: float) -> None:
        if ready < inf:
            self._listed.add(host)
            heapq.heappush(self._turns, (ready, next(self._numbers), host))

    def _taken(self, host: str) -> Ticket | None:
        queue = self._queues.get(host)
        while queue:
            ticket = heapq.heappop(queue)[2]
            self.waiting -= 1
            if not queue:
                del self._queues[host]
            if not ticket.gone:
                return ticket
        return None
