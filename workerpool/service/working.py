"""A process that only fetches, for a service whose store others share."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress

from .homes import open_store
from .serving import running
from .settings import ServiceSettings

__all__ = ["work"]


async def work(settings: ServiceSettings, told: Callable[[str], None]) -> None:
    """Fetch until TERM or Ctrl-C; `told` hears the store's name once it does. Raises StoreRefused."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    store = await open_store(settings)
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(
                ValueError, NotImplementedError, RuntimeError
            ):  # not on the main thread: whoever calls cancels
                loop.add_signal_handler(number, stop.set)
        async with running(store, settings):
            told(store.name)
            await stop.wait()
    finally:
        await store.close()
