"""robots.txt for the runner: which tickets wait for their origin's rules, and which these refuse."""

import asyncio

from ..caller.pool import WorkerPool
from ..errors import WorkerPoolError
from ..messages.request import Request
from ..messages.response import Response
from ..scraping.entry import Entry
from ..scraping.gate import Gate
from ..scraping.item import Item
from ..scraping.politeness import Politeness
from ..scraping.telling import Telling
from .records import Failure
from .ticket import Ticket

__all__ = ["Rules"]


class _Asked(Entry):
    """A ticket as the gate knows it."""

    __slots__ = ("ticket",)

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(ticket.lease.n, Item(url=ticket.lease.url))
        self.ticket = ticket


class Rules:
    """Keep to robots.txt where the politeness says so. Of the runner's loop only."""

    def __init__(self, politeness: Politeness, pool: WorkerPool) -> None:
        self._gate = Gate(politeness, Telling(politeness))
        self._pool = pool
        self._obeyed = politeness.robots
        self._first: dict[int, _Asked] = {}  # by the key of the ticket for which rules are asked

    def lets(self, ticket: Ticket) -> bool:
        """Whether the rules of its origin are known, or need not be."""
        return not self._obeyed or self._gate.lets(_Asked(ticket))

    def hold(self, ticket: Ticket) -> Request | None:
        """Keep the ticket until its origin's rules are there; returns what `ask` is to be called with, if it is."""
        entry = _Asked(ticket)
        request = self._gate.hold(entry)
        if request is not None:
            self._first[ticket.lease.key] = entry
        return request

    def refusal(self, ticket: Ticket) -> Failure | None:
        """Return why it may not be asked for, or None."""
        if not self._obeyed:
            return None
        entry = _Asked(ticket)
        reason = self._gate.reason(entry)
        if reason is None:
            return None
        return Failure(type="Forbidden", stage="queued", message=f"not sent: {reason} of {entry.origin} is against it")

    async def ask(self, first: Ticket, request: Request) -> tuple[list[Ticket], float]:
        """Ask for the rules; returns the tickets that have waited, and the seconds that are to be between two."""
        entry = self._first.pop(first.lease.key)
        found: Request | list[Entry] = request
        while isinstance(found, Request):
            try:
                answer: Response | WorkerPoolError = await asyncio.wrap_future(self._pool.submit(found))
            except WorkerPoolError as exc:
                answer = exc
            found = self._gate.open(entry, answer)
        return [each.ticket for each in found if isinstance(each, _Asked)], self._gate.delay(entry)
