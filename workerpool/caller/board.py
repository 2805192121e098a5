"""What the verbs need of whoever takes work on: the switchboard of a pool's threads, or that of a cluster."""

from typing import Any, Protocol

from ..handover.job import Work
from ..handover.link import Link
from ..lane import Lane

__all__ = ["Board", "Way"]


class Way(Protocol):
    """Where the work of one lane goes."""

    lane: Lane


class Board(Protocol):
    """Take work on, from any thread."""

    name: str

    def post(self, route: Any, work: Work, *, block: bool = True) -> None:
        """Hand work over; raises QueueFull, PoolClosed, or what forbids it."""

    def keep_open(self, link: Link) -> None:
        """Note a WebSocket that is closed in order at the end."""
