"""Jobs in the file: submitted, read, ended, begun anew. Functions of one transaction, or of a reader."""

import json
import sqlite3
from collections.abc import Sequence
from time import time
from typing import Any

from ..errors import Conflict, Fingerprint, NoSuch
from ..records import FINAL, Bulk, Ending, Filter, Idempotency, Job, NewJob, NewRequest, Page, State, Submitted
from ..rows import JOB, cursor_of, job_of, packed, position_of
from .endings import end_all, note_state
from .keys import MOST, key_of, keys_of
from .writer import Change

__all__ = ["act", "add_requests", "cancel", "delete", "find_idempotent", "job", "jobs", "publish", "retry"]

_DAY = 86_400.0
_PUBLISH = """
    INSERT INTO job (key, id, state, lane, priority, labels, created, not_before, expires, total, webhook, attempts,
        keep, owner, first, held)
    VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
        ifnull((SELECT url FROM request WHERE job = ? AND n = 0), ''), ?)
"""
_ENQUEUE = """
    INSERT INTO queue (key, lane, priority, host, stage)
    SELECT job << 20 | n, ?, ?, host, ? FROM request WHERE job = ? ORDER BY n
"""
_OPEN = tuple(state.value for state in State if state not in FINAL)


def new_key(change: Change) -> int:
    """Take a key for a job whose requests come in several transactions; a restart forgets them till it is whole."""
    key = change.next()
    change.db.execute("INSERT INTO draft VALUES (?)", (key,))
    return key


def add_requests(change: Change, key: int, start: int, requests: Sequence[NewRequest]) -> None:
    """Store requests of a job, the first of them with that number."""
    if start + len(requests) > MOST:
        raise ValueError(f"a job has {MOST:,} requests at most")
    change.db.executemany(
        "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?)",
        (
            (key, n, each.url, each.host, each.ref, packed(dict(each.spec)) if each.spec else None)
            for n, each in enumerate(requests, start)
        ),
    )


def forget(change: Change, key: int) -> None:
    """Forget the requests of a job that is not published."""
    change.db.execute("DELETE FROM request WHERE job = ?", (key,))
    change.db.execute("DELETE FROM draft WHERE job = ?", (key,))


def submit(change: Change, new: NewJob, requests: Sequence[NewRequest], idempotency: Idempotency | None) -> Submitted:
    """Store a job whole."""
    if (known := replayed(change, idempotency)) is not None:
        return known
    key = new_key(change)
    add_requests(change, key, 0, requests)
    return publish(change, key, new, idempotency)


def replayed(change: Change, idempotency: Idempotency | None) -> Submitted | None:
    """Return the job that came with this key before; raises Fingerprint where that was another one."""
    if idempotency is None:
        return None
    found = find_idempotent(change.db, idempotency.key, idempotency.owner)
    if found is None:
        return None
    if found[0] != idempotency.fingerprint:
        raise Fingerprint("this Idempotency-Key came with another request before; take a new key")
    return Submitted(job=job(change.db, found[1]), replayed=True)


def publish(change: Change, key: int, new: NewJob, idempotency: Idempotency | None) -> Submitted:
    """Make a job of requests that are stored, and have them wait for runners."""
    if (known := replayed(change, idempotency)) is not None:
        return known
    db, held = change.db, new.not_before is not None and new.not_before > time()
    retry, owner, keep = new.retry_attempts, new.owner, new.keep_bodies
    row = (key, new.id, new.lane, new.priority, packed(dict(new.labels)), new.created_at, new.not_before,
           new.expires_at, new.total, new.webhook_url, retry, keep, owner, key, held)  # fmt: skip
    try:
        db.execute(_PUBLISH, row)
    except sqlite3.IntegrityError:
        raise Conflict(f"there is a job {new.id} already; take another id") from None
    db.executemany("INSERT INTO label VALUES (?, ?, ?)", ((*item, key) for item in new.labels.items()))
    db.execute("INSERT OR IGNORE INTO lane SELECT ?, connections, per_host, rate, per_host_rate, 0 FROM lane"
               " WHERE name = 'default'", (new.lane,))  # fmt: skip
    db.execute(_ENQUEUE, (new.lane, new.priority, 0 if held else 1, key))
    db.execute("DELETE FROM draft WHERE job = ?", (key,))
    if idempotency is not None:
        known_by = (idempotency.owner, idempotency.key, idempotency.fingerprint, new.id, time())
        db.execute("INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?)", known_by)
    note_state(change, key, "job", State.QUEUED, 1)
    change.work = True
    return Submitted(job=job(db, new.id))


def find_idempotent(db: sqlite3.Connection, key: str, owner: str) -> tuple[str, str] | None:
    """Return fingerprint and job's id of a key within its day, as long as the job is there."""
    found: tuple[str, str] | None = db.execute(
        "SELECT fingerprint, idempotency.job FROM idempotency JOIN job ON job.id = idempotency.job"
        " WHERE idempotency.owner = ? AND idempotency.key = ? AND at > ?",
        (owner, key, time() - _DAY),
    ).fetchone()
    return found


