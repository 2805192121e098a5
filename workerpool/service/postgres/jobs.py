"""Jobs in the database: submitted, read, ended, begun anew. Functions of one transaction, or of a reader."""

import json
from collections.abc import Sequence
from time import time
from typing import Any

from ..errors import Conflict, Fingerprint, NoSuch
from ..records import FINAL, Bulk, Ending, Filter, Idempotency, Job, NewJob, NewRequest, Page, State, Submitted
from ..rows import JOB, cursor_of, job_of, packed, position_of
from .endings import end_all, note_states
from .link import Connection, first, rows
from .turns import group_of, need_turns
from .writer import Change

__all__ = ["act", "add_requests", "cancel", "delete", "find_idempotent", "job", "jobs", "key_of", "publish", "retry"]

_DAY = 86_400.0
_STALE = "10 minutes"  # without a new part a submission is taken for given up
_PUBLISH = """
    INSERT INTO job (key, id, state, lane, priority, labels, created, not_before, expires, total, webhook, attempts,
        keep, owner, first, held)
    VALUES (%s, %s, 'queued', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
        coalesce((SELECT url FROM request WHERE job = %s AND n = 0), ''), %s)
"""
_ENQUEUE = """
    INSERT INTO queue (job, n, lane, priority, host, grp, stage)
    SELECT job, n, %s, %s, host, grp, %s FROM request WHERE job = %s ORDER BY n
"""
_REQUESTS = """
    INSERT INTO request (job, n, url, host, grp, ref, spec)
    SELECT %s, nr + %s, url, host, grp, ref, spec
    FROM unnest(%s::text[], %s::text[], %s::smallint[], %s::text[], %s::text[])
        WITH ORDINALITY AS v(url, host, grp, ref, spec, nr)
"""
_IDEMPOTENCY = """
    INSERT INTO idempotency VALUES (%s, %s, %s, %s, %s) ON CONFLICT (owner, key)
    DO UPDATE SET fingerprint = excluded.fingerprint, job = excluded.job, at = excluded.at
"""
_AGAIN = """
    INSERT INTO queue (job, n, lane, priority, host, grp, stage)
    SELECT request.job, request.n, %s, %s, host, grp, 1
    FROM request JOIN result ON result.job = request.job AND result.n = request.n
    WHERE request.job = %s AND (%s OR ending <> 'succeeded') ORDER BY request.n
"""
_TOLD = """, (
    SELECT said->>job.id FROM waiting WHERE said ? job.id AND at > now() - interval '15 seconds'
    ORDER BY at DESC LIMIT 1
)"""


async def new_key(change: Change, idempotency: Idempotency | None) -> int:
    """Take a key for a job whose requests come in several transactions; they are forgotten if it never gets whole."""
    owner, mark = (None, None) if idempotency is None else (idempotency.owner, idempotency.key)
    if mark is not None and await rows(
        change.db, f"SELECT 1 FROM draft WHERE owner = %s AND mark = %s AND touched > now() - interval '{_STALE}'",
        (owner, mark),
    ):  # fmt: skip
        raise Conflict("the first request with this Idempotency-Key is still being stored; ask again")
    key = change.next()
    await change.db.execute("INSERT INTO draft VALUES (%s, %s, %s)", (key, owner, mark))
    return key


async def add_requests(change: Change, key: int, start: int, requests: Sequence[NewRequest]) -> None:
    """Store requests of a job, the first of them with that number."""
    await change.db.execute(_REQUESTS.encode(), (
        key, start - 1, [each.url for each in requests], [each.host for each in requests],
        [group_of(each.host) for each in requests],
        [None if each.ref is None else packed(each.ref) for each in requests],
        [packed(dict(each.spec)) if each.spec else None for each in requests],
    ))  # fmt: skip
    await change.db.execute("UPDATE draft SET touched = now() WHERE job = %s", (key,))


async def forget(change: Change, key: int) -> None:
    """Forget the requests of a job that is not published."""
    await change.db.execute("DELETE FROM request WHERE job = %s", (key,))
    await change.db.execute("DELETE FROM draft WHERE job = %s", (key,))


async def submit(
    change: Change, new: NewJob, requests: Sequence[NewRequest], idempotency: Idempotency | None
) -> Submitted:
    """Store a job whole."""
    if (known := await _known(change, new, idempotency)) is not None:
        return known
    key = change.next()
    await add_requests(change, key, 0, requests)
    return await _publish(change, key, new, idempotency)


