"""The pace of each host: when its next request may start, and what it waits for. No clock here: times are handed in.

    if hosts.ready_at(host) <= now:
        hosts.started(host, now)
        ...
        hosts.ended(host, now, status=response.status, took=seconds)

Times are monotonic, in seconds.
"""

from collections import OrderedDict
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import inf
from typing import Literal, TypeAlias

from .politeness import Politeness

__all__ = ["Cause", "Hosts", "Politeness", "retry_after_seconds"]

Cause: TypeAlias = Literal["", "circuit", "crawl-delay", "per-host", "rate", "retry-after", "slowed"]

_LATE = 0.005  # seconds a start may come late and the rate still be made up for: timers are that coarse
_SLOWEST = 60.0  # seconds between two starts that slowing down leads to at most
_UNMEASURED = 0.5  # seconds between two starts that slowing down begins with where there was but one
_STEPS = 20  # each good answer adds this part of the pace at which the host complained; at twice that it is let go
_SMOOTH = 0.2  # weight of the newest in what is measured
_SEEN_LEAST = 8  # answers before their time tells anything
_FADING = 0.005  # how fast the best is forgotten, with each answer: pages that take longer are no complaint for ever
_NOISE = 0.02  # seconds; that an answer of less takes twice as long tells nothing
_REMEMBERED = 60.0  # seconds that what was measured is kept of a host that rests


class _Host:
    """What is known of one host."""

    __slots__ = (
        "answers", "average", "best", "failures", "floor", "held_until", "in_flight", "interval", "last_ended",
        "last_start", "pause", "probing", "rate_due", "set_aside_until", "slowed", "slowed_at", "step",
    )  # fmt: skip

    def __init__(self) -> None:
        self.in_flight = 0
        self.last_start = -inf
        self.last_ended = -inf
        self.floor = 0.0  # robots.txt's delay
        self.rate_due = -inf  # when the rate has the next start
        self.held_until = -inf  # Retry-After
        self.failures = 0  # connections that failed, in a row
        self.pause = 0.0
        self.set_aside_until: float | None = None  # until when the circuit is open; its probe ends it
        self.probing = False
        self.slowed = 0.0  # seconds between two starts; 0 while not slowed down
        self.slowed_at = -inf
        self.step = 0.0  # what each good answer adds to the pace
        self.interval = 0.0  # between two starts, on average
        self.answers = 0
        self.average = 0.0  # seconds that answers take
        self.best = inf


