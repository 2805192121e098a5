"""Run an endless mix of work with faults and cancels, and see that nothing is lost, mixed up or leaked.

    python tests/behaviour/soak.py --minutes 3
    python tests/behaviour/soak.py --jobs 60000

Several threads use `get`, `submit`, `fetch_many` and `stream` of one pool against a server in a process of its
own, which answers with a fault now and then: a reset, a truncated body, a 503, a stall. Every answer has to hold
the nonce of its own request. Slopes are least squares over samples after a warm-up, per 10,000 jobs. The exit
code is 1 if a job is left without an outcome, if an answer belongs to another, or if a slope is clearly not flat.
"""

import argparse
import asyncio
import gc
import random
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from math import inf, sqrt
from time import monotonic

import psutil

from workerpool import Job, Request, Response, Retry, WorkerPool, WorkerPoolError

FAULTS = 0.02  # share of the answers that are one
CANCELS = 0.01  # share of the jobs
THREADS = 8
TIMEOUT = 1.0  # seconds; a stall costs its caller that much
PATIENCE = 30.0  # seconds after which a job that is due has no outcome
WARM_UP = 0.3  # share of the samples that is left out
SAMPLE = 0.5  # seconds between samples
JUDGED = 15_000  # jobs after the warm-up from which slopes are judged; fewer say nothing
BODIES = (20, 300, 4_000, 60_000)  # bytes, about
QUICK = Retry(attempts=2, wait_initial=0.01, wait_jitter=0.01)
LIMITS = {"MiB": 1.0, "fds": 2.0, "threads": 0.5}  # slopes per 10,000 jobs; guesses above the noise of a machine


