"""The pool: in bulk, with futures, and with blocking callers."""

from collections import deque

from workerpool import Job, WorkerPool

from .task import Task, in_threads

__all__ = ["blocking", "bulk", "futures"]

_WINDOW = 8  # jobs under way per connection


def _pool(task: Task) -> WorkerPool:
    return WorkerPool(workers=task.workers, connections=task.connections, event_loop=task.loop)


def bulk(task: Task) -> None:
    """Fetch with fetch_many."""
    with _pool(task) as pool:
        for result in pool.fetch_many(task.urls):
            response = result.unwrap()
            task.check(response.status_code, response.content)


def futures(task: Task) -> None:
    """Fetch with submit and result, within a window."""
    jobs: deque[Job] = deque()
    with _pool(task) as pool:
        for url in task.urls:
            jobs.append(pool.submit(url))
            if len(jobs) >= _WINDOW * task.connections:
                _check(task, jobs.popleft())
        for job in jobs:
            _check(task, job)


def _check(task: Task, job: Job) -> None:
    response = job.result()
    task.check(response.status_code, response.content)


def blocking(task: Task) -> None:
    """Fetch with pool.get from many threads."""
    with _pool(task) as pool:

        def get(url: str) -> tuple[int, bytes]:
            response = pool.get(url)
            return response.status_code, response.content

        in_threads(task, get)
