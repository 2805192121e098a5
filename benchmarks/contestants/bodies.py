"""Large bodies, read as they come and sent from a file: bare aiohttp and the pool."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from .bare_aiohttp import opened
from .contestant import Run, Task

__all__ = ["aiohttp_download", "aiohttp_upload", "pool_download", "pool_upload"]


@contextmanager
def aiohttp_download(task: Task) -> Iterator[Run]:
    """Read the pieces as aiohttp hands them out."""
    with opened(task) as (runner, session):

        async def run(requests: int) -> None:
            for _ in range(requests):
                async with session.get(task.url) as response:
                    size = 0
                    async for piece in response.content.iter_any():
                        size += len(piece)
                    task.check_size(response.status, size)

        yield lambda requests: runner.run(run(requests))


@contextmanager
def pool_download(task: Task) -> Iterator[Run]:
    """Read the pieces of a stream."""
    from workerpool import WorkerPool

    with WorkerPool(event_loop=task.loop, timeout=None) as pool:

        def run(requests: int) -> None:
            for _ in range(requests):
                with pool.stream("GET", task.url) as response:
                    task.check_size(response.status_code, sum(map(len, response.iter_bytes())))

        yield run


@contextmanager
def aiohttp_upload(task: Task) -> Iterator[Run]:
    """Give aiohttp an open file."""
    with opened(task) as (runner, session), _file(task.size) as file:

        async def run(requests: int) -> None:
            for _ in range(requests):
                async with session.put(task.url, data=file()) as response:
                    await response.read()
                    task.check_size(response.status, task.size)

        yield lambda requests: runner.run(run(requests))


@contextmanager
def pool_upload(task: Task) -> Iterator[Run]:
    """Give the pool an open file."""
    from workerpool import WorkerPool

    with WorkerPool(event_loop=task.loop, timeout=None) as pool, _file(task.size) as file:

        def run(requests: int) -> None:
            for _ in range(requests):
                response = pool.put(task.url, data=file())
                task.check_size(response.status_code, task.size)

        yield run


@contextmanager
def _file(size: int) -> Iterator[Callable[[], IO[bytes]]]:
    """Yield what opens a file of so many bytes."""
    with tempfile.NamedTemporaryFile() as made:
        os.truncate(made.name, size)
        yield lambda: open(made.name, "rb")  # noqa: SIM115  whoever sends it closes it
