"""What a state tells of outcomes that have come: in the form that those have, too, that come now."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

from yarl import URL

from .entry import NOWHERE, host_of
from .outcome import Attempt, Outcome

__all__ = ["Past", "past_of", "past_outcomes", "past_skipped"]

_ITEMS = """
    SELECT id, url, host, stage, status, reason, ended FROM item WHERE ended IS NOT NULL ORDER BY id
"""
_ATTEMPTS = """
    SELECT item, started, waited, took, status, error, stage, message FROM attempt ORDER BY item, number
"""
_SKIPPED = "SELECT reason, count(*), min(id) FROM item WHERE stage = 4 AND ended IS NULL GROUP BY reason"
_SKIPPED_URLS = "SELECT id, url FROM item WHERE stage = 4 AND ended IS NULL AND reason IS ? LIMIT ?"
_VERDICTS = {2: "fetched", 3: "failed", 4: "skipped"}


@dataclass(slots=True)
class Past:
    """An outcome without its answer: what can still be told of it after the run. `bytes` is None where nobody knows."""

    index: int
    url: str
    host: str
    verdict: str
    status: int | None
    reason: str | None
    ended: float
    attempts: tuple[Attempt, ...]
    bytes: int | None = None
    message: str = ""


def past_of(outcome: Outcome, ended: float) -> Past:
    """Return what stays of an outcome."""
    response, error = outcome.response, outcome.error
    return Past(
        index=outcome.index, url=outcome.url, host=_host("/".join(outcome.url.split("/", 3)[:3])),
        verdict=outcome.verdict, status=None if response is None else response.status_code, reason=outcome.reason,
        ended=ended, attempts=outcome.attempts, bytes=outcome.size,
        message=f"{type(error).__name__}: {error}" if error is not None else "",
    )  # fmt: skip


def past_outcomes(db: sqlite3.Connection) -> Iterator[Past]:
    """Yield all outcomes that a state holds, in the order of their numbers."""
    tries = groupby(db.execute(_ATTEMPTS), itemgetter(0))
    number, rows = next(tries, (None, iter(())))
    for index, url, host, stage, status, reason, ended in db.execute(_ITEMS):
        while number is not None and number < index:
            number, rows = next(tries, (None, iter(())))
        attempts = tuple(_attempt(row) for row in rows) if number == index else ()
        last = attempts[-1] if attempts else None
        message = f"{last.error}: {last.message}" if last is not None and last.error else ""
        yield Past(index, url, host, _VERDICTS[stage], status, reason, ended, attempts, None, message)


def past_skipped(db: sqlite3.Connection, examples: int) -> Iterator[tuple[str, int, list[tuple[int, str]]]]:
    """Yield by which rules items were left out before they had their turn, how many, and some with their numbers."""
    for reason, count, _ in db.execute(_SKIPPED).fetchall():
        yield reason or "other", count, db.execute(_SKIPPED_URLS, (reason, examples)).fetchall()


def _attempt(row: tuple[object, ...]) -> Attempt:
    started, waited, took, status, error, stage, message = row[1:]
    facts = {"started": started or 0.0, "waited": waited or 0.0, "took": took or 0.0, "status": status}
    return Attempt(**facts, error=error, stage=stage, message=message)  # type: ignore[arg-type]  # SQLite's own types


@lru_cache(1024)
def _host(start: str) -> str:
    """Return host and port of a URL's start, as a state has them."""
    try:
        url = URL(start, encoded=True)
        return host_of(url) if url.raw_host else NOWHERE
    except (ValueError, IndexError):  # yarl has both for what it cannot read
        return NOWHERE
