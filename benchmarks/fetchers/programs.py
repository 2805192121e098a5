"""The programs that take part: how each is called, and how many good answers it has left behind."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["PROGRAMS", "Load", "Program"]

_SPIDER = Path(__file__).with_name("spider.py")
Command = list[str]


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be fetched: a file of URLs, into an empty folder; each answer is a 200 of so many bytes."""

    urls: Path
    folder: Path
    connections: int
    size: int
    scrapy: str = sys.executable  # an interpreter that has it

    @property
    def out(self) -> Path:
        """The file of rows, for those that write one."""
        return self.folder / "out.jsonl"

    @property
    def bodies(self) -> Path:
        """The folder of bodies, for those that write each into a file."""
        return self.folder / "bodies"


@dataclass(frozen=True, slots=True)
class Program:
    """A contestant. `command` may write files that it needs; `version` is None where it is not installed."""

    writes: str
    command: Callable[[Load], Command]
    good: Callable[[Load], int]
    version: Callable[[Load], str | None]


def _rows(load: Load) -> int:
    """Count the URLs of good rows, each once."""
    with load.out.open() as lines:
        rows = [json.loads(line) for line in lines]
    return len({row["url"] for row in rows if row["status"] == 200 and row["bytes"] == load.size})


def _files(load: Load) -> int:
    """Count the bodies that are whole."""
    return sum(path.stat().st_size == load.size for path in load.bodies.rglob("*") if path.is_file())


def _rows_and_files(load: Load) -> int:
    return min(_rows(load), _files(load))


def _floor(load: Load) -> Command:
    module = [sys.executable, "-m", "benchmarks.fetchers.floor"]
    return [*module, str(load.urls), str(load.out), str(load.connections)]


def _workerpool(load: Load, *more: str) -> Command:
    options = ["-q", "--connections", str(load.connections), "-i", str(load.urls), "-o", str(load.out)]
    return [sys.executable, "-m", "workerpool", "fetch", *options, *more]


def _with_state(load: Load, *more: str) -> Command:
    return _workerpool(load, "--state", str(load.folder / "run.db"), *more)


def _scrapy(load: Load, *more: str) -> Command:
    settings = {
        "CONCURRENT_REQUESTS": load.connections,
        "CONCURRENT_REQUESTS_PER_DOMAIN": load.connections,
        "DOWNLOAD_DELAY": 0,
        "ROBOTSTXT_OBEY": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "ERROR",
    }
    if _said(load.scrapy, "-c", "import uvloop; print(uvloop.__version__)") is not None:
        settings["ASYNCIO_EVENT_LOOP"] = "uvloop.Loop"
    options = [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
    options += ["-a", f"urls={load.urls}", "-O", str(load.out), *more]
    return [load.scrapy, "-m", "scrapy", "runspider", str(_SPIDER), *options]


def _aria2(load: Load) -> Command:
    listed = load.folder / "listed"
    urls = load.urls.read_text().splitlines()
    listed.write_text("".join(f"{url}\n  out={n}\n" for n, url in enumerate(urls)))
    options = ["--no-conf", "--quiet", "--file-allocation=none", "--deferred-input=true", "--max-download-result=0"]
    many = [f"--max-concurrent-downloads={load.connections}", "--max-connection-per-server=1"]
    return ["aria2c", *options, *many, f"--dir={load.bodies}", "-i", str(listed)]


def _wget2(load: Load) -> Command:
    options = ["--no-config", "--quiet", f"--max-threads={load.connections}", f"--directory-prefix={load.bodies}"]
    return ["wget2", *options, "-i", str(load.urls)]


def _curl(load: Load) -> Command:
    listed = load.folder / "listed"
    load.bodies.mkdir()
    urls = load.urls.read_text().splitlines()
    listed.write_text("".join(f'url = "{url}"\noutput = "{load.bodies}/{n}"\n' for n, url in enumerate(urls)))
    return ["curl", "--disable", "-sS", "--fail", "-Z", "--parallel-max", str(load.connections), "-K", str(listed)]


def _of_python(module: str) -> Callable[[Load], str | None]:
    def version(load: Load) -> str | None:
        python = load.scrapy if module == "scrapy" else sys.executable
        return _said(python, "-c", f"import {module}; print({module}.__version__)")

    return version


def _of_command(name: str) -> Callable[[Load], str | None]:
    return lambda _load: None if shutil.which(name) is None else _said(name, "--version")


@cache
def _said(*command: str) -> str | None:
    """Return the first number that a command says; None where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return next((word for word in done.stdout.split() if word[0].isdigit()), None) if done.returncode == 0 else None


_OURS, _THEIRS = _of_python("workerpool"), _of_python("scrapy")
PROGRAMS = {
    "aiohttp in a loop": Program("rows", _floor, _rows, _of_python("aiohttp")),
    "workerpool fetch": Program("rows", _workerpool, _rows, _OURS),
    "workerpool fetch --state": Program("rows, state", _with_state, _rows, _OURS),
    "workerpool fetch --state --save": Program(
        "rows, state, files", lambda load: _with_state(load, "--save", str(load.bodies)), _rows_and_files, _OURS
    ),
    "Scrapy": Program("rows", _scrapy, _rows, _THEIRS),
    "Scrapy with JOBDIR": Program(
        "rows, state", lambda load: _scrapy(load, "-s", f"JOBDIR={load.folder / 'job'}"), _rows, _THEIRS
    ),
    "aria2c -i": Program("files", _aria2, _files, _of_command("aria2c")),
    "wget2 -i": Program("files", _wget2, _files, _of_command("wget2")),
    "curl -Z -K": Program("files", _curl, _files, _of_command("curl")),
}
