"""Run the contestants in turn, each in its own process, and print the table.

The turns are short and many, and all processes stay open: a machine that slows down for a while slows the floor
down as much, and each ratio is one of neighbours.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .contestants import CONTESTANTS
from .scenarios import SCENARIOS, Scenario
from .server import serving
from .table import Figures, summary, table

_PATIENCE = 120  # seconds for one turn
_QUICK = (1_000, 3)  # requests and rounds, at the most


def main() -> None:
    """Read the options, run the scenarios, print a table of each."""
    options = _options()
    results = {name: _run(_adapted(SCENARIOS[name], options), options) for name in options.scenarios}
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1))


def _run(scenario: Scenario, options: argparse.Namespace) -> dict[str, Any]:
    """Run all rounds of one scenario, and print its table."""
    names = _installed(scenario.contestants)
    answer = 0 if scenario.upload else scenario.size
    with serving(answer, scenario.latency) as (server, url), ExitStack() as stack:

        def turn(name: str) -> Figures:
            if scenario.alone:
                with _open(name, url, scenario, options) as process:
                    return _turn(name, process)
            return _turn(name, running[name])

        lasting = () if scenario.alone else names
        running = {name: stack.enter_context(_open(name, url, scenario, options)) for name in lasting}
        rounds = [{name: turn(name) for name in names} for _ in range(scenario.rounds)]
    figures = summary(rounds, scenario.contestants[0])
    print(_title(server, scenario, options))
    print(table(figures), flush=True)
    return {"summary": figures, "rounds": rounds}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("scenarios", nargs="*", type=_scenario, default=["small"],
                        help=f"some of {', '.join(SCENARIOS)} (small)")  # fmt: skip
    parser.add_argument("--requests", type=_positive, help="per turn of fast contestants; slow ones make fewer")
    parser.add_argument("--rounds", type=_positive, help="how often each has its turn")
    parser.add_argument("--connections", type=_positive)
    parser.add_argument("--only", type=_names, help=f"some of {','.join(CONTESTANTS)}; the first is the floor")
    parser.add_argument("--loop", choices=("auto", "uvloop", "asyncio"), default="auto")
    parser.add_argument("--workers", type=_positive, help="of the pool (as many as it chooses)")
    parser.add_argument("--json", help="a file for the figures")
    parser.add_argument("--quick", action="store_true", help="at most 1000 requests and 3 rounds, unless given")
    return parser.parse_args()


def _adapted(scenario: Scenario, options: argparse.Namespace) -> Scenario:
    """Return the scenario with what the options say instead."""
    if options.quick:
        requests, rounds = _QUICK
        scenario = replace(scenario, requests=min(requests, scenario.requests), rounds=min(rounds, scenario.rounds))
    given = {name: getattr(options, name) for name in ("requests", "rounds", "connections") if getattr(options, name)}
    if options.only:
        given["contestants"] = options.only
    return replace(scenario, **given)


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


def _installed(names: Iterable[str]) -> list[str]:
    """Return those that can run, and say which are left out."""
    found = [name for name in names if CONTESTANTS[name].is_installed]
    for name in names:
        if name not in found:
            print(f"{name}: left out, {CONTESTANTS[name].needs} is not installed", file=sys.stderr)
    return found or sys.exit("none of the contestants is installed")


@contextmanager
def _open(name: str, url: str, scenario: Scenario, options: argparse.Namespace) -> Iterator["subprocess.Popen[str]"]:
    """Start a contestant, which then waits for its turns; end it afterwards."""
    command = [sys.executable, "-m", "benchmarks.contestants", name, "--url", url, "--loop", options.loop]
    for option in ("requests", "connections", "size"):
        command += [f"--{option}", str(getattr(scenario, option))]
    if options.workers is not None:
        command += ["--workers", str(options.workers)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=_unproxied()) as process:
        try:
            yield process
        finally:
            process.kill()


def _turn(name: str, process: "subprocess.Popen[str]") -> Figures:
    """Return the figures of one turn; a contestant that fails ends the run."""
    assert process.stdin is not None
    assert process.stdout is not None
    impatience = threading.Timer(_PATIENCE, process.kill)
    impatience.start()
    with suppress(BrokenPipeError):
        print(file=process.stdin, flush=True)
    answer = process.stdout.readline()
    impatience.cancel()
    if not answer:
        sys.exit(f"{name} failed:\n{process.stderr.read() if process.stderr else ''}")
    figures: Figures = json.loads(answer)
    return figures


def _unproxied() -> dict[str, str]:
    """Return the environment without proxies: some rivals would send even loopback through them."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def _title(server: str, scenario: Scenario, options: argparse.Namespace) -> str:
    loop = options.loop
    if loop == "auto":
        loop = "asyncio" if find_spec("uvloop") is None else "uvloop"
    machine = f"Python {platform.python_version()}, {loop}, {os.cpu_count()} cores"
    load = f"{scenario.requests} requests of {scenario.size} bytes from {server}, {scenario.connections} connections"
    ratios = f"{scenario.rounds} turns each, ratios to {scenario.contestants[0]}"
    return f"{scenario.title}\n{machine}; {load}, {ratios}"


if __name__ == "__main__":
    main()
