"""What a cluster costs beside independent pools: `python -m benchmarks.cluster`, and its memory with `--memory`.

Fetches the same number of URLs by a DaskPool over so many processes of this machine, and by as many processes with a
WorkerPool and a share of the list each, by turns; prints rates and CPU. With `--memory` it is one long run whose client
and scheduler, one process here, are looked at. nginx serves.
"""

import argparse
import multiprocessing
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import Queue
from time import monotonic, process_time
from typing import Any

import psutil

from workerpool import WorkerPool
from workerpool.cluster import DaskPool

from .machine import machine
from .server import serving

__all__ = ["Cost", "measured"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took: seconds, and seconds of CPU of client and scheduler, and of the workers."""

    urls: int
    seconds: float
    client: float
    workers: float
    exchanges: int
    size: int

    @property
    def rate(self) -> float:
        """URLs a second."""
        return self.urls / self.seconds


def main() -> None:
    """Run it, and say how it went."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster")
    parser.add_argument("--urls", type=int, default=50_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="one run, and the memory of client and scheduler")
    options = parser.parse_args()
    with serving() as server:
        print(machine(server.name))
        if options.memory:
            _memory(server.url, options.urls, options.processes)
        else:
            _compare(server.url, options.urls, options.processes, options.turns)


def _compare(url: str, urls: int, processes: int, turns: int) -> None:
    with _independent(processes) as pools, DaskPool(processes=processes) as pool:
        _by_pools(pools, url, urls // 10)
        measured(pool, url, urls // 10, 0)
        walls, cpus = [], []
        for _ in range(turns):
            alone, spread = _by_pools(pools, url, urls), measured(pool, url, urls, 0)
            walls.append(alone.rate / spread.rate - 1)
            cpus.append(spread.workers / alone.workers - 1)
            print(
                f"{processes} pools {alone.rate:,.0f}/s, {alone.workers / urls * 1e6:.0f} us of CPU a URL; a cluster"
                f" {spread.rate:,.0f}/s ({walls[-1]:+.0%}), workers {spread.workers / urls * 1e6:.0f} us"
                f" ({cpus[-1]:+.0%}), client {spread.client / urls * 1e6:.0f} us,"
                f" {urls / max(spread.exchanges, 1):.0f} URLs an exchange",
                flush=True,
            )
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    print(f"overhead {wall:+.1%} of time, {cpu:+.1%} of the workers' CPU (medians of {turns}); every input one Result")


def measured(pool: DaskPool, url: str, urls: int, size: int) -> Cost:
    """Fetch so many URLs by a pool on this machine; raises where an input has not one good Result."""
    here = psutil.Process()
    workers = [each for each in here.children(recursive=True) if "spawn_main" in " ".join(each.cmdline())]
    before, asked, cpu = _cpu(workers), pool.stats().exchanges, _cpu([here])
    began, seen = monotonic(), bytearray(urls)
    for result in pool.fetch_many(url for _ in range(urls)):
        assert result.ok, result.error
        seen[result.index] += 1
    seconds = monotonic() - began
    assert seen == b"\1" * urls, "an input has no Result, or two"
    stats = pool.stats()
    return Cost(urls, seconds, _cpu([here]) - cpu, _cpu(workers) - before, stats.exchanges - asked, size)


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)


@contextmanager
def _independent(processes: int) -> Iterator[list[tuple[Any, Any]]]:
    """Give processes with a pool each, and the queues they are asked by."""
    context = multiprocessing.get_context("spawn")
    pairs: list[tuple[Any, Any]] = [(context.Queue(), context.Queue()) for _ in range(processes)]
    started = [context.Process(target=_alone, args=pair, daemon=True) for pair in pairs]
    for process in started:
        process.start()
    for _, done in pairs:
        done.get()
    try:
        yield pairs
    finally:
        for asked, _ in pairs:
            asked.put(None)
        for process in started:
            process.join()


def _alone(asked: "Queue[Any]", done: "Queue[Any]") -> None:
    with WorkerPool(connections=50) as pool:
        done.put(None)
        while (what := asked.get()) is not None:
            url, urls = what
            cpu = process_time()
            number = sum(result.ok for result in pool.fetch_many(url for _ in range(urls)))
            done.put((number, process_time() - cpu))


def _by_pools(pools: list[tuple[Any, Any]], url: str, urls: int) -> Cost:
    """Have each do its share."""
    began, cpu = monotonic(), 0.0
    for asked, _ in pools:
        asked.put((url, urls // len(pools)))
    for _, done in pools:
        number, took = done.get()
        assert number == urls // len(pools)
        cpu += took
    return Cost(urls, monotonic() - began, 0.0, cpu, 0, 0)


def _memory(url: str, urls: int, processes: int) -> None:
    """Print the memory of client and scheduler, one process, a tenth of the run at a time."""
    here, seen = psutil.Process(), 0
    with DaskPool(processes=processes) as pool:
        began, marks = monotonic(), []
        for result in pool.fetch_many(url for _ in range(urls)):
            assert result.ok, result.error
            seen += 1
            if seen % max(1, urls // 10) == 0:
                marks.append(here.memory_info().rss / 2**20)
                print(f"{seen:,} results, {monotonic() - began:.0f} s, {marks[-1]:.1f} MiB", flush=True)
    print(f"{urls:,} inputs: {marks[0]:.1f} MiB after a tenth, {max(marks):.1f} MiB at the most")


if __name__ == "__main__":
    main()
