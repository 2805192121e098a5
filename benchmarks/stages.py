"""Where a request's time goes, stage by stage: `python -m benchmarks.stages`, with Linux's perf and CPython from 3.12.

perf samples a contestant together with the Python functions that it is in (`-X perf`). Each sample counts for the stage
of its innermost frame that tells one; the kernel's part is what the system calls take.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from .server import serving

__all__ = ["shares"]

_STAGES = {
    "garbage collector": r"gc_collect|deduce_unreachable|visit_decref|visit_reachable|subtract_refs",
    "kernel": r"\[kernel|__libc_(send|recv)|^(send|recv|write|read|epoll_\w+) ",
    "parser": r"_http_parser|llhttp|\bcb_on_",
    "decode, body": r"transport/(decoding|bodies)",
    "limits, deadlines": r"workerpool/(worker/scheduler|handover/deadlines|policies)|py::Dispatcher._next",
    "fast path": r"transport/(inside|direct)|worker/direct",
    "answer": r"messages/response|caller/results|py::ResultQueue|py::(Work|Job|Entry)\.(answer|_\w+):|futures/",
    "put": r"caller/(pool|routing|client)|/lane\.py|messages/request|py::(Inbox\.put|_Parcel\.add|Dispatcher\.post)",
    "take, wake": r"handover/queues|janus/|uv__async|call_soon_threadsafe",
    "task": r"(worker/(dispatcher|tasks|tally|attempts|thread)|handover/(job|work|deadlines))|task_step|_asynciomodule",
    "session": r"transport/|aiohttp/|multidict|yarl|py::.*(urllib|http)/",
    "loop": r"uvloop|uv_|asyncio/",
    "threads: locks": r"threading.py|take_gil|pthread_cond|acquire_lock|PyMutex|sem_|futex",
}
_RULES = {stage: re.compile(pattern) for stage, pattern in _STAGES.items()}
_START_UP = re.compile(r"importlib|/re/|_PyPegen|_PyAST|dataclasses|compile")


def main() -> None:
    """Sample the contestants that are named, and print their stages side by side."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages")
    parser.add_argument("names", nargs="*", default=["aiohttp", "pool-bulk", "pool-futures", "pool-blocking"])
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    if sys.version_info < (3, 12):
        sys.exit("python -m benchmarks.stages needs CPython 3.12 or later, for its -X perf")
    columns = {name: _microseconds(name, options.requests) for name in options.names}
    print(f"{'µs of CPU per request':24}", *(f"{name:>14}" for name in columns))
    for stage in (*_STAGES, "other", "total"):
        print(f"{stage:24}", *(f"{column[stage]:>14.1f}" for column in columns.values()))


def shares(samples: str) -> dict[str, float]:
    """Return the part of each stage in what `perf script` wrote; start-up and compilation are left out."""
    found = [sample for sample in samples.split("\n\n") if sample.strip() and not _START_UP.search(sample)]
    counts = Counter(_stage(sample.splitlines()[1:]) for sample in found)
    return {stage: count / counts.total() for stage, count in counts.items()}


def _stage(frames: list[str]) -> str:
    for frame in frames:
        for stage, rule in _RULES.items():
            if rule.search(frame.split(maxsplit=1)[-1]):
                return stage
    return "other"


def _microseconds(name: str, requests: int) -> Counter[str]:
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "data")
        record = ["perf", "record", "-e", "cpu-clock", "-F", "997", "--call-graph", "dwarf,16384", "-o", data, "--"]
        contestant = ["-m", "benchmarks.contestants", name, "--url", server.url, "--requests", str(requests)]
        command = [*record, sys.executable, "-X", "perf", *contestant]
        answer = subprocess.run(command, input="\n", text=True, capture_output=True, check=True).stdout
        script = ["perf", "script", "-i", data, "-F", "comm,ip,sym,dso", "--no-inline"]
        samples = subprocess.run(script, text=True, capture_output=True, check=True).stdout
    total = json.loads(answer.splitlines()[0])["cpu"]
    return Counter({stage: total * part for stage, part in shares(samples).items()} | {"total": total})


if __name__ == "__main__":
    main()
