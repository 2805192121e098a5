"""A run on a cluster whose processes are killed: `python tests/cluster/killed_processes.py --jobs 5000 --processes 3`.

One worker is killed every few seconds, and another one started; once it is the scheduler, which ends the run: on a new
cluster its state goes on. The server counts: what is under way at each host, the starts of a lane with a rate, and the
gaps at a host whose robots.txt asks for a Crawl-delay. Prints what was lost or doubled, and what limit was passed; the
exit code is 1 if anything was.
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

from aiohttp import web
from clusters import Cluster

from workerpool import Lane, WorkerLost
from workerpool.cluster import DaskPool
from workerpool.scraping import Crawl, Item, Politeness
from workerpool.scraping.reading import standing

__all__ = ["HOSTS", "PER_HOST", "Counted", "Findings", "torment"]

PER_HOST, RATE, DELAY = 5, 50.0, 0.5
_TIMERS = 0.01  # seconds that a start may come late at a server on a busy machine, and the next one not
HOSTS = [f"127.0.0.{number}" for number in range(2, 10)]
_RATED, _SLOW = "127.0.0.20", "127.0.0.30"


@dataclass
class Counted:
    """What the server has seen."""

    most: Counter[str] = field(default_factory=Counter)  # under way at a host
    starts: dict[str, list[float]] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)  # paths


@dataclass
class Findings:
    """What came of it."""

    rows: Counter[int] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    restarts: int = 0
    repeated: int = 0
    lost: int = 0
    doubled: int = 0
    passed: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing is lost or doubled, and no limit was passed."""
        return not (self.lost or self.doubled or self.passed)


