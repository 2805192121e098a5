"""Where stores live: by the database that is named."""

from .errors import StoreRefused
from .settings import ServiceSettings
from .sqlite.home import SQLiteStore
from .store import Store

__all__ = ["open_store"]

_POSTGRES = ("postgresql://", "postgres://")


async def open_store(settings: ServiceSettings) -> Store:
    """Open the database that the settings name, made if it isn't there; raises StoreRefused."""
    if settings.database.startswith(_POSTGRES):
        raise StoreRefused("PostgreSQL is no database of this version; give a file: --database workerpool.sqlite")
    return await SQLiteStore.open(settings.database)
