"""Run one contestant in this process: for each line on standard input a turn, and its figures as a line of JSON."""

import argparse
import json
import re
import resource
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from . import CONTESTANTS
from .contestant import Run, Task

_WARM_UP = 20  # one request in so many is made before the clock starts, and at least two per connection


def main() -> None:
    """Open the contestant and warm it up once, then measure and print each turn."""
    given = vars(_options())
    entry, requests = CONTESTANTS[given.pop("name")], given.pop("requests")
    task = Task(**given)
    requests = max(task.connections, int(requests * entry.share))
    with entry.load()(task) as run:
        run(max(2 * task.connections, requests // _WARM_UP))
        for _ in sys.stdin:
            print(json.dumps(_measured(run, requests, task)), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contestants")
    parser.add_argument("name", choices=CONTESTANTS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--loop", default="auto")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--ca", metavar="FILE", help="of the one authority whose certificates are good")
    parser.add_argument("--headers", type=_headers, metavar="N", help="so many with each request")
    return parser.parse_args()


def _headers(number: str) -> dict[str, str]:
    """Return so many headers, as a caller would give them."""
    return {f"X-Caller-{n}": f"what the caller says in {n}" for n in range(int(number))}


def _measured(run: Run, requests: int, task: Task) -> dict[str, float]:
    """Return the rate, the CPU of this process (user and system), its peak memory, and of one caller the median."""
    task.answered.clear()
    began, cpu = perf_counter(), process_time()
    run(requests)
    wall, used = perf_counter() - began, process_time() - cpu
    p50 = median(b - a for a, b in pairwise([began, *task.answered])) * 1e6 if task.answered else 0
    return {"rate": requests / wall, "cpu": used / requests * 1e6, "memory": _peak_memory(), "p50": p50}


def _peak_memory() -> float:
    """Return MiB. Linux's ru_maxrss counts the parent's memory too, from before exec; VmHWM does not."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1]) / 1024
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main()
