"""Which worker takes a job: it follows from the lane, nobody sets it."""

from collections.abc import Sequence
from zlib import crc32

from .dispatcher import Dispatcher
from .job import Work
from .lane import Lane
from .worker import Worker

__all__ = ["Route", "shares"]


class Route:
    """One lane and the workers that serve it; `group` is what its numbers count under once it is closed."""

    __slots__ = ("_by_host", "dispatchers", "group", "lane", "workers")

    def __init__(self, lane: Lane, workers: Sequence[Worker], group: str | None = None) -> None:
        self.lane = lane
        self.group = group or lane.name
        self.workers = tuple(workers[: serving(lane, len(workers))])
        places = shares(lane.connections, len(self.workers))
        rooms = shares(lane.queue, len(self.workers))
        self.dispatchers = tuple(
            worker.serve(lane, place, room) for worker, place, room in zip(self.workers, places, rooms, strict=True)
        )
        self._by_host = lane.by_host
        for dispatcher in self.dispatchers:
            dispatcher.set_owner_of(self.choose)

    def choose(self, work: Work) -> Dispatcher:
        """Return the dispatcher for the work: by host where limits count per host, else the least busy worker's.

        From any thread; the pool asks under its lock, so that a burst of work is shared out evenly.
        """
        if len(self.dispatchers) == 1:
            return self.dispatchers[0]
        if self._by_host and work.host:
            return self.dispatchers[crc32(work.host.encode()) % len(self.dispatchers)]
        loads = [(worker.blocked, worker.load) for worker in self.workers]
        return self.dispatchers[loads.index(min(loads))]


def serving(lane: Lane, workers: int) -> int:
    """Return how many of the workers serve the lane.

    One for a lane with state, which behaves as one browser, and for one with a rate, which is exact only
    in one place; never more than there are connections or places in the queue to share out.
    """
    if lane.stateful or lane.rate is not None:
        return 1
    return min(workers, lane.connections or workers, lane.queue or workers)


def shares(total: int, parts: int) -> list[int]:
    """Split a limit into parts that add up to it; 0, no limit, stays 0 everywhere."""
    return [total // parts + (part < total % parts) for part in range(parts)]
