"""Jobs that do nothing: what handing over and getting back costs."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from .contestant import Run, Task

__all__ = ["noop_by_hand", "noop_executor", "noop_loop", "noop_pool"]

_WINDOW = 1000  # jobs under way, unless one caller waits for each


async def _nothing_async(session: object = None) -> None:
    return None


def _nothing() -> None:
    return None


@contextmanager
def noop_pool(task: Task) -> Iterator[Run]:
    """Submit an async function to the pool."""
    from workerpool import WorkerPool  # here, so that the executor's memory is its own

    with WorkerPool(workers=task.workers or 1, event_loop=task.loop) as pool:
        yield lambda jobs: _in_windows(task, jobs, lambda: pool.submit(_nothing_async))


@contextmanager
def noop_executor(task: Task) -> Iterator[Run]:
    """Submit a plain function to a ThreadPoolExecutor of one thread."""
    with ThreadPoolExecutor(1) as executor:
        yield lambda jobs: _in_windows(task, jobs, lambda: executor.submit(_nothing))


@contextmanager
def noop_by_hand(task: Task) -> Iterator[Run]:
    """Run a coroutine by run_coroutine_threadsafe."""
    from .bare_aiohttp import looping

    with looping(task.loop) as loop:
        yield lambda jobs: _in_windows(task, jobs, lambda: asyncio.run_coroutine_threadsafe(_nothing_async(), loop))


@contextmanager
def noop_loop(task: Task) -> Iterator[Run]:
    """Have a loop set a Future's result: the least that it can take to a loop and back."""
    from .bare_aiohttp import looping

    with looping(task.loop) as loop:

        def submit() -> "Future[None]":
            done: Future[None] = Future()
            loop.call_soon_threadsafe(done.set_result, None)
            return done

        yield lambda jobs: _in_windows(task, jobs, submit)


def _in_windows(task: Task, jobs: int, submit: Callable[[], "Future[Any]"]) -> None:
    window = 1 if task.connections == 1 else _WINDOW
    for done in range(0, jobs, window):
        for job in [submit() for _ in range(min(window, jobs - done))]:
            job.result()
            task.note()