def main() -> int:
    """Torment a run, and tell; return the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--jobs", type=int, default=5000)
    arguments.add_argument("--processes", type=int, default=3)
    arguments.add_argument("--every", type=float, default=5.0, help="seconds between two kills (5)")
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    began = monotonic()
    found, counted = torment(given.jobs, given.processes, given.every, given.seed)
    print(f"{given.jobs} jobs on {given.processes} processes, {monotonic() - began:.0f} s: {dict(found.verdicts)}")
    print(f"killed: {found.kills} workers, {found.restarts} schedulers; asked once more: {found.repeated}")
    print(f"lost {found.lost}, doubled {found.doubled}")
    print(_limits(counted))
    print("\n".join(found.passed) or "no limit was passed")
    return 0 if found.is_good else 1


def torment(jobs: int, processes: int, every: float, seed: int) -> tuple[Findings, Counted]:
    """Run so many jobs while processes are killed; return what came of it, and what the server has seen."""
    found, chance = Findings(), random.Random(seed)
    items = list(_items(jobs))
    with _Server() as server, tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        for is_last in (False, True):
            _run(items, server.port, state, processes, every, chance, found, to_scheduler=not is_last)
        counted = server.counted()
        rows = _rows(state)
    found.lost = jobs - len(found.rows)
    found.doubled = sum(number - 1 for number in found.rows.values())
    if rows != jobs:
        found.passed.append(f"the state has {rows} outcomes of {jobs}")
    found.passed += _passed(counted)
    return found, counted


def _items(jobs: int) -> Iterator[tuple[str, str, int]]:
    """Yield lane, host and number of each job: three of five by rate, a few at the slow host."""
    slow = min(100, jobs // 20)
    for number in range(jobs):
        if number % max(1, jobs // slow) == 0:
            yield "polite", _SLOW, number
        elif number % 5 < 3:
            yield "rated", _RATED, number
        else:
            yield "polite", HOSTS[number % len(HOSTS)], number


def _run(
    items: list[tuple[str, str, int]], port: int, state: Path, processes: int, every: float, chance: random.Random,
    found: Findings, *, to_scheduler: bool,
) -> None:  # fmt: skip
    """Go on with the run until it is complete, or the scheduler is killed on the way."""
    lanes = [
        Lane("rated", rate=RATE, retry=None),
        Lane("polite", per_host=PER_HOST, robots=True, retry=None, headers={"User-Agent": "killed/1"}),
    ]
    inputs = (Item(url=f"http://{host}:{port}/{number}", lane=lane) for lane, host, number in items)
    with Cluster(processes) as cluster, DaskPool(cluster.address, lanes=lanes) as pool:
        crawl = Crawl(inputs, state=state, pool=pool, politeness=Politeness(per_host=0, breaker_failures=0))
        killer = _Killer(cluster, every, chance, found)
        half = len(items) // 2
        try:
            for outcome in crawl:
                found.rows[outcome.index] += 1
                found.verdicts[outcome.verdict if outcome.error is None else repr(outcome.error)] += 1
                if to_scheduler and len(found.rows) == half:
                    killer.ended.set()
                    cluster.kill_scheduler()
                    found.restarts += 1
        except WorkerLost:  # the scheduler; the state goes on
            assert to_scheduler
        finally:
            killer.ended.set()
            found.repeated += pool.stats().repeated + crawl.summary.retried
            cluster.close()
            killer.join()


class _Killer(threading.Thread):
    """Kill one worker every so many seconds, and start another one."""

    def __init__(self, cluster: Cluster, every: float, chance: random.Random, found: Findings) -> None:
        super().__init__(daemon=True)
        self._cluster, self._every, self._chance, self._found = cluster, every, chance, found
        self.ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.ended.wait(self._every):
            self._cluster.kill(self._chance.choice(self._cluster.workers))
            self._found.kills += 1
            if self.ended.is_set():
                return
            try:
                self._cluster.add()
            except AssertionError:  # the scheduler is gone
                return


def _rows(state: Path) -> int:
    """Return how many outcomes the state has."""
    found = standing(state)
    return found.fetched + found.failed + found.skipped


def _limits(counted: Counted) -> str:
    most = max((counted.most[host] for host in HOSTS), default=0)
    return (
        f"at the server: at most {most} under way at a host (limit {PER_HOST});"
        f" at most {_in_a_second(counted.starts.get(_RATED, []))} starts of the rated lane in a second (limit {RATE:g});"
        f" smallest gap where the Crawl-delay is {DELAY:g} s: {_smallest(counted.starts.get(_SLOW, [])):.3f} s"
    )


def _passed(counted: Counted) -> list[str]:
    found = [f"{host}: {counted.most[host]} at once" for host in HOSTS if counted.most[host] > PER_HOST]
    if (most := _in_a_second(counted.starts.get(_RATED, []))) > RATE:
        found.append(f"the rate of {RATE:g} a second was passed: {most}")
    if (gap := _smallest(counted.starts.get(_SLOW, []))) < DELAY - _TIMERS:
        found.append(f"the Crawl-delay of {DELAY:g} s was passed: {gap:.3f} s")
    return found


def _in_a_second(starts: list[float]) -> int:
    """Return how many starts there were in the fullest second."""
    most, first = 0, 0
    for last, at in enumerate(starts):
        while at - starts[first] >= 1.0 - _TIMERS:
            first += 1
        most = max(most, last - first + 1)
    return most


def _smallest(starts: list[float]) -> float:
    return min((after - before for before, after in pairwise(starts)), default=DELAY)


class _Server:
    """A server in a process of its own, which counts; for a `with` block."""

    def __enter__(self) -> "_Server":
        ours, theirs = multiprocessing.Pipe()
        self._pipe = ours
        self._process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        self.port: int = ours.recv()
        return self

    def counted(self) -> Counted:
        """Return what it has seen."""
        self._pipe.send("counted")
        found: Counted = self._pipe.recv()
        return found

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection) -> None:
    with suppress(PermissionError):
        os.nice(-19)  # whoever counts must not be late, on cores that are full of workers that start
    asyncio.run(_serving(pipe))


async def _serving(pipe: Connection) -> None:
    counted, flying = Counted(), Counter[str]()

    async def answer(request: web.Request) -> web.Response:
        host = request.host.partition(":")[0]
        counted.starts.setdefault(host, []).append(monotonic())
        if request.path == "/robots.txt":
            delay = f"Crawl-delay: {DELAY}\n" if host == _SLOW else ""
            return web.Response(text=f"User-agent: *\n{delay}Disallow:\n")
        counted.seen[request.path] += 1
        flying[host] += 1
        counted.most[host] = max(counted.most[host], flying[host])
        try:
            await asyncio.sleep(0.02)
        finally:
            flying[host] -= 1
        return web.Response(text=request.path)

    app = web.Application()
    app.router.add_get("/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "0.0.0.0", 0)
    await site.start()
    server: Any = runner.addresses[0]
    pipe.send(server[1])
    asked = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), asked.set)
    await asked.wait()
    pipe.recv()
    pipe.send(counted)
    await asyncio.sleep(60)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
