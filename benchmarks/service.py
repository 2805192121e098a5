"""The job service: `python -m benchmarks.service`, how quick it fetches and takes submissions, and its memory.

Fetching is a ratio to `fetch_many`, of the same URLs in the same run: pages of 1 KiB, bodies kept, a database in a
file. Submissions are of one request each, and counted once they are answered: on disk. The service is a process of its
own, and its memory is read from /proc: Linux only. What ten times its load does to it is for `benchmarks.overload`.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from workerpool import WorkerPool

from .machine import machine
from .server import serving

__all__ = ["Service", "quantile", "serving_jobs"]

_LATER = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"  # what is only submitted is not fetched
_HELD = {"url": "http://127.0.0.1:1/", "not_before": _LATER}
_CLIENTS = (1, 16, 64)
_START = 60.0  # seconds
_EVERY = 0.01  # seconds between two looks at memory or health


class Service:
    """A running service: called, and looked at."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self._pid = port, pid

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        """Return status and JSON of a call."""
        line = HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            line.request(method, path, sent, {} if sent is None else {"Content-Type": kind})
            answer = line.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            line.close()

    def submit_lines(self, lines: bytes, query: str = "") -> str:
        """Submit a job of many lines, and return its id."""
        status, job = self.call("POST", f"/v1/jobs{query}", lines, "application/x-ndjson")
        assert status == 202, job
        return str(job["id"])

    def wait(self, id: str) -> Any:
        """Wait for a job to be done, and return it."""
        while not (job := self.call("GET", f"/v1/jobs/{id}")[1])["finished_at"]:
            sleep(0.05)
        return job

    def memory(self) -> float:
        """Return the MiB that it has in memory."""
        found = re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{self._pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0


@contextmanager
def serving_jobs() -> Iterator[Service]:
    """Yield a service with a new database, which keeps its file and its log where it runs."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        command = [sys.executable, "-m", "workerpool", "serve", "--port", "0", "--allow-address", "127.0.0.0/8"]
        log = Path(folder) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen([*command, "--database", f"{folder}/jobs.sqlite"], stderr=file)
        try:
            yield Service(_port(process, log), process.pid)
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service")
    parser.add_argument("--requests", type=int, default=20_000, help="fetched, by each way (20000)")
    parser.add_argument("--rounds", type=int, default=3, help="of fetching (3)")
    parser.add_argument("--submissions", type=int, default=1600, help="for each number of clients (1600)")
    parser.add_argument("--lines", type=int, default=100_000, help="of the one large submission (100000)")
    options = parser.parse_args()
    with serving() as server:
        print(machine(server.name))
        for _ in range(options.rounds):
            print(_fetched(server.url, options.requests), flush=True)
    with serving_jobs() as service:
        for clients in _CLIENTS:
            print(_submitted(service, clients, options.submissions), flush=True)
    with serving_jobs() as service:
        print(_lines_taken(service, options.lines))


def quantile(values: list[float], share: float) -> float:
    """Return what so large a share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _fetched(url: str, number: int) -> str:
    urls = [f"{url}?n={n}" for n in range(number)]
    before = _many(urls)
    with serving_jobs() as service:
        service.call("PUT", "/v1/lanes/default", {"connections": 100, "per_host": 0})
        service.wait(service.submit_lines(_ndjson(urls[:200])))
        lines, began = _ndjson(urls), monotonic()
        id = service.submit_lines(lines)
        stored = monotonic()
        job = service.wait(id)
        ended = monotonic()
    assert job["counts"]["succeeded"] == number, job
    many, one = (before + _many(urls)) / 2, _many([url] * number)
    rate, whole = number / (ended - stored), number / (ended - began)
    return (
        f"fetching {number:,}: {rate:,.0f} a second, with the submission {whole:,.0f}; fetch_many {many:,.0f}, of one"
        f" URL again and again {one:,.0f}: ratio {rate / many:.2f}, to one URL {rate / one:.2f} (at least 0.4)"
    )


def _many(urls: list[str]) -> float:
    with WorkerPool() as pool:
        assert all(result.ok for result in pool.fetch_many(urls[:500]))  # connections, and what is loaded late
        began = monotonic()
        assert all(result.ok for result in pool.fetch_many(urls))
        return len(urls) / (monotonic() - began)


def _submitted(service: Service, clients: int, number: int) -> str:
    codes: Counter[int] = Counter()
    with ThreadPoolExecutor(clients) as threads, _looking(lambda: _health(service)) as waits:
        began = monotonic()
        for found in threads.map(lambda _: _submit_some(service, number // clients), range(clients)):
            codes += found
        seconds = monotonic() - began
    assert set(codes) == {202}, codes
    rate = codes.total() / seconds
    return (
        f"submissions, {clients} clients: {rate:,.0f} a second, each on disk (at least 300); p99 of /healthz"
        f" {quantile(waits, 0.99) * 1000:.0f} ms"
    )


def _submit_some(service: Service, number: int) -> Counter[int]:
    line, codes = HTTPConnection("127.0.0.1", service.port, timeout=60), Counter[int]()
    body, headers = json.dumps(_HELD), {"Content-Type": "application/json"}
    for _ in range(number):
        line.request("POST", "/v1/jobs", body, headers)
        answer = line.getresponse()
        answer.read()
        codes[answer.status] += 1
    line.close()
    return codes


def _lines_taken(service: Service, number: int) -> str:
    lines = _ndjson([f"http://127.0.0.1:1/some/longer/path/{n}" for n in range(number)])
    service.wait(service.submit_lines(b'"http://127.0.0.1:1/"\n'))  # what is loaded late
    sleep(1.0)
    idle = service.memory()
    with _looking(service.memory) as seen:
        began = monotonic()
        service.submit_lines(lines, f"?not_before={_LATER}")
        seconds = monotonic() - began
    return (
        f"one submission of {number:,} lines: {seconds:.1f} s, {max(seen) - idle:.1f} MiB above the {idle:.0f} MiB of"
        " an idle service (at most 64)"
    )


def _health(service: Service) -> float:
    began = monotonic()
    line = HTTPConnection("127.0.0.1", service.port, timeout=60)
    try:
        line.request("GET", "/healthz")
        assert line.getresponse().status == 200
    finally:
        line.close()
    return monotonic() - began


@contextmanager
def _looking(look: Callable[[], float]) -> Iterator[list[float]]:
    """Note what is found again and again, on a thread, for a block."""
    found, over = [look()], threading.Event()

    def look_on() -> None:
        while not over.wait(_EVERY):
            found.append(look())

    thread = threading.Thread(target=look_on)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _ndjson(urls: list[str]) -> bytes:
    return "".join(f"{json.dumps(url)}\n" for url in urls).encode()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    end = monotonic() + _START
    while monotonic() < end and process.poll() is None:
        with suppress(FileNotFoundError):
            if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", log.read_text()):
                return int(found[1])
        sleep(0.02)
    raise RuntimeError(f"the service did not start:\n{log.read_text()}")


if __name__ == "__main__":
    main()
