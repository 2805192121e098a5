"""The figures of all rounds and runs: medians, and ratios to the floor."""

from collections.abc import Mapping, Sequence
from statistics import median

__all__ = ["Figures", "over_runs", "summary", "table"]

# Of one contestant in one round: requests per second, µs of CPU per request, MiB at the most, µs of one caller's wait,
# and the share of its connections that resumed a TLS session, where the server tells.
Figures = dict[str, float]
_KEYS = ("rate", "cpu", "memory", "p50", "resumed")


def summary(rounds: Sequence[Mapping[str, Figures]], floor: str) -> dict[str, Figures]:
    """Return the medians of one run, and the medians of each round's ratios to the floor, by contestant."""
    return {name: _medians(name, floor, rounds) for name in rounds[0]}


def over_runs(summaries: Sequence[dict[str, Figures]]) -> dict[str, Figures]:
    """Return the medians of several runs' medians; low and high are of the runs then, not of their rounds."""
    if len(summaries) == 1:
        return summaries[0]
    return {name: _over_runs([each[name] for each in summaries]) for name in summaries[0]}


def _medians(name: str, floor: str, rounds: Sequence[Mapping[str, Figures]]) -> Figures:
    figures = {key: median(each[name][key] for each in rounds) for key in _KEYS}
    for key in _KEYS:
        ratios = [each[name][key] / each[floor][key] for each in rounds if each[floor][key]] or [0.0]
        figures |= {f"{key} ratio": median(ratios), f"{key} low": min(ratios), f"{key} high": max(ratios)}
    return figures


def _over_runs(figures: Sequence[Figures]) -> Figures:
    found = {key: median(each[key] for each in figures) for key in figures[0]}
    for key in _KEYS:
        ratios = [each[f"{key} ratio"] for each in figures]
        found |= {f"{key} low": min(ratios), f"{key} high": max(ratios)}
    return found


def table(figures: Mapping[str, Figures]) -> str:
    """Return the table as text."""
    head = f"{'':26}{'req/s':>9}{'CPU µs':>9}{'p50 µs':>9}{'MiB':>7}{'rate':>8}{'(low-high)':>14}{'cpu':>8}{'p50':>8}"
    return "\n".join([f"{head}{'resumed':>9}", *(_row(name, each) for name, each in figures.items())])


def _row(name: str, each: Figures) -> str:
    rate = f"{each['rate']:.{2 if each['rate'] < 100 else 0}f}"
    p50 = f"{each['p50']:.0f}" if each["p50"] else ""
    row = f"{name:26}{rate:>9}{each['cpu']:>9.1f}{p50:>9}{each['memory']:>7.0f}"
    spread = f"({each['rate low']:.2f}-{each['rate high']:.2f})"
    wait = f"{each['p50 ratio']:.2f}" if each["p50"] else ""
    resumed = f"{each['resumed']:.0%}" if each["resumed"] else ""
    return f"{row}{each['rate ratio']:>8.2f}{spread:>14}{each['cpu ratio']:>8.2f}{wait:>8}{resumed:>9}".rstrip()
