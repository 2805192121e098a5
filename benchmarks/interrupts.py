"""Ctrl-C at random moments, thousands of times: the pool is usable afterwards, and every job has an outcome.

    python -m benchmarks.interrupts --times 2000

A timer of the kernel's raises KeyboardInterrupt somewhere in what the main thread is doing. After each of them a plain
`get` must be answered, and every job that was handed out must have an outcome.
"""

import argparse
import faulthandler
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import suppress
from typing import Any

from workerpool import Job, Lane, Rate, WorkerPool, WorkerPoolError
from workerpool.testing import Site

PATIENCE = 30.0  # seconds in which all that is left must come to its end
_LOOPS = ("asyncio", "uvloop")


async def _double(_session: Any, number: int) -> int:
    return 2 * number


class Interrupted:
    """Do one kind of work until it is interrupted, over and over, and look at what is left each time."""

    def __init__(self, pool: WorkerPool, url: str) -> None:
        self.pool = pool
        self.url = url
        self.jobs: list[Job[Any]] = []
        self.armed = False
        self.kinds: dict[str, Callable[[], object]] = {
            "get": self._get,
            "submit": self._submit,
            "functions": self._functions,
            "streams": self._streams,
            "bounded queue": self._bounded,
            "cancel": self._cancel,
            "fetch_many": self._fetch_many,
        }

    def strike(self, kind: str, chance: random.Random) -> str:
        """Interrupt the kind of work once; returns what came of it."""
        self.jobs.clear()
        # Again and again, since Python swallows what is raised within a `__del__`.
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00005, 0.004), 0.05)
        self.armed = True
        try:
            while True:
                self.kinds[kind]()
        except KeyboardInterrupt:
            self.armed = False
            struck = "KeyboardInterrupt"
        except Exception as exc:  # what should have been a KeyboardInterrupt, or a result that is wrong
            self.armed = False
            struck = repr(exc)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return self._what_is_left(struck)

    def on_alarm(self, _number: int, _frame: object) -> None:
        """Raise KeyboardInterrupt, as Ctrl-C does."""
        if self.armed:
            raise KeyboardInterrupt

    def _what_is_left(self, struck: str) -> str:
        try:
            self.pool.get(self.url, timeout=PATIENCE)
        except WorkerPoolError as exc:
            return f"deaf: {exc}"
        if wait(self.jobs, PATIENCE).not_done:
            return "jobs without an outcome"
        if not self.pool.drain(PATIENCE):
            return "not drained"
        return struck

    def _get(self) -> None:
        for _ in range(50):
            self.pool.get(self.url)

    def _submit(self) -> None:
        for _ in range(50):
            self.jobs.append(self.pool.submit(self.url))
        self.jobs[-1].result()

    def _functions(self) -> None:
        for number in range(50):
            self.jobs.append(self.pool.submit(_double, number))
        self.jobs[-1].result()

    def _streams(self) -> None:
        for _ in range(10):
            with self.pool.stream("GET", self.url) as response:
                assert len(response.read()) == 1024, "a body that was cut"

    def _bounded(self) -> None:
        for _ in range(50):
            self.jobs.append(self.pool.lane("bounded").submit(self.url))

    def _cancel(self) -> None:
        self.jobs.extend(self.pool.submit(self.url) for _ in range(20))
        for job in self.jobs[-20:]:
            job.cancel()

    def _fetch_many(self) -> None:
        for result in self.pool.fetch_many([self.url] * 50):
            assert result.unwrap().ok, "a page that was lost"


def main(arguments: list[str] | None = None) -> int:
    """Run and report; returns how many strikes left something wrong behind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interrupts", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--times", type=int, default=2000, help="Strikes in all.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loop", choices=_LOOPS, help="One loop instead of both.")
    options = parser.parse_args(arguments)
    found: Counter[tuple[str, str, str]] = Counter()
    loops = _LOOPS if options.loop is None else (options.loop,)
    for loop in loops:
        with Site() as site:
            _strike_all(loop, options.times // len(loops), random.Random(options.seed), site.url_for("/fast/1"), found)
    for (loop, kind, outcome), number in sorted(found.items()):
        print(f"{loop:8} {kind:14} {outcome:60} {number}")
    wrong = sum(number for (_, _, outcome), number in found.items() if outcome not in ("KeyboardInterrupt",))
    print(f"{sum(found.values())} strikes, {wrong} of them left something wrong")
    return wrong


def _strike_all(loop: str, times: int, chance: random.Random, url: str, found: "Counter[tuple[str, str, str]]") -> None:
    lanes = [Lane("bounded", connections=2, queue=2, rate=Rate(100_000))]
    pool = WorkerPool(workers=2, event_loop=loop, lanes=lanes)
    interrupted = Interrupted(pool, url)
    signal.signal(signal.SIGALRM, interrupted.on_alarm)
    kinds = list(interrupted.kinds)
    for number in range(times):
        kind = kinds[number % len(kinds)]
        faulthandler.dump_traceback_later(4 * PATIENCE, exit=True)  # a hang is told by its stacks
        found[loop, kind, interrupted.strike(kind, chance)] += 1
    faulthandler.cancel_dump_traceback_later()
    with suppress(WorkerPoolError):
        pool.shutdown(timeout=PATIENCE)


if __name__ == "__main__":
    sys.exit(min(1, main()))
