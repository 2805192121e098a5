"""Which member of a cluster a host belongs to: by rendezvous hashing, so that few hosts move when one comes or goes."""

from collections import deque
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

__all__ = ["Placing", "leaders", "owner"]

_CHANGES = 64  # of the members that are remembered; a host that moved before has rested for long


def _weight(key: str, member: str) -> bytes:
    return blake2b(f"{member}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def owner(key: str, members: Iterable[str]) -> str | None:
    """Return the member that has the key; None where there is no member."""
    return max(members, key=lambda member: (_weight(key, member), member), default=None)


def leaders(key: str, members: Iterable[str], number: int) -> list[str]:
    """Return so many members, those that come first for the key: of them few change when a member comes or goes."""
    return sorted(members, key=lambda member: (_weight(key, member), member), reverse=True)[:number]


class Placing:
    """Know the members of one lane, and those that there were, so that what has moved is left alone for a while.

    Times are of one clock, in seconds. Used on one thread only.
    """

    def __init__(self) -> None:
        self.members: tuple[str, ...] = ()
        self._before: deque[tuple[float, tuple[str, ...]]] = deque(maxlen=_CHANGES)
        self._owner = lru_cache(65536)(self._find)

    def change(self, members: Sequence[str], at: float) -> None:
        """Note who the members are from now on; `at` is when the ones before have surely ended what they did."""
        found = tuple(sorted(members))
        if found != self.members:
            if self.members:
                self._before.append((at, self.members))
            self.members = found
            self._owner.cache_clear()

    def owner(self, key: str) -> str | None:
        """Return the member that has the key."""
        return self._owner(key)

    def not_before(self, key: str, rest: float) -> float:
        """Return from when on the owner may begin, if a key that moved rests for so many seconds."""
        now = self.owner(key)
        moved = [at for at, members in self._before if owner(key, members) != now]
        return max(moved) + rest if moved else 0.0

    def _find(self, key: str) -> str | None:
        return owner(key, self.members)
