"""A long run, and whether its memory grows: `python -m benchmarks.million`, a list of a million URLs.

With `--site` it is a crawl of links until so many URLs are known, of a site that has twice as many. Rows go to JSON
Lines, and there is a state. The server is a process of its own, so memory is the run's alone; Linux only: it is read
from /proc.
"""

import argparse
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import monotonic

from workerpool import WorkerPool
from workerpool.scraping import Crawl, Politeness, Scope, Traps, follow, sink_for, url_key

from .machine import machine
from .server import serving, serving_links

__all__ = ["Sample", "told"]

_RSS = re.compile(r"VmRSS:\s*(\d+) kB")
_FIRST = 60.0  # seconds that memory is compared with
_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Sample:
    """How far the run is: seconds, outcomes, known URLs, MiB of memory."""

    seconds: float
    done: int
    known: int
    memory: float


def main() -> None:
    """Run it, and say how quick it was and what memory it had."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million")
    parser.add_argument("--urls", type=int, default=1_000_000)
    parser.add_argument("--site", action="store_true", help="crawl links until so many URLs are known")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks at the memory (5)")
    parser.add_argument("--folder", help="where state and rows are written; a temporary one")
    options = parser.parse_args()
    samples: list[Sample] = []
    with ExitStack() as stack:
        folder = Path(options.folder or stack.enter_context(tempfile.TemporaryDirectory()))
        pool = stack.enter_context(WorkerPool(connections=_CONNECTIONS, retry=None))
        if options.site:
            server = "a site of links"
            crawl = _links(stack.enter_context(serving_links(2 * options.urls)), folder, pool)
        else:
            found = stack.enter_context(serving())
            server, crawl = found.name, _list(found.url, options.urls, folder, pool)
        for sample in _sampled(crawl, options.every, options.urls if options.site else inf):
            samples.append(sample)
            print(_line(sample), flush=True)
        sizes = [f"{path.name} {path.stat().st_size / 2**20:,.0f} MiB" for path in sorted(folder.iterdir())]
    print(machine(server))
    print(told(samples))
    print(f"failed {crawl.summary.failed}, left out {dict(crawl.summary.left_out)}, on disk: {', '.join(sizes)}")


def told(samples: list[Sample]) -> str:
    """Return what the samples come to, in a line."""
    last = samples[-1]
    early = [sample for sample in samples if sample.seconds <= _FIRST] or samples[:1]
    first, most = (max(sample.memory for sample in some) for some in (early, samples))
    rates = f"{last.done / last.seconds:,.0f} a second, in the first minute {early[-1].done / early[-1].seconds:,.0f}"
    memory = f"{first:.1f} MiB at the most in the first minute, {most:.1f} MiB in all"
    return f"{last.done:,} outcomes, {last.known:,} URLs known, {last.seconds:,.0f} s: {rates}; {memory}"


def _list(url: str, number: int, folder: Path, pool: WorkerPool) -> Crawl:
    urls = (f"{url}?n={n}" for n in range(number))
    sinks = [sink_for(folder / "out.jsonl")]
    return Crawl(urls, sinks=sinks, state=folder / "run.db", politeness=Politeness(per_host=0), pool=pool)


def _links(seed: str, folder: Path, pool: WorkerPool) -> Crawl:
    onward = follow(Scope([seed]), Traps())
    return Crawl(
        [seed],
        parse=onward,
        accepts=onward.accepts,
        key=url_key,
        sinks=[sink_for(folder / "out.jsonl")],
        state=folder / "run.db",
        politeness=Politeness(per_host=0),
        pool=pool,
    )


def _sampled(crawl: Crawl, every: float, enough: float) -> Iterator[Sample]:
    """Run it until enough is known, and yield a sample every few seconds and at its end."""
    began, done, due = monotonic(), 0, every
    for _ in crawl:
        done += 1
        if (seconds := monotonic() - began) >= due:
            due = seconds + every
            yield Sample(seconds, done, crawl.progress.known, _memory())
        if crawl.progress.known >= enough:
            crawl.stop()
            enough = inf
    yield Sample(monotonic() - began, done, crawl.progress.known, _memory())


def _line(sample: Sample) -> str:
    return f"{sample.seconds:7.0f} s {sample.done:>10,} {sample.known:>10,} {sample.memory:7.1f} MiB"


def _memory() -> float:
    found = _RSS.search(Path(f"/proc/{os.getpid()}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main()
