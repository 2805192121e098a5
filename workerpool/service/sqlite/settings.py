"""Lanes, tokens, deliveries and small texts in the file."""

import json
import sqlite3
from collections.abc import Mapping
from time import time
from typing import Any

from ..errors import Conflict, NoSuch
from ..records import Delivery, LaneSettings, LaneState, Page, Role, Token
from .jobs import key_of
from .rows import cursor_of, packed, position_of
from .writer import Change

__all__ = [
    "add_token",
    "deliveries",
    "due_deliveries",
    "get_secret",
    "lanes",
    "note_delivery",
    "put_lane",
    "put_secret",
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
_DELIVERY = """
    SELECT delivery.id, job.id, delivery.run, delivery.url, delivery.created, delivery.due, delivery.state,
        delivery.tries, delivery.key
    FROM delivery JOIN job ON job.key = delivery.job
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


def deliveries(db: sqlite3.Connection, id: str | None, cursor: str | None, limit: int) -> Page[Delivery]:
    """Return deliveries, of one job or all."""
    behind = position_of("d", cursor)
    values: list[Any] = [2**62 if behind is None else behind]
    rule = "delivery.key < ?"
    if id is not None:
        rule += " AND delivery.job = ?"
        values.append(key_of(db, id))
    rows = db.execute(f"{_DELIVERY} WHERE {rule} ORDER BY delivery.key DESC LIMIT ?", (*values, limit + 1)).fetchall()
    more = len(rows) > limit
    return Page(tuple(map(_delivery, rows[:limit])), cursor_of("d", rows[limit - 1][-1]) if more else None)


def due_deliveries(change: Change, owner: str, n: int, now: float, seconds: float) -> tuple[Delivery, ...]:
    """Take deliveries that are due."""
    rows = change.db.execute(
        f"{_DELIVERY} WHERE due <= ? AND (until IS NULL OR until < ?) ORDER BY due LIMIT ?", (now, now, n)
    ).fetchall()
    change.db.executemany(
        "UPDATE delivery SET owner = ?, until = ? WHERE key = ?", ((owner, now + seconds, row[-1]) for row in rows)
    )
    return tuple(map(_delivery, rows))


def note_delivery(
    change: Change, id: str, tried: Mapping[str, object] | None, state: str, due_at: float | None
) -> None:
    """Add a try to a delivery's log."""
    row = change.db.execute("SELECT tries FROM delivery WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise NoSuch(f"there is no delivery {id}")
    tries = json.loads(row[0]) + ([] if tried is None else [dict(tried)])
    change.db.execute(
        "UPDATE delivery SET tries = ?, state = ?, due = ?, owner = NULL, until = NULL WHERE id = ?",
        (packed(tries), state, due_at, id),
    )


def get_secret(db: sqlite3.Connection, name: str) -> str | None:
    """Return a text of the service's own."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (f"secret {name}",)).fetchone()
    return None if row is None else row[0]


def put_secret(change: Change, name: str, value: str) -> None:
    """Keep a text of the service's own."""
    change.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"secret {name}", value))


def write_something(change: Change) -> None:
    """Write a row, to see whether that can be done."""
    change.db.execute("INSERT OR REPLACE INTO meta VALUES ('checked', ?)", (str(time()),))


def _lane(row: tuple[Any, ...]) -> LaneState:
    settings = LaneSettings(
        name=row[0], connections=row[1], per_host=row[2], rate=row[3], per_host_rate=row[4], paused=bool(row[5])
    )
    return LaneState(settings=settings, queued=row[6], running=row[7])


def _delivery(row: tuple[Any, ...]) -> Delivery:
    return Delivery(
        id=row[0], job=row[1], run=row[2], url=row[3], created_at=row[4], due_at=row[5], state=row[6],
        tries=tuple(json.loads(row[7])),
    )  # fmt: skip
