"""Connections: how each is set up, and those that only read."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import psycopg

from ..errors import Busy, StoreDown
from .address import Address, told
from .schema import SCHEMA

__all__ = ["Connection", "Readers", "close_quietly", "connect", "first", "rows"]

P = ParamSpec("P")
T = TypeVar("T")
Connection: TypeAlias = psycopg.AsyncConnection[Any]
_MOST = 500  # calls that may wait
_AT_ONCE = 4  # connections that read
_SETUP = f"""
    SET search_path = {SCHEMA};
    SET lock_timeout = '15s';
    SET idle_in_transaction_session_timeout = '20s';
    SET statement_timeout = '120s';
    SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""  # a process that hangs amid a transaction holds up others for 20 s at most


async def connect(address: Address, *, reading: bool = False) -> Connection:
    """Make a connection; one that reads cannot write."""
    db: Connection = await psycopg.AsyncConnection.connect(address.conninfo, autocommit=True)
    await db.execute(_SETUP.encode())
    if reading:
        await db.execute("SET default_transaction_read_only = on")
    return db


async def rows(db: Connection, query: str, values: Any = ()) -> list[Any]:
    """Return what a query finds."""
    return await (await db.execute(query.encode(), values)).fetchall()


async def first(db: Connection, query: str, values: Any = ()) -> Any:
    """Return the first row that a query finds; None for none."""
    return await (await db.execute(query.encode(), values)).fetchone()


async def close_quietly(db: Connection | None) -> None:
    """Close a connection, whatever is wrong with it."""
    if db is not None:
        with suppress(psycopg.Error):
            await db.close()


class Readers:
    """Run queries on a few connections, made when needed; each sees what is stored by then. Of one loop.

    A pool of psycopg's would wait for a database that is down, longer and longer; here each caller is told at once.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._closed = False

    async def do(
        self, work: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what a query finds; raises StoreDown and Busy."""
        if self._closed:
            raise StoreDown(f"{self._address.name} is closed; start the service again")
        if self._waiting >= _MOST:
            raise Busy(f"{self._address.name}: {_MOST} calls wait to read; try again a little later")
        self._waiting += 1
        try:
            async with self._places:
                with told(self._address.name):
                    return await self._read(lambda db: work(db, *args, **kwargs))
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        while self._idle:
            await close_quietly(self._idle.pop())

    async def _read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        while self._idle:
            db = self._idle.pop()
            try:
                return await self._on(db, work)
            except psycopg.OperationalError:
                if not db.closed:
                    raise  # else it broke while it was idle: the database was started anew, perhaps
        return await self._on(await connect(self._address, reading=True), work)

    async def _on(self, db: Connection, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            found = await work(db)
        except BaseException as exc:
            if isinstance(exc, psycopg.Error | asyncio.CancelledError):
                await close_quietly(db)
            self._keep(db)
            raise
        self._keep(db)
        return found

    def _keep(self, db: Connection) -> None:
        if not db.closed and not self._closed:
            self._idle.append(db)
