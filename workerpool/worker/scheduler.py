"""The scheduler of one lane on one worker: which of its work may start next."""

from collections import deque
from collections.abc import Callable
from time import monotonic

from ..handover.inbox import Inbox
from ..handover.job import Work
from ..lane import Lane
from ..policies.host_limits import HostLimits
from ..policies.pace import Pace
from ..settings import Rate

__all__ = ["Scheduler"]


class Scheduler:
    """Hand out what waits, in its order, as far as the lane's rates and its limits per host allow.

    Used on the worker's loop only, but for `admit`, `waits_for` and its length. `drop` is told of work that was decided
    while it waited.
    """

    def __init__(self, lane: Lane, inbox: Inbox, drop: Callable[[Work], object]) -> None:
        self._lane = lane
        self._inbox = inbox
        self._drop = drop
        self._pace = None if lane.rate is None else Pace(lane.rate)
        self._hosts = HostLimits(lane.per_host, lane.per_host_rate, drop) if lane.by_host else None
        self.due_in: float | None = None  # see `next`
        self._moved: deque[Work] = deque()  # redirected to a host that is counted here; added to by any thread

    def __len__(self) -> int:
        return len(self._inbox) + len(self._moved) + (0 if self._hosts is None else self._hosts.parked)

    def admit(self, work: Work) -> None:
        """Let in work that comes from another turn: it had its place in the queue. From any thread."""
        self._moved.append(work)

    def next(self) -> Work | None:
        """Return the next work that may start now, with its place at its host and its turn booked.

        If there is none, `due_in` says in how many seconds it is worth another try; None where only new work or a
        release can change that.
        """
        self.due_in = None
        if self._pace is not None and (wait := self._pace.wait(monotonic())) > 0:
            self.due_in = wait
            return None
        work = self._take()
        if work is None:
            self.due_in = None if self._hosts is None else self._hosts.due_in()
            return None
        if work.has_room:
            self._inbox.release(work)
        if self._pace is not None and work.counts_at_host:
            self._pace.reserve(monotonic())
        return work

    def release(self, work: Work) -> None:
        """Give back the work's place at its host."""
        if self._hosts is not None and work.counts_at_host:
            self._hosts.release(work.host, work.written)

    def pass_over(self, work: Work) -> None:
        """Drop decided work from the head of where it waits: it would wait for a turn that it does not take."""
        if self._hosts is not None:
            self._hosts.drop_decided(work.host)
        while (first := self._inbox.first()) is not None and first.decided:
            self._inbox.take()
            self._inbox.release(first)
            self._drop(first)

    def waits_for(self, work: Work) -> str | None:
        """Say which limit work that has not begun waits for; None if it is none of these. From any thread."""
        lane = self._lane
        if self._hosts is not None and self._hosts.holds(work.host):
            limits = [f"per_host={lane.per_host}"] if lane.per_host else []
            limits += [f"per_host_rate={_told(lane.per_host_rate)}"] if lane.per_host_rate is not None else []
            limits += [f"Crawl-delay: {delay:g}"] if (delay := self._hosts.delay(work.host)) else []
            return f"its turn at {work.host} ({', '.join(limits)})"
        if lane.rate is not None and self._pace is not None and self._pace.wait(monotonic()) > 0:
            return f"the rate of lane '{lane.name}' ({_told(lane.rate)})"
        return None

    def reserve(self, host: str) -> float:
        """Book one more start, of a retry, a redirect or a function's request; return the seconds to wait."""
        lane_wait = 0.0 if self._pace is None else self._pace.reserve(monotonic())
        return lane_wait if self._hosts is None else max(lane_wait, self._hosts.reserve(host))

    def slow(self, host: str, delay: float) -> None:
        """Have the starts at a host keep so many seconds apart, from now on."""
        if self._hosts is not None:
            self._hosts.slow(host, delay)

    def delay(self, host: str) -> float:
        """Return the seconds that `slow` has set; 0 where it has not. From any thread."""
        return 0.0 if self._hosts is None else self._hosts.delay(host)

    def waiting(self) -> set[Work]:
        """Return what has not been started."""
        waiting = self._inbox.waiting().union(self._moved.copy())
        return waiting if self._hosts is None else waiting | self._hosts.waiting()

    def _take(self) -> Work | None:
        if self._hosts is not None and (parked := self._hosts.take()) is not None:
            return parked
        while (work := self._moved.popleft() if self._moved else self._inbox.take()) is not None:
            if work.decided:
                self._inbox.release(work)
                self._drop(work)
            elif self._hosts is None or not work.counts_at_host or self._hosts.offer(work):
                return work
        return None


def _told(rate: Rate) -> str:
    return f"{rate.limit:g} per {rate.per:g} s"
