"""Rows of the tables as records, and back."""

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from .records import (
    FINAL,
    Attempt,
    Body,
    Counts,
    Ending,
    Event,
    Failure,
    Job,
    NewRequest,
    Result,
    State,
)

__all__ = [
    "JOB",
    "RESULT",
    "attempts_of",
    "cursor_of",
    "event_of",
    "job_of",
    "packed",
    "packed_attempts",
    "packed_headers",
    "position_of",
    "result_of",
]

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode  # made once: dumps() makes one each time
JOB = """
    job.id, job.state, job.lane, job.priority, job.labels, job.created, job.started, job.finished, job.not_before,
    job.expires, job.total, job.running, job.succeeded, job.failed, job.cancelled, job.expired, job.webhook, job.run,
    job.attempts, job.keep, job.owner
"""
RESULT = """
    result.seq, job.id, result.n, request.ref, request.url, result.ending, result.final, result.status, result.error,
    result.headers, result.elapsed, result.attempts, result.size, result.sha256, result.media
"""


def job_of(row: Sequence[Any], waiting_for: str | None = None) -> Job:
    """Return the job of a row of `JOB`."""
    total, running, succeeded, failed, cancelled, expired = row[10:16]
    state = State(row[1])
    return Job(
        id=row[0], state=state, lane=row[2], priority=row[3], labels=json.loads(row[4]), created_at=row[5],
        started_at=row[6], finished_at=row[7], not_before=row[8], expires_at=row[9],
        counts=Counts(
            total=total, queued=total - running - succeeded - failed - cancelled - expired, running=running,
            succeeded=succeeded, failed=failed, cancelled=cancelled, expired=expired,
        ),
        webhook_url=row[16], run=row[17], retry_attempts=row[18], keep_bodies=bool(row[19]), owner=row[20],
        waiting_for=None if state in FINAL else waiting_for,
    )  # fmt: skip


def result_of(row: Sequence[Any]) -> Result:
    """Return the result of a row of `RESULT`."""
    return Result(
        seq=row[0], job=row[1], n=row[2], ref=row[3], url=row[4], ending=Ending(row[5]), final_url=row[6],
        status=row[7], error=None if row[8] is None else Failure(**json.loads(row[8])),
        headers=headers_of(row[9]), elapsed=row[10],
        attempts=attempts_of(row[11]),
        body=None if row[12] is None else Body(size=row[12], sha256=row[13], media_type=row[14]),
    )  # fmt: skip


def request_of(row: Sequence[Any]) -> tuple[int, NewRequest]:
    """Return number and request of a row of n, url, host, ref and spec."""
    return row[0], NewRequest(url=row[1], host=row[2], ref=row[3], spec=json.loads(row[4]) if row[4] else {})


def event_of(row: Sequence[Any], job: str) -> Event:
    """Return the event of a row of id, job's key, kind, at, state, run, n, ending, status and elapsed."""
    id, _job, kind, at, state, run, n, ending, status, elapsed = row
    data = {"state": state, "run": run}
    if kind == "result":
        data = {"n": n, "ok": ending == "succeeded", "status": status, "elapsed": elapsed}
    return Event(id=id, kind=kind, job=job, at=at, data=data)


def attempts_of(text: str | None) -> tuple[Attempt, ...]:
    """Return what `packed_attempts` has made a text of."""
    if not text:
        return ()
    return tuple(
        Attempt(number=each[0], worker=each[1], started_at=each[2], finished_at=each[3], outcome=each[4])
        for each in json.loads(text)
    )


def packed_attempts(attempts: Sequence[Attempt]) -> str:
    """Return attempts as a short text."""
    return f"[{','.join([_packed_attempt(each) for each in attempts])}]"


def _packed_attempt(each: Attempt) -> str:
    """Write the JSON of one by hand: for each sending and each result, the encoder takes several times as long."""
    end = "null" if each.finished_at is None else repr(each.finished_at)
    outcome = "null" if each.outcome is None else _quoted(each.outcome)
    return f"[{each.number},{_quoted(each.worker)},{each.started_at!r},{end},{outcome}]"


@lru_cache(1000)
def _quoted(text: str) -> str:
    return _encode(text)


def packed_headers(headers: Iterable[tuple[str, str]]) -> str:
    """Return headers as a text of lines: neither names nor values have any."""
    return "\n".join([f"{name}:{value}" for name, value in headers])


def headers_of(text: str | None) -> tuple[tuple[str, str], ...]:
    """Return what `packed_headers` has made a text of, or JSON."""
    if not text:
        return ()
    if text[0] == "[":  # with which no name begins
        return tuple(map(tuple, json.loads(text)))
    return tuple((name, value) for name, _, value in (line.partition(":") for line in text.split("\n")))


def packed(value: Any) -> str:
    """Return JSON without blanks."""
    return _encode(value)


def cursor_of(kind: str, position: int) -> str:
    """Return the cursor behind a row."""
    return base64.urlsafe_b64encode(f"{kind}{position}".encode()).decode().rstrip("=")


def position_of(kind: str, cursor: str | None) -> int | None:
    """Return the position that a cursor names; raises ValueError for one that is none of this kind."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    number = text.removeprefix(kind)
    if not text.startswith(kind) or not number.isdecimal() or len(number) > 18:
        raise ValueError("cursor: not one that was given for this list")
    return int(number)
