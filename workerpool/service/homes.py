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
        return await _postgres(settings.database)
    if "://" in settings.database:
        kind = settings.database.partition("://")[0][:40]
        raise StoreRefused(
            f"{kind}:// is no database that is known; give --database FILE or --database postgresql://..."
        )
    return await SQLiteStore.open(settings.database)


async def _postgres(database: str) -> Store:
    """Open a database by what is an extra, and loaded for it only."""
    try:
        from .postgres.home import PostgresStore
    except ImportError as exc:
        if (exc.name or "").partition(".")[0] not in ("psycopg", "procrastinate"):
            raise
        raise StoreRefused(
            f"for PostgreSQL {exc.name or 'psycopg'} is missing; install it: pip install 'aiohttp-workerpool[postgres]'"
        ) from None
    return await PostgresStore.open(database)
