"""Requests in the database: leases, sendings, and what came of them. Functions of one transaction.

Whether a process may have a request is decided by procrastinate: it has to have the turn of the request's group, in
the very transaction that leases it. Each lease's token refuses whoever has lost it. What holds of a lane holds for all
processes together: one alone keeps it by itself; where several have some of a lane under way, it is counted here.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from math import floor, inf
from time import time
from typing import NamedTuple

from ..records import Attempt, Ending, Finished, Leased, State
from ..rows import attempts_of, packed, packed_attempts
from ..store import Begun
from .endings import close_done, note_states
from .link import Connection, first, rows
from .writer import Change

__all__ = ["begin", "finish", "give_back", "heartbeat", "is_late", "lease", "rescue"]

_LEASE = """
    WITH next AS (
        SELECT key FROM queue WHERE stage = 1 AND lane = %(lane)s AND host <> ALL(%(without)s)
            AND grp IN (
                SELECT (args->>'group')::int FROM procrastinate_jobs WHERE worker_id = %(worker)s AND status = 'doing'
            ) AND grp <> ALL(%(leaving)s)
        ORDER BY priority DESC, key LIMIT %(n)s
    ), taken AS (
        UPDATE queue SET stage = 2, token = nextval('fence'), worker = %(worker)s,
            until = now() + make_interval(secs => %(seconds)s)
        FROM next WHERE queue.key = next.key RETURNING queue.*
    )
    SELECT taken.key, taken.token, job.id, taken.n, taken.lane, taken.priority, request.url, taken.host, request.ref,
        request.spec, job.attempts, job.keep, job.expires, taken.attempts, host.until
    FROM taken JOIN job ON job.key = taken.job JOIN request ON request.job = taken.job AND request.n = taken.n
        LEFT JOIN host ON host.name = taken.host AND host.until > %(now)s
    ORDER BY taken.priority DESC, taken.key
"""
_LANE = """
    SELECT connections, rate, due, (SELECT count(*) FROM queue WHERE stage = 2 AND begun > 0 AND queue.lane = name),
        (SELECT count(*) FROM queue WHERE stage = 2 AND begun > 0 AND queue.lane = name AND worker <> %s)
    FROM lane WHERE name = %s
"""
_BEGIN = """
    UPDATE queue SET attempts = v.attempts, begun = begun + 1
    FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS v(key, token, attempts)
    WHERE queue.key = v.key AND queue.token = v.token RETURNING queue.key, job, begun
"""
_END = """
    DELETE FROM queue USING unnest(%s::bigint[], %s::bigint[]) AS v(key, token)
    WHERE queue.key = v.key AND queue.token = v.token RETURNING queue.key, job, begun
"""
_KEEP = """
    UPDATE queue SET until = now() + make_interval(secs => %s)
    FROM unnest(%s::bigint[], %s::bigint[]) AS v(key, token)
    WHERE queue.key = v.key AND queue.token = v.token RETURNING queue.key
"""
_BACK = """
    WITH back AS (
        UPDATE queue SET stage = 1, token = 0, worker = NULL, until = NULL, begun = 0, attempts = given
        FROM (
            SELECT queue.key AS old, begun AS had, v.attempts AS given FROM queue
            JOIN unnest(%s::bigint[], %s::bigint[], %s::text[]) AS v(key, token, attempts)
                ON queue.key = v.key AND queue.token = v.token
        ) AS before WHERE key = old RETURNING job, had
    ), counted AS (SELECT job, count(*) FILTER (WHERE had > 0) AS begun FROM back GROUP BY job)
    UPDATE job SET running = running - counted.begun FROM counted WHERE job.key = counted.job
