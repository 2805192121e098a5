"""Results, bodies and events in the database. Functions of a reader."""

import json
from typing import Any

from ..errors import NoSuch
from ..records import FINAL, Event, NewRequest, Page, Result
from ..rows import RESULT, cursor_of, event_of, position_of, request_of, result_of
from .keys import key_of
from .link import Connection, first, rows

__all__ = ["body", "events", "requests", "result", "results"]

_FROM = """
    FROM result JOIN job ON job.key = result.job
    JOIN request ON request.job = result.job AND request.n = result.n
"""
_EVENTS = """
    (
        SELECT id, job, kind, at, state, run, NULL::bigint, NULL, NULL::integer, NULL::float8 FROM event
        WHERE id > %(after)s {job} ORDER BY id LIMIT %(limit)s
    ) UNION ALL (
        SELECT seq, job, 'result', at, NULL, NULL, n, ending, status, elapsed FROM result
        WHERE seq > %(after)s {job} ORDER BY seq LIMIT %(limit)s
    ) ORDER BY 1 LIMIT %(limit)s
"""


async def results(
    db: Connection, id: str, cursor: str | None, limit: int, ok: bool | None, newest_first: bool
) -> Page[Result]:
    """Return results in the order they were finished."""
    row = await first(db, "SELECT key, state FROM job WHERE id = %s", (id,))
    if row is None:
        raise NoSuch(f"there is no job {id}")
    key, is_final, kind = row[0], row[1] in FINAL, "n" if newest_first else "r"  # if it is final, all is there by now
    behind = position_of(kind, cursor)
    rule = "" if ok is None else f"AND ending {'=' if ok else '!='} 'succeeded'"
    order, sign = ("DESC", "<") if newest_first else ("ASC", ">")
    start = behind if behind is not None else (2**62 if newest_first else 0)
    page = await rows(
        db,
        f"SELECT {RESULT} {_FROM} WHERE result.job = %s AND seq {sign} %s {rule} ORDER BY seq {order} LIMIT %s",
        (key, start, limit + 1),
    )
    found = tuple(map(_result, page[:limit]))
    more = len(page) > limit or (not newest_first and not is_final)
    return Page(found, cursor_of(kind, found[-1].seq if found else start) if more else None)


async def result(db: Connection, id: str, n: int) -> Result:
    """Return one result; raises NoSuch."""
    row = await first(db, f"SELECT {RESULT} {_FROM} WHERE result.job = %s AND result.n = %s", (await key_of(db, id), n))
    if row is None:
        raise NoSuch(f"job {id} has no result {n}, or not yet")
    return _result(row)


async def body(db: Connection, id: str, n: int) -> tuple[Result, bytes]:
    """Return a result with its bytes; raises NoSuch."""
    found = await result(db, id, n)
    row = await first(db, "SELECT data FROM body WHERE seq = %s", (found.seq,))
    if row is None:
        raise NoSuch(f"no body is kept of result {n} of job {id}")
    return found, bytes(row[0])


async def requests(db: Connection, id: str, cursor: str | None, limit: int) -> Page[tuple[int, NewRequest]]:
    """Return requests in their order."""
    key, behind = await key_of(db, id), position_of("q", cursor)
    page = await rows(
        db,
        "SELECT n, url, host, ref, spec FROM request WHERE job = %s AND n > %s ORDER BY n LIMIT %s",
        (key, -1 if behind is None else behind, limit + 1),
    )
    found = tuple(request_of((*row[:3], _text(row[3]), row[4])) for row in page[:limit])
    return Page(found, cursor_of("q", found[-1][0]) if len(page) > limit else None)


async def events(db: Connection, after: int, limit: int, id: str | None) -> tuple[Event, ...]:
    """Return events in their order."""
    values: dict[str, object] = {"after": after, "limit": limit}
    if id is not None:
        values["job"] = await key_of(db, id)
    found = await rows(db, _EVENTS.format(job="" if id is None else "AND job = %(job)s"), values)
    names = await _names(db, {row[1] for row in found})
    return tuple(event_of(row, names[row[1]]) for row in found if row[1] in names)


async def _names(db: Connection, keys: set[int]) -> dict[int, str]:
    return dict(await rows(db, "SELECT key, id FROM job WHERE key = ANY(%s)", (list(keys),)))


def _result(row: tuple[Any, ...]) -> Result:
    return result_of((*row[:3], _text(row[3]), *row[4:]))


def _text(stored: str | None) -> str | None:
    return None if stored is None else str(json.loads(stored))
