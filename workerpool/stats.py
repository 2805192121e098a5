"""One frozen snapshot of the pool's numbers, for the person at three in the morning."""

from dataclasses import dataclass

__all__ = ["LaneStats", "PoolStats", "WorkerStats"]


@dataclass(frozen=True, slots=True)
class LaneStats:
    """The numbers of one lane over all workers; what is submitted and in no other count is on its way."""

    name: str
    submitted: int
    succeeded: int
    failed: int
    cancelled: int
    in_flight: int
    queued: int
    attempts: int


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
