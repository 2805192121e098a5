"""A service in a process of its own, as its clients see it: started, called over HTTP, stopped, killed."""

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import requests

sys.path.append(str(Path(__file__).parents[1]))  # where a file of this folder is run by itself
from forged import Forged

__all__ = ["Served", "served"]

_PATIENCE = 60.0  # seconds; only what hangs takes longer


class Served:
    """One service on one database, over as many processes as it takes."""

    def __init__(self, database: str, folder: Path, *options: str, tokens: str = "") -> None:
        self.database, self.folder = database, folder
        self._options, self._tokens = options, tokens
        self._log = folder / "service.log"
        self.process: Forged | None = None
        self.url = ""
        self.http = requests.Session()
        self.http.trust_env = False

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text() if self._log.exists() else ""

    def start(self) -> "Served":
        """Start a process, and wait until it takes calls."""
        before = len(self.log)
        command = ["serve", "--port", "0", "--database", self.database]
        command += ["--allow-address", "127.0.0.0/8", *self._options]
        self.process = Forged(command, stderr=self._log, env={**os.environ, "WORKERPOOL_TOKENS": self._tokens})
        found = self.wait_for(lambda: self._begun(before))
        self.url = found
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(_PATIENCE)
        self.process = None
        self.http.close()  # those connections lead to a process that is gone
        return code

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call the service; `json` and the rest as requests has them."""
        return self.http.request(method, self.url + path, timeout=_PATIENCE, **options)

    def get(self, path: str, **options: Any) -> Any:
        """Return what a GET has answered with."""
        answer = self.call("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, *urls: Any, **fields: Any) -> str:
        """Submit a job, and return its id."""
        answer = self.call("POST", "/v1/jobs", json={"requests": list(urls), **fields})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, id: str) -> Any:
        """Return a job."""
        return self.get(f"/v1/jobs/{id}")

    def done(self, id: str) -> Any:
        """Wait for a job to be done, by its events, and return it."""
        list(self.events(f"/v1/jobs/{id}/events"))
        found = self.job(id)
        assert found["finished_at"] is not None, found
        return found

    def results(self, id: str, **query: Any) -> list[Any]:
        """Return all results of a job."""
        found, cursor = [], None
        while True:
            page = self.get(f"/v1/jobs/{id}/results", params={"limit": 1000, **query, "cursor": cursor})
            found += page["results"]
            cursor = page["next"]
            if cursor is None or not page["results"]:
                return found

    def events(self, path: str, last: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield server-sent events until the stream ends."""
        headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": str(last)})
        with self.http.get(self.url + path, headers=headers, stream=True, timeout=_PATIENCE) as answer:
            assert answer.status_code == 200, answer.text
            event: dict[str, Any] = {}
            for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
                name, _, value = line.partition(": ")
                if name in ("id", "event"):
                    event[name] = value
                elif name == "data":
                    event["data"] = json.loads(value)
                elif not line and event:
                    yield event
                    event = {}

    def wait_for(self, found: Callable[[], Any]) -> Any:
        """Ask again and again until there is something, and return it."""
        end = monotonic() + _PATIENCE
        while not (value := found()):
            assert monotonic() < end, self.log
            sleep(0.01)
        return value

    def _begun(self, before: int) -> str | None:
        text = self.log[before:]
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"the service has ended with {self.process.returncode}:\n{text}")
        found = re.search(r"listening on (http://[^\s\"]+)", text)
        return None if found is None else found[1]


@contextmanager
def served(database: str, folder: Path, *options: str, tokens: str = "") -> Iterator[Served]:
    """Serve for a block."""
    service = Served(database, folder, *options, tokens=tokens)
    try:
        yield service.start()
    finally:
        service.stop(signal.SIGKILL)
