"""Jobs in the database: submitted, read, ended, begun anew. Functions of one transaction, or of a reader."""

import json
from collections.abc import Sequence
from time import time
from typing import Any

from ..errors import Conflict, Fingerprint, NoSuch
from ..records import FINAL, Bulk, Counts, Ending, Filter, Idempotency, Job, NewJob, NewRequest, Page, State, Submitted
from ..rows import JOB, cursor_of, job_of, packed, position_of
from .endings import end_all, note_states
from .keys import key_of
from .link import Connection, first, rows
from .turns import defer_turns, group_of, need_turns
from .writer import Change

__all__ = ["act", "add_requests", "cancel", "delete", "find_idempotent", "job", "jobs", "publish", "retry"]

_DAY = 86_400.0
_STALE = "10 minutes"  # without a new part a submission is taken for given up
_PUBLISH = """
    WITH {given}, published AS (
        INSERT INTO job (key, id, state, lane, priority, labels, created, not_before, expires, total, webhook, attempts,
            keep, owner, first, held)
        VALUES (%(key)s, %(id)s, 'queued', %(lane)s, %(priority)s, %(labels)s, %(created)s, %(not_before)s, %(expires)s,
            %(total)s, %(webhook)s, %(attempts)s, %(keep)s, %(owner)s,
            coalesce((SELECT url FROM given WHERE n = 0), ''), %(stage)s = 0)
    ), labelled AS (
        INSERT INTO label
        SELECT name, value, %(key)s FROM unnest(%(names)s::text[], %(values)s::text[]) AS v(name, value)
    ), opened AS (
        INSERT INTO lane SELECT %(lane)s, connections, per_host, rate, per_host_rate, false FROM lane
        WHERE name = 'default' ON CONFLICT DO NOTHING
    ), queued AS (
        INSERT INTO queue (job, n, lane, priority, host, grp, stage)
        SELECT %(key)s, n, %(lane)s, %(priority)s, host, grp, %(stage)s FROM given ORDER BY n
    ), marked AS (
        INSERT INTO idempotency
        SELECT %(owner)s, %(mark)s, %(fingerprint)s, %(id)s, %(now)s WHERE %(mark)s::text IS NOT NULL
        ON CONFLICT (owner, key)
        DO UPDATE SET fingerprint = excluded.fingerprint, job = excluded.job, at = excluded.at
    ), noted AS (
        INSERT INTO event (id, job, kind, at, state, run) VALUES (%(event)s, %(key)s, 'job', %(now)s, 'queued', 1)
    ) SELECT DISTINCT grp FROM given WHERE %(stage)s = 1 AND NOT EXISTS (
        SELECT 1 FROM procrastinate_jobs WHERE lock = 'hosts-' || grp AND status IN ('todo', 'doing')
    )
"""
_COLUMNS = """
    unnest(%(urls)s::text[], %(hosts)s::text[], %(groups)s::smallint[], %(refs)s::text[], %(specs)s::text[])
        WITH ORDINALITY AS v(url, host, grp, ref, spec, nr)
"""
_STORED = "given AS (SELECT n, url, host, grp FROM request WHERE job = %(key)s)"
_NEW = f"""given AS (SELECT nr - 1 AS n, url, host, grp, ref, spec FROM {_COLUMNS}), stored AS (
        INSERT INTO request (job, n, url, host, grp, ref, spec)
        SELECT %(key)s, n, url, host, grp, ref, spec FROM given
    )"""
