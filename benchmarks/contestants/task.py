"""What a contestant is given, and the helpers that several share."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

__all__ = ["Contestant", "Task", "in_threads", "new_loop"]


@dataclass(frozen=True, slots=True)
class Task:
    """How many requests to make, to which URL, how many at once."""

    url: str
    requests: int
    connections: int
    loop: str
    workers: int | None
    size: int

    @property
    def urls(self) -> Iterator[str]:
        """The URL, once per request."""
        return (self.url for _ in range(self.requests))

    def check(self, status: int, body: bytes) -> None:
        """Raise for a wrong answer: a fast wrong one must not win."""
        if status != 200 or len(body) != self.size:
            raise AssertionError(f"a wrong answer: status {status}, {len(body)} bytes")


Contestant = Callable[[Task], None]


def in_threads(task: Task, get: Callable[[str], tuple[int, bytes]]) -> None:
    """Call a blocking get from as many threads as there are connections."""

    def drain(urls: Iterator[str]) -> None:
        for url in urls:
            task.check(*get(url))

    share, rest = divmod(task.requests, task.connections)
    with ThreadPoolExecutor(task.connections) as threads:
        list(threads.map(drain, [iter([task.url] * (share + (n < rest))) for n in range(task.connections)]))


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    """Return a loop of the kind that the pool would use."""
    if kind != "asyncio":
        try:
            import uvloop
        except ImportError:
            if kind == "uvloop":
                raise
        else:
            loop: Any = uvloop.new_event_loop()
            return loop  # type: ignore[no-any-return]
    return asyncio.new_event_loop()
