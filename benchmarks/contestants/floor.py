"""Bare aiohttp: on one loop with no thread crossed, and called by hand from threads."""

import asyncio
import threading

import aiohttp

from .task import Task, in_threads, new_loop

__all__ = ["by_hand", "floor"]


def floor(task: Task) -> None:
    """Fetch with as many coroutines as connections, on this thread."""
    with asyncio.Runner(loop_factory=lambda: new_loop(task.loop)) as runner:
        runner.run(_fetch_all(task))


async def _fetch_all(task: Task) -> None:
    urls = task.urls
    connector = aiohttp.TCPConnector(limit=task.connections)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def drain() -> None:
            for url in urls:
                async with session.get(url) as response:
                    task.check(response.status, await response.read())

        await asyncio.gather(*(drain() for _ in range(task.connections)))


def by_hand(task: Task) -> None:
    """Fetch from threads through run_coroutine_threadsafe, as one would without a pool."""
    loop = new_loop(task.loop)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    session = asyncio.run_coroutine_threadsafe(_open(task), loop).result()

    async def fetch(url: str) -> tuple[int, bytes]:
        async with session.get(url) as response:
            return response.status, await response.read()

    in_threads(task, lambda url: asyncio.run_coroutine_threadsafe(fetch(url), loop).result())
    asyncio.run_coroutine_threadsafe(session.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _open(task: Task) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=task.connections))
