"""What the pool has accepted and not settled, counted once for all of its workers."""

from collections.abc import Callable
from contextlib import suppress

from .work import Holder, Work

__all__ = ["Outstanding"]


class Outstanding:
    """Hold the work that is on its way, and tell when there is none. From any thread.

    Without a lock: a set's and a list's own methods are atomic. Whoever waits notes it first and looks then, whoever
    settles takes the work out first and looks then; so one of the two sees the other.
    """

    def __init__(self) -> None:
        self.works: set[Work] = set()  # to be looked at by all
        self._callbacks: list[Callable[[], object]] = []

    def add(self, work: Work) -> None:
        """Note work that was accepted. Under the pool's lock, so that none comes once the pool is closed."""
        self.works.add(work)

    def remove(self, work: Work) -> None:
        """Note that the work was settled, or was not accepted after all; repeatable."""
        self.works.discard(work)
        if self._callbacks and not self.works:
            self._tell()

    def held_by(self, holder: Holder) -> set[Work]:
        """Return what that one has; costs as much as there is in the pool."""
        return {work for work in self.works.copy() if work.holder is holder}

    def all(self) -> set[Work]:
        """Return what is on its way."""
        return self.works.copy()

    def when_none(self, callback: Callable[[], object]) -> None:
        """Call back once, from whichever thread, when there is none; at once if so. The callback must not block."""
        self._callbacks.append(callback)
        if not self.works:
            self._tell()

    def cancel(self, callback: Callable[[], object]) -> None:
        """Do not call back any more."""
        with suppress(ValueError):
            self._callbacks.remove(callback)

    def _tell(self) -> None:
        while self._callbacks and not self.works:
            try:
                callback = self._callbacks.pop(0)
            except IndexError:  # another thread was quicker
                return
            if self.works:  # it was noted, and more work came, since this thread has looked
                self._callbacks.append(callback)
            else:
                callback()
