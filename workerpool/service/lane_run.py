"""A lane of the service while it runs: its limits, what waits in it, what is under way."""

from collections.abc import Iterable
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
_LEAST = 16  # tickets that wait at least: so many are leased at a time
_OF_A_HOST = 64  # tickets of one host that wait at most, so that others come in


class LaneRun:
    """Say what of a lane may be sent, and how much more is to be leased. Of the runner's loop only."""

    def __init__(self, settings: LaneSettings, common: Hosts) -> None:
        self.settings = settings
        self._common = common
        self.turns = Turns(common, Hosts(_politeness(settings)))
        self._pace = None if settings.rate is None else Pace(Rate(settings.rate))
        self.under_way: set[Ticket] = set()
        self.is_dry = False  # whether the store had nothing more, when it was asked last

    def set(self, settings: LaneSettings) -> None:
        """Go by these settings from now on."""
        if settings == self.settings:
            return
        if settings.rate != self.settings.rate:
            self._pace = None if settings.rate is None else Pace(Rate(settings.rate))
        self.settings = settings
        self.turns.own = Hosts(_politeness(settings))
        now = monotonic()
        for ticket in self.under_way:
            self.turns.own.started(ticket.host, now)
        self.turns.renew_all()

    @property
    def is_full(self) -> bool:
        """Whether as much is under way as may be."""
        return len(self.under_way) >= (self.settings.connections or _NO_LIMIT)

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
        return max(_LEAST, min(self.settings.connections or _NO_LIMIT, _NO_LIMIT)) - self.turns.waiting

    def full_hosts(self) -> Iterable[str]:
        """Return hosts of which enough tickets wait here."""
        return (host for host, number in self.turns.hosts() if number >= max(_OF_A_HOST, self.settings.connections))


def _politeness(settings: LaneSettings) -> Politeness:
    return Politeness(
        per_host=settings.per_host, per_host_rate=settings.per_host_rate, respect_retry_after=False, breaker_failures=0
    )
