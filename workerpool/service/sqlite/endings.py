"""How requests and jobs end in the file: results, counts, states and the events of them."""

import json
from collections.abc import Iterable
from time import time

from ..records import Ending, Failure, State
from ..rows import attempts_of, packed
from .deliveries import add_delivery
from .keys import keys_of
from .writer import Change

__all__ = ["close_done", "end_all", "note_state"]

_WHY = {
    Ending.CANCELLED: Failure(type="Cancelled", stage="queued", message="the job was cancelled"),
    Ending.EXPIRED: Failure(type="Expired", stage="queued", message="the job's time was over before it was done"),
}
_SPAN = "key BETWEEN ? AND ?"
_DONE = """
    UPDATE job SET finished = ?, running = 0, held = 0, state = CASE WHEN cancelled > 0 THEN 'cancelled'
        WHEN expired > 0 THEN 'expired' WHEN succeeded = total THEN 'succeeded' WHEN succeeded > 0 THEN 'partial'
        ELSE 'failed' END
    WHERE key = ? AND finished IS NULL AND succeeded + failed + cancelled + expired = total
    RETURNING state, run, webhook
"""


def note_state(change: Change, key: int, kind: str, state: State, run: int) -> None:
    """Store the event of a job's new state."""
    change.db.execute(
        "INSERT INTO event (id, job, kind, at, state, run) VALUES (?, ?, ?, ?, ?, ?)",
        (change.next(), key, kind, time(), state.value, run),
    )


def close_done(change: Change, keys: Iterable[int]) -> None:
    """Give those of these jobs their final state that have a result for each request."""
    now = time()
    for key in keys:
        row = change.db.execute(_DONE, (now, key)).fetchone()
        if row is None:
            continue
        state, run, webhook = row
        note_state(change, key, "done", State(state), run)
        if webhook is not None:
            add_delivery(change, key, run, webhook, now)


def end_all(change: Change, key: int, ending: Ending) -> None:
    """End all of a job's requests that have no result, those that run included: their runners lose them."""
    db, now = change.db, time()
    span = keys_of(key)
    change.leases.drop_range(*span)
    begun = db.execute(f"SELECT key, attempts FROM queue WHERE {_SPAN} AND attempts IS NOT NULL", span).fetchall()
    db.executemany("UPDATE queue SET attempts = ? WHERE key = ?", ((_stopped(text, now), row) for row, text in begun))
    number = db.execute(f"SELECT count(*) FROM queue WHERE {_SPAN}", span).fetchone()[0]
    first = change.next(number) - number
    why = _WHY[ending]
    error = packed({"type": why.type, "stage": why.stage, "message": why.message})
    db.execute(
        "INSERT INTO result (seq, job, n, ending, error, attempts, at)"
        " SELECT ? + row_number() OVER (ORDER BY key), key >> 20, key & 1048575, ?, ?, attempts, ?"
        f" FROM queue WHERE {_SPAN}",
        (first, ending.value, error, now, *span),
    )
    db.execute(f"DELETE FROM queue WHERE {_SPAN}", span)
    db.execute(f"UPDATE job SET {ending.value} = {ending.value} + ?, running = 0 WHERE key = ?", (number, key))
    change.withdrawn.append(db.execute("SELECT id FROM job WHERE key = ?", (key,)).fetchone()[0])
    close_done(change, (key,))


def _stopped(text: str, now: float) -> str:
    """Return attempts with the end of the one that was under way."""
    rows = [
        (each.number, each.worker, each.started_at, each.finished_at or now, each.outcome or "aborted")
        for each in attempts_of(text)
    ]
    return json.dumps(rows, separators=(",", ":"))
