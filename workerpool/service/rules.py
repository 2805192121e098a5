"""robots.txt for the runner: which tickets wait for their origin's rules, and which these refuse."""

import asyncio

from ..caller.pool import WorkerPool
from ..errors import WorkerPoolError
from ..messages.request import Request
from ..messages.response import Response
from ..scraping.gate import Gate
from ..scraping.politeness import Politeness
from ..scraping.telling import Telling
from .records import Failure
from .ticket import Ticket

__all__ = ["Rules"]


class Rules:
    """Keep to robots.txt where the politeness says so. Of the runner's loop only."""

    def __init__(self, politeness: Politeness, pool: WorkerPool) -> None:
        self._gate = Gate(politeness, Telling(politeness))
        self._pool = pool
        self._obeyed = politeness.robots

    def lets(self, ticket: Ticket) -> bool:
        """Whether the rules of its origin are known, or need not be."""
        return not self._obeyed or self._gate.lets(ticket)

    def hold(self, ticket: Ticket) -> Request | None:
        """Keep the ticket until its origin's rules are there; returns what `ask` is to be called with, if it is."""
        return self._gate.hold(ticket)

    def refusal(self, ticket: Ticket) -> Failure | None:
        """Return why it may not be asked for, or None."""
        if not self._obeyed:
            return None
        reason = self._gate.reason(ticket)
        if reason is None:
            return None
        return Failure(type="Forbidden", stage="queued", message=f"not sent: {reason} of {ticket.origin} is against it")

    async def ask(self, first: Ticket, request: Request) -> tuple[list[Ticket], float]:
        """Ask for the rules; returns the tickets that have waited, and the seconds that are to be between two."""
        found: Request | list[Ticket] = request
        while isinstance(found, Request):
            try:
                answer: Response | WorkerPoolError = await asyncio.wrap_future(self._pool.submit(found))
            except WorkerPoolError as exc:
                answer = exc
            found = self._gate.open(first, answer)  # type: ignore[assignment]  # of tickets, which were held here
        return found, self._gate.delay(first)
