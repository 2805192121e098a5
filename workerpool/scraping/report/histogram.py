"""How seconds spread, in memory that does not grow with how many there are."""

from math import floor, log10

__all__ = ["Histogram", "edge", "step_of"]

_STEPS = 20  # classes in a decade: what a percentile tells is right within 6 %
_LEAST = 1e-4  # seconds; what is less counts as that


class Histogram:
    """Count seconds by classes of 12 % width; the sum and the most are exact."""

    __slots__ = ("classes", "count", "most", "sum")

    def __init__(self) -> None:
        self.classes: dict[int, int] = {}
        self.count: int = 0
        self.sum: float = 0.0
        self.most: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.add_at(step_of(seconds), seconds)

    def add_at(self, step: int, seconds: float) -> None:
        """Count one whose class is known: finding it is the most of the work."""
        self.classes[step] = self.classes.get(step, 0) + 1
        self.count += 1
        self.sum += seconds
        if seconds > self.most:
            self.most = seconds

    def percentile(self, part: float) -> float:
        """Return the seconds that this part of all, 0 to 1, do not pass; 0 of nothing."""
        if part >= 1:
            return self.most
        left = part * self.count
        for step in sorted(self.classes):
            left -= self.classes[step]
            if left <= 0:
                return min(edge(step + 0.5), self.most)
        return self.most

    def decades(self) -> tuple[float, float, list[int]]:
        """Return from where to where it spreads, in whole decades, and the counts of the equal steps between."""
        if not self.classes:
            return 0.0, 0.0, []
        first, last = min(self.classes) // _STEPS, max(self.classes) // _STEPS + 1
        counts = [self.classes.get(step, 0) for step in range(first * _STEPS, last * _STEPS)]
        return edge(first * _STEPS), edge(last * _STEPS), counts


def step_of(seconds: float) -> int:
    """Return the class that seconds are of."""
    return floor(_STEPS * log10(seconds / _LEAST)) if seconds > _LEAST else 0


def edge(step: float) -> float:
    """Return the seconds with which a class begins."""
    return float(_LEAST * 10 ** (step / _STEPS))