def job(db: sqlite3.Connection, id: str) -> Job:
    """Return a job; raises NoSuch."""
    row = db.execute(f"SELECT {JOB} FROM job WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise NoSuch(f"there is no job {id}")
    return job_of(row)


def jobs(db: sqlite3.Connection, which: Filter, cursor: str | None, limit: int) -> Page[Job]:
    """Return jobs, the newest first."""
    where, values = _where(which)
    behind = position_of("j", cursor)
    if behind is not None:
        where, values = f"{where} AND job.key < ?", [*values, behind]
    rows = db.execute(
        f"SELECT {JOB}, job.key FROM job WHERE {where} ORDER BY job.key DESC LIMIT ?", (*values, limit + 1)
    ).fetchall()
    more = len(rows) > limit
    return Page(tuple(map(job_of, rows[:limit])), cursor_of("j", rows[limit - 1][-1]) if more else None)


def cancel(change: Change, id: str) -> Job:
    """End a job that is not final; one that was cancelled before stays so."""
    found = job(change.db, id)
    if found.state in FINAL and found.state is not State.CANCELLED:
        raise Conflict(f"the job has ended ({found.state}); only what waits or runs can be cancelled")
    if found.state is not State.CANCELLED:
        end_all(change, key_of(change.db, id), Ending.CANCELLED)
    return job(change.db, id)


def retry(change: Change, id: str, everything: bool) -> Job:
    """Begin the next run of a job that is final."""
    db, found = change.db, job(change.db, id)
    if found.state not in FINAL:
        raise Conflict(f"the job is not done yet ({found.state}); cancel it first, or wait")
    key = key_of(db, id)
    if not everything and found.counts.succeeded == found.counts.total:
        raise Conflict('nothing has failed; retry with {"only": "all"} to do everything again')
    again = "1" if everything else "ending != 'succeeded'"
    db.execute(
        f"INSERT INTO queue (key, lane, priority, host, stage) SELECT request.job << 20 | request.n, ?, ?, host, 1"
        f" FROM request JOIN result ON result.job = request.job AND result.n = request.n"
        f" WHERE request.job = ? AND {again} ORDER BY request.n",
        (found.lane, found.priority, key),
    )
    db.execute(f"DELETE FROM body WHERE seq IN (SELECT seq FROM result WHERE job = ? AND {again})", (key,))
    db.execute(f"DELETE FROM result WHERE job = ? AND {again}", (key,))
    lasts = None if found.expires_at is None else time() + found.expires_at - found.created_at
    db.execute(
        "UPDATE job SET state = 'queued', run = run + 1, started = NULL, finished = NULL, expires = ?, running = 0,"
        " succeeded = ?, failed = 0, cancelled = 0, expired = 0 WHERE key = ?",
        (lasts, 0 if everything else found.counts.succeeded, key),
    )
    note_state(change, key, "job", State.QUEUED, found.run + 1)
    change.work = True
    return job(db, id)


def delete(change: Change, id: str) -> None:
    """Remove a final job."""
    found = job(change.db, id)
    if found.state not in FINAL:
        raise Conflict(f"the job is not done yet ({found.state}); cancel it first")
    remove(change, key_of(change.db, id))


def remove(change: Change, key: int) -> None:
    """Remove a job and all that is of it."""
    db = change.db
    db.execute("DELETE FROM body WHERE seq IN (SELECT seq FROM result WHERE job = ?)", (key,))
    db.execute("DELETE FROM queue WHERE key BETWEEN ? AND ?", keys_of(key))
    for table in ("result", "request", "event", "label", "delivery"):
        db.execute(f"DELETE FROM {table} WHERE job = ?", (key,))
    db.execute("DELETE FROM job WHERE key = ?", (key,))


def act(change: Change, action: str, which: Filter, *, most: int) -> int:
    """Do it to some jobs that match and may be; returns how many, less than `most` once none is left."""
    where, values = _allowed(action, which)
    ids = change.db.execute(
        f"SELECT job.id FROM job WHERE {where} ORDER BY job.key LIMIT ?", (*values, most)
    ).fetchall()
    for (id,) in ids:
        if action == "cancel":
            cancel(change, id)
        elif action == "retry":
            retry(change, id, everything=False)
        else:
            delete(change, id)
    return len(ids)


def preview(db: sqlite3.Connection, action: str, which: Filter) -> Bulk:
    """Return how many jobs match, and to how many it can be done."""
    (where, values), (allowed, its) = _where(which), _allowed(action, which)
    matched = db.execute(f"SELECT count(*) FROM job WHERE {where}", values).fetchone()[0]
    return Bulk(matched=matched, changed=db.execute(f"SELECT count(*) FROM job WHERE {allowed}", its).fetchone()[0])


def _allowed(action: str, which: Filter) -> tuple[str, list[Any]]:
    where, values = _where(which)
    rule = {
        "cancel": "job.finished IS NULL",
        "retry": "job.finished IS NOT NULL AND job.succeeded < job.total",
        "delete": "job.finished IS NOT NULL",
    }[action]
    return f"{where} AND {rule}", values


def _where(which: Filter) -> tuple[str, list[Any]]:
    rules, values = ["1"], list[Any]()
    if which.state is not None:
        rules.append("job.state = ?")
        values.append(which.state.value)
    if which.lane is not None:
        rules.append("job.lane = ?")
        values.append(which.lane)
    for item in which.labels.items():
        rules.append("EXISTS (SELECT 1 FROM label WHERE name = ? AND value = ? AND label.job = job.key)")
        values += item
    if which.text:
        pattern = f"%{which.text.translate(_ESCAPED)}%"
        rules.append("(job.id LIKE ? ESCAPE '\\' OR job.labels LIKE ? ESCAPE '\\' OR job.first LIKE ? ESCAPE '\\')")
        values += (pattern, f"%{json.dumps(which.text, ensure_ascii=False)[1:-1].translate(_ESCAPED)}%", pattern)
    return " AND ".join(rules), values


_ESCAPED = str.maketrans({"%": "\\%", "_": "\\_", "\\": "\\\\"})
