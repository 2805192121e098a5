"""The database made, or brought to the present version: in one transaction, by one process at a time."""

import logging
from pathlib import Path
from typing import Any

import psycopg
from procrastinate.schema import SchemaManager

from ..errors import StoreRefused
from .address import Address, meaning
from .schema import MIGRATIONS, SCHEMA, VERSION

__all__ = ["make"]

log: logging.Logger = logging.getLogger("workerpool.service")

_LOCK = 0x77706A73  # of the database's advisory locks: whoever makes or migrates has it
_OLDEST = 130000  # what procrastinate needs


async def make(address: Address) -> None:
    """Make what isn't there, and migrate what is older; raises StoreRefused, with the cure."""
    try:
        async with await psycopg.AsyncConnection.connect(address.conninfo) as db:
            await _make(db, address.name)
    except psycopg.Error as exc:
        raise StoreRefused(f"{address.name}: {meaning(exc)}") from exc


async def _make(db: psycopg.AsyncConnection[Any], name: str) -> None:
    if db.info.server_version < _OLDEST:
        raise StoreRefused(f"{name} is PostgreSQL {db.info.server_version // 10000}; use 13 or later")
    await db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    if not await _one(db, "SELECT count(*) FROM pg_namespace WHERE nspname = %s", SCHEMA):
        await db.execute(f"CREATE SCHEMA {SCHEMA}".encode())
    await db.execute(f"SET LOCAL search_path = {SCHEMA}".encode())
    version = await _version(db, name)
    if version > VERSION:
        raise StoreRefused(
            f"{name} was written by a newer version of workerpool (its tables are of version {version}, this knows"
            f" {VERSION}); install that version, or give another --database"
        )
    for migration in MIGRATIONS[version:]:
        await db.execute(migration.encode())
    if version < VERSION:
        await _put(db, "version", str(VERSION))
    await _make_procrastinate(db)
    if await _one(db, "SELECT current_setting(%s)", "fsync") == "off":
        log.warning("%s: fsync is off there, so that a power cut may lose what was accepted; set it to on", name)


async def _version(db: psycopg.AsyncConnection[Any], name: str) -> int:
    tables = await _one(db, "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = %s::regnamespace",
                        SCHEMA)  # fmt: skip
    if not tables:
        return 0
    if not await _one(db, "SELECT to_regclass('meta') IS NOT NULL AND to_regclass('counter') IS NOT NULL"):
        raise StoreRefused(f"{name} has a schema {SCHEMA}, but none of the service's; give another --database")
    return int(await _one(db, "SELECT value FROM meta WHERE name = 'version'") or 0)


async def _make_procrastinate(db: psycopg.AsyncConnection[Any]) -> None:
    """Make procrastinate's tables, or do those of its migrations that came with newer versions of it."""
    files = sorted(each for each in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    done = await _one(db, "SELECT value FROM meta WHERE name = 'procrastinate'")
    if done is None:
        await db.execute(SchemaManager.get_schema())
    for file in files:
        if done is not None and file.name > done:
            await db.execute(file.read_bytes())
    if done is None or files[-1].name > done:
        await _put(db, "procrastinate", files[-1].name)


async def _put(db: psycopg.AsyncConnection[Any], name: str, value: str) -> None:
    await db.execute(
        "INSERT INTO meta VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
    )


async def _one(db: psycopg.AsyncConnection[Any], query: Any, *values: object) -> Any:
    row = await (await db.execute(query, values)).fetchone()
    return None if row is None else row[0]
