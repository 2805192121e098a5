"""Webhooks' messages in the file: made with a job's end, taken, tried, replayed."""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from secrets import token_urlsafe
from time import time
from typing import Any

from yarl import URL

from ...scraping.entry import host_of
from ..errors import Conflict, NoSuch
from ..records import Delivery, Page
from ..wire import job_json, time_text
from .rows import JOB, cursor_of, job_of, key_of, packed, position_of
from .writer import Change

__all__ = ["add_delivery", "deliveries", "delivery", "is_due", "note", "replay", "take_due"]

_COLUMNS = """
    SELECT delivery.id, job.id, delivery.run, delivery.url, delivery.created, delivery.due, delivery.state,
        delivery.tries, delivery.failed, delivery.payload, delivery.key
    FROM delivery JOIN job ON job.key = delivery.job
"""
_ADD = """
    INSERT INTO delivery (id, job, run, url, host, payload, created, due, state, tries)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '[]')
"""
_DUE = "due <= ? AND (until IS NULL OR until < ?) AND host NOT IN ({})"
_LOG = 100  # tries that the log keeps


def add_delivery(change: Change, key: int, run: int, url: str, now: float) -> None:
    """Make the message of a job that has just ended; it is what the job is now, however often it is sent."""
    job = job_of(change.db.execute(f"SELECT {JOB} FROM job WHERE key = ?", (key,)).fetchone())
    message = {"type": "job.finished", "timestamp": time_text(now), "data": job_json(job, {})}
    gone = change.db.execute(
        "SELECT 1 FROM delivery WHERE state = 'disabled' AND url = ? AND noted > ? LIMIT 1", (url, job.created_at)
    ).fetchone()
    state, due = ("waiting", now) if gone is None else ("disabled", None)
    values = (f"msg_{token_urlsafe(18)}", key, run, url, host_of(URL(url)), packed(message), now, due, state)
    change.db.execute(_ADD, values)


def deliveries(db: sqlite3.Connection, id: str | None, cursor: str | None, limit: int) -> Page[Delivery]:
    """Return deliveries, of one job or all, the newest first."""
    behind = position_of("d", cursor)
    values: list[Any] = [2**62 if behind is None else behind]
    rule = "delivery.key < ?"
    if id is not None:
        rule += " AND delivery.job = ?"
        values.append(key_of(db, id))
    rows = db.execute(f"{_COLUMNS} WHERE {rule} ORDER BY delivery.key DESC LIMIT ?", (*values, limit + 1)).fetchall()
    more = len(rows) > limit
    return Page(tuple(map(_delivery, rows[:limit])), cursor_of("d", rows[limit - 1][-1]) if more else None)


def delivery(db: sqlite3.Connection, job: str, id: str) -> Delivery:
    """Return a delivery of a job; raises NoSuch."""
    row = db.execute(f"{_COLUMNS} WHERE job.id = ? AND delivery.id = ?", (job, id)).fetchone()
    if row is None:
        raise NoSuch(f"job {job} has no delivery {id}")
    return _delivery(row)


def replay(change: Change, job: str, id: str, now: float) -> Delivery:
    """Have a delivery tried again from now on."""
    delivery(change.db, job, id)
    taken = change.db.execute(
        "UPDATE delivery SET state = 'waiting', due = ?, failed = 0 WHERE id = ? AND (until IS NULL OR until < ?)",
        (now, id, now),
    )
    if not taken.rowcount:
        raise Conflict("it is being sent just now; wait for what comes of that")
    return delivery(change.db, job, id)


def is_due(db: sqlite3.Connection, now: float, without: Collection[str]) -> bool:
    """Whether there is something to take, as a reader sees it."""
    rule = _DUE.format(", ".join("?" * len(without)))
    return db.execute(f"SELECT 1 FROM delivery WHERE {rule} LIMIT 1", (now, now, *without)).fetchone() is not None


def take_due(
    change: Change, owner: str, n: int, now: float, seconds: float, of_a_host: int, without: Collection[str]
) -> tuple[Delivery, ...]:
    """Take deliveries that are due, and log that they are tried."""
    rule = _DUE.format(", ".join("?" * len(without)))
    rows = change.db.execute(
        f"SELECT key, host, tries FROM delivery WHERE {rule} ORDER BY due LIMIT ?", (now, now, *without, n * of_a_host)
    ).fetchall()
    hosts, taken = Counter[str](), list[tuple[str, float, str, int]]()
    for key, host, tries in rows:
        hosts[host] += 1
        if hosts[host] <= of_a_host and len(taken) < n:
            taken.append((owner, now + seconds, _begun(tries, now), key))
    change.db.executemany("UPDATE delivery SET owner = ?, until = ?, tries = ? WHERE key = ?", taken)
    return tuple(
        _delivery(change.db.execute(f"{_COLUMNS} WHERE delivery.key = ?", (each[-1],)).fetchone()) for each in taken
    )


def note(change: Change, id: str, owner: str, tried: Mapping[str, object], state: str, due_at: float | None) -> None:
    """Say what came of the last try of a delivery; raises NoSuch for one that the owner has no longer."""
    db = change.db
    row = db.execute("SELECT tries, url FROM delivery WHERE id = ? AND owner = ?", (id, owner)).fetchone()
    if row is None:
        raise NoSuch(f"there is no delivery {id} of {owner}")
    tries = [*json.loads(row[0])[:-1], dict(tried)]
    db.execute(
        "UPDATE delivery SET tries = ?, state = ?, due = ?, failed = failed + ?, noted = ?, owner = NULL, until = NULL"
        " WHERE id = ?",
        (packed(tries), state, due_at, state != "delivered", time(), id),
    )
    if state == "disabled":
        db.execute("UPDATE delivery SET state = 'disabled', due = NULL, noted = ? WHERE url = ? AND due IS NOT NULL",
                   (time(), row[1]))  # fmt: skip


def _begun(text: str, now: float) -> str:
    """Return a log with a try more; one before it that has no end was interrupted."""
    tries = json.loads(text)[1 - _LOG :]
    if tries and tries[-1]["status"] is None and tries[-1]["error"] is None:
        tries[-1]["error"] = "interrupted"

    return packed([*tries, {"at": time_text(now), "status": None, "error": None, "elapsed": None}])


def _delivery(row: Sequence[Any]) -> Delivery:
    return Delivery(
        id=row[0], job=row[1], run=row[2], url=row[3], created_at=row[4], due_at=row[5], state=row[6],
        tries=tuple(json.loads(row[7])), failed=row[8], payload=row[9],
    )  # fmt: skip
