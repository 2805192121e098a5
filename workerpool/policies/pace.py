"""The rate limit: when the next request may start. Used on one worker's loop only."""

from ..settings import Rate

__all__ = ["Pace"]

_LATE = 0.005  # seconds that a start may come late and the next ones still keep their times: timers are that coarse


class Pace:
    """Space starts out: the generic cell rate algorithm, with room for a burst (ITU-T I.371)."""

    __slots__ = ("_gap", "_next", "_slack")

    def __init__(self, rate: Rate) -> None:
        self._gap = rate.per / rate.limit
        self._slack = self._gap * (rate.burst - 1)
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the next start is allowed."""
        return max(0.0, self._next - self._slack - now)

    def reserve(self, now: float) -> float:
        """Book the next start and return the seconds to wait for it."""
        due = self._next - self._slack
        # What a timer was late is made up, else each one would be lost for good: the n-th start is never before its
        # time as counted from the first, and that is what the server sees.
        base = self._next if now - due <= _LATE else max(now, self._next)
        self._next = base + self._gap
        return max(0.0, due - now)

    def note_sent(self, at: float) -> None:
        """Note when a start that was booked went out: where connecting took long, the server saw it only then."""
        if at + self._gap - self._next > _LATE:
            self._next = at + self._gap
