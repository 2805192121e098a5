"""`python -m benchmarks.fetchers`: the same list of URLs, fetched by whole programs, as a table in Markdown.

Each turn is a new process with an empty folder, from its start to its end; the programs take turns. Linux only, since
memory is read from /proc. Scrapy wants an environment of its own: give its interpreter with `--scrapy PYTHON`.
"""

import argparse
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from ..machine import machine
from ..server import SIZE, serving
from .programs import PROGRAMS, Load
from .turns import Turn, measured

Turns = Mapping[str, Sequence[Turn]]


def main() -> None:
    """Let them all fetch, and write the table."""
    options = _options()
    with serving() as server, tempfile.TemporaryDirectory() as place:
        urls = Path(place, "urls")
        urls.write_text("".join(f"{server.url}?n={n}\n" for n in range(options.urls)))
        load = Load(urls, Path(place, "folder"), options.connections, SIZE, options.scrapy)
        turns, faults = _all(load, options)
        lines = [*_head(server.name, options), *_table(turns, faults, load, options.urls)]
    text = "\n".join(lines)
    print(text)
    if options.output:
        Path(options.output).write_text(f"{text}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fetchers")
    parser.add_argument("--urls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3, help="how often each has its turn (3)")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", action="append", choices=PROGRAMS, help="some of them; may be repeated")
    parser.add_argument("--scrapy", default=sys.executable, metavar="PYTHON", help="an interpreter that has Scrapy")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds for one turn (600)")
    parser.add_argument("-o", "--output", help="a file for the table, too")
    return parser.parse_args()


def _all(load: Load, options: argparse.Namespace) -> tuple[dict[str, list[Turn]], dict[str, str]]:
    """Return the turns of each, and what was wrong with those that have failed; these have no further turn."""
    turns: dict[str, list[Turn]] = {name: [] for name in options.only or PROGRAMS}
    faults = {name: "not installed" for name in turns if PROGRAMS[name].version(load) is None}
    for _ in range(options.rounds):
        for name in [name for name in turns if name not in faults]:
            turn, fault = _turn(name, load, options)
            turns[name].append(turn)
            if fault is not None:
                faults[name] = fault
                print(f"{name}: {fault}\n{turn.said}", file=sys.stderr)
    return turns, faults


def _turn(name: str, load: Load, options: argparse.Namespace) -> tuple[Turn, str | None]:
    """Return the turn of a program, and what is wrong with it."""
    load = replace(load, folder=load.folder / name.replace(" ", ""))
    load.folder.mkdir(parents=True)
    turn = measured(PROGRAMS[name].command(load), options.patience)
    try:
        good = PROGRAMS[name].good(load)
    except (OSError, ValueError, KeyError) as exc:
        return turn, f"exit code {turn.code}, no output that can be read ({exc!r})"
    finally:
        shutil.rmtree(load.folder)
    if turn.code == 0 and good == options.urls:
        return turn, None
    return turn, f"exit code {turn.code}, {good:,} good answers after {turn.seconds:.0f} s"


def _head(server: str, options: argparse.Namespace) -> Iterator[str]:
    load = f"{options.urls:,} URLs of {SIZE:,} bytes over plain HTTP, {options.connections} at once"
    yield f"{load}; medians of {options.rounds} turns, each a process of its own from start to end."
    yield f"{machine(server)}; {platform.python_implementation()} {platform.python_version()}."
    yield ""


def _table(turns: Turns, faults: Mapping[str, str], load: Load, urls: int) -> Iterator[str]:
    floor = next(iter(turns))
    yield f"| | writes | seconds | URLs a second | of {floor} | CPU, s | of {floor} | memory, MiB |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for name, found in turns.items():
        title = " ".join(filter(None, [f"`{name}`", PROGRAMS[name].version(load)]))
        if name in faults:
            yield f"| {title} | {PROGRAMS[name].writes} | failed: {faults[name]} | | | | | |"
            continue
        seconds, cpu = (median(getattr(turn, key) for turn in found) for key in ("seconds", "cpu"))
        rates, cpus = (_ratios(turns, name, floor, key) for key in ("seconds", "cpu"))
        cells = [f"{seconds:.1f}", f"{urls / seconds:,.0f}", _spread([1 / each for each in rates]), f"{cpu:.1f}"]
        cells += [_spread(cpus), f"{max(turn.memory for turn in found):.0f}"]
        yield f"| {title} | {PROGRAMS[name].writes} | {' | '.join(cells)} |"


def _ratios(turns: Turns, name: str, floor: str, key: str) -> list[float]:
    """Return the ratios to the floor, round by round."""
    return [getattr(one, key) / getattr(other, key) for one, other in zip(turns[name], turns[floor], strict=False)]


def _spread(ratios: Sequence[float]) -> str:
    if not ratios:
        return ""
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
