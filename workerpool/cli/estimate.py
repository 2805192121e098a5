"""How fast a run is at the moment, and when it may be done: from looking at it again and again."""

from collections import deque
from math import inf

from ..scraping.progress import Progress

__all__ = ["Estimate"]

_WINDOW = 15.0  # seconds that the rate at the moment is of
_FEW = 3.0  # seconds that have to be seen before anything is said of the end


class Estimate:
    """See a run's progress a few times a second; tell rate and end. For one thread.

    The end is honest about what it cannot know: an input that is not read to its end, a crawl that still finds. Then
    it is the least that is left. A host whose queue is long and slow counts for the whole.
    """

    def __init__(self, total: int | None = None) -> None:
        self.now: Progress = Progress()
        self.total = total
        self._seen: deque[Progress] = deque()

    def see(self, progress: Progress) -> None:
        """Look at how the run stands."""
        if self._seen and progress.at <= self._seen[-1].at:
            return
        self.now = progress
        self._seen.append(progress)
        while len(self._seen) > 2 and progress.at - self._seen[0].at > _WINDOW:
            self._seen.popleft()

    @property
    def known(self) -> int:
        """How many items there are, as far as anybody knows."""
        return max(self.now.known, 0 if self.total is None else self.total)

    @property
    def finished(self) -> int:
        """How many of them have their outcome, in earlier parts of the run too."""
        return max(self.now.known - self.now.waiting - self.now.in_flight, 0)

    @property
    def rate(self) -> float:
        """Outcomes a second, of late."""
        return self._over_time("done")

    @property
    def byte_rate(self) -> float:
        """Bytes a second, of late."""
        return self._over_time("bytes")

    @property
    def is_growing(self) -> bool:
        """Whether more may come than is known: from the input, or by links."""
        if self.total is not None and self.now.known <= self.total:
            return False
        return not self.now.input_ended or (bool(self._seen) and self.now.known > self._seen[0].known)

    @property
    def left(self) -> float | None:
        """Seconds until what is known is done, or a budget is used up; None while nothing can be said."""
        rate = self.rate
        if not rate or self._span < _FEW:
            return None
        return max(0.0, min([self._whole(rate), *self._budgets(rate)]))

    @property
    def is_bounded(self) -> bool:
        """Whether a budget ends the run before what is known is done."""
        rate = self.rate
        return bool(rate) and self._whole(rate) > min(self._budgets(rate), default=inf)

    @property
    def _span(self) -> float:
        return self._seen[-1].at - self._seen[0].at if self._seen else 0.0

    def _whole(self, rate: float) -> float:
        return max([(self.known - self.finished) / rate, *self._hosts()])

    def _over_time(self, name: str) -> float:
        first = self._seen[0] if self._span else Progress()
        past = self.now.seconds - first.seconds
        return float((getattr(self.now, name) - getattr(first, name)) / past) if past > 0 else 0.0

    def _hosts(self) -> list[float]:
        """Return the seconds that hosts need whose queues got shorter, each at its own pace."""
        before = {each.host: each.waiting for each in self._seen[0].hosts}
        gone = ((each.waiting, before.get(each.host, 0) - each.waiting) for each in self.now.hosts)
        return [waiting * self._span / done for waiting, done in gone if done > 0]

    def _budgets(self, rate: float) -> list[float]:
        now, found = self.now, []
        if now.max_pages is not None:
            found.append((now.max_pages - now.fetched - now.failed) / rate)
        if now.max_seconds is not None:
            found.append(now.max_seconds - now.seconds)
        if now.max_bytes is not None and self.byte_rate:
            found.append((now.max_bytes - now.bytes) / self.byte_rate)
        return found
