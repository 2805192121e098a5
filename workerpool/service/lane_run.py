"""A lane of the service while it runs: its limits, what waits in it, what is under way."""

from collections import deque
from collections.abc import Iterable, Iterator
from time import monotonic

from ..policies.pace import Pace
from ..scraping.hosts import Hosts
from ..scraping.politeness import Politeness
from ..settings import Rate
from .records import LaneSettings
from .ticket import Ticket
from .turns import Turns

__all__ = ["LaneRun"]

_NO_LIMIT = 1000  # requests at a time of a lane without a limit of its own
_MANY = 50  # from so many on others are stored while these are under way: the disk is not waited for
_AHEAD = 300  # as many at least: what is sent while one transaction goes to disk
_FEW = 8  # for fewer tickets the store is not asked
_LEAST = 16  # tickets that wait at least: so many are leased at a time
_OF_A_HOST = 64  # tickets of one host that wait at most, so that others come in


class LaneRun:
    """Say what of a lane may be sent, and how much more is to be leased. Of the runner's loop only."""

    def __init__(self, settings: LaneSettings, common: Hosts) -> None:
        self.settings: LaneSettings = settings
        self._common = common
        self.turns: Turns = Turns(common, _own(settings))
        self._pace = None if settings.rate is None else Pace(Rate(settings.rate))
        self.under_way: set[Ticket] = set()  # chosen, and without an answer
        self.stored: deque[Ticket] = deque()  # of these, what is stored and waits for a place
        self.sent: int = 0
        self.is_rung = True  # whether there may be something new, which may go before all that waits
        self.is_dry = False  # whether the store had nothing more, when it was asked last
        self.is_storing = False  # whether sendings are being stored

    def set(self, settings: LaneSettings) -> None:
        """Go by these settings from now on."""
        if settings == self.settings:
            return
        if settings.rate != self.settings.rate:
            self._pace = None if settings.rate is None else Pace(Rate(settings.rate))
        self.settings = settings
        own, now = _own(settings), monotonic()
        if own is not None:
            for ticket in self.under_way:
                own.started(ticket.host, now)
        self.turns.own = own
        self.turns.renew_all()

    @property
    def is_full(self) -> bool:
        """Whether as much is under way as may be."""
        most = self.settings.connections or _NO_LIMIT
        return len(self.under_way) >= most + (max(most, _AHEAD) if most >= _MANY else 0)

    def ready(self) -> Iterator[Ticket]:
        """Yield what is stored and may be sent at once: it counts as sent from then on."""
        while self.stored and self.sent < (self.settings.connections or _NO_LIMIT):
            self.sent += 1
            yield self.stored.popleft()

    def next(self, now: float) -> Ticket | None:
        """Return what may be sent now; it counts as under way from then on, until `end`."""
        if self.settings.paused or self.is_full or (self._pace is not None and self._pace.wait(now) > 0):
            return None
        ticket = self.turns.next(now)
        if ticket is None:
            return None
        if self._pace is not None:
            self._pace.reserve(now)
        self.under_way.add(ticket)
        self._common.started(ticket.host, now)
        if self.turns.own is not None:
            self.turns.own.started(ticket.host, now)
        self.turns.renew(ticket.host)
        return ticket

    def unsend(self, ticket: Ticket, now: float) -> None:
        """Take back what `next` has given: it was not sent."""
        if ticket in self.under_way:
            self.end(ticket, now)
            self._common.ended(ticket.host, now)

    def end(self, ticket: Ticket, now: float) -> None:
        """Note that a ticket is no longer under way; the common pace is told by whoever knows what came."""
        self.under_way.discard(ticket)
        if self.turns.own is not None:
            self.turns.own.ended(ticket.host, now)

    def due(self, now: float) -> float:
        """Return the moment from which something may be sent."""
        if self.settings.paused or self.is_full:
            return float("inf")
        wait = 0.0 if self._pace is None else self._pace.wait(now)
        return max(self.turns.due(), now + wait)

    def room(self) -> int:
        """Return how many tickets more are to wait here."""
        if self.settings.paused:
            return 0
        return max(_LEAST, min(3 * (self.settings.connections or _NO_LIMIT), _NO_LIMIT)) - self.turns.waiting

    def is_worth_it(self, room: int) -> bool:
        """Whether the store is to be asked for so many tickets: for many at a time, unless something is new there."""
        return not self.is_dry and (self.is_rung or room >= max(_FEW, min(self.turns.waiting, _MANY)))

    def full_hosts(self) -> Iterable[str]:
        """Return hosts of which enough tickets wait here."""
        most = max(_OF_A_HOST, 2 * self.settings.connections)
        return (host for host, number in self.turns.hosts() if number >= most)


def _own(settings: LaneSettings) -> Hosts | None:
    """Return what a lane has of limits per host; None where it has none."""
    if not settings.per_host and settings.per_host_rate is None:
        return None
    return Hosts(Politeness(
        per_host=settings.per_host, per_host_rate=settings.per_host_rate, respect_retry_after=False, breaker_failures=0
    ))  # fmt: skip
