"""Code written for other libraries, as it is and over the pool: threads that share one session."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .contestant import Run, Task, in_threads

__all__ = ["requests_as_it_is", "requests_over_the_pool"]


@contextmanager
def requests_as_it_is(task: Task) -> Iterator[Run]:
    """Share a Session with requests' own adapter, as many connections as threads."""
    from requests.adapters import HTTPAdapter

    with _shared(task, HTTPAdapter(pool_maxsize=task.connections)) as run:
        yield run


@contextmanager
def requests_over_the_pool(task: Task) -> Iterator[Run]:
    """Share a Session over the pool."""
    from workerpool import WorkerPool
    from workerpool.adapters.requests import PoolAdapter

    with (
        WorkerPool(workers=task.workers, connections=task.connections, event_loop=task.loop) as pool,
        _shared(task, PoolAdapter(pool)) as run,
    ):
        yield run


@contextmanager
def _shared(task: Task, adapter: Any) -> Iterator[Run]:
    import requests

    with requests.Session() as session:
        session.mount("http://", adapter)

        def get(url: str) -> tuple[int, bytes]:
            response = session.get(url)
            return response.status_code, response.content

        with in_threads(task, get) as run:
            yield run
