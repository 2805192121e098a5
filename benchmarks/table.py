"""The figures of all rounds as a table of medians and of ratios to the floor."""

from collections.abc import Mapping, Sequence
from statistics import median

from .contestants import FLOOR, GROUPS, NOOP_FLOOR

__all__ = ["Figures", "summary", "table"]

Figures = dict[str, float]  # of one contestant in one round: rate, cpu, memory
_KEYS = ("rate", "cpu", "memory")


def summary(rounds: Sequence[Mapping[str, Figures]]) -> dict[str, Figures]:
    """Return the medians, and the medians of each round's ratios, by contestant."""
    return {name: _medians(name, rounds) for name in rounds[0]}


def _medians(name: str, rounds: Sequence[Mapping[str, Figures]]) -> Figures:
    floor = NOOP_FLOOR if name in GROUPS["noop"] else FLOOR
    figures = {key: median(each[name][key] for each in rounds) for key in _KEYS}
    if floor not in rounds[0]:
        return figures
    for key in _KEYS:
        ratios = [each[name][key] / each[floor][key] for each in rounds]
        figures |= {f"{key} ratio": median(ratios), f"{key} low": min(ratios), f"{key} high": max(ratios)}
    return figures


def table(figures: Mapping[str, Figures]) -> str:
    """Return the table as text."""
    head = f"{'':26}{'req/s':>9}{'CPU µs':>9}{'MiB':>7}{'rate':>8}{'(low-high)':>14}{'cpu':>8}{'mem':>8}"
    return "\n".join([head, *(_row(name, each) for name, each in figures.items())])


def _row(name: str, each: Figures) -> str:
    row = f"{name:26}{each['rate']:>9.0f}{each['cpu']:>9.1f}{each['memory']:>7.0f}"
    if "rate ratio" not in each:
        return row
    spread = f"({each['rate low']:.2f}-{each['rate high']:.2f})"
    return f"{row}{each['rate ratio']:>8.2f}{spread:>14}{each['cpu ratio']:>8.2f}{each['memory ratio']:>8.2f}"
