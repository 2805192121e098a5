"""Looking after the database: what is due, what is past its time, what need not be kept."""

from ..records import Ending, Retention, State, Stats, Tended
from .endings import end_all
from .jobs import remove
from .link import Connection, first, rows
from .queue import rescue
from .turns import need_turns
from .writer import Change

__all__ = ["is_due", "last_event", "note_pace", "note_waits", "stats", "sweep", "tend"]

_FEW = 20  # jobs that one transaction removes or ends: others wait for it
_DUE = "SELECT key FROM job WHERE held AND not_before <= %s LIMIT %s"
_EXPIRED = "SELECT key, id FROM job WHERE finished IS NULL AND expires IS NOT NULL AND expires <= %s LIMIT %s"
_WAITS = """
    INSERT INTO waiting VALUES (%s, %s, now()) ON CONFLICT (owner) DO UPDATE SET said = excluded.said, at = excluded.at
"""
_PACE = """
    INSERT INTO host VALUES (%s, %s, %s, %s) ON CONFLICT (name) DO UPDATE SET
        until = greatest(host.until, excluded.until), gap = greatest(host.gap, excluded.gap)
"""
_LAST = "SELECT greatest((SELECT max(seq) FROM result), (SELECT max(id) FROM event), 0)"


async def is_due(db: Connection, now: float) -> bool:
    """Whether there is something to look after, as a reader sees it."""
    return bool(await first(db, _DUE, (now, 1)) or await first(db, _EXPIRED, (now, 1)))


async def tend(change: Change, now: float, *, late: bool) -> Tended:
    """Give out again, let begin, expire."""
    db, rescued = change.db, await rescue(change) if late else 0
    due = [key for (key,) in await rows(db, _DUE, (now, _FEW))]
    if due:
        await db.execute("UPDATE queue SET stage = 1 WHERE job = ANY(%s) AND stage = 0", (due,))
        await db.execute("UPDATE job SET held = false WHERE key = ANY(%s)", (due,))
        await need_turns(change, due)
    expired = await rows(db, _EXPIRED, (now, _FEW))
    for key, _id in expired:
        await end_all(change, key, Ending.EXPIRED)
    return Tended(rescued=rescued, due=len(due), expired=tuple(id for _key, id in expired))


async def sweep(change: Change, retention: Retention, now: float) -> int:
    """Remove some jobs that need not be kept; returns how many, 0 once there is none."""
    db = change.db
    await db.execute("DELETE FROM idempotency WHERE at < %s", (now - 86_400.0,))
    await db.execute("DELETE FROM waiting WHERE at < now() - interval '1 hour'")
    await db.execute("DELETE FROM host WHERE until < %s AND gap = 0", (now,))
    stale = await rows(db, "DELETE FROM draft WHERE touched < now() - interval '10 minutes' RETURNING job")
    if stale:
        await db.execute("DELETE FROM request WHERE job = ANY(%s)", ([key for (key,) in stale],))
    keys = [] if retention.age is None else await rows(
        db, "SELECT key FROM job WHERE finished < %s ORDER BY finished LIMIT %s", (now - retention.age, _FEW)
    )  # fmt: skip
    if not keys and retention.size is not None and await used(db) > retention.size:
        keys = await rows(db, "SELECT key FROM job WHERE finished IS NOT NULL ORDER BY finished LIMIT 1")
    for (key,) in keys:
        await remove(change, key)
    return len(keys)


async def used(db: Connection) -> int:
    """Return the bytes that are kept: of bodies, and of rows as far as they were counted by the last vacuum."""
    row = await first(db, "SELECT coalesce(sum(octet_length(data)), 0) FROM body")
    other = await first(
        db, "SELECT coalesce(sum(reltuples) FILTER (WHERE reltuples > 0), 0) FROM pg_class"
        " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
    )  # fmt: skip
    return int(row[0]) + 200 * int(other[0])


async def last_event(db: Connection) -> int:
    """Return the newest event's id."""
    return int((await rows(db, _LAST))[0][0])


async def stats(db: Connection) -> Stats:
    """Return the numbers."""
    states = dict(await rows(db, "SELECT state, count(*) FROM job GROUP BY state"))
    row = await first(
        db, "SELECT coalesce(sum(total - running - succeeded - failed - cancelled - expired), 0),"
        " coalesce(sum(running), 0) FROM job WHERE finished IS NULL",
    )  # fmt: skip
    results = await first(db, "SELECT coalesce(sum(succeeded + failed + cancelled + expired), 0) FROM job")
    size = await first(
        db, "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class"
        " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
    )  # fmt: skip
    return Stats(
        jobs={state.value: states.get(state.value, 0) for state in State}, queued=int(row[0]), running=int(row[1]),
        results=int(results[0]), bytes=int(size[0]), last_event=await last_event(db),
    )  # fmt: skip


async def note_waits(change: Change, owner: str, said: str) -> None:
    """Keep why jobs wait, in place of what this runner has said before."""
    await change.db.execute(_WAITS.encode(), (owner, said))


async def note_pace(change: Change, host: str, group: int, until: float, gap: float) -> None:
    """Keep until when a host is not to be asked, and how far apart requests to it are to be."""
    await change.db.execute(_PACE.encode(), (host, group, until, gap))
