"""Pictures in SVG, to stand within the page. Words are beside them, so that these may be stretched."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import log10

from .histogram import Histogram
from .words import seconds_text

__all__ = ["bar", "histogram", "stack"]


def bar(part: float, kind: str) -> str:
    """Return a bar that fills this part, 0 to 1, of its room."""
    return _svg(f'<rect class="{kind}" width="{100 * max(0.0, min(part, 1.0)):.2f}" height="10"/>')


def stack(parts: Iterable[tuple[str, int]], whole: int) -> str:
    """Return a bar of several kinds, as parts of `whole`."""
    named = [(kind, count) for kind, count in parts if count]
    widths = [100 * count / max(whole, 1) for _, count in named]
    rects = (
        f'<rect class="{kind}" x="{end - width:.2f}" width="{width:.2f}" height="10"/>'
        for (kind, _), width, end in zip(named, widths, accumulate(widths), strict=True)
    )
    return _svg("".join(rects))


def histogram(found: Histogram, marks: Sequence[tuple[str, float]]) -> str:
    """Return columns over seconds, each decade as wide, with `marks` across them, and the decades below."""
    least, most, counts = found.decades()
    top, decades = max(counts, default=1), max(1, round(log10(most / least))) if counts else 1
    width = 100 / max(len(counts), 1)
    columns = "".join(
        f'<rect class="column" x="{number * width:.2f}" y="{100 - 96 * count / top:.2f}" width="{width * 0.9:.2f}"'
        f' height="{96 * count / top:.2f}"/>'
        for number, count in enumerate(counts)
        if count
    )
    lines = "".join(
        f'<line class="{kind}" x1="{x:.2f}" x2="{x:.2f}" y1="0" y2="100"/>'
        for kind, seconds in marks
        if seconds > 0
        for x in (100 * log10(seconds / least) / decades,)
    )
    ticks = "".join(f"<span>{seconds_text(least * 10**number)}</span>" for number in range(decades + 1))
    return f'<div class="histogram">{_svg(columns + lines, 100)}<div class="ticks">{ticks}</div></div>'


def _svg(inside: str, height: int = 10) -> str:
    return f'<svg viewBox="0 0 100 {height}" preserveAspectRatio="none" aria-hidden="true">{inside}</svg>'
