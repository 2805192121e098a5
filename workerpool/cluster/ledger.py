"""What is at which member, by numbers that are given once: whatever comes for another number is late, and refused."""

from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any

from ..errors import RequestError, WorkerLost
from ..handover.errand import Call, Fetch
from ..handover.job import Work
from ..handover.work import Ride
from ..policies.retry import may_be_sent_again
from ..settings import Timeout
from .board import Board, Route
from .lanes import Home, LaneQueue
from .member import Member
from .wire import as_answer, as_error, loads

__all__ = ["Flight", "Ledger", "Outcome", "may_be_repeated"]

_LOSSES = 3  # workers that one piece of work may be lost with

Outcome = tuple[int, str, Any, float]  # number, kind, value, and the Crawl-delay of the host


class Flight(Ride):
    """One piece of work at one member."""

    __slots__ = ("at", "begun", "home", "member", "queue", "work")

    def __init__(self, work: Work, member: Member, queue: LaneQueue, home: Home | None) -> None:
        self.work: Work = work
        self.member: Member = member
        self.queue: LaneQueue = queue
        self.home: Home | None = home
        self.at: float = monotonic()
        self.begun: bool = False  # as far as the member has told

    def cancel(self) -> None:
        """Nothing here: whoever stops work tells its member."""


class Ledger:
    """Count work out to members and back, and decide it. On the client's loop only, but for its numbers."""

    def __init__(self, board: Board) -> None:
        self.late: int = 0
        self.repeated: int = 0
        self._board = board
        self._flights: dict[int, Flight] = {}
        self._last = 0
        self._losses: dict[Work, int] = {}

    def hand(self, member: Member, queue: LaneQueue, work: Work, home: Home | None) -> tuple[Any, ...]:
        """Note that a member has the work, under a new number; return it as it travels."""
        self._last += 1
        self._flights[self._last] = flight = Flight(work, member, queue, home)
        work.slot = self._last  # the number, by which it is stopped
        work.ride = flight
        if work.begun is None:
            work.begun = monotonic()
        work.stage = "send"  # for all that is known here
        queue.handed[member.address] = queue.handed.get(member.address, 0) + 1
        queue.flying += 1
        self.route(work).in_flight += 1
        return self._last, work.lane, work.rest, _limits(work, queue), work.attempts, work.onward

    def find(self, number: int, member: Member) -> Flight | None:
        """Return what the member has under that number; counts what is late."""
        flight = self._flights.get(number)
        if flight is not None and flight.member is member:
            return flight
        self.late += 1
        return None

    def at(self, work: Work) -> int | None:
        """Return the number of work that a member has."""
        flight = self._flights.get(work.slot)
        return work.slot if flight is not None and flight.work is work else None

    def note_begun(self, numbers: Iterable[int]) -> None:
        """Note what may have been sent by now."""
        for number in numbers:
            if (flight := self._flights.get(number)) is not None:
                flight.begun = True

    def of(self, member: Member) -> list[int]:
        """Return the numbers of what a member has."""
        return [number for number, flight in self._flights.items() if flight.member is member]

    def land(self, number: int) -> Flight:
        """Note that a member has the work no more."""
        flight = self._flights.pop(number)
        work, queue, address = flight.work, flight.queue, flight.member.address
        work.slot, work.ride = 0, None
        self.route(work).in_flight -= 1
        queue.flying -= 1
        if address in queue.handed:
            queue.handed[address] -= 1
        if flight.home is not None:
            flight.home.flying -= 1
        return flight

    def lose(self, flight: Flight) -> Work | None:
        """Return work that is to be handed over once more; what may not be fails."""
        work, address = flight.work, flight.member.address
        if work.decided:
            self.settle(work)
            return None
        if not flight.begun and _does_no_harm(work, flight.queue):
            self.repeated += 1
            return work
        losses = self._losses[work] = self._losses.get(work, 0) + 1
        if losses < _LOSSES and may_be_repeated(work, flight.queue):
            self.repeated += 1
            return work
        times = "" if losses == 1 else f", after {losses - 1} others"
        text = f"the worker {address} was lost{times}; it may have been sent, and was not repeated"
        self.fail(work, WorkerLost(f"{work.facts()}: {text}: submit it again if that does no harm"))
        return None

    def conclude(self, flight: Flight, kind: str, value: Any) -> None:
        """Decide work by what came; whoever waits is told when it is settled."""
        work = flight.work
        if work.decided:
            return
        try:
            if kind == "r":
                assert work.request is not None
                waited, lost = flight.at - work.started, self._losses.get(work, 0)
                answer = as_answer(value, work.request, work.lane, waited, lost, self._board.store)
                work.attempts = answer.attempts
                work.conclude("succeeded", answer)
            elif kind == "v":
                work.attempts = 1
                work.conclude("succeeded", loads(value))
            elif kind == "e":
                error = as_error(value)
                work.attempts = error.attempts if isinstance(error, RequestError) else work.attempts
                work.conclude("failed", error)
            else:
                work.conclude("failed", WorkerLost(f"{work.facts()}: it was cancelled on its worker"))
        except Exception as exc:  # noqa: BLE001  what came cannot be read; whoever waits is to know
            work.conclude("failed", exc)

    def fail(self, work: Work, error: Exception) -> None:
        """Decide work that no member has, and settle it."""
        work.fail(error)
        self.settle(work)

    def settle(self, work: Work) -> None:
        """Count decided work, and tell who waits for it; once."""
        if work not in self._board.outstanding.works:
            return
        route = self.route(work)
        if work.counts_at_host:
            route.attempts += work.attempts
        route.settle(work)
        self._losses.pop(work, None)
        if not work.told:
            work.tell()
        work.detach()
        self._board.outstanding.remove(work)

    def all(self) -> Iterator[Work]:
        """Yield what is outstanding."""
        return iter(self._board.outstanding.all())

    def route(self, work: Work) -> Route:
        """Return the route of the work's lane."""
        return self._board.routes[work.lane]


def may_be_repeated(work: Work, queue: LaneQueue) -> bool:
    """Whether its own settings allow another try, and it does no more when it is sent twice."""
    retry = None if work.request is None else queue.lane.retry_for(work.request)
    return retry is not None and retry.attempts > 1 and _does_no_harm(work, queue)


def _does_no_harm(work: Work, queue: LaneQueue) -> bool:
    """Whether it does no more when it is sent twice; who knows what a function does."""
    request = work.request
    return request is not None and may_be_sent_again(queue.lane.retry_for(request), request)


def _limits(work: Work, queue: LaneQueue) -> Timeout | None:
    """Return how long the work may still take; None where that is the lane's own limit."""
    now = monotonic()
    errand = work.errand
    usual = queue.lane.timeout_for(errand.request) if isinstance(errand, Fetch) else Timeout(total=work.total)
    left = None if work.deadline is None else max(0.001, work.deadline - now)
    if not work.at_place and work.total is not None:
        total = max(0.001, work.started + work.total - now)
        return Timeout(total, usual.connect, usual.read, total if left is None else min(left, total))
    if work.onward is not None or isinstance(errand, Call):
        return Timeout(work.total, usual.connect, usual.read, left)
    return None if work.patience is None else Timeout(usual.total, usual.connect, usual.read, left)
