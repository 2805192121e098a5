"""Routing: which worker takes a job. It follows from the lane, nobody sets it."""

from collections.abc import Sequence
from random import Random
from zlib import crc32

from ..handover.job import Work
from ..lane import Lane
from ..transport import Environment
from ..worker.dispatcher import Dispatcher
from ..worker.thread import Worker

__all__ = ["Route", "shares"]

_ALL = 4  # workers that are all compared; of more, two
_random = Random()  # not the global one: a program may have seeded that


class Route:
    """One lane and the workers that serve it; `group` is what its numbers count under once it is closed."""

    __slots__ = ("_by_host", "_turn", "dispatchers", "group", "lane", "workers")

    def __init__(
        self, lane: Lane, environment: Environment, workers: Sequence[Worker], group: str | None = None
    ) -> None:
        self.lane: Lane = lane
        self.group: str = group or lane.name
        self.workers: tuple[Worker, ...] = tuple(workers[: serving(lane, len(workers))])
        places = shares(lane.connections, len(self.workers))
        rooms = shares(lane.queue, len(self.workers))
        self.dispatchers: tuple[Dispatcher, ...] = tuple(
            worker.open_lane(lane, place, room, environment, self._forward)
            for worker, place, room in zip(self.workers, places, rooms, strict=True)
        )
        self._by_host = lane.by_host
        self._turn = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way or waits. From any thread."""
        # What has ended is read first: what is submitted in between is not taken for ended.
        settled = sum(dispatcher.tally.settled for dispatcher in self.dispatchers)
        return settled >= sum(dispatcher.tally.submitted for dispatcher in self.dispatchers)

    def choose(self, work: Work) -> Dispatcher:
        """Return the dispatcher for the work: by host where limits count per host, else the least busy worker's.

        From any thread; the pool asks under its lock, so that a burst of work is shared out evenly.
        """
        if len(self.dispatchers) == 1:
            return self.dispatchers[0]
        if self._by_host and work.host:
            return self.dispatchers[crc32(work.host.encode()) % len(self.dispatchers)]
        number = len(self.workers)
        if number > _ALL:
            # The better of two, one chosen by turns and one by chance, does nearly as well as the best of all
            # (M. Mitzenmacher, "The power of two choices"), and a submit costs the same however many there are.
            self._turn = (self._turn + 1) % number
            return self.dispatchers[min(self._turn, _random.randrange(number), key=self._burden)]
        return self.dispatchers[min(range(number), key=self._burden)]

    def limit(self, connections: int) -> None:
        """Share out so many connections from now on, at least one for each dispatcher. From any thread."""
        for dispatcher, places in zip(self.dispatchers, shares(connections, len(self.dispatchers)), strict=True):
            dispatcher.limit(places)

    def delay(self, host: str) -> float:
        """Return the seconds that the host's robots.txt asks for between two requests. From any thread."""
        return max(dispatcher.delay(host) for dispatcher in self.dispatchers)

    def _burden(self, index: int) -> tuple[bool, int]:
        loop = self.workers[index].loop
        return loop.blocked, loop.load

    def _forward(self, work: Work) -> None:
        """Send work on that a redirect has led to another host: like a new submission, with its history."""
        self.choose(work).admit(work)


def serving(lane: Lane, workers: int) -> int:
    """Return how many of the workers serve the lane.

    Never more than there are connections or places in the queue to share out.
    """
    if lane.in_one_place:
        return 1
    return min(workers, lane.connections or workers, lane.queue or workers)


def shares(total: int, parts: int) -> list[int]:
    """Split a limit into parts that add up to it; 0, no limit, stays 0 everywhere."""
    return [total // parts + (part < total % parts) for part in range(parts)]
