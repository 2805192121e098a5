"""The figures of a run: a bounded number of them, however many outcomes there are."""

import sqlite3
from collections import Counter
from time import time

from ..past import Past, past_outcomes, past_skipped
from ..progress import Progress
from .families import EXAMPLES, Family, count_in
from .histogram import Histogram, step_of
from .hosts import HostTable
from .timeline import Timeline

__all__ = ["Figures"]

_LONGEST_LOOK = 5.0  # seconds that one look at the run stands for at most


class Figures:
    """Count outcomes, and what the run waited for. For one thread."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.bytes: int = 0
        self.retried: int = 0
        self.first: float | None = None  # since the epoch
        self.last: float | None = None
        self.without_bytes: int = 0  # answers of whose size nothing is known
        self.took: Histogram = Histogram()
        self.waited: Histogram = Histogram()
        self.timeline: Timeline = Timeline()
        self.hosts: HostTable = HostTable()
        self.failed: dict[str, Family] = {}
        self.skipped: dict[str, Family] = {}
        self.causes: dict[str, float] = {}  # host-seconds
        self.looks: int = 0
        self.left: int = 0  # items without an outcome, when last looked at
        self._looked: float | None = None

    @property
    def done(self) -> int:
        """How many outcomes there are."""
        return self.verdicts.total()

    def add(self, past: Past) -> None:
        """Count an outcome."""
        self.verdicts[past.verdict] += 1
        moment = self.timeline.at(past.ended)
        setattr(moment, past.verdict, getattr(moment, past.verdict) + 1)
        began = past.attempts[0].started if past.attempts else 0.0
        self._stretch(began or past.ended, past.ended)
        if past.status is not None:
            self.statuses[past.status] += 1
            self.bytes += past.bytes or 0
            moment.bytes += past.bytes or 0
            self.without_bytes += past.bytes is None
        self._add_attempts(past, self.hosts.add(past).took)
        if past.verdict == "skipped":
            count_in(self.skipped, past)
        elif past.reason is not None:
            count_in(self.failed, past)

    def look(self, progress: Progress, now: float | None = None) -> None:
        """Count how the run stands: what is under way, and what hosts wait for."""
        now = time() if now is None else now
        self._stretch(now, now)
        moment = self.timeline.at(now)
        moment.looks += 1
        self.looks += 1
        moment.in_flight += progress.in_flight
        passed = 0.0 if self._looked is None else min(max(progress.at - self._looked, 0.0), _LONGEST_LOOK)
        self._looked = progress.at
        for cause, hosts in progress.causes.items():
            moment.causes[cause] = moment.causes.get(cause, 0) + hosts
            self.causes[cause] = self.causes.get(cause, 0.0) + hosts * passed
        self.left = progress.waiting + progress.in_flight

    def read(self, db: sqlite3.Connection) -> None:
        """Count the outcomes that a state holds."""
        for past in past_outcomes(db):
            self.add(past)

    def read_skipped(self, db: sqlite3.Connection) -> None:
        """Count what was left out before it had its turn: only the state knows of it. Once, at the end."""
        for reason, count, examples in past_skipped(db, EXAMPLES):
            self.verdicts["skipped"] += count
            for index, url in examples:
                count_in(self.skipped, Past(index, url, "", "skipped", None, reason, 0.0, ()))
            self.skipped[reason].count += count - len(examples)

    def _add_attempts(self, past: Past, took: Histogram) -> None:
        for each in past.attempts:
            if each.status is not None and each.took:
                step = step_of(each.took)
                self.took.add_at(step, each.took)
                took.add_at(step, each.took)
            if each.error != "Interrupted":
                self.waited.add(each.waited)
        if len(past.attempts) > 1:
            self.retried += max(0, sum(1 for each in past.attempts if each.is_try) - 1)

    def _stretch(self, first: float, last: float) -> None:
        if self.first is None or first < self.first:
            self.first = first
        if self.last is None or last > self.last:
            self.last = last
