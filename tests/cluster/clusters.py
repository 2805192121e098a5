"""Clusters of Dask for tests: a scheduler and workers as processes of their own, which a test may start and kill."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import pytest

from workerpool.cluster import DaskPool

__all__ = ["Cluster", "module_cluster", "module_pool", "running"]

_PATIENCE = 60  # seconds after which something hangs

_SCHEDULER = """
import asyncio, sys
from distributed import Scheduler
async def main():
    async with Scheduler(host="127.0.0.1", port=int(sys.argv[1]), dashboard=False, dashboard_address="127.0.0.1:0") as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()
asyncio.run(main())
"""
_WORKER = """
import asyncio, sys
%s
from distributed import Worker
async def main():
    async with Worker(sys.argv[1], host="127.0.0.1", nthreads=1, dashboard=False) as worker:
        print(worker.address, flush=True)
        await worker.finished()
asyncio.run(main())
"""


class Cluster:
    """A scheduler and its workers, each a process; for a `with` block."""

    def __init__(self, workers: int = 0, *, port: int = 0) -> None:
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._starting: set[subprocess.Popen[str]] = set()
        self.address = self._start(_SCHEDULER, str(port))
        self._scheduler = self.address
        starting = [threading.Thread(target=self.add) for _ in range(workers)]
        for each in starting:
            each.start()
        for each in starting:
            each.join(_PATIENCE)

    def add(self, before: str = "") -> str:
        """Start one more worker, which runs this code first; return its address when it has joined."""
        return self._start(_WORKER % before, self.address)

    @property
    def workers(self) -> list[str]:
        """The addresses of the workers that were not killed."""
        return [address for address in self._processes if address != self._scheduler]

    def kill(self, address: str) -> None:
        """Kill a worker, or the scheduler, as the system does that is out of memory."""
        self.signal(address, signal.SIGKILL)
        self._processes.pop(address).wait(_PATIENCE)

    def kill_scheduler(self) -> None:
        """Kill the scheduler, and what waits for it."""
        self.kill(self._scheduler)
        for process in self._starting.copy():
            process.kill()

    def signal(self, address: str, number: int) -> None:
        """Send a signal to that process."""
        self._processes[address].send_signal(number)

    def close(self) -> None:
        """Kill what is left."""
        left = [*self._processes.values(), *self._starting.copy()]
        for process in left:
            process.kill()
        for process in left:
            process.wait(_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _start(self, code: str, argument: str) -> str:
        process = subprocess.Popen(
            [sys.executable, "-c", code, argument], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        self._starting.add(process)
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        process.stdout.close()
        self._starting.discard(process)
        if not address:
            process.kill()
            process.wait(_PATIENCE)
            raise AssertionError("a process of the cluster did not start")
        self._processes[address] = process
        return address


@contextmanager
def running(workers: int) -> Iterator[Cluster]:
    """Give a cluster with so many workers."""
    with Cluster(workers) as cluster:
        yield cluster


@pytest.fixture(scope="module", name="cluster")
def module_cluster() -> Iterator[Cluster]:
    """Two workers that the tests of a module share, and that none of them kills."""
    with running(2) as found:
        yield found


@pytest.fixture(scope="module", name="shared_pool")
def module_pool(cluster: Cluster) -> Iterator[DaskPool]:
    """One pool for the tests that change nothing in it."""
    with DaskPool(cluster.address) as pool:
        yield pool
