"""Lanes, tokens, deliveries and small texts in the database."""

import json
from collections.abc import Mapping
from time import time
from typing import Any

from ..errors import Conflict, NoSuch
from ..records import Delivery, LaneSettings, LaneState, Page, Role, Token
from ..rows import cursor_of, packed, position_of
from .jobs import key_of
from .link import Connection, first, rows
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
        coalesce((SELECT sum(total - running - succeeded - failed - cancelled - expired) FROM job
            WHERE finished IS NULL AND lane = lane.name), 0),
        coalesce((SELECT sum(running) FROM job WHERE finished IS NULL AND lane = lane.name), 0)
    FROM lane ORDER BY name
"""
_LANE = """
    INSERT INTO lane VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (name) DO UPDATE SET
        connections = excluded.connections, per_host = excluded.per_host, rate = excluded.rate,
        per_host_rate = excluded.per_host_rate, paused = excluded.paused, due = 0
"""
_KEEP = "INSERT INTO meta VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_DELIVERY = """
    SELECT delivery.id, job.id, delivery.run, delivery.url, delivery.created, delivery.due, delivery.state,
        delivery.tries, delivery.key
    FROM delivery JOIN job ON job.key = delivery.job
"""


async def lanes(db: Connection) -> tuple[LaneState, ...]:
    """Return every lane."""
    return tuple(_lane(row) for row in await rows(db, _LANES))


async def put_lane(change: Change, new: LaneSettings) -> LaneState:
    """Set a lane."""
    row = (new.name, new.connections, new.per_host, new.rate, new.per_host_rate, new.paused)
    await change.db.execute(_LANE.encode(), row)
    change.work = True
    return next(each for each in await lanes(change.db) if each.settings.name == new.name)


async def tokens(db: Connection) -> tuple[Token, ...]:
    """Return every token."""
    found = await rows(db, "SELECT id, sha256, role, name, created, used FROM token ORDER BY created, id")
    return tuple(
        Token(id=row[0], sha256=row[1], role=Role(row[2]), name=row[3], created_at=row[4], last_used_at=row[5])
        for row in found
    )


async def add_token(change: Change, new: Token) -> None:
    """Store a token."""
    if await rows(change.db, "SELECT 1 FROM token WHERE id = %s OR sha256 = %s", (new.id, new.sha256)):
        raise Conflict(f"there is a token {new.id} already, or it has the same secret")
    await change.db.execute(
        "INSERT INTO token VALUES (%s, %s, %s, %s, %s, %s)",
        (new.id, new.sha256, new.role.value, new.name, new.created_at, new.last_used_at),
    )


async def remove_token(change: Change, id: str) -> None:
    """Remove a token."""
    if not await rows(change.db, "DELETE FROM token WHERE id = %s RETURNING id", (id,)):
        raise NoSuch(f"there is no token {id}")


async def unfinished_of(db: Connection, owner: str) -> int:
    """Return how many jobs of a token's are not final."""
    return int((await rows(db, "SELECT count(*) FROM job WHERE owner = %s AND finished IS NULL", (owner,)))[0][0])


async def deliveries(db: Connection, id: str | None, cursor: str | None, limit: int) -> Page[Delivery]:
    """Return deliveries, of one job or all."""
    behind = position_of("d", cursor)
    values: list[Any] = [2**62 if behind is None else behind]
    rule = "delivery.key < %s"
    if id is not None:
        rule += " AND delivery.job = %s"
        values.append(await key_of(db, id))
    found = await rows(db, f"{_DELIVERY} WHERE {rule} ORDER BY delivery.key DESC LIMIT %s", (*values, limit + 1))
    more = len(found) > limit
    return Page(tuple(map(_delivery, found[:limit])), cursor_of("d", found[limit - 1][-1]) if more else None)


async def due_deliveries(change: Change, owner: str, n: int, now: float, seconds: float) -> tuple[Delivery, ...]:
    """Take deliveries that are due."""
    found = await rows(
        change.db, f"{_DELIVERY} WHERE due <= %s AND (until IS NULL OR until < %s) ORDER BY due LIMIT %s", (now, now, n)
    )
    if found:
        await change.db.execute(
            "UPDATE delivery SET owner = %s, until = %s WHERE key = ANY(%s)",
            (owner, now + seconds, [row[-1] for row in found]),
        )
    return tuple(map(_delivery, found))


async def note_delivery(
    change: Change, id: str, tried: Mapping[str, object] | None, state: str, due_at: float | None
) -> None:
    """Add a try to a delivery's log."""
    row = await first(change.db, "SELECT tries FROM delivery WHERE id = %s", (id,))
    if row is None:
        raise NoSuch(f"there is no delivery {id}")
    tries = json.loads(row[0]) + ([] if tried is None else [dict(tried)])
    await change.db.execute(
        "UPDATE delivery SET tries = %s, state = %s, due = %s, owner = NULL, until = NULL WHERE id = %s",
        (packed(tries), state, due_at, id),
    )


async def get_secret(db: Connection, name: str) -> str | None:
    """Return a text of the service's own."""
    row = await first(db, "SELECT value FROM meta WHERE name = %s", (f"secret {name}",))
    return None if row is None else row[0]


async def put_secret(change: Change, name: str, value: str) -> None:
    """Keep a text of the service's own."""
    await change.db.execute(_KEEP.encode(), (f"secret {name}", value))


async def write_something(change: Change) -> None:
    """Write a row, to see whether that can be done."""
    await change.db.execute(_KEEP.encode(), ("checked", str(time())))


def _lane(row: tuple[Any, ...]) -> LaneState:
    settings = LaneSettings(
        name=row[0], connections=row[1], per_host=row[2], rate=row[3], per_host_rate=row[4], paused=bool(row[5])
    )
    return LaneState(settings=settings, queued=int(row[6]), running=int(row[7]))


def _delivery(row: tuple[Any, ...]) -> Delivery:
    return Delivery(
        id=row[0], job=row[1], run=row[2], url=row[3], created_at=row[4], due_at=row[5], state=row[6],
        tries=tuple(json.loads(row[7])),
    )  # fmt: skip
