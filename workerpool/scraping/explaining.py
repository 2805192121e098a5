"""Why a URL is, or is not, among the results of a run: told from its state.

for line in explain("run.db", "https://example.org/page").lines():
    print(line)
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from .outcome import Attempt
from .reading import reading

__all__ = ["Explanation", "Known", "explain"]

Stage = Literal["waiting", "asked", "fetched", "failed", "skipped", "before"]
_STAGES: tuple[Stage, ...] = ("waiting", "asked", "fetched", "failed", "skipped", "before")
_SLICE = 50_000  # items that one statement looks at, so that a run that writes is not held up
_COLUMNS = "id, url, host, stage, more, status, reason, final, ended"
_RULES = {
    "robots": "the site's robots.txt disallows it",
    "robots-unreachable": "the site's robots.txt could not be had, which counts as disallowed (RFC 9309)",
    "malformed": "it is no URL",
    "scheme": "only http and https are asked for",
    "depth": "it lies deeper than --depth allows",
    "host": "it is on another host than the seeds (--scope)",
    "domain": "it is of another domain than the seeds (--scope)",
    "prefix": "it is not below the folders of the seeds (--scope)",
    "denied": "a --deny fits it",
    "not-allowed": "no --allow fits it",
    "duplicate": "it is where another URL is redirected to, or is known already",
    "exists": "its file is there already (--skip-existing)",
    "noai": "the site wishes no use for training AI",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a run knows of one item: what became of it, why, and each attempt."""

    index: int
    url: str
    host: str
    stage: Stage
    reason: str | None = None
    status: int | None = None
    final_url: str | None = None
    ended: float | None = None
    line: int = 0
    depth: int = 0
    parent: str | None = None
    attempts: tuple[Attempt, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield what there is to say, a fact a line."""
        yield f"{self.stage}{self._cause()}"
        if self.ended is not None:
            yield f"  when: {_moment(self.ended)}"
        if self.final_url not in (None, self.url):
            yield f"  redirected to: {self.final_url}"
        if self.parent is not None:
            yield f"  found on: {self.parent} (depth {self.depth})"
        elif self.line:
            yield f"  given in: line {self.line} of the input"
        for number, attempt in enumerate(self.attempts, 1):
            yield f"  attempt {number}: {_told(attempt)}"

    def _cause(self) -> str:
        if self.stage == "waiting":
            return ": it has not had its turn yet"
        if self.stage == "asked":
            return ": it is under way, or was when the run stopped, and is asked again then"
        if self.stage == "before":
            return ": an earlier round has come across it, and this one has not"
        if self.reason is None:
            return f": status {self.status}" if self.status is not None else ""
        told = f": {self.reason}" if self.status is None else f": status {self.status}, {self.reason}"
        rule = _RULES.get(self.reason)
        if self.reason.startswith("trap:"):
            rule = "its place is, or looks like, a part of the site without an end"
        return f"{told} ({rule})" if rule else told


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a state tells of a URL: the items that are it, and those that count as the same page."""

    url: str
    items: tuple[Known, ...] = ()
    same: tuple[Known, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the run has come across it."""
        return bool(self.items or self.same)

    def lines(self) -> Iterator[str]:
        """Yield what there is to say, a fact a line."""
        yield self.url
        if not self.is_known:
            yield "unknown: it was neither given nor found, as far as the run has come"
        for item in self.items:
            yield from item.lines()
        for item in self.same:
            yield f"duplicate of: {item.url}, which is taken for the same page"
            yield from item.lines()


def explain(path: str | os.PathLike[str], url: str) -> Explanation:
    """Return what the state of a run tells of a URL, also while the run writes it. Raises StateError."""
    with reading(path) as db:
        rows = list(_rows(db, url))
        known = [_known(db, row) for row in rows]
    return Explanation(
        url=url,
        items=tuple(each for each in known if each.url == url),
        same=tuple(each for each in known if each.url != url),
    )


def _rows(db: sqlite3.Connection, url: str) -> Iterator[tuple[Any, ...]]:
    key = _key(url)
    has_keys = db.execute("SELECT 1 FROM item WHERE key IS NOT NULL LIMIT 1").fetchone() is not None
    if has_keys and key is not None:
        yield from db.execute(f"SELECT {_COLUMNS} FROM item WHERE key = ?", (key,)).fetchall()
        return
    end = db.execute("SELECT ifnull(max(id) + 1, 0) FROM item").fetchone()[0]
    query = f"SELECT {_COLUMNS} FROM item WHERE id >= ? AND id < ? AND url = ?"
    for first in range(0, end, _SLICE):
        yield from db.execute(query, (first, first + _SLICE, url)).fetchall()


def _key(url: str) -> bytes | None:
    try:
        from .scope import url_key  # an extra
    except ImportError:
        return None
    return url_key(url)


def _known(db: sqlite3.Connection, row: tuple[Any, ...]) -> Known:
    index, url, host, stage, more, status, reason, final, ended = row
    told = json.loads(more) if more else {}
    return Known(
        index=index, url=url, host=host, stage=_STAGES[stage], reason=reason, status=status, final_url=final,
        ended=ended, line=told.get("line", 0), depth=told.get("depth", 0), parent=told.get("parent"),
        attempts=_attempts(db, index),
    )  # fmt: skip


def _attempts(db: sqlite3.Connection, index: int) -> tuple[Attempt, ...]:
    query = "SELECT started, waited, took, status, error, stage, message FROM attempt WHERE item = ? ORDER BY number"
    return tuple(
        Attempt(started=row[0] or 0.0, waited=row[1] or 0.0, took=row[2] or 0.0, status=row[3], error=row[4],
                stage=row[5] or None, message=row[6])
        for row in db.execute(query, (index,)).fetchall()
    )  # fmt: skip


def _told(attempt: Attempt) -> str:
    what = f"status {attempt.status}" if attempt.error is None else attempt.error
    if attempt.stage:
        what += f" at {attempt.stage}"
    if attempt.started:
        what += f", {_moment(attempt.started)}, waited {attempt.waited:.2f} s, took {attempt.took:.2f} s"
    return f"{what}: {attempt.message}" if attempt.message else what


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