"""
_LATE = "SELECT key, token, attempts FROM queue WHERE stage = 2 AND until < now()"
_RESULT = """
    INSERT INTO result (seq, job, n, ending, status, final, error, headers, elapsed, attempts, size, sha256, media, at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_COUNT = """
    UPDATE job SET running = running - %s, succeeded = succeeded + %s, failed = failed + %s,
        cancelled = cancelled + %s, expired = expired + %s WHERE key = %s
"""
_SLACK = 0.25  # seconds of a rate that may be made up: so long one transaction may wait for another one


async def lease(
    change: Change,
    worker: int,
    lane: str,
    n: int,
    *,
    seconds: float,
    without: Collection[str],
    leaving: Collection[int],
    alone: bool,
) -> tuple[Leased, ...]:
    """Give requests of a lane to a runner, of the groups whose turns its process has."""
    places = await _places(change.db, worker, lane, alone)
    n = n if places is None else int(min(n, *places))
    if n <= 0:
        return ()
    found = await rows(change.db, _LEASE, {
        "lane": lane, "without": list(without), "worker": worker, "leaving": list(leaving), "n": n, "seconds": seconds,
        "now": time(),
    })  # fmt: skip
    return tuple(
        Leased(
            key=row[0], token=row[1], job=row[2], n=row[3], lane=row[4], priority=row[5], url=row[6], host=row[7],
            ref=None if row[8] is None else json.loads(row[8]), spec=json.loads(row[9]) if row[9] else {},
            retry_attempts=row[10], keep_bodies=row[11], expires_at=row[12], attempts=attempts_of(row[13]),
            held_until=row[14],
        )
        for row in found
    )  # fmt: skip


async def begin(change: Change, worker: int, begun: Sequence[Begun], *, alone: bool) -> frozenset[int]:
    """Store sendings, and note which jobs run now. What its lane has no place for waits again."""
    beyond = await _beyond(change, worker, begun, alone)
    if beyond:
        before = [(leased, attempts[:-1]) for leased, attempts in begun if leased.key in beyond]
        await give_back(change, before)
    kept = [(leased, attempts) for leased, attempts in begun if leased.key not in beyond]
    found = await rows(change.db, _BEGIN, (
        [leased.key for leased, _ in kept], [leased.token for leased, _ in kept],
        [packed_attempts(attempts) for _, attempts in kept],
    ))  # fmt: skip
    new = Counter(job for _key, job, number in found if number == 1)
    if new:
        await change.db.execute(
            "UPDATE job SET running = running + v.number FROM unnest(%s::bigint[], %s::bigint[]) AS v(job, number)"
            " WHERE key = v.job",
            (list(new), list(new.values())),
        )
        runs = await rows(
            change.db,
            "UPDATE job SET state = 'running', started = %s WHERE key = ANY(%s) AND state = 'queued'"
            " RETURNING key, run",
            (time(), list(new)),
        )
        await note_states(change, "job", [(key, State.RUNNING, run) for key, run in runs])
    return frozenset(key for key, _job, _number in found)


async def heartbeat(change: Change, leases: Sequence[tuple[int, int]], *, seconds: float) -> frozenset[int]:
    """Keep leases; returns the keys of those that are lost."""
    keys, tokens = [key for key, _ in leases], [token for _, token in leases]
    kept = await rows(change.db, _KEEP, (seconds, keys, tokens))
    return frozenset(keys) - {key for (key,) in kept}


async def rescue(change: Change) -> int:
    """Let others have what no runner has kept in time, such as what it never heard of since the answer was lost."""
    found = await rows(change.db, _LATE)
    await _give_back(change, [tuple(row) for row in found])
    return len(found)


async def is_late(db: Connection) -> bool:
    """Whether there is something to rescue, as a reader sees it."""
    return bool(await first(db, f"{_LATE} LIMIT 1"))


async def finish(change: Change, finished: Sequence[Finished], *, alone: bool) -> frozenset[int]:
    """Store results, of what the runner still has."""
    db, now = change.db, time()
    found = await rows(db, _END, ([each.lease.key for each in finished], [each.lease.token for each in finished]))
    known = {key: (job, begun) for key, job, begun in found}
    taken = [each for each in finished if each.lease.key in known]
    last = change.next(len(taken))
    results, bodies = [], []
    ended, running = defaultdict[int, Counter[Ending]](Counter), Counter[int]()
    for seq, each in enumerate(taken, last - len(taken) + 1):
        job, begun = known[each.lease.key]
        results.append(_result(seq, job, each, now))
        if each.content is not None:
            bodies.append((seq, each.content))
        ended[job][each.ending] += 1
        running[job] += begun > 0
    async with db.cursor() as cursor:
        if results:
            await cursor.executemany(_RESULT.encode(), results)
        if bodies:
            await cursor.executemany(b"INSERT INTO body VALUES (%s, %s)", bodies)
        if ended:
            counts = [(running[job], *(of[ending] for ending in Ending), job) for job, of in ended.items()]
            await cursor.executemany(_COUNT.encode(), counts)
    await close_done(change, ended)
    change.work |= bool(taken) and not alone  # others may have waited for these places
    return frozenset(known)


async def give_back(change: Change, leases: Sequence[tuple[Leased, Sequence[Attempt]]]) -> None:
    """Let others have them."""
    await _give_back(change, [
        (leased.key, leased.token, packed_attempts(attempts) if attempts else None) for leased, attempts in leases
    ])  # fmt: skip


async def _give_back(change: Change, back: Iterable[tuple[int, int, str | None]]) -> None:
    if back:
        keys, tokens, attempts = zip(*back, strict=True)
        await change.db.execute(_BACK.encode(), (list(keys), list(tokens), list(attempts)))
        change.work = True


class _Places(NamedTuple):
    free: float  # how many more its connections let be under way
    due: float  # how many its rate lets begin now


async def _places(db: Connection, worker: int, lane: str, alone: bool) -> _Places | None:
    """Return what there is room for in a lane; None where no other process has to do with it."""
    row = await first(db, _LANE, (worker, lane))
    if row is None or (alone and not row[4]):
        return None
    connections, rate, due, running, _others = row
    now = time()
    fits = inf if rate is None else floor((now + _SLACK - max(due, now - _SLACK)) * rate) + 1
    return _Places(connections - running if connections else inf, fits)


async def _beyond(change: Change, worker: int, begun: Sequence[Begun], alone: bool) -> set[int]:
    """Return the keys of those that are not to be sent now, since other processes have the lane's places or rate."""
    lanes, beyond = defaultdict[str, list[Begun]](list), set[int]()
    for each in begun:
        lanes[each[0].lane].append(each)
    for lane, its in lanes.items():
        places = await _places(change.db, worker, lane, alone)
        if places is None:
            continue
        again = await rows(change.db, "SELECT key FROM queue WHERE key = ANY(%s) AND begun > 0",
                           ([leased.key for leased, _ in its],))  # fmt: skip
        kept = {key for (key,) in again}  # what pauses between two attempts has kept its place
        free, due = places
        for leased, _attempts in its:
            takes = leased.key not in kept
            if due < 1 or (takes and free < 1):
                beyond.add(leased.key)
            else:
                free, due = free - takes, due - 1
        if due < inf:
            await change.db.execute(
                "UPDATE lane SET due = greatest(due, %s) + %s / rate WHERE name = %s AND rate IS NOT NULL",
                (time() - _SLACK, places.due - due, lane),
            )
    return beyond


def _result(seq: int, job: int, each: Finished, now: float) -> tuple[object, ...]:
    error, body = each.error, each.body
    return (
        seq, job, each.lease.n, each.ending.value, each.status, each.final_url,
        None if error is None else packed({"type": error.type, "stage": error.stage, "message": error.message}),
        packed(each.headers) if each.headers else None, each.elapsed, packed_attempts(each.attempts),
        None if body is None else body.size, None if body is None else body.sha256,
        None if body is None else body.media_type, now,
    )  # fmt: skip
