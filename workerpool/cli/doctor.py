"""`workerpool doctor`: what this installation is made of, and how quick a job is there and back."""

import asyncio
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from urllib.request import getproxies

import click

from ..caller.pool import WorkerPool, default_workers
from ..redaction import redact

__all__ = ["doctor"]

_LIBRARIES = ("aiohttp-workerpool", "aiohttp", "janus", "yarl", "multidict", "uvloop", "isal", "brotlicffi",
              "aiohttp-socks", "requests", "urllib3", "httpx", "httpx2", "rich", "click")  # fmt: skip
_JOBS = 500
_FEW = 1024  # open files; a pool of 1,000 connections needs more


@click.command()
def doctor() -> None:
    """Report versions, event loop, GIL, limits and proxies, and measure a round trip; for bug reports.

    Secrets are left out. Exits 0.
    """
    for name, value in _findings():
        click.echo(f"{name + ':':<20}{value}")


def _findings() -> Iterator[tuple[str, str]]:
    yield "python", f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}"
    for name in _LIBRARIES:
        yield name, _version(name)
    yield "gil", _gil()
    yield "inflate", "isal" if _version("isal") != "not installed" else "zlib"
    yield "cores", f"{os.cpu_count()}; worker threads of a pool, unless told otherwise: {default_workers()}"
    yield "open files", _open_files()
    yield "proxies", ", ".join(f"{kind} {redact(url)}" for kind, url in sorted(getproxies().items())) or "none"
    loop, microseconds = _round_trip()
    yield "event loop", loop
    yield (
        "round trip",
        f"{microseconds:.0f} µs for a job that does nothing (median of {_JOBS})",
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _gil() -> str:
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return "off"
    if not hasattr(sys, "abiflags") or "t" not in sys.abiflags:
        return "on, as in every build but the free-threaded one"
    # The interpreter names the module in a warning, once, where it is loaded first.
    code = "import workerpool, brotlicffi, isal, uvloop"
    said = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=False)
    found = re.search(r"load module '([^']+)'", said.stderr)
    return f"on, switched on by {found[1]}" if found else "on, by PYTHON_GIL or -X gil"


def _open_files() -> str:
    try:
        import resource  # POSIX only
    except ImportError:
        return "no limit known"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    advice = "" if soft > _FEW else "; raise it for more connections than that (ulimit -n)"
    return f"{soft} (at most {hard}){advice}"


def _round_trip() -> tuple[str, float]:
    async def loop_kinds(session: object) -> tuple[type, ...]:
        return type(asyncio.get_running_loop()).__mro__

    async def nothing(session: object) -> None:
        return None

    with WorkerPool(workers=1, name="doctor") as pool:
        homes = {kind.__module__.partition(".")[0] for kind in pool.submit(loop_kinds).result()}
        times = []
        for _ in range(_JOBS):
            began = perf_counter()
            pool.submit(nothing).result()
            times.append(perf_counter() - began)
    return "uvloop" if "uvloop" in homes else "asyncio", sorted(times)[_JOBS // 2] * 1e6
