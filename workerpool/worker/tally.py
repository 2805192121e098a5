"""The counters of one lane on one worker: what was accepted, what became of it, how long it took."""

from bisect import bisect_left

from ..handover.job import Work
from ..stats import BOUNDS, Durations
from .loop import WorkerLoop

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

    def __init__(self, loop: WorkerLoop) -> None:
        self.submitted: int = 0  # under the pool's lock
        self.durations: Stopwatch = Stopwatch()  # of what ended
        self._loop = loop
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
    def settled(self) -> int:
        """How many jobs have ended, whatever came of them."""
        return sum(self._ended.values())

    def accept(self, work: Work) -> None:
        """Note work that is on its way here. Under the pool's lock."""
        self.submitted += 1
        self._loop.posted += 1
        self._loop.outstanding.add(work)

    def refuse(self, work: Work) -> None:
        """Count work no longer that was not handed over. Under the pool's lock; it is no more outstanding after it."""
        if work in self._loop.outstanding.works:
            self.submitted -= 1
            self._loop.posted -= 1
            self._loop.deadlines.discard(work)

    def settle(self, work: Work) -> None:
        """Count the outcome, and see to it that whoever waits is told; once per work, on the loop, or from whichever
        thread gives a worker up.
        """
        loop = self._loop
        if work not in loop.outstanding.works:
            return
        if work.slot:
            loop.deadlines.discard(work)
        verdict = work.verdict
        assert verdict is not None
        loop.ended += 1
        self._ended[verdict[0]] += 1
        self.durations.note(verdict[2] - work.started)
        loop.outstanding.remove(work)
        if not work.told:  # it was left to this, or an interrupt came between the deciding and the telling
            loop.tell(work)
