"""The deadlines of everything that one worker holds, queued or in flight, with one timer for all.

A timer per job would cost more and could not be set from the caller's thread, where the time begins.
Here the callers write the deadline into a slot of `GRAIN` seconds; the loop has one timer, for the
earliest slot. A job that ends in time takes its name out again, so an idle worker is not woken for jobs
long done (save once, for the first slot left empty).
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
_MANY = 1024  # about 200 KiB of empty slots at most


class Deadlines:
    """Expire work when its time has come; `add` and `discard` from any thread.

    A slot's set is written without a lock, since a set's own methods are atomic. So a slot is closed by
    taking it out first and looking into it afterwards; and who writes into one looks whether it is still open.
    """

    def __init__(self, call_soon: Callable[..., object]) -> None:
        self._call_soon = call_soon  # on the loop, from any thread
        self._slots: dict[int, set[Work]] = {}
        # Guards which slots there are, and the three below; signal handlers and collections may come here again.
        self._lock = threading.RLock()
        self._order: list[int] = []  # heap of the slots
        self._many = _MANY  # slots at which the empty ones are looked for
        self._armed = inf  # the slot that the timer is set for
        self._timer: asyncio.TimerHandle | None = None  # the loop's own

    def add(self, work: Work) -> None:
        """Watch over the work from now on."""
        if work.deadline is None:
            return
        slot = work.slot = _slot_of(work)
        while True:
            waiting = self._slots.get(slot)
            if waiting is None:
                waiting = self._open(slot)
            waiting.add(work)
            # The loop may have closed the slot in between, with or without the work.
            if self._slots.get(slot) is waiting:
                return

    def discard(self, work: Work) -> None:
        """Forget the work, if it is here."""
        waiting = self._slots.get(work.slot)
        if waiting is not None:
            waiting.discard(work)

    def renew(self, work: Work) -> None:
        """Watch over work whose deadline is another one now."""
        if work.slot:
            self.discard(work)
        self.add(work)

    def start(self) -> None:
        """Watch on the running loop from now on."""
        self._arm()

    def stop(self) -> None:
        """Set no timer any more. On the loop only."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _open(self, slot: int) -> set[Work]:
        with self._lock:
            if (waiting := self._slots.get(slot)) is not None:
                return waiting
            if len(self._slots) >= self._many:
                self._close_empty()
            # In this order, each step repeatable: an interrupt between two leaves the slot to be opened by the next.
            heappush(self._order, slot)
            if slot < self._armed:
                self._call_soon(self._arm)
                self._armed = slot
            waiting = self._slots[slot] = set()
        return waiting

    def _close_empty(self) -> None:
        for slot in self._order:
            if waiting := self._slots.pop(slot, None):
                self._slots[slot] = waiting
        self._order = sorted(self._slots)
        self._many = max(_MANY, 2 * len(self._slots))

    def _arm(self) -> None:
        self.stop()
        loop = asyncio.get_running_loop()
        with self._lock:
            armed = self._armed
        if armed != inf:
            self._timer = loop.call_later(max(0.0, armed * GRAIN - monotonic()), self._fall)

    def _fall(self) -> None:
        now = monotonic() / GRAIN
        due = self._due(now)
        try:
            while due:
                work = due.pop()
                if _slot_of(work) > now:  # moved on meanwhile, by waits that do not count
                    self.add(work)
                else:
                    work.expire()
        finally:
            for work in due:  # an exception set from another thread: the rest falls with the next timer
                self.add(work)
            self._arm()

    def _due(self, now: float) -> list[Work]:
        """Close the slots whose time has come, and the empty ones before the next that is in use."""
        due: list[Work] = []
        with self._lock:
            while self._order:
                slot = self._order[0]
                waiting = self._slots.pop(slot, None)
                if slot <= now:
                    due.extend(waiting or ())
                elif waiting:
                    self._slots[slot] = waiting
                    break
                heappop(self._order)
            self._armed = self._order[0] if self._order else inf
        return due


def _slot_of(work: Work) -> int:
    return 0 if work.deadline is None else ceil((work.deadline + work.grace) / GRAIN)
