"""How requests and jobs end in the database: results, counts, states and the events of them."""

import json
from collections.abc import Collection
from time import time

from ..records import Ending, Failure, State
from ..rows import attempts_of, packed
from .deliveries import add_delivery
from .link import rows
from .writer import Change

__all__ = ["close_done", "end_all", "note_states"]

_WHY = {
    Ending.CANCELLED: Failure(type="Cancelled", stage="queued", message="the job was cancelled"),
    Ending.EXPIRED: Failure(type="Expired", stage="queued", message="the job's time was over before it was done"),
}
_DONE = """
    UPDATE job SET finished = %s, running = 0, held = false, state = CASE WHEN cancelled > 0 THEN 'cancelled'
        WHEN expired > 0 THEN 'expired' WHEN succeeded = total THEN 'succeeded' WHEN succeeded > 0 THEN 'partial'
        ELSE 'failed' END
    WHERE key = ANY(%s) AND finished IS NULL AND succeeded + failed + cancelled + expired = total
    RETURNING key, state, run, webhook
"""
_STOPPED = """
    UPDATE queue SET attempts = v.attempts FROM unnest(%s::bigint[], %s::text[]) AS v(key, attempts)
    WHERE queue.key = v.key
"""


async def note_states(change: Change, kind: str, states: Collection[tuple[int, State, int]]) -> None:
    """Store the events of jobs' new states: key, state and run of each."""
    if states:
        now, last = time(), change.next(len(states))
        keys, names, runs = zip(*states, strict=True)
        await change.db.execute(
            "INSERT INTO event (id, job, kind, at, state, run)"
            " SELECT %s + nr, key, %s, %s, state, run"
            " FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) WITH ORDINALITY AS v(key, state, run, nr)",
            (last - len(states), kind, now, list(keys), [str(name) for name in names], list(runs)),
        )


async def close_done(change: Change, keys: Collection[int]) -> None:
    """Give those of these jobs their final state that have a result for each request."""
    now = time()
    done = await rows(change.db, _DONE, (now, list(keys)))
    await note_states(change, "done", [(key, State(state), run) for key, state, run, _webhook in done])
    for key, _state, run, webhook in done:
        if webhook is not None:
            await add_delivery(change, key, run, webhook, now)


async def end_all(change: Change, key: int, ending: Ending) -> None:
    """End all of a job's requests that have no result, those that run included: their runners lose them."""
    db, now, why = change.db, time(), _WHY[ending]
    begun = await rows(db, "SELECT key, attempts FROM queue WHERE job = %s AND attempts IS NOT NULL", (key,))
    if begun:
        stopped = [_stopped(text, now) for _row, text in begun]
        await db.execute(_STOPPED.encode(), ([row for row, _text in begun], stopped))
    number = (await rows(db, "SELECT count(*) FROM queue WHERE job = %s", (key,)))[0][0]
    first = change.next(number) - number
    error = packed({"type": why.type, "stage": why.stage, "message": why.message})
    await db.execute(
        "INSERT INTO result (seq, job, n, ending, error, attempts, at)"
        " SELECT %s + row_number() OVER (ORDER BY n), job, n, %s, %s, attempts, %s FROM queue WHERE job = %s",
        (first, ending.value, error, now, key),
    )
    await db.execute("DELETE FROM queue WHERE job = %s", (key,))
    await db.execute(
        f"UPDATE job SET {ending.value} = {ending.value} + %s, running = 0 WHERE key = %s".encode(), (number, key)
    )
    change.withdrawn.append((await rows(db, "SELECT id FROM job WHERE key = %s", (key,)))[0][0])
    await close_done(change, (key,))


def _stopped(text: str, now: float) -> str:
    """Return attempts with the end of the one that was under way."""
    return json.dumps([
        (each.number, each.worker, each.started_at, each.finished_at or now, each.outcome or "aborted")
        for each in attempts_of(text)
    ], separators=(",", ":"))  # fmt: skip
