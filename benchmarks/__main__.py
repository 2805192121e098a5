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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from .contestants import CONTESTANTS, FLOOR, GROUPS, NOOP_FLOOR
from .server import SIZE, serving
from .table import Figures, summary, table

_PATIENCE = 120  # seconds for one turn
_FULL, _QUICK = (2_000, 25), (1_000, 3)  # requests and rounds


def main() -> None:
    """Read the options, run all rounds, print."""
    options = _options()
    names = _installed(options.names)
    with serving() as (server, url), ExitStack() as stack:
        running = {name: stack.enter_context(_open(name, url, options)) for name in names}
        rounds = [{name: _turn(name, process) for name, process in running.items()} for _ in range(options.rounds)]
    figures = summary(rounds)
    print(_title(server, options))
    print(table(figures))
    if options.json:
        Path(options.json).write_text(json.dumps({"summary": figures, "rounds": rounds}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--requests", type=_positive, help="per turn of fast contestants (2000); slow make fewer")
    parser.add_argument("--rounds", type=_positive, help="how often each has its turn (25)")
    parser.add_argument("--connections", type=_positive, default=32)
    parser.add_argument("--only", type=_names, default=list(CONTESTANTS), dest="names",
                        help=f"some of {','.join([*CONTESTANTS, *GROUPS])}")  # fmt: skip
    parser.add_argument("--loop", choices=("auto", "uvloop", "asyncio"), default="auto")
    parser.add_argument("--workers", type=_positive, help="of the pool (as many as it chooses)")
    parser.add_argument("--json", help="a file for the figures")
    parser.add_argument("--quick", action="store_true", help="1000 requests and 3 rounds, unless given")
    options = parser.parse_args()
    requests, rounds = _QUICK if options.quick else _FULL
    options.requests, options.rounds = options.requests or requests, options.rounds or rounds
    return options


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def _names(text: str) -> list[str]:
    """Return the names, each group as its members, each once."""
    names = [name for part in text.split(",") for name in GROUPS.get(part, (part,))]
    if unknown := sorted(set(names) - CONTESTANTS.keys()):
        raise argparse.ArgumentTypeError(f"no contestant {unknown}; there are {', '.join(CONTESTANTS)}")
    return list(dict.fromkeys(names))


def _installed(names: list[str]) -> list[str]:
    """Return those that can run, and say which are left out."""
    found = [name for name in names if CONTESTANTS[name].is_installed]
    for name in names:
        if name not in found:
            print(f"{name}: left out, {CONTESTANTS[name].needs} is not installed", file=sys.stderr)
    return found or sys.exit("none of the contestants is installed")


@contextmanager
def _open(name: str, url: str, options: argparse.Namespace) -> Iterator["subprocess.Popen[str]"]:
    """Start a contestant, which then waits for its turns; end it afterwards."""
    command = [sys.executable, "-m", "benchmarks.contestants", name, "--url", url, "--size", str(SIZE)]
    for option in ("requests", "connections", "loop", "workers"):
        if (value := getattr(options, option)) is not None:
            command += [f"--{option}", str(value)]
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


def _title(server: str, options: argparse.Namespace) -> str:
    loop = options.loop
    if loop == "auto":
        loop = "asyncio" if find_spec("uvloop") is None else "uvloop"
    machine = f"Python {platform.python_version()}, {loop}, {os.cpu_count()} cores"
    load = f"{options.requests} requests of {SIZE} bytes from {server}, {options.connections} connections"
    return f"{machine}; {load}, {options.rounds} turns each\nratios to {FLOOR}, of the noop jobs to {NOOP_FLOOR}"


if __name__ == "__main__":
    main()
