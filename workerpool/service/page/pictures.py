"""Small pictures in SVG: how far a job is, when requests were sent. No styles in them, only classes."""

from collections.abc import Sequence
from time import time

from markupsafe import Markup, escape

from ..records import Attempt, Counts

__all__ = ["progress", "sendings", "share"]

_WIDE = 100.0
_LEAST = 0.8  # of 100: what is there can be seen


def progress(counts: Counts) -> Markup:
    """Return how many requests of a job are where, as a bar."""
    parts = [
        ("succeeded", counts.succeeded), ("failed", counts.failed), ("expired", counts.expired),
        ("cancelled", counts.cancelled), ("running", counts.running),
    ]  # fmt: skip
    told = ", ".join(f"{number:,} {name}" for name, number in (*parts, ("queued", counts.queued)) if number)
    at, bars = 0.0, []
    for name, number in parts:
        if number:
            width = max(_LEAST, _WIDE * number / max(1, counts.total))
            bars.append(_bar(name, min(at, _WIDE - width), width))
            at += width
    return _picture("progress", f"{told} of {counts.total:,}", bars)


def share(number: float, most: float) -> Markup:
    """Return a part of a whole as a bar; it says nothing that isn't written beside it."""
    width = _WIDE * min(1.0, number / most) if most else 0.0
    return _picture("share", "", [_bar("running", 0.0, width)] if width else [])


def sendings(attempts: Sequence[Attempt], start: float | None, end: float | None) -> Markup:
    """Return when a request was sent, as bars between two times; what ended before them is left out."""
    first = start if start is not None else min((each.started_at for each in attempts), default=0.0)
    span = max(0.001, (end if end is not None else time()) - first)
    bars = []
    for each in attempts:
        last = each.finished_at if each.finished_at is not None else each.started_at
        if last >= first:
            left = max(0.0, min(_WIDE - _LEAST, _WIDE * (each.started_at - first) / span))
            width = max(_LEAST, min(_WIDE - left, _WIDE * (last - each.started_at) / span))
            bars.append(_bar(_kind_of(each), left, width))
    return _picture("sendings", "", bars)


def _kind_of(attempt: Attempt) -> str:
    outcome = attempt.outcome or ""
    if outcome.isdecimal():
        return "succeeded" if int(outcome) < 400 else "failed"
    return "failed" if attempt.finished_at is not None else "expired"


def _bar(kind: str, left: float, width: float) -> Markup:
    return Markup('<rect class="{}" x="{:.2f}" y="0" width="{:.2f}" height="10"/>').format(kind, left, width)


def _picture(kind: str, told: str, bars: Sequence[Markup]) -> Markup:
    says = Markup('role="img" aria-label="{}"').format(escape(told)) if told else Markup('aria-hidden="true"')
    return Markup('<svg class="{}" viewBox="0 0 100 10" preserveAspectRatio="none" {}>{}</svg>').format(
        kind, says, Markup("").join(bars)
    )