class Hosts:
    """Decide when each host may be asked next. For one thread; each call takes the same time, however many hosts.

    What it promises of each host: never more than `per_host` under way; starts at least a Crawl-delay apart, and then
    one request at a time; none within a Retry-After; none while its circuit is open, but one probe when the pause is
    over. It answers, and does not watch over it: a request that is started before its time is counted all the same.

    A host is forgotten once it rests and nothing is to be known of it any more. What robots.txt has set is known until
    `forget`.
    """

    def __init__(self, politeness: Politeness | None = None) -> None:
        self.politeness: Politeness = politeness or Politeness()
        rate = self.politeness.per_host_rate
        self._rate_gap = 0.0 if rate is None else 1 / rate
        self._delay = self.politeness.delay or 0.0
        self._most = self.politeness.per_host or inf
        self._hosts: OrderedDict[str, _Host] = OrderedDict()  # by when they were looked at; a dict is slow at its front
        self._latest = -inf  # the time as it was told last

    def __len__(self) -> int:
        """Return how many hosts are remembered."""
        return len(self._hosts)

    def ready_at(self, host: str) -> float:
        """Return the time from which the next request may start; infinity while one has to end first."""
        known = self._hosts.get(host)
        if known is None:
            return -inf
        if known.in_flight >= self._places(known):
            return inf
        apart = max(known.floor, self._delay, known.slowed)  # by hand: this is asked for each request
        ready = max(known.last_start + apart, known.rate_due, known.held_until)
        return ready if known.set_aside_until is None else max(ready, known.set_aside_until)

    def why(self, host: str, now: float) -> Cause:
        """Return what the next request to a host waits for; an empty text if it may start now."""
        return self.standing(host, now)[0]

    def standing(self, host: str, now: float) -> tuple[Cause, float]:
        """Return what the next request to a host waits for, and for how many seconds, as far as that is known."""
        known = self._hosts.get(host)
        if known is None:
            return "", 0.0
        if known.in_flight >= self._places(known):
            if known.set_aside_until is not None:
                return "circuit", 0.0
            return ("crawl-delay" if self._floor(known) and known.in_flight < self._most else "per-host"), 0.0
        until, cause = max(self._waits(known))
        return (cause, until - now) if until > now else ("", 0.0)

    def set_floor(self, host: str, seconds: float) -> None:
        """Keep starts to a host at least that far apart from now on; 0 for no such bound."""
        if seconds > 0 and host not in self._hosts:  # never asked, or forgotten since: as late as may be
            self._known(host).last_start = self._latest
        if host in self._hosts:
            self._hosts[host].floor = max(seconds, 0.0)

    def started(self, host: str, now: float) -> None:
        """Note that a request starts."""
        self._latest = max(self._latest, now)
        known = self._known(host)
        self._measure_start(known, now)
        known.in_flight += 1
        known.last_start = max(known.last_start, now)
        if self._rate_gap:
            # What a timer was late is made up, else each one would be lost for good.
            known.rate_due = (known.rate_due if now - known.rate_due <= _LATE else now) + self._rate_gap
        known.probing = known.set_aside_until is not None
        self._forget_some(now)

    def ended(
        self,
        host: str,
        now: float,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        took: float | None = None,
        failed: bool = False,
        sent: float | None = None,
    ) -> None:
        """Note that a request has ended: with an answer, or `failed` if no connection could be made or it was lost.

        `retry_after` is in seconds, see `retry_after_seconds`; `took` from the start to the head of the answer.
        `sent` is when the request went out: after its start, where it has waited for a place or a connection.
        """
        known = self._known(host)
        if sent is not None:
            self._note_sending(known, sent)
        known.in_flight = max(0, known.in_flight - 1)
        known.last_ended = now
        if failed:
            self._note_failure(known, now)
        elif status is not None:
            known.failures, known.set_aside_until, known.pause, known.probing = 0, None, 0.0, False
        if retry_after is not None and self.politeness.respect_retry_after:
            known.held_until = max(known.held_until, now + min(max(retry_after, 0.0), self.politeness.max_retry_after))
        if self.politeness.auto and status is not None:
            self._adapt(known, now, status, took)
        self._forget_some(now)

    def hold(self, host: str, until: float) -> None:
        """Let no request start before that moment: the host has asked somebody else for it."""
        known = self._known(host)
        known.held_until = max(known.held_until, until)

    def forget(self, host: str) -> None:
        """Let go of all that is known of a host: nothing of it is to come, and nothing is under way."""
        self._hosts.pop(host, None)

    def _known(self, host: str) -> _Host:
        known = self._hosts.get(host)
        if known is None:
            known = self._hosts[host] = _Host()
        return known

    def _floor(self, known: _Host) -> float:
        return max(known.floor, self._delay)

    def _places(self, known: _Host) -> float:
        return 1 if known.set_aside_until is not None or self._floor(known) else self._most

    def _waits(self, known: _Host) -> tuple[tuple[float, Cause], ...]:
        """Return from when each rule lets the next request start."""
        return (
            (known.last_start + self._floor(known), "crawl-delay"),
            (known.last_start + known.slowed, "slowed"),
            (known.rate_due, "rate"),
            (known.held_until, "retry-after"),
            (-inf if known.set_aside_until is None else known.set_aside_until, "circuit"),
        )

    def _note_sending(self, known: _Host, sent: float) -> None:
        """Count the pace from when the host was asked: else what comes late and what is in time follow too closely."""
        known.last_start = max(known.last_start, sent)
        if self._rate_gap:
            known.rate_due = max(known.rate_due, sent + self._rate_gap)

    def _note_failure(self, known: _Host, now: float) -> None:
        known.failures += 1
        if known.set_aside_until is not None:
            if not known.probing:
                return  # it was under way when the circuit opened
            known.pause = min(2 * known.pause, self.politeness.breaker_pause_max)
        elif not self.politeness.breaker_failures or known.failures < self.politeness.breaker_failures:
            return
        else:
            known.pause = self.politeness.breaker_pause
        known.probing = False
        known.set_aside_until = now + known.pause

    def _measure_start(self, known: _Host, now: float) -> None:
        if known.last_start > -inf:
            gap = min(now - known.last_start, _SLOWEST / 2)
            known.interval = gap if not known.interval else known.interval + _SMOOTH * (gap - known.interval)

    def _adapt(self, known: _Host, now: float, status: int, took: float | None) -> None:
        """Halve the pace where the host complains, once for all that was under way then; else add a little to it."""
        complains = status in (429, 503)
        if took is not None and not complains:
            self._measure_answer(known, took)
        if complains:
            if now - (took or 0.0) > known.slowed_at:
                self._slow(known, now, 2 * max(known.slowed, known.interval or _UNMEASURED), _SLOWEST)
        elif self._is_slower(known):
            # At most to one request at a time: beyond that its time is not due to us.
            if now - (took or 0.0) > known.slowed_at:
                self._slow(known, now, 1.5 * max(known.slowed, known.interval), known.average)
        elif known.slowed and status < 500:
            pace = 1 / known.slowed + known.step
            known.slowed = 0.0 if pace >= 2 * _STEPS * known.step else 1 / pace

    def _slow(self, known: _Host, now: float, gap: float, most: float) -> None:
        gap = max(known.slowed, min(gap, most))
        if gap > known.slowed:
            known.step = 2 / gap / _STEPS  # of the pace that was too much, twice as fast as now
            known.slowed = gap
        known.slowed_at = now

    def _measure_answer(self, known: _Host, took: float) -> None:
        known.answers += 1
        known.average = took if known.answers == 1 else known.average + _SMOOTH * (took - known.average)
        if known.answers >= _SEEN_LEAST:
            known.best = min(known.best + _FADING * (known.average - min(known.best, known.average)), known.average)

    def _is_slower(self, known: _Host) -> bool:
        return known.average > 2 * max(known.best, _NOISE)

    def _forget_some(self, now: float) -> None:
        """Look at the two hosts that were looked at longest ago: each call adds one at most, so this is enough."""
        for _ in range(min(2, len(self._hosts))):
            host, known = next(iter(self._hosts.items()))
            if self._is_unremarkable(known, now):
                del self._hosts[host]
            else:
                self._hosts.move_to_end(host)

    def _is_unremarkable(self, known: _Host, now: float) -> bool:
        if known.in_flight or known.floor or max(self._waits(known))[0] > now:
            return False
        remembers = self.politeness.auto or known.failures
        return not remembers or now - max(known.last_ended, known.last_start) > _REMEMBERED + known.pause


def retry_after_seconds(value: str | None, *, now: float) -> float | None:
    """Return the seconds that a Retry-After asks for; None if it says nothing. `now` is the time since the epoch."""
    if not value:  # as with nearly every answer
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
