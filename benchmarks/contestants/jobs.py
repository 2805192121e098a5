"""Jobs that do nothing: what handing over and getting back costs."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from workerpool import WorkerPool

from .task import Task

__all__ = ["noop_executor", "noop_pool"]

_WINDOW = 1000


async def _nothing(session: object) -> None:
    return None


def noop_pool(task: Task) -> None:
    """The pool, with an async function."""
    with WorkerPool(workers=1, event_loop=task.loop) as pool:
        _in_windows(task, lambda: pool.submit(_nothing))


def noop_executor(task: Task) -> None:
    """ThreadPoolExecutor, with a plain function."""
    executor: Executor
    with ThreadPoolExecutor(1) as executor:
        _in_windows(task, lambda: executor.submit(int))


def _in_windows(task: Task, submit: Callable[[], "Future[Any]"]) -> None:
    for _ in range(task.requests // _WINDOW or 1):
        for job in [submit() for _ in range(min(_WINDOW, task.requests))]:
            job.result()