_REQUESTS = f"""
    INSERT INTO request (job, n, url, host, grp, ref, spec)
    SELECT %(key)s, nr + %(start)s - 1, url, host, grp, ref, spec FROM {_COLUMNS}
"""
_KNOWN = """
    SELECT fingerprint, job.id FROM idempotency JOIN job ON job.id = idempotency.job
    WHERE idempotency.owner = %(owner)s AND idempotency.key = %(mark)s AND at > %(since)s
    UNION ALL SELECT NULL, id FROM job WHERE id = %(id)s
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
    await change.db.execute(_REQUESTS.encode(), {"key": key, "start": start, **_columns(requests)})
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
    return await _publish(change, change.next(), new, idempotency, requests)


async def publish(change: Change, key: int, new: NewJob, idempotency: Idempotency | None) -> Submitted:
    """Make a job of requests that are stored, and have them wait for runners."""
    if (known := await _known(change, new, idempotency)) is not None:
        return known
    if not await rows(change.db, "DELETE FROM draft WHERE job = %s RETURNING job", (key,)):
        raise Conflict("storing it took so long that it was given up; submit it again")
    return await _publish(change, key, new, idempotency, None)


async def _known(change: Change, new: NewJob, idempotency: Idempotency | None) -> Submitted | None:
    """Return the job that came with this key before; raises Fingerprint where that was another one, and Conflict."""
    owner, mark = (None, None) if idempotency is None else (idempotency.owner, idempotency.key)
    values = {"owner": owner, "mark": mark, "since": time() - _DAY, "id": new.id}
    for fingerprint, id in await rows(change.db, _KNOWN, values):
        if fingerprint is None or idempotency is None:
            raise Conflict(f"there is a job {new.id} already; take another id")
        if fingerprint != idempotency.fingerprint:
            raise Fingerprint("this Idempotency-Key came with another request before; take a new key")
        return Submitted(job=await job(change.db, id), replayed=True)
    return None


async def _publish(
    change: Change, key: int, new: NewJob, idempotency: Idempotency | None, requests: Sequence[NewRequest] | None
) -> Submitted:
    """Store all of a job, and its requests unless these are stored, by one statement."""
    held = new.not_before is not None and new.not_before > time()
    values = {
        "key": key, "id": new.id, "lane": new.lane, "priority": new.priority, "labels": packed(dict(new.labels)),
        "created": new.created_at, "not_before": new.not_before, "expires": new.expires_at, "total": new.total,
        "webhook": new.webhook_url, "attempts": new.retry_attempts, "keep": new.keep_bodies, "owner": new.owner,
        "stage": 0 if held else 1, "names": list(map(packed, new.labels)),
        "values": list(map(packed, new.labels.values())), "event": change.next(), "now": time(),
        "mark": None if idempotency is None else idempotency.key,
        "fingerprint": None if idempotency is None else idempotency.fingerprint,
        **({} if requests is None else _columns(requests)),
    }  # fmt: skip
    statement = _PUBLISH.format(given=_STORED if requests is None else _NEW)
    await defer_turns(change, [group for (group,) in await rows(change.db, statement, values)])
    counts = Counts(total=new.total, queued=new.total, running=0, succeeded=0, failed=0, cancelled=0, expired=0)
    return Submitted(job=Job(
        id=new.id, state=State.QUEUED, lane=new.lane, priority=new.priority, labels=new.labels,
        created_at=new.created_at, started_at=None, finished_at=None, not_before=new.not_before,
        expires_at=new.expires_at, counts=counts, webhook_url=new.webhook_url, retry_attempts=new.retry_attempts,
        keep_bodies=new.keep_bodies, owner=new.owner,
    ))  # fmt: skip


def _columns(requests: Sequence[NewRequest]) -> dict[str, list[Any]]:
    return {
        "urls": [each.url for each in requests],
        "hosts": [each.host for each in requests],
        "groups": [group_of(each.host) for each in requests],
        "refs": [None if each.ref is None else packed(each.ref) for each in requests],
        "specs": [packed(dict(each.spec)) if each.spec else None for each in requests],
    }


async def find_idempotent(db: Connection, key: str, owner: str) -> tuple[str, str] | None:
    """Return fingerprint and job's id of a key within its day, as long as the job is there."""
    found: tuple[str, str] | None = await first(
        db,
        "SELECT fingerprint, idempotency.job FROM idempotency JOIN job ON job.id = idempotency.job"
        " WHERE idempotency.owner = %s AND idempotency.key = %s AND at > %s",
        (owner, key, time() - _DAY),
    )
    return found


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
