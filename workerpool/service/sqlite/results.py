"""Results, bodies and events in the file. Functions of a reader."""

import sqlite3

from ..errors import NoSuch
from ..records import FINAL, Event, NewRequest, Page, Result
from .rows import RESULT, cursor_of, key_of, position_of, request_of, result_of

__all__ = ["body", "events", "requests", "result", "results"]

_FROM = """
    FROM result JOIN job ON job.key = result.job
    JOIN request ON request.job = result.job AND request.n = result.n
"""
_EVENTS = """
    SELECT id, job, kind, at, state, run, NULL, NULL, NULL, NULL FROM event WHERE id > :after {job}
    UNION ALL
    SELECT seq, job, 'result', at, NULL, NULL, n, ending, status, elapsed FROM result WHERE seq > :after {job}
    ORDER BY 1 LIMIT :limit
"""


def results(
    db: sqlite3.Connection, id: str, cursor: str | None, limit: int, ok: bool | None, newest_first: bool
) -> Page[Result]:
    """Return results in the order they were finished."""
    key, kind = key_of(db, id), "n" if newest_first else "r"
    behind = position_of(kind, cursor)
    rule = "" if ok is None else f"AND ending {'=' if ok else '!='} 'succeeded'"
    order, sign = ("DESC", "<") if newest_first else ("ASC", ">")
    start = behind if behind is not None else (2**62 if newest_first else 0)
    rows = db.execute(
        f"SELECT {RESULT} {_FROM} WHERE result.job = ? AND seq {sign} ? {rule} ORDER BY seq {order} LIMIT ?",
        (key, start, limit + 1),
    ).fetchall()
    found = tuple(map(result_of, rows[:limit]))
    more = len(rows) > limit or (not newest_first and not _is_final(db, key))
    return Page(found, cursor_of(kind, found[-1].seq if found else start) if more else None)


def result(db: sqlite3.Connection, id: str, n: int) -> Result:
    """Return one result; raises NoSuch."""
    row = db.execute(f"SELECT {RESULT} {_FROM} WHERE result.job = ? AND result.n = ?", (key_of(db, id), n)).fetchone()
    if row is None:
        raise NoSuch(f"job {id} has no result {n}, or not yet")
    return result_of(row)


def body(db: sqlite3.Connection, id: str, n: int) -> tuple[Result, bytes]:
    """Return a result with its bytes; raises NoSuch."""
    found = result(db, id, n)
    row = db.execute("SELECT data FROM body WHERE seq = ?", (found.seq,)).fetchone()
    if row is None:
        raise NoSuch(f"no body is kept of result {n} of job {id}")
    return found, row[0]


def requests(db: sqlite3.Connection, id: str, cursor: str | None, limit: int) -> Page[tuple[int, NewRequest]]:
    """Return requests in their order."""
    key, behind = key_of(db, id), position_of("q", cursor)
    rows = db.execute(
        "SELECT n, url, host, ref, spec FROM request WHERE job = ? AND n > ? ORDER BY n LIMIT ?",
        (key, -1 if behind is None else behind, limit + 1),
    ).fetchall()
    found = tuple(map(request_of, rows[:limit]))
    return Page(found, cursor_of("q", found[-1][0]) if len(rows) > limit else None)


def events(db: sqlite3.Connection, after: int, limit: int, id: str | None) -> tuple[Event, ...]:
    """Return events in their order."""
    values: dict[str, object] = {"after": after, "limit": limit}
    if id is not None:
        values["job"] = key_of(db, id)
    rows = db.execute(_EVENTS.format(job="" if id is None else "AND job = :job"), values).fetchall()
    names = _names(db, {row[1] for row in rows})
    return tuple(_event(row, names[row[1]]) for row in rows if row[1] in names)


def _event(row: tuple[object, ...], job: str) -> Event:
    id, _job, kind, at, state, run, n, ending, status, elapsed = row
    data = {"state": state, "run": run}
    if kind == "result":
        data = {"n": n, "ok": ending == "succeeded", "status": status, "elapsed": elapsed}
    return Event(id=int(str(id)), kind=str(kind), job=job, at=float(str(at)), data=data)


def _names(db: sqlite3.Connection, keys: set[int]) -> dict[int, str]:
    marks = ", ".join("?" * len(keys))
    return dict(db.execute(f"SELECT key, id FROM job WHERE key IN ({marks})", tuple(keys)).fetchall())


def _is_final(db: sqlite3.Connection, key: int) -> bool:
    return db.execute("SELECT state FROM job WHERE key = ?", (key,)).fetchone()[0] in FINAL
