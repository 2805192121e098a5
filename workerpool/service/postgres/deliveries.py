"""Webhooks' messages in the database: made with a job's end, taken, tried, replayed."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from secrets import token_urlsafe
from time import time
from typing import Any

from yarl import URL

from ...scraping.entry import host_of
from ..errors import Conflict, NoSuch
from ..records import Delivery, Page
from ..rows import JOB, cursor_of, job_of, packed, position_of
from ..wire import job_json, time_text
from .keys import key_of
from .link import Connection, first, rows
from .writer import Change

__all__ = ["add_delivery", "deliveries", "delivery", "is_due", "note", "replay", "take_due"]

_COLUMNS = """
    SELECT delivery.id, job.id, delivery.run, delivery.url, delivery.created, delivery.due, delivery.state,
        delivery.tries, delivery.failed, delivery.payload, delivery.key
    FROM delivery JOIN job ON job.key = delivery.job
"""
_ADD = """
    INSERT INTO delivery (key, id, job, run, url, host, payload, created, due, state, tries)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '[]')
"""
_DUE = "due <= %s AND (until IS NULL OR until < %s) AND host <> ALL(%s)"
_LOG = 100  # tries that the log keeps


async def add_delivery(change: Change, key: int, run: int, url: str, now: float) -> None:
    """Make the message of a job that has just ended; it is what the job is now, however often it is sent."""
    job = job_of(await first(change.db, f"SELECT {JOB} FROM job WHERE key = %s", (key,)))
    message = {"type": "job.finished", "timestamp": time_text(now), "data": job_json(job, {})}
    gone = await first(
        change.db, "SELECT 1 FROM delivery WHERE state = 'disabled' AND url = %s AND noted > %s LIMIT 1",
        (url, job.created_at),
    )  # fmt: skip
    state, due = ("waiting", now) if gone is None else ("disabled", None)
    values = (
        change.next(),
        f"msg_{token_urlsafe(18)}",
        key,
        run,
        url,
        host_of(URL(url)),
        packed(message),
        now,
        due,
        state,
    )
    await change.db.execute(_ADD.encode(), values)


async def deliveries(db: Connection, id: str | None, cursor: str | None, limit: int) -> Page[Delivery]:
    """Return deliveries, of one job or all, the newest first."""
    behind = position_of("d", cursor)
    values: list[Any] = [2**62 if behind is None else behind]
    rule = "delivery.key < %s"
    if id is not None:
        rule += " AND delivery.job = %s"
        values.append(await key_of(db, id))
    found = await rows(db, f"{_COLUMNS} WHERE {rule} ORDER BY delivery.key DESC LIMIT %s", (*values, limit + 1))
    more = len(found) > limit
    return Page(tuple(map(_delivery, found[:limit])), cursor_of("d", found[limit - 1][-1]) if more else None)


async def delivery(db: Connection, job: str, id: str) -> Delivery:
    """Return a delivery of a job; raises NoSuch."""
    row = await first(db, f"{_COLUMNS} WHERE job.id = %s AND delivery.id = %s", (job, id))
    if row is None:
        raise NoSuch(f"job {job} has no delivery {id}")
    return _delivery(row)


async def replay(change: Change, job: str, id: str, now: float) -> Delivery:
    """Have a delivery tried again from now on."""
    await delivery(change.db, job, id)
    taken = await rows(
        change.db,
        "UPDATE delivery SET state = 'waiting', due = %s, failed = 0 WHERE id = %s AND (until IS NULL OR until < %s)"
        " RETURNING key",
        (now, id, now),
    )
    if not taken:
        raise Conflict("it is being sent just now; wait for what comes of that")
    return await delivery(change.db, job, id)


async def is_due(db: Connection, now: float, without: Collection[str]) -> bool:
    """Whether there is something to take, as a reader sees it."""
    return await first(db, f"SELECT 1 FROM delivery WHERE {_DUE} LIMIT 1", (now, now, list(without))) is not None


async def take_due(
    change: Change, owner: str, n: int, now: float, seconds: float, of_a_host: int, without: Collection[str]
) -> tuple[Delivery, ...]:
    """Take deliveries that are due, and log that they are tried."""
    found = await rows(
        change.db, f"SELECT key, host, tries FROM delivery WHERE {_DUE} ORDER BY due LIMIT %s",
        (now, now, list(without), n * of_a_host),
    )  # fmt: skip
    hosts, taken = Counter[str](), list[tuple[str, float, str, int]]()
    for key, host, tries in found:
        hosts[host] += 1
        if hosts[host] <= of_a_host and len(taken) < n:
            taken.append((owner, now + seconds, _begun(tries, now), key))
    async with change.db.cursor() as cursor:
        await cursor.executemany("UPDATE delivery SET owner = %s, until = %s, tries = %s WHERE key = %s", taken)
    keys = [each[-1] for each in taken]
    return tuple(map(_delivery, await rows(
        change.db, f"{_COLUMNS} WHERE delivery.key = ANY(%s) ORDER BY delivery.due", (keys,)
    )))  # fmt: skip


async def note(
    change: Change, id: str, owner: str, tried: Mapping[str, object], state: str, due_at: float | None
) -> None:
    """Say what came of the last try of a delivery; raises NoSuch for one that the owner has no longer."""
    db = change.db
    row = await first(db, "SELECT tries, url FROM delivery WHERE id = %s AND owner = %s", (id, owner))
    if row is None:
        raise NoSuch(f"there is no delivery {id} of {owner}")
    tries = [*json.loads(row[0])[:-1], dict(tried)]
    await db.execute(
        "UPDATE delivery SET tries = %s, state = %s, due = %s, failed = failed + %s, noted = %s, owner = NULL,"
        " until = NULL WHERE id = %s",
        (packed(tries), state, due_at, int(state != "delivered"), time(), id),
    )
    if state == "disabled":
        await db.execute(
            "UPDATE delivery SET state = 'disabled', due = NULL, noted = %s WHERE url = %s AND due IS NOT NULL",
            (time(), row[1]),
        )


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
