"""What is told of each host, of the busiest only where there are too many."""

from heapq import nlargest
from math import log
from operator import attrgetter

from ..past import Past
from .histogram import Histogram

__all__ = ["HostFigures", "HostTable"]

_MARKS = 2**20


class HostFigures:
    """Count what became of the items of one host."""

    __slots__ = ("bytes", "count", "host", "kinds", "took")

    def __init__(self, host: str) -> None:
        self.host: str = host
        self.count: int = 0
        self.bytes: int = 0
        self.kinds: dict[str, int] = {}  # 2xx to 5xx, failed, skipped
        self.took: Histogram = Histogram()

    @property
    def bad(self) -> int:
        """How many have failed, or brought an error."""
        return sum(self.kinds.get(kind, 0) for kind in ("4xx", "5xx", "failed"))

    @property
    def slow(self) -> float:
        """Seconds that all but one answer in twenty stay within."""
        return self.took.percentile(0.95)

    def add(self, past: Past) -> None:
        """Count an outcome."""
        kind = f"{past.status // 100}xx" if past.verdict == "fetched" and past.status else past.verdict
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.count += 1
        self.bytes += past.bytes or 0


class HostTable:
    """Keep the figures of hosts. Of more than `most` the half with the fewest outcomes is put together as others."""

    def __init__(self, most: int = 4000) -> None:
        self._most = most
        self._hosts: dict[str, HostFigures] = {}
        self._seen = bytearray(_MARKS // 8)  # a mark for each host, where its hash has it
        self.others: int = 0  # outcomes of hosts that are told apart no longer

    def __len__(self) -> int:
        return len(self._hosts)

    @property
    def known(self) -> int:
        """How many hosts there are: exactly while all are told apart, then within a percent or so, of a few million."""
        if not self.others:
            return len(self._hosts)
        return round(-_MARKS * log(max(_MARKS - int.from_bytes(self._seen).bit_count(), 1) / _MARKS))

    def add(self, past: Past) -> HostFigures:
        """Count an outcome; returns the figures of its host."""
        known = self._hosts.get(past.host)
        if known is None:
            if len(self._hosts) >= self._most:
                self._put_together()
            known = self._hosts[past.host] = HostFigures(past.host)
            mark = hash(past.host) % _MARKS
            self._seen[mark // 8] |= 1 << mark % 8
        known.add(past)
        return known

    def busiest(self, number: int) -> list[HostFigures]:
        """Return those with the most outcomes."""
        return nlargest(number, self._hosts.values(), key=attrgetter("count"))

    def slowest(self, number: int) -> list[HostFigures]:
        """Return those with the slowest answers."""
        answered = [each for each in self._hosts.values() if each.took.count]
        return nlargest(number, answered, key=attrgetter("slow"))

    def worst(self, number: int) -> list[HostFigures]:
        """Return those with the most errors."""
        return nlargest(number, (each for each in self._hosts.values() if each.bad), key=attrgetter("bad"))

    def _put_together(self) -> None:
        keep = {each.host for each in self.busiest(self._most // 2)}
        gone = [each for each in self._hosts.values() if each.host not in keep]
        self.others += sum(each.count for each in gone)
        self._hosts = {host: each for host, each in self._hosts.items() if host in keep}
