"""What a contestant is given, what it gives back, and the helper that the threaded ones share."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from time import perf_counter

__all__ = ["Contestant", "Run", "Task", "in_threads"]

_START = 30  # seconds that all threads get to start


@dataclass(frozen=True, slots=True)
class Task:
    """Which URL to get, how many at once, with which loop and workers, trusting whom, with which headers."""

    url: str
    connections: int
    loop: str
    workers: int | None
    size: int
    ca: str | None = None  # a file: the one authority whose certificates are good
    headers: Mapping[str, str] | None = None  # the caller's, given with each request
    answered: list[float] = field(default_factory=list)  # when, of one caller only

    def check(self, status: int, body: bytes) -> None:
        """Raise for a wrong answer: a fast wrong one must not win."""
        self.check_size(status, len(body))

    def check_size(self, status: int, size: int) -> None:
        """The same for a body that is not kept."""
        self.note()
        if status != 200 or size != self.size:
            raise AssertionError(f"a wrong answer: status {status}, {size} bytes; not 200, {self.size}")

    def note(self) -> None:
        """Note the time of an answer, for one caller only."""
        if self.connections == 1:
            self.answered.append(perf_counter())


Run = Callable[[int], None]  # make so many checked requests
Contestant = Callable[[Task], AbstractContextManager[Run]]  # open a client, run it, close it


@contextmanager
def in_threads(task: Task, get: Callable[[str], tuple[int, bytes]]) -> Iterator[Run]:
    """Call a blocking get from as many lasting threads as there are connections."""
    together = threading.Barrier(task.connections)

    def drain(requests: int) -> None:
        together.wait(_START)  # so that no thread takes a second share, and each keeps its own connection
        for _ in range(requests):
            task.check(*get(task.url))

    with ThreadPoolExecutor(task.connections) as threads:
        yield lambda requests: list(threads.map(drain, _shares(requests, task.connections))).clear()


def _shares(requests: int, threads: int) -> list[int]:
    share, rest = divmod(requests, threads)
    return [share + (n < rest) for n in range(threads)]
