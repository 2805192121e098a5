"""Looking after the file: what is due, what is past its time, what need not be kept."""

import sqlite3

from ..records import Ending, Retention, State, Stats, Tended
from .endings import end_all
from .jobs import remove
from .keys import keys_of
from .queue import rescue
from .writer import Change

__all__ = ["is_due", "stats", "sweep", "tend"]

_FEW = 20  # jobs that one transaction removes or ends: others wait for it
_DUE = "SELECT key FROM job WHERE held = 1 AND not_before <= ? LIMIT ?"
_EXPIRED = "SELECT key, id FROM job WHERE finished IS NULL AND expires IS NOT NULL AND expires <= ? LIMIT ?"


def is_due(db: sqlite3.Connection, now: float) -> bool:
    """Whether there is something to look after, as a reader sees it."""
    return any(db.execute(text, (now, 1)).fetchone() for text in (_DUE, _EXPIRED))


def tend(change: Change, now: float) -> Tended:
    """Give out again, let begin, expire."""
    db = change.db
    due = [key for (key,) in db.execute(_DUE, (now, _FEW)).fetchall()]
    for key in due:
        db.execute("UPDATE queue SET stage = 1 WHERE key BETWEEN ? AND ? AND stage = 0", keys_of(key))
        db.execute("UPDATE job SET held = 0 WHERE key = ?", (key,))
        change.work = True
    expired = db.execute(_EXPIRED, (now, _FEW)).fetchall()
    for key, _id in expired:
        end_all(change, key, Ending.EXPIRED)
    return Tended(rescued=rescue(change, now), due=len(due), expired=tuple(id for _key, id in expired))


def sweep(change: Change, retention: Retention, now: float) -> int:
    """Remove some jobs that need not be kept; returns how many, 0 once there is none."""
    db = change.db
    db.execute("DELETE FROM idempotency WHERE at < ?", (now - 86_400.0,))
    keys = [] if retention.age is None else db.execute(
        "SELECT key FROM job WHERE finished < ? ORDER BY finished LIMIT ?", (now - retention.age, _FEW)
    ).fetchall()  # fmt: skip
    if not keys and retention.size is not None and used(db) > retention.size:
        keys = db.execute("SELECT key FROM job WHERE finished IS NOT NULL ORDER BY finished LIMIT 1").fetchall()
    for (key,) in keys:
        remove(change, key)
    return len(keys)


def used(db: sqlite3.Connection) -> int:
    """Return the bytes of the file that hold something."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def shrink(change: Change) -> None:
    """Give pages that hold nothing back to the disk, some at a time."""
    change.db.execute("PRAGMA incremental_vacuum(2000)").fetchall()


def stats(db: sqlite3.Connection, last_event: int) -> Stats:
    """Return the numbers."""
    states = dict(db.execute("SELECT state, count(*) FROM job GROUP BY state").fetchall())
    queued, running = db.execute(
        "SELECT ifnull(sum(total - running - succeeded - failed - cancelled - expired), 0), ifnull(sum(running), 0)"
        " FROM job WHERE finished IS NULL"
    ).fetchone()
    results = db.execute("SELECT ifnull(sum(succeeded + failed + cancelled + expired), 0) FROM job").fetchone()[0]
    return Stats(
        jobs={state.value: states.get(state.value, 0) for state in State}, queued=queued, running=running,
        results=results, bytes=used(db), last_event=last_event,
    )  # fmt: skip
