"""Lanes, tokens and small texts in the file."""

import sqlite3
from time import time
from typing import Any

from ..errors import Conflict, NoSuch
from ..records import LaneSettings, LaneState, Role, Token
from .writer import Change

__all__ = [
    "add_token",
    "get_secret",
    "lanes",
    "put_lane",
    "swap_secret",
    "remove_token",
    "tokens",
    "unfinished_of",
]

_LANES = """
    SELECT name, connections, per_host, rate, per_host_rate, paused,
        ifnull((SELECT sum(total - running - succeeded - failed - cancelled - expired) FROM job
            WHERE finished IS NULL AND lane = lane.name), 0),
        ifnull((SELECT sum(running) FROM job WHERE finished IS NULL AND lane = lane.name), 0)
    FROM lane ORDER BY name
"""


def lanes(db: sqlite3.Connection) -> tuple[LaneState, ...]:
    """Return every lane."""
    return tuple(_lane(row) for row in db.execute(_LANES).fetchall())


def put_lane(change: Change, new: LaneSettings) -> LaneState:
    """Set a lane."""
    row = (new.name, new.connections, new.per_host, new.rate, new.per_host_rate, new.paused)
    change.db.execute("INSERT OR REPLACE INTO lane VALUES (?, ?, ?, ?, ?, ?)", row)
    change.work = True
    return next(each for each in lanes(change.db) if each.settings.name == new.name)


def tokens(db: sqlite3.Connection) -> tuple[Token, ...]:
    """Return every token."""
    rows = db.execute("SELECT id, sha256, role, name, created, used FROM token ORDER BY created, id").fetchall()
    return tuple(
        Token(id=row[0], sha256=row[1], role=Role(row[2]), name=row[3], created_at=row[4], last_used_at=row[5])
        for row in rows
    )


def add_token(change: Change, new: Token) -> None:
    """Store a token."""
    try:
        change.db.execute(
            "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?)",
            (new.id, new.sha256, new.role.value, new.name, new.created_at, new.last_used_at),
        )
    except sqlite3.IntegrityError:
        raise Conflict(f"there is a token {new.id} already, or it has the same secret") from None


def remove_token(change: Change, id: str) -> None:
    """Remove a token."""
    if not change.db.execute("DELETE FROM token WHERE id = ?", (id,)).rowcount:
        raise NoSuch(f"there is no token {id}")


def unfinished_of(db: sqlite3.Connection, owner: str) -> int:
    """Return how many jobs of a token's are not final."""
    row = db.execute("SELECT count(*) FROM job WHERE owner = ? AND finished IS NULL", (owner,)).fetchone()
    return int(row[0])


def get_secret(db: sqlite3.Connection, name: str) -> str | None:
    """Return a text of the service's own."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (f"secret {name}",)).fetchone()
    return None if row is None else row[0]


def swap_secret(change: Change, name: str, before: str | None, after: str) -> bool:
    """Keep a text of the service's own, if what is there is still the one before."""
    if get_secret(change.db, name) != before:
        return False
    change.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"secret {name}", after))
    return True


def write_something(change: Change) -> None:
    """Write a row, to see whether that can be done."""
    change.db.execute("INSERT OR REPLACE INTO meta VALUES ('checked', ?)", (str(time()),))


def _lane(row: tuple[Any, ...]) -> LaneState:
    settings = LaneSettings(
        name=row[0], connections=row[1], per_host=row[2], rate=row[3], per_host_rate=row[4], paused=bool(row[5])
    )
    return LaneState(settings=settings, queued=row[6], running=row[7])
