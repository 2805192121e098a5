"""Who has what of the queue: in memory, since one process has the file, and whoever opens it begins without leases."""

from collections.abc import Iterable
from itertools import count
from math import inf
from typing import NamedTuple

__all__ = ["Lease", "Leases"]


class Lease(NamedTuple):
    """One request in a runner's hands. `begun` is whether a sending was stored since it has it."""

    token: int
    until: float
    begun: bool = False


class Leases:
    """Hold the leases by the queue's key. Of the writer's thread, but for `next_end`.

    What a transaction has changed here is undone with it.
    """

    def __init__(self) -> None:
        self._held: dict[int, Lease] = {}
        self._before: list[tuple[int, Lease | None]] = []  # of this transaction, in the order of its steps
        self._tokens = count(1)
        self.next_end: float = inf  # before that none ends; read from any thread

    def __contains__(self, key: int) -> bool:
        return key in self._held

    def give(self, key: int, until: float) -> int:
        """Make a lease, and return its fencing token."""
        token = next(self._tokens)
        self.put(key, Lease(token, until))
        self.next_end = min(self.next_end, until)
        return token

    def find(self, key: int, token: int) -> Lease | None:
        """Return the lease; None if it is lost."""
        found = self._held.get(key)
        return found if found is not None and found.token == token else None

    def put(self, key: int, lease: Lease) -> None:
        """Set a lease in place of what was there."""
        self._before.append((key, self._held.get(key)))
        self._held[key] = lease

    def drop(self, key: int) -> None:
        """End a lease, if there is one."""
        if key in self._held:
            self._before.append((key, self._held.pop(key)))

    def drop_range(self, first: int, last: int) -> None:
        """End the leases of these keys."""
        for key in [key for key in self._held if first <= key <= last]:
            self.drop(key)

    def late(self, now: float) -> Iterable[tuple[int, Lease]]:
        """Return leases that were not kept in time."""
        found = [(key, lease) for key, lease in self._held.items() if lease.until < now]
        self.next_end = min((lease.until for lease in self._held.values() if lease.until >= now), default=inf)
        return found

    def mark(self) -> int:
        """Return where in the transaction it stands, for `undo`."""
        return len(self._before)

    def undo(self, mark: int = 0) -> None:
        """Have it as it was then, or before the transaction."""
        while len(self._before) > mark:
            key, lease = self._before.pop()
            if lease is None:
                self._held.pop(key, None)
            else:
                self._held[key] = lease
                self.next_end = min(self.next_end, lease.until)

    def keep(self) -> None:
        """Note that the transaction is on disk."""
        self._before.clear()
