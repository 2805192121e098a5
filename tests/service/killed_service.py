"""A service that is killed at random moments: `python tests/service/killed_service.py --times 100 --requests 10000`.

Jobs are submitted while it is killed and started again. At the end prints what of that which was accepted is lost,
which results are missing or doubled, which final states or results have changed since they were seen, and compares
the attempts with what the target has counted: each sending has to be one. The exit code is 1 if anything is wrong.
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import urlsplit

import requests
from served import Served

__all__ = ["Findings", "Submitter", "Target", "compare", "target_server", "torment_service"]

_PER_JOB = 50
_LOOKED_AT = 8  # jobs of which some are looked at, each time
_LIFE = 0.6  # seconds that a service lives at most, once it takes calls
_FINAL = ("succeeded", "partial", "failed", "cancelled", "expired")


@dataclass
class Findings:
    """What came of it."""

    kills: int = 0
    accepted: int = 0
    lost: int = 0
    missing: int = 0
    doubled: int = 0
    changed: int = 0
    unseen: int = 0  # sendings that the target has counted and no attempt tells of
    sent: int = 0
    attempts: int = 0
    seen_final: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.missing or self.doubled or self.changed or self.unseen)

    def told(self, requests: int) -> str:
        """Return it in words."""
        return (
            f"kills {self.kills}, requests {requests} in {self.accepted} jobs: lost {self.lost}, missing {self.missing},"
            f" doubled {self.doubled}, changed {self.changed} of {self.seen_final} that were seen done;"
            f" sent {self.sent} by the target's count, attempts {self.attempts}, sendings without an attempt {self.unseen}"
        )


@dataclass
class Target:
    """A server that counts what it is asked for, on one port or several."""

    urls: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def target_server(ports: int = 1) -> Iterator[Target]:
    """Serve for a block; each port is a host of its own."""
    target = Target()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with target.lock:
                target.counts[self.path] += 1
            body = self.path.encode()
            with suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(ports)]
    threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in servers]
    for server, thread in zip(servers, threads, strict=True):
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # connections that a kill has cut
        server.daemon_threads = True
        target.urls.append(f"http://127.0.0.1:{server.server_port}")
        thread.start()
    try:
        yield target
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


class Submitter(threading.Thread):
    """Submit jobs for as long as it takes, and look at those that are done; whatever does not answer is asked again."""

    def __init__(self, service: Served, target: Target, number: int) -> None:
        super().__init__(name="submitter")
        self._service, self._target, self._number = service, target, number
        self.accepted: list[str] = []
        self.final: dict[str, tuple[str, list[Any]]] = {}
        self.ended = threading.Event()

    def run(self) -> None:
        """Submit all, one job after the other, and go on looking until it is ended."""
        for job in range(-(-self._number // _PER_JOB)):
            size = min(_PER_JOB, self._number - job * _PER_JOB)
            hosts = self._target.urls
            urls = [f"{hosts[n % len(hosts)]}/{job}/{n}" for n in range(size)]
            body = {"id": f"job-{job}", "requests": urls}
            while self._ask("POST", "/v1/jobs", json=body, headers={"Idempotency-Key": f"key-{job}"}) is None:
                sleep(0.02)
            self.accepted.append(f"job-{job}")
            self._look_around()
        while not self.ended.is_set():
            self._look_around()

    def _look_around(self) -> None:
        unseen = [id for id in self.accepted if id not in self.final][:_LOOKED_AT]  # the oldest: they are done first
        for id in random.sample(unseen, min(3, len(unseen))):
            self._look(id)
        if not unseen:
            sleep(0.05)

    def _look(self, id: str) -> None:
        """Keep how a job that is done looks."""
        found = self._ask("GET", f"/v1/jobs/{id}")
        if id not in self.final and found is not None and found["state"] in _FINAL:
            page = self._ask("GET", f"/v1/jobs/{id}/results?limit=1000")
            if page is not None:
                self.final[id] = found["state"], page["results"]

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        with suppress(requests.RequestException):
            answer = requests.request(method, self._service.url + path, timeout=10, **options)
            if answer.status_code in (200, 202):
                return answer.json()
        return None


def torment_service(database: str, folder: Path, *, requests: int, times: int, seed: int = 1) -> Findings:
    """Kill the service so many times while it works, let it finish, and say what came of it."""
    chance, found = random.Random(seed), Findings()
    with target_server() as target:
        service = Served(database, folder, "--drain", "1").start()
        try:
            rate = max(20.0, requests / max(1, times) / _LIFE * 3)
            service.call("PUT", "/v1/lanes/default", json={"rate": rate, "per_host": 0})
            submitter = Submitter(service, target, requests)
            submitter.start()
            while found.kills < times:
                sleep(chance.uniform(0.0, _LIFE))
                service.stop(signal.SIGKILL)
                found.kills += 1
                service.start()
            submitter.ended.set()
            submitter.join()
            service.call("PUT", "/v1/lanes/default", json={"rate": None, "per_host": 0})
            compare(service, submitter, target, found)
        finally:
            service.stop(signal.SIGKILL)
    return found


def compare(service: Served, submitter: Submitter, target: Target, found: Findings) -> None:
    """Compare what is there at the end with what was accepted, seen, and counted by the target."""
    found.accepted = len(submitter.accepted)
    found.seen_final = len(submitter.final)
    for id in submitter.accepted:
        if service.call("GET", f"/v1/jobs/{id}").status_code != 200:
            found.lost += 1
            continue
        job, results = service.done(id), service.results(id)
        numbers = Counter(each["n"] for each in results)
        found.missing += job["counts"]["total"] - len(numbers)
        found.doubled += sum(numbers.values()) - len(numbers)
        if id in submitter.final and submitter.final[id] != (job["state"], results):
            found.changed += 1
        for each in results:
            sent = target.counts[urlsplit(each["url"]).path]
            found.sent += sent
            found.attempts += len(each["attempts"])
            found.unseen += max(0, sent - len(each["attempts"]))


def main() -> int:
    """Kill, compare; return the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--times", type=int, default=10)
    arguments.add_argument("--requests", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--database", help="a new file if left out")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        database = given.database or str(Path(place, "service.sqlite"))
        found = torment_service(database, Path(place), requests=given.requests, times=given.times, seed=given.seed)
    print(found.told(given.requests))
    return not found.is_good


if __name__ == "__main__":
    sys.exit(main())