async def publish(change: Change, key: int, new: NewJob, idempotency: Idempotency | None) -> Submitted:
    """Make a job of requests that are stored, and have them wait for runners."""
    if (known := await _known(change, new, idempotency)) is not None:
        return known
    if not await rows(change.db, "DELETE FROM draft WHERE job = %s RETURNING job", (key,)):
        raise Conflict("storing it took so long that it was given up; submit it again")
    return await _publish(change, key, new, idempotency)


async def _known(change: Change, new: NewJob, idempotency: Idempotency | None) -> Submitted | None:
    """Return the job that came with this key before; raises Fingerprint where that was another one, and Conflict."""
    if idempotency is not None:
        found = await find_idempotent(change.db, idempotency.key, idempotency.owner)
        if found is not None and found[0] != idempotency.fingerprint:
            raise Fingerprint("this Idempotency-Key came with another request before; take a new key")
        if found is not None:
            return Submitted(job=await job(change.db, found[1]), replayed=True)
    if await rows(change.db, "SELECT 1 FROM job WHERE id = %s", (new.id,)):
        raise Conflict(f"there is a job {new.id} already; take another id")
    return None


async def _publish(change: Change, key: int, new: NewJob, idempotency: Idempotency | None) -> Submitted:
    db, held = change.db, new.not_before is not None and new.not_before > time()
    retry, owner, keep = new.retry_attempts, new.owner, new.keep_bodies
    row = (key, new.id, new.lane, new.priority, packed(dict(new.labels)), new.created_at, new.not_before,
           new.expires_at, new.total, new.webhook_url, retry, keep, owner, key, held)  # fmt: skip
    await db.execute(_PUBLISH.encode(), row)
    for name, value in new.labels.items():
        await db.execute("INSERT INTO label VALUES (%s, %s, %s)", (packed(name), packed(value), key))
    await db.execute("INSERT INTO lane SELECT %s, connections, per_host, rate, per_host_rate, false FROM lane"
                     " WHERE name = 'default' ON CONFLICT DO NOTHING", (new.lane,))  # fmt: skip
    await db.execute(_ENQUEUE.encode(), (new.lane, new.priority, 0 if held else 1, key))
    if idempotency is not None:
        known_by = (idempotency.owner, idempotency.key, idempotency.fingerprint, new.id, time())
        await db.execute(_IDEMPOTENCY.encode(), known_by)
    await note_states(change, "job", [(key, State.QUEUED, 1)])
    if not held:
        await need_turns(change, (key,))
    return Submitted(job=await job(db, new.id))


async def find_idempotent(db: Connection, key: str, owner: str) -> tuple[str, str] | None:
    """Return fingerprint and job's id of a key within its day, as long as the job is there."""
    found: tuple[str, str] | None = await first(
        db,
        "SELECT fingerprint, idempotency.job FROM idempotency JOIN job ON job.id = idempotency.job"
        " WHERE idempotency.owner = %s AND idempotency.key = %s AND at > %s",
        (owner, key, time() - _DAY),
    )
    return found


async def key_of(db: Connection, id: str) -> int:
    """Return the job's key; raises NoSuch."""
    row = await first(db, "SELECT key FROM job WHERE id = %s", (id,))
    if row is None:
        raise NoSuch(f"there is no job {id}")
    return int(row[0])


async def job(db: Connection, id: str) -> Job:
    """Return a job; raises NoSuch."""
    row = await first(db, f"SELECT {JOB}{_TOLD} FROM job WHERE id = %s", (id,))
    if row is None:
        raise NoSuch(f"there is no job {id}")
    return job_of(row[:-1], row[-1])


async def jobs(db: Connection, which: Filter, cursor: str | None, limit: int) -> Page[Job]:
    """Return jobs, the newest first."""
    where, values = _where(which)
    behind = position_of("j", cursor)
    if behind is not None:
        where, values = f"{where} AND job.key < %s", [*values, behind]
    found = await rows(db, f"SELECT {JOB}{_TOLD}, job.key FROM job WHERE {where} ORDER BY job.key DESC LIMIT %s",
                       (*values, limit + 1))  # fmt: skip
    page = tuple(job_of(row[:-2], row[-2]) for row in found[:limit])
    return Page(page, cursor_of("j", found[limit - 1][-1]) if len(found) > limit else None)


async def cancel(change: Change, id: str) -> Job:
    """End a job that is not final; one that was cancelled before stays so."""
    found = await job(change.db, id)
    if found.state in FINAL and found.state is not State.CANCELLED:
        raise Conflict(f"the job has ended ({found.state}); only what waits or runs can be cancelled")
    if found.state is not State.CANCELLED:
        await end_all(change, await key_of(change.db, id), Ending.CANCELLED)
    return await job(change.db, id)


