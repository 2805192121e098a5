"""One frozen snapshot of the pool's numbers, for the person at three in the morning."""

from collections.abc import Iterable
from itertools import accumulate
from typing import Self

from .values import dataclass

__all__ = ["Durations", "LaneStats", "PoolStats", "WorkerStats"]

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


@dataclass(frozen=True, slots=True)
class Durations:
    """How long jobs took from submit to outcome, in classes: `counts[i]` of them at most `bounds[i]` seconds.

    The last of the counts is of those that took longer than every bound; `total` is the sum in seconds.
    """

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    total: float = 0.0
    bounds: tuple[float, ...] = BOUNDS

    @classmethod
    def sum(cls, parts: "Iterable[Durations]") -> "Durations":
        """Return what the parts come to together."""
        parts = tuple(parts)
        if not parts:
            return cls()
        return cls(tuple(map(sum, zip(*(part.counts for part in parts), strict=True))), sum(p.total for p in parts))

    @property
    def count(self) -> int:
        """How many jobs were measured."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """The mean in seconds, 0 if there is none."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Return the seconds within which that share of the jobs (0 to 1) ended, as exact as the classes are.

        Interpolates within a class, as Prometheus does; 0 if there are no jobs, infinite beyond the last bound.
        """
        rank = share * self.count
        below, low = 0, 0.0
        for bound, sum_so_far in zip(self.bounds, accumulate(self.counts), strict=False):
            if sum_so_far >= rank and sum_so_far > below:
                return low + (bound - low) * (rank - below) / (sum_so_far - below)
            below, low = sum_so_far, bound
        return float("inf") if self.count else 0.0


@dataclass(frozen=True, slots=True)
class LaneStats:
    """The numbers of one lane over all workers; what is submitted and in no other count is on its way.

    Work that a full queue refuses was not submitted.

    `group` is what lanes of one kind have in common: "session" for sessions, for any other the name of its lane.
    `direct` is how many of the attempts went out on a connection there, with no task and no object of aiohttp's.
    """

    name: str
    submitted: int
    succeeded: int
    failed: int
    cancelled: int
    in_flight: int
    queued: int
    attempts: int
    durations: Durations
    group: str
    direct: int = 0

    def plus(self, other: Self) -> "LaneStats":
        """Return the numbers of both, under the name of this one."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in COUNTS}
        durations = Durations.sum((self.durations, other.durations))
        return LaneStats(name=self.name, group=self.group, durations=durations, **sums)


COUNTS = ("submitted", "succeeded", "failed", "cancelled", "in_flight", "queued", "attempts", "direct")


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """The numbers of one worker; `losses` counts loops that were lost and replaced, `blocked` by code of the user's."""

    name: str
    alive: bool
    blocked: bool
    losses: int
    in_flight: int
    queued: int


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The numbers of one pool."""

    name: str
    state: str
    lanes: tuple[LaneStats, ...]
    workers: tuple[WorkerStats, ...]

    @property
    def submitted(self) -> int:
        """Jobs accepted so far."""
        return sum(lane.submitted for lane in self.lanes)

    @property
    def succeeded(self) -> int:
        """Jobs that ended with a result."""
        return sum(lane.succeeded for lane in self.lanes)

    @property
    def failed(self) -> int:
        """Jobs that ended with an error."""
        return sum(lane.failed for lane in self.lanes)

    @property
    def cancelled(self) -> int:
        """Jobs that were cancelled."""
        return sum(lane.cancelled for lane in self.lanes)

    @property
    def completed(self) -> int:
        """Jobs that ended, one way or another."""
        return self.succeeded + self.failed + self.cancelled

    @property
    def in_flight(self) -> int:
        """Jobs that a worker is at."""
        return sum(lane.in_flight for lane in self.lanes)

    @property
    def queued(self) -> int:
        """Jobs that wait for a place."""
        return sum(lane.queued for lane in self.lanes)

    def lane(self, name: str) -> LaneStats:
        """Return the numbers of one lane; raises KeyError."""
        for lane in self.lanes:
            if lane.name == name:
                return lane
        raise KeyError(name)
