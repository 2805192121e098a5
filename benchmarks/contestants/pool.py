"""The pool: in bulk, with futures, and with blocking callers."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import repeat

from workerpool import Job, Response, WorkerPool

from .contestant import Run, Task, in_threads

__all__ = ["blocking", "bulk", "bulk_of_one", "bulk_of_two", "futures"]

_WINDOW = 8  # jobs under way per connection


def _pool(task: Task) -> WorkerPool:
    return WorkerPool(workers=task.workers, connections=task.connections, event_loop=task.loop)


@contextmanager
def bulk(task: Task) -> Iterator[Run]:
    """Fetch with fetch_many."""
    with _pool(task) as pool:

        def run(requests: int) -> None:
            for result in pool.fetch_many(repeat(task.url, requests), headers=task.headers):
                response = result.unwrap()
                task.check(response.status_code, response.content)

        yield run


@contextmanager
def bulk_of_one(task: Task) -> Iterator[Run]:
    """Fetch with one worker."""
    with bulk(replace(task, workers=1)) as run:
        yield run


@contextmanager
def bulk_of_two(task: Task) -> Iterator[Run]:
    """Fetch with two workers."""
    with bulk(replace(task, workers=2)) as run:
        yield run


@contextmanager
def futures(task: Task) -> Iterator[Run]:
    """Fetch with submit and result, within a window."""
    with _pool(task) as pool:
        yield lambda requests: _in_window(task, pool, requests)


def _in_window(task: Task, pool: WorkerPool, requests: int) -> None:
    jobs: deque[Job[Response]] = deque()
    for url in repeat(task.url, requests):
        jobs.append(pool.submit(url, headers=task.headers))
        if len(jobs) >= _WINDOW * task.connections:
            _check(task, jobs.popleft())
    for job in jobs:
        _check(task, job)


def _check(task: Task, job: Job[Response]) -> None:
    response = job.result()
    task.check(response.status_code, response.content)


@contextmanager
def blocking(task: Task) -> Iterator[Run]:
    """Fetch with pool.get from many threads."""
    with _pool(task) as pool:

        def get(url: str) -> tuple[int, bytes]:
            response = pool.get(url, headers=task.headers)
            return response.status_code, response.content

        with in_threads(task, get) as run:
            yield run
