"""All figures on one page, with plots: docs/benchmarks.md."""

import platform
import ssl
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import matplotlib as mpl

from .machine import machine
from .runner import Outcome
from .table import Figures

mpl.use("Agg")
from matplotlib import pyplot as plt

__all__ = ["write"]

_SHOWN = ("aiohttp", "janus", "uvloop", "isal", "requests", "urllib3", "httpx", "pycurl", "pyreqwest", "niquests")
_HEAD = """# Benchmarks

{what}

- Machine: {machine}
- Versions: {versions}
- Repeat it: `pip install '.[bench]'`, then `{command}`. niquests needs an environment of its own, since it puts
  its own urllib3 in urllib3's place: give its interpreter with `--by niquests-threads=PYTHON`.
- What the figures mean, what is missed and why: [performance.md](performance.md).
"""
_WHAT = (
    "Medians of {runs} runs, each with new processes whose contestants take {turns} short turns; in brackets the lowest"
    " and the highest run. All ratios are to the first line of their table, taken turn by turn in the same run."
)
_OURS, _FLOOR, _OTHER = "#1f77b4", "#7f7f7f", "#ff9f4a"


def write(folder: Path, outcomes: Mapping[str, Outcome]) -> None:
    """Write benchmarks.md, and a plot of each scenario into a folder beside it."""
    plots = folder / "benchmarks"
    plots.mkdir(parents=True, exist_ok=True)
    first = next(iter(outcomes.values()))
    head = _HEAD.format(
        what=_WHAT.format(runs=first.runs, turns=first.scenario.rounds),
        machine=machine(first.server),
        versions=", ".join(_versions()),
        command=f"python -m benchmarks --runs {first.runs} --report docs",
    )
    sections = [_section(name, outcome, plots) for name, outcome in outcomes.items()]
    (folder / "benchmarks.md").write_text("\n".join([head, *sections]))


def _section(name: str, outcome: Outcome, plots: Path) -> str:
    scenario = outcome.scenario
    title = scenario.title[0].upper() + scenario.title[1:]
    _plot(outcome, plots / name)
    load = [] if name in ("noop", "round-trip") else [_load(outcome), ""]
    lines = [f"## {title}", "", *load, f"![{title}](benchmarks/{name}.svg)", "", *_rows(outcome.figures), ""]
    return "\n".join(lines)


def _load(outcome: Outcome) -> str:
    scenario = outcome.scenario
    way = "to" if scenario.upload else "from"
    size = f"{scenario.requests} requests a turn (slow ones make fewer), {scenario.size:,} bytes each"
    connections = f"{scenario.connections:,} connection{'s' if scenario.connections > 1 else ''}"
    return f"{size}, {way} {outcome.server}, {connections}."


def _rows(figures: Mapping[str, Figures]) -> Iterator[str]:
    one = any(each["p50"] for each in figures.values())
    resumed = any(each["resumed"] for each in figures.values())
    more = f"{' p50, µs | p50 |' if one else ''}{' TLS sessions resumed |' if resumed else ''}"
    yield f"| | per second | rate | CPU, µs | CPU |{more} memory, MiB |"
    yield f"|---|--:|--:|--:|--:|{'--:|' * (more.count('|') + 1)}"
    for name, each in figures.items():
        rate = f"{each['rate']:,.{1 if each['rate'] < 100 else 0}f}"
        more = f" {each['p50']:.0f} | {_ratio(each, 'p50')} |" if one else ""
        more += f" {each['resumed']:.0%} |" if resumed else ""
        cells = [name, rate, _ratio(each, "rate"), f"{each['cpu']:,.1f}", _ratio(each, "cpu")]
        yield f"| {' | '.join(cells)} |{more} {each['memory']:.0f} |"


def _ratio(each: Figures, key: str) -> str:
    return f"{each[f'{key} ratio']:.2f} ({each[f'{key} low']:.2f} to {each[f'{key} high']:.2f})"


def _plot(outcome: Outcome, path: Path) -> None:
    """Draw rate and CPU, or the wait of one caller and CPU, as ratios to the floor."""
    figures = outcome.figures
    one = outcome.scenario.connections == 1 and any(each["p50"] for each in figures.values())
    first = ("p50", "wait (shorter is better)") if one else ("rate", "rate (longer is better)")
    both, axes = plt.subplots(1, 2, figsize=(10, 0.9 + 0.34 * len(figures)), sharey=True, layout="constrained")
    for axis, (key, label) in zip(axes, (first, ("cpu", "CPU (shorter is better)")), strict=True):
        _bars(axis, figures, key)
        axis.set_xlabel(f"{label}; {next(iter(figures))} = 1")
    both.suptitle(outcome.scenario.title)
    # Without a date and with ids that stay, so that only a change of the figures changes the file.
    with mpl.rc_context({"svg.hashsalt": path.name}):
        both.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    plt.close(both)


def _bars(axis: Any, figures: Mapping[str, Figures], key: str) -> None:
    values = [each[f"{key} ratio"] for each in figures.values()]
    below = [each[f"{key} ratio"] - each[f"{key} low"] for each in figures.values()]
    above = [each[f"{key} high"] - each[f"{key} ratio"] for each in figures.values()]
    colours = [_colour(place, name) for place, name in enumerate(figures)]
    bars = axis.barh(list(figures), values, xerr=[below, above], color=colours, error_kw={"lw": 1, "capsize": 2})
    axis.bar_label(bars, labels=[f"{value:.2f}" for value in values], padding=6, fontsize=8)
    axis.axvline(1, color="black", lw=0.8, ls=":")
    if max(values) > 5 * min(value for value in values if value):
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
    axis.margins(x=0.15)
    axis.invert_yaxis() if not axis.yaxis_inverted() else None
    axis.spines[["top", "right"]].set_visible(False)


def _colour(place: int, name: str) -> str:
    return _FLOOR if place == 0 else _OURS if "pool" in name else _OTHER


def _versions() -> Iterator[str]:
    yield f"{platform.python_implementation()} {platform.python_version()}"
    yield " ".join(ssl.OPENSSL_VERSION.split()[:2])
    for name in _SHOWN:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
