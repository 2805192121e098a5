"""The pulse: how many results a second there were of late, and how long they took. Read from the stored events."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any

from ..records import Event
from ..store import Store

__all__ = ["Pulse"]

_STEP = 2  # seconds
_STEPS = 150
_AT_ONCE = 1000
_MOST = 20_000  # events behind which it does not look back
_TIMES = 500  # of one step


@dataclass(slots=True)
class _Step:
    succeeded: int = 0
    failed: int = 0
    times: list[float] = field(default_factory=list)


class Pulse:
    """What the last minutes were like. Nothing runs for it while nobody looks. Of the service's loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._steps: dict[int, _Step] = {}
        self._after: int | None = None
        self._busy = False

    async def look(self) -> dict[str, Any]:
        """Return rate and latency over time, oldest first; steps in which nothing came have no latency."""
        if not self._busy:
            self._busy = True
            try:
                await self._catch_up()
            finally:
                self._busy = False
        now = int(time()) // _STEP
        self._steps = {at: step for at, step in self._steps.items() if at > now - _STEPS - 2}
        range_ = range(now - _STEPS, now)
        steps = [self._steps.get(at, _Step()) for at in range_]
        return {
            "times": [at * _STEP for at in range_],
            "succeeded": [each.succeeded / _STEP for each in steps],
            "failed": [each.failed / _STEP for each in steps],
            "half": [_percentile(each.times, 0.5) for each in steps],
            "most": [_percentile(each.times, 0.95) for each in steps],
        }

    async def _catch_up(self) -> None:
        last = await self._store.last_event()
        if self._after is None or last - self._after > _MOST:
            self._after = max(0, last - _MOST)
            self._steps.clear()
        while self._after < last:
            found = await self._store.events(self._after, limit=_AT_ONCE)
            if not found:
                return
            self._after = found[-1].id
            self._note(found)

    def _note(self, events: Sequence[Event]) -> None:
        for each in events:
            if each.kind == "result":
                step = self._steps.setdefault(int(each.at) // _STEP, _Step())
                step.succeeded += bool(each.data.get("ok"))
                step.failed += not each.data.get("ok")
                elapsed = each.data.get("elapsed")
                if elapsed is not None and len(step.times) < _TIMES:
                    step.times.append(elapsed)


def _percentile(times: list[float], part: float) -> float | None:
    return sorted(times)[int((len(times) - 1) * part)] if times else None