async def retry(change: Change, id: str, everything: bool) -> Job:
    """Begin the next run of a job that is final."""
    db, found = change.db, await job(change.db, id)
    if found.state not in FINAL:
        raise Conflict(f"the job is not done yet ({found.state}); cancel it first, or wait")
    key = await key_of(db, id)
    if not everything and found.counts.succeeded == found.counts.total:
        raise Conflict('nothing has failed; retry with {"only": "all"} to do everything again')
    again = "(%s OR ending <> 'succeeded')"
    await db.execute(_AGAIN.encode(), (found.lane, found.priority, key, everything))
    await db.execute(f"DELETE FROM body WHERE seq IN (SELECT seq FROM result WHERE job = %s AND {again})".encode(),
                     (key, everything))  # fmt: skip
    await db.execute(f"DELETE FROM result WHERE job = %s AND {again}".encode(), (key, everything))
    lasts = None if found.expires_at is None else time() + found.expires_at - found.created_at
    await db.execute(
        "UPDATE job SET state = 'queued', run = run + 1, started = NULL, finished = NULL, expires = %s, running = 0,"
        " succeeded = %s, failed = 0, cancelled = 0, expired = 0 WHERE key = %s",
        (lasts, 0 if everything else found.counts.succeeded, key),
    )
    await note_states(change, "job", [(key, State.QUEUED, found.run + 1)])
    await need_turns(change, (key,))
    return await job(db, id)


async def delete(change: Change, id: str) -> None:
    """Remove a final job."""
    found = await job(change.db, id)
    if found.state not in FINAL:
        raise Conflict(f"the job is not done yet ({found.state}); cancel it first")
    await remove(change, await key_of(change.db, id))


async def remove(change: Change, key: int) -> None:
    """Remove a job and all that is of it."""
    db = change.db
    await db.execute("DELETE FROM body WHERE seq IN (SELECT seq FROM result WHERE job = %s)", (key,))
    for table in ("result", "request", "queue", "event", "label", "delivery"):
        await db.execute(f"DELETE FROM {table} WHERE job = %s".encode(), (key,))
    await db.execute("DELETE FROM job WHERE key = %s", (key,))


async def act(change: Change, action: str, which: Filter, *, most: int) -> int:
    """Do it to some jobs that match and may be; returns how many, less than `most` once none is left."""
    where, values = _allowed(action, which)
    ids = await rows(change.db, f"SELECT job.id FROM job WHERE {where} ORDER BY job.key LIMIT %s", (*values, most))
    for (id,) in ids:
        if action == "cancel":
            await cancel(change, id)
        elif action == "retry":
            await retry(change, id, everything=False)
        else:
            await delete(change, id)
    return len(ids)


async def preview(db: Connection, action: str, which: Filter) -> Bulk:
    """Return how many jobs match, and to how many it can be done."""
    (where, values), (allowed, its) = _where(which), _allowed(action, which)
    matched = await first(db, f"SELECT count(*) FROM job WHERE {where}", values)
    changed = await first(db, f"SELECT count(*) FROM job WHERE {allowed}", its)
    return Bulk(matched=matched[0], changed=changed[0])


def _allowed(action: str, which: Filter) -> tuple[str, list[Any]]:
    where, values = _where(which)
    rule = {
        "cancel": "job.finished IS NULL",
        "retry": "job.finished IS NOT NULL AND job.succeeded < job.total",
        "delete": "job.finished IS NOT NULL",
    }[action]
    return f"{where} AND {rule}", values


def _where(which: Filter) -> tuple[str, list[Any]]:
    rules, values = ["true"], list[Any]()
    if which.state is not None:
        rules.append("job.state = %s")
        values.append(which.state.value)
    if which.lane is not None:
        rules.append("job.lane = %s")
        values.append(_plain(which.lane))
    for name, value in which.labels.items():
        rules.append("EXISTS (SELECT 1 FROM label WHERE name = %s AND value = %s AND label.job = job.key)")
        values += packed(name), packed(value)
    if which.text:
        pattern = f"%{_plain(which.text).translate(_ESCAPED)}%"
        rules.append("(job.id ILIKE %s OR job.labels ILIKE %s OR job.first ILIKE %s)")
        values += (pattern, f"%{json.dumps(which.text, ensure_ascii=False)[1:-1].translate(_ESCAPED)}%", pattern)
    return " AND ".join(rules), values


def _plain(text: str) -> str:
    """Return a text that PostgreSQL takes; what it leaves out is in no column that is compared with it."""
    return text.replace("\0", "\ufffd")


_ESCAPED = str.maketrans({"%": "\\%", "_": "\\_", "\\": "\\\\"})
