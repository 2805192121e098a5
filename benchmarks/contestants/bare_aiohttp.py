"""Bare aiohttp: on one loop with no thread crossed, and called by hand from threads."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import aiohttp

from .contestant import Run, Task, in_threads

__all__ = ["by_hand", "looping", "on_one_loop", "opened", "with_isal"]


@contextmanager
def on_one_loop(task: Task) -> Iterator[Run]:
    """Fetch with as many coroutines as connections, on this thread."""
    with opened(task) as (runner, session):
        yield lambda requests: runner.run(_fetch_all(task, session, requests))


@contextmanager
def with_isal(task: Task) -> Iterator[Run]:
    """Fetch as on_one_loop, with the pool's decoder for gzip in the place of zlib."""
    from isal import isal_zlib

    aiohttp.set_zlib_backend(isal_zlib)
    with on_one_loop(task) as run:
        yield run


@contextmanager
def opened(task: Task) -> Iterator[tuple[asyncio.Runner, aiohttp.ClientSession]]:
    """Yield a loop and a session on it."""
    with asyncio.Runner(loop_factory=lambda: _new_loop(task.loop)) as runner:
        session = runner.run(_open(task))
        try:
            yield runner, session
        finally:
            runner.run(session.close())


async def _fetch_all(task: Task, session: aiohttp.ClientSession, requests: int) -> None:
    urls = repeat(task.url, requests)

    async def drain() -> None:
        for url in urls:
            async with session.get(url, headers=task.headers) as response:
                task.check(response.status, await response.read())

    await asyncio.gather(*(drain() for _ in range(task.connections)))


@contextmanager
def by_hand(task: Task) -> Iterator[Run]:
    """Fetch from threads through run_coroutine_threadsafe, as one would without a pool."""
    with looping(task.loop) as loop:
        session = asyncio.run_coroutine_threadsafe(_open(task), loop).result()

        async def fetch(url: str) -> tuple[int, bytes]:
            async with session.get(url, headers=task.headers) as response:
                return response.status, await response.read()

        def get(url: str) -> tuple[int, bytes]:
            return asyncio.run_coroutine_threadsafe(fetch(url), loop).result()

        try:
            with in_threads(task, get) as run:
                yield run
        finally:
            asyncio.run_coroutine_threadsafe(session.close(), loop).result()


@contextmanager
def looping(kind: str) -> Iterator[asyncio.AbstractEventLoop]:
    """Yield a loop that runs on a thread of its own."""
    loop = _new_loop(kind)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _open(task: Task) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=task.connections))


def _new_loop(kind: str) -> asyncio.AbstractEventLoop:
    """Return a loop of the kind that the pool would use."""
    if kind == "asyncio":
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError:
        if kind == "uvloop":
            raise
        return asyncio.new_event_loop()
    loop: Any = uvloop.new_event_loop()
    return loop  # type: ignore[no-any-return]
