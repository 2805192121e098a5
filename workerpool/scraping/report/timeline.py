"""What happened when, at a resolution that is halved as often as the time grows."""

from collections.abc import Iterator
from math import floor

__all__ = ["Moment", "Timeline"]

_FINEST = 0.25  # seconds
_STANDSTILL = 60.0  # seconds without a sign of the run after which it counts as stopped, not as slow


class Moment:
    """What happened within one step of time; sums over `looks` of what was only looked at."""

    __slots__ = ("bytes", "causes", "failed", "fetched", "in_flight", "looks", "skipped")

    def __init__(self) -> None:
        self.fetched: int = 0
        self.failed: int = 0
        self.skipped: int = 0
        self.bytes: int = 0
        self.looks: int = 0
        self.in_flight: int = 0
        self.causes: dict[str, int] = {}

    @property
    def done(self) -> int:
        """How many outcomes came."""
        return self.fetched + self.failed + self.skipped

    def join(self, other: "Moment") -> None:
        """Add what happened in another one."""
        for name in ("fetched", "failed", "skipped", "bytes", "looks", "in_flight"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for cause, hosts in other.causes.items():
            self.causes[cause] = self.causes.get(cause, 0) + hosts


class Timeline:
    """Keep moments of equal width, `most` at most; where there would be more, two become one."""

    def __init__(self, most: int = 2000) -> None:
        self.width: float = _FINEST
        self._most = most
        self._moments: dict[int, Moment] = {}

    def __len__(self) -> int:
        return len(self._moments)

    def at(self, time: float) -> Moment:
        """Return the moment that this time, in seconds since the epoch, lies in."""
        moment = self._moments.get(floor(time / self.width))
        if moment is None:
            while len(self._moments) >= self._most:
                self.width, self._moments = 2 * self.width, _halved(self._moments)
            moment = self._moments.setdefault(floor(time / self.width), Moment())
        return moment

    @property
    def under_way(self) -> float:
        """Seconds that the run was under way."""
        return self.width * sum(moment is not None for _, moment in _steps(self._moments, self.width))

    def points(self, most: int, outcomes: int = 4) -> tuple[float, list[tuple[float, Moment | None]]]:
        """Return the width of a step and `most` steps at most, with their beginnings; None where the run stood still.

        Steps are wide enough that there are so many `outcomes` in each, on average, but for runs of few.
        """
        width, moments = self.width, self._moments
        done = sum(moment.done for moment in moments.values())
        while (count := len(found := list(_steps(moments, width)))) > most or (count > 40 and done < outcomes * count):
            width, moments = 2 * width, _halved(moments)
        return width, found


def _halved(moments: dict[int, Moment]) -> dict[int, Moment]:
    found: dict[int, Moment] = {}
    for number, moment in moments.items():
        found.setdefault(number // 2, Moment()).join(moment)
    return found


def _steps(moments: dict[int, Moment], width: float) -> Iterator[tuple[float, Moment | None]]:
    last: int | None = None
    for number in sorted(moments):
        if last is not None and (number - last - 1) * width > max(_STANDSTILL, 4 * width):
            yield (last + 1) * width, None
        elif last is not None:
            yield from ((empty * width, Moment()) for empty in range(last + 1, number))
        yield number * width, moments[number]
        last = number
