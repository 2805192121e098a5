"""A ticket: one leased request on its way through the runner."""

from functools import cache

from ..caller.handed import Handed
from ..messages.request import Request
from ..settings import Retry
from .records import Attempt, Leased

__all__ = ["Ticket"]

_BODIES = ("data", "data_base64")


class Ticket:
    """Hold what the runner knows of a request until it has its result. Of the runner's loop only."""

    __slots__ = ("gone", "host", "lease", "request", "retry", "sent_at", "tried", "weight", "work")

    def __init__(self, lease: Leased, default_attempts: int) -> None:
        self.lease: Leased = lease
        self.host: str = lease.host
        self.tried: list[Attempt] = [_interrupted(each) for each in lease.attempts] if lease.attempts else []
        self.retry: Retry = _retry(lease.retry_attempts or default_attempts)
        self.request: Request | None = None  # made when it is first sent
        self.work: Handed | None = None  # while it is sent
        self.sent_at: float = 0.0  # when its last attempt went out
        self.gone: bool = False  # whether the lease was lost: what comes is nobody's
        self.weight: int = sum(len(lease.spec.get(name, "")) for name in _BODIES) if lease.spec else 0

    @property
    def sendings(self) -> int:
        """How many attempts count against the retry's limit: those that a process's end has cut do not."""
        return sum(1 for each in self.tried if each.outcome != "interrupted")

    def cancel(self) -> None:
        """Stop what is sent of it."""
        if self.work is not None:
            self.work.cancel()


@cache
def _retry(attempts: int) -> Retry:
    return Retry(attempts=attempts)


def _interrupted(attempt: Attempt) -> Attempt:
    if attempt.outcome is not None:
        return attempt
    return Attempt(number=attempt.number, worker=attempt.worker, started_at=attempt.started_at, outcome="interrupted")
