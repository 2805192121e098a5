"""Lanes, tokens and small texts in the database."""

from time import time
from typing import Any

from ..errors import Conflict, NoSuch
from ..records import LaneSettings, LaneState, Role, Token
from .link import Connection, first, rows
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


async def get_secret(db: Connection, name: str) -> str | None:
    """Return a text of the service's own."""
    row = await first(db, "SELECT value FROM meta WHERE name = %s", (f"secret {name}",))
    return None if row is None else row[0]


async def swap_secret(change: Change, name: str, before: str | None, after: str) -> bool:
    """Keep a text of the service's own, if what is there is still the one before."""
    if await get_secret(change.db, name) != before:
        return False
    await change.db.execute(_KEEP.encode(), (f"secret {name}", after))
    return True


async def write_something(change: Change) -> None:
    """Write a row, to see whether that can be done."""
    await change.db.execute(_KEEP.encode(), ("checked", str(time())))


def _lane(row: tuple[Any, ...]) -> LaneState:
    settings = LaneSettings(
        name=row[0], connections=row[1], per_host=row[2], rate=row[3], per_host_rate=row[4], paused=bool(row[5])
    )
    return LaneState(settings=settings, queued=int(row[6]), running=int(row[7]))
