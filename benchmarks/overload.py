"""The job service under ten times what it can take: `python -m benchmarks.overload`.

First a few submitters find out how many small jobs a second it stores. Then many, on connections of their own, offer
ten times that rate for a while, whatever is answered, and a probe of another process asks /healthz beside them. At the
end all jobs that were answered with 202 have to be there.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import requests

from .machine import machine
from .server import serving

__all__ = ["Load", "percentile"]

_FEW, _MANY = 16, 400
_PROBE = 0.02  # seconds between two questions for health


@dataclass
class Load:
    """What was offered, and what came of it."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Jobs that were stored a second."""
        return len(self.accepted) / self.seconds


def percentile(values: list[float], share: float) -> float:
    """Return the value that so large a share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Run it, and say what came."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--submitters", type=int, default=_MANY)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving() as site, _service(Path(folder)) as url:
        print(machine(site.name))
        names = count()
        found = asyncio.run(_load(url, site.url, names, _FEW, 5.0, None))
        print(f"capacity: {found.rate:,.0f} jobs a second from {_FEW} submitters, {dict(found.statuses)}")
        quiet = _probed(url, 2.0)
        print(f"/healthz, nothing else: {_told(quiet)}")
        with _probing(url) as times:
            load = asyncio.run(_load(url, site.url, names, options.submitters, options.seconds, 10 * found.rate))
        offered = load.statuses.total() / load.seconds
        print(f"offered {offered:,.0f} a second ({offered / found.rate:.1f} times) by {options.submitters} submitters:"
              f" {load.rate:,.0f} stored, {dict(load.statuses)}")  # fmt: skip
        print(f"/healthz meanwhile: {_told(times)}")
        accepted = {*found.accepted, *load.accepted}
        lost = accepted - _there(url)
        print(f"accepted {len(accepted):,}, lost {len(lost)}")


@contextmanager
def _service(folder: Path) -> Iterator[str]:
    log = folder / "log"
    command = [sys.executable, "-m", "workerpool", "serve", "--port", "0", "--database", str(folder / "jobs.sqlite"),
               "--allow-address", "127.0.0.0/8"]  # fmt: skip
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, env={**os.environ, "WORKERPOOL_TOKENS": ""})
    try:
        while (found := re.search(r"listening on (http://[^\s\"]+)", log.read_text())) is None:
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.05)
        yield found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        print("\n".join(log.read_text().splitlines()[:20]))


async def _load(
    url: str, target: str, names: "count[int]", submitters: int, seconds: float, rate: float | None
) -> Load:
    """Submit for a while; with a rate, so many a second whatever is answered."""
    found, end = Load(seconds=seconds), time.monotonic() + seconds
    await asyncio.gather(*(
        _submit(url, target, names, found, end, None if rate is None else submitters / rate, number / submitters)
        for number in range(submitters)
    ))  # fmt: skip
    return found


async def _submit(
    url: str, target: str, names: "count[int]", found: Load, end: float, pause: float | None, begin: float
) -> None:
    host, port = url.removeprefix("http://").split(":")
    due = time.monotonic() + begin * (pause or 0.0)
    reader, writer = await asyncio.open_connection(host, int(port))
    while time.monotonic() < end:
        if pause is not None:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + pause, time.monotonic() - 1.0)
        name = f"o{next(names)}"
        body = json.dumps({"url": f"{target}?{name}", "id": name, "keep_bodies": False}).encode()
        head = f"POST /v1/jobs HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", answer.lower())[1]))  # type: ignore[index]
        except (asyncio.IncompleteReadError, ConnectionError):
            found.statuses[0] += 1
            writer.close()
            reader, writer = await asyncio.open_connection(host, int(port))
            continue
        status = int(answer[9:12])
        found.statuses[status] += 1
        if status == 202:
            found.accepted.append(name)
    writer.close()


@contextmanager
def _probing(url: str) -> Iterator[list[float]]:
    """Ask for health in a process of its own; the list is filled at the end of the block."""
    times: list[float] = []
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_probe_until, args=(url, theirs))
    process.start()
    ours.recv()
    try:
        yield times
    finally:
        ours.send(None)
        times += ours.recv()
        process.join()


def _probe_until(url: str, pipe: "multiprocessing.connection.Connection") -> None:
    pipe.send(None)
    pipe.send(_probed(url, None, pipe))


def _probed(
    url: str, seconds: float | None, pipe: "multiprocessing.connection.Connection | None" = None
) -> list[float]:
    times, end = list[float](), time.monotonic() + (seconds or 1e9)
    with requests.Session() as session:
        session.trust_env = False
        while time.monotonic() < end and not (pipe is not None and pipe.poll()):
            begin = time.monotonic()
            assert session.get(f"{url}/healthz", timeout=60).status_code == 200
            times.append(time.monotonic() - begin)
            time.sleep(_PROBE)
    return times


def _told(times: list[float]) -> str:
    p50, p99, most = (1000 * each for each in (percentile(times, 0.5), percentile(times, 0.99), max(times)))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, at the most {most:.1f} ms, of {len(times)}"


def _there(url: str) -> set[str]:
    """Return the ids of all jobs."""
    found: set[str] = set()
    cursor = None
    while True:
        answer = requests.get(f"{url}/v1/jobs", params={"limit": 1000, "cursor": cursor}, timeout=60)
        if answer.status_code == 503:
            time.sleep(1.0)
            continue
        page = answer.json()
        found |= {each["id"] for each in page["jobs"]}
        cursor = page["next"]
        if cursor is None:
            return found


if __name__ == "__main__":
    main()
