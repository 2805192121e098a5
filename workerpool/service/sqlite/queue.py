"""The queue in the file: leases, sendings, and what came of them. Functions of one transaction."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from time import time

from ..records import Attempt, Ending, Finished, Leased, State
from ..store import Begun
from .endings import close_done, note_state
from .rows import attempts_of, packed, packed_attempts
from .writer import Change

__all__ = ["begin", "finish", "give_back", "heartbeat", "lease", "rescue"]

_NEXT = """
    SELECT queue.key, job.id, queue.n, queue.lane, queue.priority, request.url, queue.host, request.ref, request.spec,
        job.attempts, job.keep, job.expires, queue.attempts
    FROM (
        SELECT key, job, n, lane, priority, host, attempts FROM queue INDEXED BY queue_waiting
        WHERE stage = 1 AND lane = ? AND host NOT IN ({}) ORDER BY priority DESC, key LIMIT ?
    ) AS queue
    JOIN job ON job.key = queue.job JOIN request ON request.job = queue.job AND request.n = queue.n
    ORDER BY queue.priority DESC, queue.key
"""
_TAKE = "UPDATE queue SET stage = 2, token = ?, owner = ?, until = ? WHERE key = ?"
_BEGIN = "UPDATE queue SET attempts = ?, begun = begun + 1 WHERE key = ? AND token = ? RETURNING job, begun"
_RUNS = "UPDATE job SET state = 'running', started = ? WHERE key = ? AND state = 'queued' RETURNING run"
_END = "DELETE FROM queue WHERE key = ? AND token = ? RETURNING job, begun"
_RESULT = """
    INSERT INTO result (seq, job, n, ending, status, final, error, headers, elapsed, attempts, size, sha256, media, at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def lease(
    change: Change, owner: str, lane: str, n: int, *, seconds: float, without: Collection[str]
) -> tuple[Leased, ...]:
    """Give requests of a lane to a runner."""
    rows = change.db.execute(_NEXT.format(", ".join("?" * len(without))), (lane, *without, n)).fetchall()
    last = change.next(len(rows)) if rows else 0
    until, first = time() + seconds, last - len(rows) + 1
    found = tuple(
        Leased(
            key=row[0], token=token, job=row[1], n=row[2], lane=row[3], priority=row[4], url=row[5], host=row[6],
            ref=row[7], spec=json.loads(row[8]) if row[8] else {}, retry_attempts=row[9], keep_bodies=bool(row[10]),
            expires_at=row[11], attempts=attempts_of(row[12]),
        )
        for token, row in enumerate(rows, first)
    )  # fmt: skip
    change.db.executemany(_TAKE, ((each.token, owner, until, each.key) for each in found))
    return found


def begin(change: Change, begun: Sequence[Begun]) -> frozenset[int]:
    """Store sendings, and note which jobs run now."""
    taken, new = set(), Counter[int]()
    for leased, attempts in begun:
        row = change.db.execute(_BEGIN, (packed_attempts(attempts), leased.key, leased.token)).fetchone()
        if row is not None:
            taken.add(leased.key)
            new[row[0]] += row[1] == 1
    now = time()
    for key, number in new.items():
        change.db.execute("UPDATE job SET running = running + ? WHERE key = ?", (number, key))
        for (run,) in change.db.execute(_RUNS, (now, key)).fetchall():
            note_state(change, key, "job", State.RUNNING, run)
    return frozenset(taken)


def heartbeat(change: Change, leases: Iterable[tuple[int, int]], *, seconds: float) -> frozenset[int]:
    """Keep leases; returns the keys of those that are lost."""
    until, lost = time() + seconds, set()
    for key, token in leases:
        if not change.db.execute(
            "UPDATE queue SET until = ? WHERE key = ? AND token = ?", (until, key, token)
        ).rowcount:
            lost.add(key)
    return frozenset(lost)


def finish(change: Change, finished: Sequence[Finished]) -> frozenset[int]:
    """Store results, of what the runner still has."""
    db, now = change.db, time()
    results, bodies, taken = [], [], set()
    ended, running = dict[int, Counter[Ending]](), Counter[int]()
    for each in finished:
        row = db.execute(_END, (each.lease.key, each.lease.token)).fetchone()
        if row is None:
            continue
        job, begun = row
        taken.add(each.lease.key)
        seq = change.next()
        results.append(_result(seq, job, each, now))
        if each.content is not None:
            bodies.append((seq, each.content))
        ended.setdefault(job, Counter())[each.ending] += 1
        running[job] += begun > 0
    db.executemany(_RESULT, results)
    db.executemany("INSERT INTO body VALUES (?, ?)", bodies)
    for job, counts in ended.items():
        db.execute(
            "UPDATE job SET running = running - ?, succeeded = succeeded + ?, failed = failed + ?,"
            " cancelled = cancelled + ?, expired = expired + ? WHERE key = ?",
            (running[job], *(counts[ending] for ending in Ending), job),
        )
    close_done(change, ended)
    return frozenset(taken)


def give_back(change: Change, leases: Sequence[tuple[Leased, Sequence[Attempt]]]) -> None:
    """Let others have them."""
    for leased, attempts in leases:
        kept = packed_attempts(attempts) if attempts else None
        where = (leased.key, leased.token)
        row = change.db.execute("SELECT job, begun FROM queue WHERE key = ? AND token = ?", where).fetchone()
        if row is not None:
            _wait_again(change, leased.key, *row)
            change.db.execute("UPDATE queue SET attempts = ? WHERE key = ?", (kept, leased.key))


def rescue(change: Change, now: float) -> int:
    """Let others have what no runner has kept in time; its attempt without an end tells that it may have been sent."""
    rows = change.db.execute("SELECT key, job, begun FROM queue INDEXED BY queue_leased WHERE stage = 2 AND until < ?",
                             (now,)).fetchall()  # fmt: skip
    for row in rows:
        _wait_again(change, *row)
    return len(rows)


def _wait_again(change: Change, key: int, job: int, begun: int) -> None:
    change.db.execute(
        "UPDATE queue SET stage = 1, token = 0, owner = NULL, until = NULL, begun = 0 WHERE key = ?", (key,)
    )
    if begun:
        change.db.execute("UPDATE job SET running = running - 1 WHERE key = ?", (job,))
    change.work = True


def _result(seq: int, job: int, each: Finished, now: float) -> tuple[object, ...]:
    error, body = each.error, each.body
    return (
        seq, job, each.lease.n, each.ending.value, each.status, each.final_url,
        None if error is None else packed({"type": error.type, "stage": error.stage, "message": error.message}),
        packed(each.headers) if each.headers else None, each.elapsed, packed_attempts(each.attempts),
        None if body is None else body.size, None if body is None else body.sha256,
        None if body is None else body.media_type, now,
    )  # fmt: skip
