"""The readers: threads with connections of their own, which cannot write."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..errors import Busy, StoreDown
from .file import close_quietly, connect, told

__all__ = ["Readers"]

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = 2
_MOST = 500  # calls that may wait


class Readers:
    """Run short queries. `gate` keeps them apart from commits where SQLite would have each poll for the other."""

    def __init__(self, path: Path, gate: AbstractContextManager[Any]) -> None:
        self._path, self._gate = path, gate
        self._own = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._waiting = 0  # of the loop only
        self._threads = ThreadPoolExecutor(_THREADS, "workerpool-service-reader")

    async def do(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a query finds; raises StoreDown and Busy."""
        if self._waiting >= _MOST:
            raise Busy(f"{self._path}: {_MOST} calls wait to read; try again a little later")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: self._read(work, *args, **kwargs))
        except RuntimeError as exc:
            if "shutdown" not in str(exc):
                raise
            raise StoreDown(f"{self._path} is closed; start the service again") from None
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads. Blocks."""
        self._threads.shutdown()
        for db in self._all:
            close_quietly(db)

    def _read(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with told(self._path), self._gate:
            db = self._connection()
            db.execute("BEGIN")
            try:
                return work(db, *args, **kwargs)
            finally:
                db.execute("ROLLBACK")

    def _connection(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._own, "db", None)
        if db is None:
            db = self._own.db = connect(self._path, reading=True)
            self._all.append(db)
        return db
