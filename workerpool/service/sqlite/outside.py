"""Tokens of the file, also while a service has it: it looks them up anew every other second."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import StoreRefused
from ..records import Token
from . import settings
from .file import Turn, close_quietly, connect, lock, open_writing, told
from .leases import Leases
from .schema import MARK, VERSION
from .writer import Change

__all__ = ["add_token", "remove_token", "tokens"]


def tokens(path: Path) -> tuple[Token, ...]:
    """Return every token."""
    with _opened(path) as db:
        return settings.tokens(db)


def add_token(path: Path, new: Token) -> None:
    """Store a token; raises Conflict."""
    with _opened(path) as db:
        settings.add_token(Change(db, 0, Leases()), new)


def remove_token(path: Path, id: str) -> None:
    """Remove a token; raises NoSuch."""
    with _opened(path) as db:
        settings.remove_token(Change(db, 0, Leases()), id)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection: where no service has the file, it is made or brought to the present version first."""
    try:
        locked = lock(path)
    except StoreRefused:
        if not path.is_file():
            raise
        with closing(Turn(path)) as turn, turn, told(path), closing(_beside_a_service(path)) as db:
            yield db
        return
    with closing(locked), closing(open_writing(path)) as db, told(path):
        yield db


def _beside_a_service(path: Path) -> sqlite3.Connection:
    db = connect(path)
    db.execute("PRAGMA wal_autocheckpoint = 0")
    try:
        found = db.execute("PRAGMA application_id").fetchone()[0], db.execute("PRAGMA user_version").fetchone()[0]
    except BaseException:
        close_quietly(db)
        raise
    if found != (MARK, VERSION):
        close_quietly(db)
        raise StoreRefused(f"{path} is in use, and not of this version of workerpool; use the one that the service has")
    db.execute("PRAGMA synchronous = FULL")
    return db
