"""Run the contestants in turn, each in its own process, and print the table."""

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from .contestants import CONTESTANTS, FLOOR
from .server import SIZE, serving
from .table import Figures, summary, table


def main() -> None:
    """Read the options, run all rounds, print."""
    options = _options()
    names = options.only.split(",") if options.only else list(CONTESTANTS)
    with serving() as (server, url):
        rounds = _rounds(names, url, options)
    versions = f"Python {platform.python_version()}, loop {options.loop}, {options.connections} connections"
    print(f"{versions}, {SIZE} bytes from {server}, {len(rounds)} rounds; ratios to {FLOOR}")
    figures = summary(rounds)
    print(table(figures))
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--requests", type=int, default=20_000, help="of the fast contestants; slow ones make fewer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", help=f"some of {','.join(CONTESTANTS)}")
    parser.add_argument("--loop", choices=("auto", "uvloop", "asyncio"), default="auto")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--json", help="a file for the figures")
    parser.add_argument("--quick", action="store_true", help="few requests, two rounds")
    options = parser.parse_args()
    if options.quick:
        options.requests, options.rounds = min(options.requests, 2000), 2
    if unknown := set((options.only or FLOOR).split(",")) - CONTESTANTS.keys():
        parser.error(f"no contestant {', '.join(sorted(unknown))}; there are {', '.join(CONTESTANTS)}")
    return options


def _rounds(names: list[str], url: str, options: argparse.Namespace) -> list[dict[str, Figures]]:
    rounds: list[dict[str, Figures]] = []
    for _ in range(options.rounds):
        figures: dict[str, Figures] = {}
        for name in tuple(names):
            if (measured := _run(name, url, options)) is None:
                names.remove(name)
            else:
                figures[name] = measured
        rounds.append(figures)
    return rounds


def _run(name: str, url: str, options: argparse.Namespace) -> Figures | None:
    """Return the figures of one contestant in one round; None if it is not installed."""
    command = [sys.executable, "-m", "benchmarks.contestants", name, "--url", url, "--size", str(SIZE)]
    for option in ("requests", "connections", "loop", "workers"):
        if (value := getattr(options, option)) is not None:
            command += [f"--{option}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ModuleNotFoundError" in done.stderr:
        print(f"{name}: left out, {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


if __name__ == "__main__":
    main()
