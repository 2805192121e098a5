"""A process that only fetches, for a service whose store others share."""

from collections.abc import Callable

from .homes import open_store
from .serving import running, stop_of_signals
from .settings import ServiceSettings

__all__ = ["work"]


async def work(settings: ServiceSettings, told: Callable[[str], None]) -> None:
    """Fetch until TERM or Ctrl-C; `told` hears the store's name once it does. Raises StoreRefused."""
    store = await open_store(settings)
    try:
        stop = stop_of_signals()
        async with running(store, settings):
            told(store.name)
            await stop.wait()
    finally:
        await store.close()