class Visit(asyncio.Protocol):
    """Answer the requests of one connection: GET /<nonce>/<size>."""

    dice = random.Random(1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer one request; clients do not send the next before."""
        _, nonce, size = data.split(b" ", 2)[1].split(b"/")
        body = (nonce + b" ").ljust(int(size), b".")
        if self.dice.random() < FAULTS:
            self.dice.choice((self._reset, self._truncate, self._refuse, self._stall))(body)
        else:
            self._transport.write(_head(b"200 OK", len(body)) + body)

    def _reset(self, body: bytes) -> None:
        handle = self._transport.get_extra_info("socket")
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _truncate(self, body: bytes) -> None:
        self._transport.write(_head(b"200 OK", len(body)) + body[:-5])
        self._transport.close()

    def _refuse(self, body: bytes) -> None:
        self._transport.write(_head(b"503 Service Unavailable", len(body)) + body)

    def _stall(self, body: bytes) -> None:
        """Say nothing; the client gives up and closes."""


def _head(status: bytes, length: int) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, length)


async def _serve() -> None:
    """Serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Visit, "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


@contextmanager
def _serving() -> Iterator[str]:
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.communicate("")


@dataclass
class Tally:
    """What came of the jobs; one per thread, added up at the end."""

    outcomes: "Counter[str]" = field(default_factory=Counter)
    jobs: int = 0
    unresolved: int = 0
    mismatched: int = 0

    def answer(self, nonce: str, status: int, content: bytes) -> None:
        """Count an answer, and whether it is the one that was asked for."""
        self.outcomes[str(status)] += 1
        self.mismatched += content.partition(b" ")[0] != nonce.encode()

    def error(self, exc: BaseException) -> None:
        """Count an error by its type."""
        self.outcomes[type(exc).__name__] += 1

    def outcome(self, nonce: str, ask: Callable[[], Response]) -> None:
        """Count whatever comes of a blocking call."""
        try:
            response = ask()
        except (WorkerPoolError, CancelledError) as exc:
            self.error(exc)
        else:
            self.answer(nonce, response.status, response.content)


class Customer:
    """Use the pool from one thread, in all its ways, until told to stop."""

    def __init__(self, pool: WorkerPool, url: str, number: int) -> None:
        self.tally = Tally()
        self._pool = pool
        self._url = url
        self._dice = random.Random(number)
        self._nonces = (f"{number}-{n}" for n in count())

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Take one way after the other, at random."""
        ways: list[tuple[Callable[[int], None], int]] = [
            (self._get, 10), (self._submit, 40), (self._fetch_many, 60), (self._stream, 5),
        ]  # fmt: skip
        while goes_on():
            way, most = self._dice.choice(ways)
            number = self._dice.randrange(1, most)
            way(number)
            self.tally.jobs += number

    def _request(self) -> tuple[str, Request]:
        nonce = next(self._nonces)
        retry = self._dice.choice((QUICK, None))
        return nonce, Request(f"{self._url}/{nonce}/{self._dice.choice(BODIES)}", retry=retry)

    def _requests(self, number: int) -> list[tuple[str, Request]]:
        return [self._request() for _ in range(number)]

    def _get(self, number: int) -> None:
        for nonce, request in self._requests(number):
            self.tally.outcome(nonce, lambda url=request.url: self._pool.get(url))  # type: ignore[misc]

    def _submit(self, number: int) -> None:
        asked: list[tuple[str, Job[Response]]] = [
            (nonce, self._pool.submit(request)) for nonce, request in self._requests(number)
        ]
        if self._dice.random() < 0.5:  # some are cancelled in the queue, others under way
            wait([job for _, job in asked], PATIENCE, FIRST_COMPLETED)
        for _, job in asked:
            if self._dice.random() < 3 * CANCELS:  # a third of the jobs comes this way
                job.cancel()
        wait([job for _, job in asked], PATIENCE)
        for nonce, job in asked:
            if job.done():
                self.tally.outcome(nonce, job.result)

    def _fetch_many(self, number: int) -> None:
        """Read the results, now and then a part of them only; the rest is cancelled."""
        asked = self._requests(number)
        ordered = self._dice.random() < 0.5
        few = self._dice.randrange(number) if self._dice.random() < CANCELS else number
        results = self._pool.fetch_many((request for _, request in asked), ordered=ordered)
        for result in islice(iter(results), few):
            if result.response is None:
                self.tally.error(result.error or LookupError("neither response nor error"))
            else:
                self.tally.answer(asked[result.index][0], result.response.status, result.response.content)
        results.close()
        self.tally.outcomes["left early"] += number - few

    def _stream(self, number: int) -> None:
        for nonce, request in self._requests(number):
            early = self._dice.random() < CANCELS
            self.tally.outcome(nonce, lambda url=request.url, early=early: self._read(url, early))  # type: ignore[misc]

    def _read(self, url: str, early: bool) -> Response:
        with self._pool.stream("GET", url) as response:
            if early:
                raise CancelledError
            response.read()
            return response


@dataclass(frozen=True)
class Sample:
    """The process at one moment."""

    jobs: int
    figures: dict[str, float]


class Probe:
    """Sample the process."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._process = psutil.Process()

    def take(self, jobs: int) -> None:
        """Add a sample after so many jobs."""
        gc.collect()
        figures = {
            "MiB": self._process.memory_info().rss / 2**20,
            "fds": float(self._process.num_fds()),
            "threads": float(threading.active_count()),
        }
        self.samples.append(Sample(jobs, figures))


@dataclass(frozen=True)
class Slope:
    """A slope per 10,000 jobs and its standard error."""

    value: float
    error: float

    def is_steep(self, limit: float) -> bool:
        """Whether it rises by more than the limit, beyond what chance explains."""
        return self.value - 3 * self.error > limit


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """Fit a line by least squares."""
    number = len(points)
    mean_x, mean_y = (sum(each) / number for each in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if number < 3 or spread == 0:
        return Slope(0.0, inf)
    value = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    rest = sum((y - mean_y - value * (x - mean_x)) ** 2 for x, y in points)
    return Slope(value, sqrt(rest / (number - 2) / spread))


def slopes(samples: Sequence[Sample]) -> dict[str, Slope]:
    """Return the slopes of what was sampled, the warm-up left out."""
    return {
        name: slope([(sample.jobs / 10_000, sample.figures[name]) for sample in _after_warm_up(samples)])
        for name in LIMITS
    }


def _after_warm_up(samples: Sequence[Sample]) -> Sequence[Sample]:
    warm = samples[-1].jobs * WARM_UP
    return [sample for sample in samples if sample.jobs >= warm]


def soak(url: str, minutes: float, jobs: float) -> tuple[Tally, list[Sample]]:
    """Let the customers use a pool for so many minutes or jobs, whichever ends first, and watch."""
    end = monotonic() + 60 * minutes
    probe = Probe()
    with WorkerPool(timeout=TIMEOUT, retry=QUICK, connections=64) as pool:
        customers = [Customer(pool, url, number) for number in range(THREADS)]

        def done() -> int:
            return sum(customer.tally.jobs for customer in customers)

        def goes_on() -> bool:
            return monotonic() < end and done() < jobs

        threads = [threading.Thread(target=customer.run, args=(goes_on,), daemon=True) for customer in customers]
        for thread in threads:
            thread.start()
        while _join(threads, SAMPLE) and monotonic() < end + PATIENCE:
            if goes_on() or not probe.samples:
                probe.take(done())
        stuck = sum(thread.is_alive() for thread in threads)
        pool.drain(PATIENCE)
        stats = pool.stats()
        pool.shutdown(timeout=PATIENCE)
    tally = _sum(customer.tally for customer in customers)
    # Whatever is missing in the outcomes, in the pool's own counts, or holds up a thread.
    tally.unresolved = max(tally.jobs - tally.outcomes.total(), stats.submitted - stats.completed, stuck)
    return tally, probe.samples


def _join(threads: Iterable[threading.Thread], timeout: float) -> bool:
    """Wait for the threads, `timeout` seconds at most; return whether one is left."""
    end = monotonic() + timeout
    for thread in threads:
        thread.join(max(0.0, end - monotonic()))
    return any(thread.is_alive() for thread in threads)


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.outcomes += tally.outcomes
        total.jobs += tally.jobs
        total.mismatched += tally.mismatched
    return total


def _report(tally: Tally, samples: list[Sample], seconds: float) -> bool:
    """Print the figures; return whether all is well."""
    print(f"{tally.jobs} jobs in {seconds:.0f} s, {tally.jobs / seconds:.0f}/s, {THREADS} threads")
    print(f"unresolved {tally.unresolved}, mismatched {tally.mismatched}")
    for name, number in tally.outcomes.most_common():
        print(f"{name:>22}{number:>10}")
    judged = _after_warm_up(samples)
    well = tally.unresolved == tally.mismatched == 0
    enough = judged[-1].jobs - judged[0].jobs >= JUDGED
    print(f"slopes per 10,000 jobs, {len(judged)} samples{'' if enough else '; too few jobs to judge them'}")
    for name, each in slopes(samples).items():
        steep = enough and each.is_steep(LIMITS[name])
        first, last = (sample.figures[name] for sample in (judged[0], judged[-1]))
        verdict = "NOT FLAT" if steep else ""
        print(f"{name:>22}{each.value:>10.2f} ± {each.error:.2f} ({first:.0f} to {last:.0f}) {verdict}".rstrip())
        well = well and not steep
    return well


def main() -> None:
    """Read the options, soak, report."""
    parser = argparse.ArgumentParser(prog="python tests/behaviour/soak.py")
    parser.add_argument("--minutes", type=float, default=inf)
    parser.add_argument("--jobs", type=float, default=inf)
    parser.add_argument("--serve", action="store_true", help="be the server")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(_serve())
        return
    if options.minutes == options.jobs == inf:
        parser.error("say when to end: --minutes or --jobs")
    began = monotonic()
    with _serving() as url:
        tally, samples = soak(url, options.minutes, options.jobs)
    sys.exit(0 if _report(tally, samples, monotonic() - began) else 1)


if __name__ == "__main__":
    main()
