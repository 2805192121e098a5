"""The work of one lane on one worker, counted: what was accepted, what became of it, how long it took."""

from bisect import bisect_left

from ..handover.job import Work
from ..stats import BOUNDS, Durations
from .home import Home

__all__ = ["Stopwatch", "Tally"]


class Stopwatch:
    """Sort durations into their classes; written by one thread, read by all."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._total = 0.0

    def note(self, seconds: float) -> None:
        """Count one more."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._total += seconds

    def read(self) -> Durations:
        """Return what has been counted so far. From any thread."""
        return Durations(tuple(self._counts), self._total)


class Tally:
    """Count each piece of work once, from its acceptance to its outcome."""

    def __init__(self, home: Home) -> None:
        self.submitted = 0  # under the pool's lock
        self.taken_over = 0  # from other workers; written under the worker's door
        self.durations = Stopwatch()  # of what ended
        self._home = home
        self._open: set[Work] = set()  # accepted and not settled; a set's own methods are atomic
        self._ended = {"succeeded": 0, "failed": 0, "cancelled": 0}  # the loop's only, read by all

    @property
    def succeeded(self) -> int:
        """How many jobs ended with a result."""
        return self._ended["succeeded"]

    @property
    def failed(self) -> int:
        """How many jobs ended with an error."""
        return self._ended["failed"]

    @property
    def cancelled(self) -> int:
        """How many jobs were cancelled."""
        return self._ended["cancelled"]

    @property
    def has_work(self) -> bool:
        """Whether something that was handed over here has not ended, its body included. From any thread."""
        return bool(self._open)

    def open_work(self) -> set[Work]:
        """Return what was accepted and is not settled. From any thread."""
        return self._open.copy()

    def count(self, number: int) -> None:
        """Note that so many jobs more are on their way here. Under the pool's lock."""
        self.submitted += number
        self._home.posted += number

    def accept(self, work: Work) -> None:
        """Watch over the work from now on. From any thread."""
        self._open.add(work)
        if work.deadline is not None:
            self._home.deadlines.add(work)

    def refuse(self, work: Work) -> None:
        """Forget work that could not be handed over. From any thread."""
        self._home.deadlines.discard(work)
        self._open.discard(work)

    def take_over(self, work: Work) -> None:
        """Count work of another worker's as this one's. Under the worker's door."""
        self.taken_over += 1
        self._home.taken += 1
        self._open.add(work)

    def pass_on(self, work: Work) -> None:
        """Count the work no longer, since another worker does. On the loop."""
        self._home.ended += 1
        self._open.discard(work)
        self._home.deadlines.discard(work)

    def settle(self, work: Work) -> None:
        """Count the outcome, and see to it that whoever waits is told; once per work, on the loop."""
        if work not in self._open:
            return
        self._open.discard(work)
        if work.deadline is not None:
            self._home.deadlines.discard(work)
        verdict = work.verdict
        assert verdict is not None
        self._home.ended += 1
        self._ended[verdict[0]] += 1
        self.durations.note(verdict[2] - work.started)
        if not work.told:  # it was left to this, or an interrupt came between the deciding and the telling
            work.tell()
