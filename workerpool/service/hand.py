"""The tickets in a runner's hands, by request and by job."""

from collections import defaultdict
from collections.abc import Iterator

from .records import Leased
from .ticket import Ticket

__all__ = ["Hand"]


class Hand:
    """Hold what was leased until it has its result, is given back or lost. Of the runner's loop."""

    def __init__(self) -> None:
        self._held: dict[int, Ticket] = {}
        self._of_job: defaultdict[str, set[Ticket]] = defaultdict(set)
        self.weight: int = 0  # bytes of bodies that are to be sent

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Ticket]:
        return iter(list(self._held.values()))

    def take(self, ticket: Ticket) -> None:
        """Take a ticket. One of the same request was lost, unnoticed: what is here of it is not to be sent."""
        self.abort(ticket.lease.key)
        self._held[ticket.lease.key] = ticket
        self._of_job[ticket.lease.job].add(ticket)
        self.weight += ticket.weight

    def let_go(self, lease: Leased) -> None:
        """Hold it no more, unless it was lost before: it may be here again."""
        ticket = self._held.get(lease.key)
        if ticket is None or ticket.lease.token != lease.token:
            return
        del self._held[lease.key]
        self.weight -= ticket.weight
        mates = self._of_job[ticket.lease.job]
        mates.discard(ticket)
        if not mates:
            del self._of_job[ticket.lease.job]

    def abort(self, key: int) -> None:
        """Stop a request whose lease was lost, if it is here."""
        ticket = self._held.get(key)
        if ticket is not None:
            self.lose(ticket)

    def abort_job(self, job: str) -> None:
        """Stop what is here of a job."""
        for ticket in list(self._of_job.get(job, ())):
            self.lose(ticket)

    def lose(self, ticket: Ticket) -> None:
        """Stop a ticket: whatever comes of it is nobody's."""
        ticket.gone = True
        self.let_go(ticket.lease)
        ticket.cancel()
