"""Deadlines of everything that one worker holds, queued or in flight, with one timer for all.

A timer per job would cost more and could not be set from the caller's thread, where the time begins.
Here the callers write the deadline into a slot of `GRAIN` seconds; the loop has one timer, for the
earliest slot. A job that ends in time takes its name out again, so an idle worker is never woken
for jobs long done (save once per slot that was ever in use).
"""

import asyncio
import threading
from collections.abc import Callable
from heapq import heappop, heappush
from math import ceil, inf
from time import monotonic

from .job import Work

__all__ = ["GRAIN", "Deadlines"]

GRAIN = 0.02  # seconds; a deadline falls at most this much late


class Deadlines:
    """Expire work when its time has come; `add` and `discard` from any thread."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon  # wakes the loop from another thread
        self._lock = threading.Lock()  # guards the three below
        self._slots: dict[int, set[Work]] = {}
        self._order: list[int] = []  # heap of the slots; one may be in it twice, or emptied meanwhile
        self._armed = inf  # the slot that the timer is set for
        self._timer: asyncio.TimerHandle | None = None  # the loop's own

    def add(self, work: Work) -> None:
        """Watch over the work from now on."""
        if work.deadline is None:
            return
        slot = ceil(work.deadline / GRAIN)
        with self._lock:
            waiting = self._slots.get(slot)
            if waiting is None:
                waiting = self._slots[slot] = set()
                heappush(self._order, slot)
            waiting.add(work)
            earlier = slot < self._armed
            if earlier:
                self._armed = slot
        if earlier:
            self._call_soon(self._arm)

    def discard(self, work: Work) -> None:
        """Forget the work, if it is here."""
        if work.deadline is None:
            return
        slot = ceil(work.deadline / GRAIN)
        with self._lock:
            waiting = self._slots.get(slot)
            if waiting is None:
                return
            waiting.discard(work)
            if not waiting:
                del self._slots[slot]

    def stop(self) -> None:
        """Set no timer any more. On the loop only."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        with self._lock:
            armed = self._armed
        if armed != inf:
            self._timer = loop.call_later(max(0.0, armed * GRAIN - monotonic()), self._fall)

    def _fall(self) -> None:
        for work in self._due():
            work.expire()
        self._arm()

    def _due(self) -> list[Work]:
        now = monotonic() / GRAIN
        due: list[Work] = []
        with self._lock:
            while self._order and self._order[0] <= now:
                due.extend(self._slots.pop(heappop(self._order), ()))
            while self._order and self._order[0] not in self._slots:
                heappop(self._order)
            self._armed = self._order[0] if self._order else inf
        return due
