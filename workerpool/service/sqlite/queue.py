"""The queue in the file: leases, sendings, and what came of them. Functions of one transaction.

A row is written when it is submitted, when it is sent, and goes with its result; leases are in memory.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from time import time

from ..records import Attempt, Ending, Finished, Leased, State
from ..rows import attempts_of, packed, packed_attempts, packed_headers
from ..store import Begun
from .endings import close_done, note_state
from .keys import job_of_key
from .leases import Lease
from .writer import Change

__all__ = ["begin", "finish", "give_back", "heartbeat", "lease", "rescue"]

_WAITING = """
    SELECT key FROM queue INDEXED BY queue_waiting WHERE stage = 1 AND lane = ? AND host NOT IN ({})
    ORDER BY priority DESC, key
"""
_NEXT = """
    SELECT queue.key, job.id, request.n, queue.lane, queue.priority, request.url, queue.host, request.ref, request.spec,
        job.attempts, job.keep, job.expires, queue.attempts
    FROM json_each(?) AS asked CROSS JOIN queue ON queue.key = asked.value
    CROSS JOIN request ON request.job = queue.key >> 20 AND request.n = queue.key & 1048575
    CROSS JOIN job ON job.key = queue.key >> 20
"""
_BEGIN = "UPDATE queue SET stage = 2, attempts = ? WHERE key = ?"
_RUNS = "UPDATE job SET state = 'running', started = ? WHERE key = ? AND state = 'queued' RETURNING run"
_RESULT = """
    INSERT INTO result (seq, job, n, ending, status, final, error, headers, elapsed, attempts, size, sha256, media, at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def lease(change: Change, lane: str, n: int, *, seconds: float, without: Collection[str]) -> tuple[Leased, ...]:
    """Give requests of a lane to a runner."""
    leases, until = change.leases, time() + seconds
    waiting = change.db.execute(_WAITING.format(", ".join("?" * len(without))), (lane, *without))
    keys = list(islice((key for (key,) in waiting if key not in leases), n))
    waiting.close()
    if not keys:
        return ()
    return tuple(
        Leased(
            key=row[0], token=leases.give(row[0], until), job=row[1], n=row[2], lane=row[3], priority=row[4],
            url=row[5], host=row[6], ref=row[7], spec=json.loads(row[8]) if row[8] else {}, retry_attempts=row[9],
            keep_bodies=bool(row[10]), expires_at=row[11], attempts=attempts_of(row[12]),
        )
        for row in change.db.execute(_NEXT, (packed(keys),))
    )  # fmt: skip


def begin(change: Change, begun: Sequence[Begun]) -> frozenset[int]:
    """Store sendings, and note which jobs run now."""
    leases, new, rows = change.leases, Counter[int](), []
    for leased, attempts in begun:
        key = leased.key
        held = leases.find(key, leased.token)
        if held is None:
            continue
        rows.append((packed_attempts(attempts), key))
        if not held.begun:
            new[job_of_key(key)] += 1
            leases.put(key, Lease(held.token, held.until, begun=True))
    change.db.executemany(_BEGIN, rows)
    now = time()
    for job, number in new.items():
        change.db.execute("UPDATE job SET running = running + ? WHERE key = ?", (number, job))
        for (run,) in change.db.execute(_RUNS, (now, job)).fetchall():
            note_state(change, job, "job", State.RUNNING, run)
    return frozenset([key for _attempts, key in rows])


def heartbeat(change: Change, leases: Iterable[tuple[int, int]], *, seconds: float) -> frozenset[int]:
    """Keep leases; returns the keys of those that are lost."""
    until, lost = time() + seconds, set()
    for key, token in leases:
        held = change.leases.find(key, token)
        if held is None:
            lost.add(key)
        else:
            change.leases.put(key, held._replace(until=until))
    return frozenset(lost)


def finish(change: Change, finished: Sequence[Finished]) -> frozenset[int]:
    """Store results, of what the runner still has."""
    db, now, leases = change.db, time(), change.leases
    results, bodies, taken = list[tuple[object, ...]](), list[tuple[int, bytes]](), list[int]()
    ended, running = dict[int, Counter[Ending]](), Counter[int]()
    for each in finished:
        key = each.lease.key
        held = leases.find(key, each.lease.token)
        if held is None:
            continue
        leases.drop(key)
        taken.append(key)
        job, seq = job_of_key(key), change.next()
        results.append(_result(seq, job, each, now))
        if each.content is not None:
            bodies.append((seq, each.content))
        ended.setdefault(job, Counter())[each.ending] += 1
        running[job] += held.begun
    db.executemany("DELETE FROM queue WHERE key = ?", ((key,) for key in taken))
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
        held = change.leases.find(leased.key, leased.token)
        if held is not None:
            _wait_again(change, leased.key, held)
            kept = packed_attempts(attempts) if attempts else None
            change.db.execute("UPDATE queue SET attempts = ? WHERE key = ? AND attempts IS NOT ?",
                              (kept, leased.key, kept))  # fmt: skip


def rescue(change: Change, now: float) -> int:
    """Let others have what no runner has kept in time; its attempt without an end tells that it may have been sent."""
    late = list(change.leases.late(now))
    for key, held in late:
        _wait_again(change, key, held)
    return len(late)


def _wait_again(change: Change, key: int, held: Lease) -> None:
    change.leases.drop(key)
    if held.begun:
        change.db.execute("UPDATE queue SET stage = 1 WHERE key = ?", (key,))
        change.db.execute("UPDATE job SET running = running - 1 WHERE key = ?", (job_of_key(key),))
    change.work = True


def _result(seq: int, job: int, each: Finished, now: float) -> tuple[object, ...]:
    error, body = each.error, each.body
    return (
        seq, job, each.lease.n, each.ending.value, each.status, each.final_url,
        None if error is None else packed({"type": error.type, "stage": error.stage, "message": error.message}),
        packed_headers(each.headers) if each.headers else None, each.elapsed, packed_attempts(each.attempts),
        None if body is None else body.size, None if body is None else body.sha256,
        None if body is None else body.media_type, now,
    )  # fmt: skip
