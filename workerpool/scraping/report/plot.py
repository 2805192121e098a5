"""A small plot for the terminal."""

from collections.abc import Sequence

from .figures import Figures
from .words import number_text, seconds_text, span_text

__all__ = ["plot"]

_HIGH = 6
_BLOCKS, _PLAIN = " ▁▂▃▄▅▆▇█", " ..::||##"


def plot(figures: Figures, width: int = 80, *, plain: bool = False) -> str:
    """Return the rate over time and how long answers took, in columns; `plain` is ASCII."""
    blocks, room = _PLAIN if plain else _BLOCKS, max(width - 9, 10)
    step, points = figures.timeline.points(room)
    rates = [0.0 if moment is None else moment.done / step for _, moment in points]
    lines = ["outcomes a second"]
    lines += _columns(rates, blocks, number_text(max(rates, default=0.0)), room)
    lines.append(_between("0:00", span_text((figures.last or 0.0) - (figures.first or 0.0)), room))
    least, most, counts = figures.took.decades()
    lines += ["", f"seconds to an answer, {number_text(figures.took.count)} answers"]
    lines += _columns(counts, blocks, number_text(max(counts, default=0)), room)
    lines.append(_between(seconds_text(least), seconds_text(most), room))
    told = (
        (name, figures.took.percentile(part)) for name, part in (("half", 0.5), ("9 in 10", 0.9), ("99 in 100", 0.99))
    )
    return "\n".join([*lines, "within: " + ", ".join(f"{name} {seconds_text(each)}" for name, each in told)])


def _columns(values: Sequence[float], blocks: str, top: str, room: int) -> list[str]:
    values = [values[number * len(values) // room] for number in range(room)] if values else []
    most = max(values, default=0.0) or 1.0
    eighths = [max(round(value / most * 8 * _HIGH), value > 0) for value in values]
    rows = ("".join(blocks[min(max(each - 8 * row, 0), 8)] for each in eighths) for row in range(_HIGH - 1, -1, -1))
    return [f"{top if number == 0 else '':>7} |{row}".rstrip() for number, row in enumerate(rows)]


def _between(left: str, right: str, room: int) -> str:
    return f"{'0':>7} +{left}{right:>{room - len(left)}}"
