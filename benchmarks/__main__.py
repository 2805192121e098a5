"""`python -m benchmarks`: a table of each scenario, a page of all of them, or a check against stored ratios."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from . import check
from .contestants import CONTESTANTS
from .runner import Outcome, Setup, installed, measure
from .scenarios import SCENARIOS, Scenario
from .table import table

_QUICK = (1_000, 3)  # requests and rounds, at the most


def main() -> None:
    """Read the options, and do what they ask for."""
    options = _options()
    setup = Setup(options.loop, options.workers, dict(options.by), pinned=options.check or options.store)
    if options.check:
        sys.exit(check.compare(setup))
    names = options.scenarios or (list(SCENARIOS) if options.report else ["small"])
    outcomes = {}
    for name in names:
        outcomes[name] = measure(_adapted(SCENARIOS[name], options, setup), setup, options.runs)
        print(_title(outcomes[name], options.loop), table(outcomes[name].figures), sep="\n", flush=True)
    if options.json:
        figures = {name: outcome.figures for name, outcome in outcomes.items()}
        Path(options.json).write_text(json.dumps(figures, indent=1))
    if options.store:
        check.store(outcomes)
    if options.report:
        from .report import write  # here and not above: only this needs matplotlib

        write(Path(options.report), outcomes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("scenarios", nargs="*", type=_scenario,
                        help=f"some of {', '.join(SCENARIOS)} (small; all of them for a report)")  # fmt: skip
    parser.add_argument("--requests", type=_positive, help="per turn of fast contestants; slow ones make fewer")
    parser.add_argument("--rounds", type=_positive, help="how often each has its turn in a run")
    parser.add_argument("--runs", type=_positive, default=1, help="how often all is done, with new processes (1)")
    parser.add_argument("--connections", type=_positive)
    parser.add_argument("--only", type=_names, help=f"some of {','.join(CONTESTANTS)}; the first is the floor")
    parser.add_argument("--by", type=_by, action="append", default=[], metavar="NAME=PYTHON",
                        help="run a contestant by another interpreter, as niquests-threads needs")  # fmt: skip
    parser.add_argument("--loop", choices=("auto", "uvloop", "asyncio"), default="auto")
    parser.add_argument("--workers", type=_positive, help="of the pool (as many as it chooses)")
    parser.add_argument("--json", help="a file for the figures")
    parser.add_argument("--report", metavar="FOLDER", help="write benchmarks.md and its plots there")
    parser.add_argument("--store", action="store_true", help="keep the pool's ratios, measured as --check does")
    parser.add_argument("--check", action="store_true",
                        help="fail where the pool has lost against them; the server has its own core")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="at most 1000 requests and 3 rounds, unless given")
    return parser.parse_args()


def _adapted(scenario: Scenario, options: argparse.Namespace, setup: Setup) -> Scenario:
    """Return the scenario with what the options say instead, and without those that cannot run here."""
    if options.quick:
        requests, rounds = _QUICK
        scenario = replace(scenario, requests=min(requests, scenario.requests), rounds=min(rounds, scenario.rounds))
    given = {name: getattr(options, name) for name in ("requests", "rounds", "connections") if getattr(options, name)}
    return replace(scenario, **given, contestants=_installed(options.only or scenario.contestants, setup))


def _installed(names: Iterable[str], setup: Setup) -> tuple[str, ...]:
    """Return those that can run, and say which are left out."""
    found = {name: installed(name, setup) for name in names}
    for name in [name for name in found if not found[name]]:
        print(f"{name}: left out, {CONTESTANTS[name].needs} is not installed", file=sys.stderr)
    return tuple(name for name in found if found[name]) or sys.exit("none of the contestants is installed")


def _scenario(text: str) -> str:
    if text not in SCENARIOS:
        raise argparse.ArgumentTypeError(f"no scenario {text!r}; there are {', '.join(SCENARIOS)}")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    """Return the names, each once."""
    names = text.split(",")
    if unknown := sorted(set(names) - CONTESTANTS.keys()):
        raise argparse.ArgumentTypeError(f"no contestant {unknown}; there are {', '.join(CONTESTANTS)}")
    return tuple(dict.fromkeys(names))


def _by(text: str) -> tuple[str, str]:
    name, equals, python = text.partition("=")
    if not equals or name not in CONTESTANTS or not os.access(python, os.X_OK):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=PYTHON, a contestant and an interpreter")
    return name, python


def _title(outcome: Outcome, loop: str) -> str:
    scenario = outcome.scenario
    if loop == "auto":
        loop = "asyncio" if find_spec("uvloop") is None else "uvloop"
    machine = f"Python {platform.python_version()}, {loop}, {os.cpu_count()} cores"
    size = f"{scenario.requests} requests of {scenario.size} bytes"
    load = f"{size} from {outcome.server}, {scenario.connections} connections"
    turns = f"{outcome.runs} runs of {scenario.rounds} turns" if outcome.runs > 1 else f"{scenario.rounds} turns"
    return f"{scenario.title}\n{machine}; {load}, {turns} each, ratios to {scenario.contestants[0]}"


if __name__ == "__main__":
    main()
