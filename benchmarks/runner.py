"""Run the contestants: each in its own process, in turn, against one server.

The turns are short and many, and all processes stay open: a machine that slows down for a while slows the floor
down as much, and each ratio is one of neighbours.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from .contestants import CONTESTANTS
from .cores import CLIENT, SERVER, on_core
from .scenarios import Scenario
from .server import Server, serving
from .table import Figures, over_runs, summary

__all__ = ["Outcome", "Setup", "installed", "measure"]

_PATIENCE = 120  # seconds for one turn


@dataclass(frozen=True, slots=True)
class Setup:
    """How the contestants run: on which loop, the pool with how many workers, some by an interpreter of their own.

    Pinned, the server has a core, and the contestants have another one: the same figures on a busy machine.
    """

    loop: str = "auto"
    workers: int | None = None
    pythons: Mapping[str, str] = field(default_factory=dict)  # by contestant
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one scenario came to: the medians by contestant, over runs if there were several."""

    scenario: Scenario
    server: str
    runs: int
    figures: dict[str, Figures]


def measure(scenario: Scenario, setup: Setup, runs: int = 1) -> Outcome:
    """Run all rounds of a scenario, with new processes for each run."""
    server = ""
    summaries = []
    for _ in range(runs):
        server, rounds = _run(scenario, setup)
        summaries.append(summary(rounds, scenario.contestants[0]))
    return Outcome(scenario, server, runs, over_runs(summaries))


def installed(name: str, setup: Setup) -> bool:
    """Tell whether what the contestant needs can be found; one that is found and broken fails the run."""
    if name not in setup.pythons:
        return CONTESTANTS[name].is_installed
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({CONTESTANTS[name].needs!r}) is None)"
    return subprocess.run([setup.pythons[name], "-c", code], check=False).returncode == 0


def _run(scenario: Scenario, setup: Setup) -> tuple[str, list[dict[str, Figures]]]:
    names = scenario.contestants
    size = 0 if scenario.upload else scenario.size
    made = serving(size, scenario.latency, packed=scenario.packed, tls=scenario.tls, closes=scenario.closes)
    with ExitStack() as stack:
        with on_core(SERVER if setup.pinned else None):
            server = stack.enter_context(made)

        def turn(name: str) -> Figures:
            if scenario.alone:
                with _open(name, server, scenario, setup) as process:
                    return _turn(name, process, server)
            return _turn(name, running[name], server)

        lasting = () if scenario.alone else names
        running = {name: stack.enter_context(_open(name, server, scenario, setup)) for name in lasting}
        return server.name, [{name: turn(name) for name in names} for _ in range(scenario.rounds)]


@contextmanager
def _open(name: str, server: Server, scenario: Scenario, setup: Setup) -> Iterator["subprocess.Popen[str]"]:
    """Start a contestant, which then waits for its turns; end it afterwards."""
    python = setup.pythons.get(name, sys.executable)
    command = [python, "-m", "benchmarks.contestants", name, "--url", server.url_for(name), "--loop", setup.loop]
    for option in ("requests", "connections", "size"):
        command += [f"--{option}", str(getattr(scenario, option))]
    for option, value in (("workers", setup.workers), ("ca", server.ca), ("headers", scenario.headers or None)):
        command += [] if value is None else [f"--{option}", str(value)]
    pipe = subprocess.PIPE
    with on_core(CLIENT if setup.pinned else None):
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=_environment(server))
    with process:
        try:
            yield process
        finally:
            process.kill()


def _turn(name: str, process: "subprocess.Popen[str]", server: Server) -> Figures:
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
    return figures | {"resumed": server.resumed(name)}


def _environment(server: Server) -> dict[str, str]:
    """Return the environment without proxies: some rivals would send even loopback through them.

    The server's authority is the one that is trusted by default.
    """
    found = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return found if server.ca is None else found | {"SSL_CERT_FILE": str(server.ca)}
