"""Reading a state from outside: without writing to it, also while a run does."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from .errors import OtherRun, StateError
from .state import State
from .state_file import MARK

__all__ = ["Standing", "reading", "standing"]

_PATIENCE = 30.0  # seconds that a run's commit is waited for


@dataclass(frozen=True, slots=True)
class Standing:
    """How the run of a state stands: items by what became of them, and by the reasons for it."""

    complete: bool
    waiting: int = 0
    fetched: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: dict[str, int] = field(default_factory=dict)  # of answers with an error, of failures, of what was skipped

    @property
    def error_answers(self) -> int:
        """How many of the fetched have a status of 400 or more."""
        return self.reasons.get("4xx", 0) + self.reasons.get("5xx", 0)


def standing(path: str | os.PathLike[str]) -> Standing:
    """Return how the run of a state stands, as of its last commit. Raises StateError."""
    numbers = [0] * 6
    reasons: dict[str, int] = {}
    with reading(path) as db:
        row = db.execute("SELECT value FROM meta WHERE name = 'complete'").fetchone()
        for stage, reason, number in db.execute("SELECT stage, reason, count(*) FROM item GROUP BY stage, reason"):
            numbers[stage] += number
            if reason is not None:
                reasons[reason] = reasons.get(reason, 0) + number
    waiting, asked, fetched, failed, skipped, _ = numbers
    return Standing(row is not None and row[0] == "true", waiting + asked, fetched, failed, skipped, reasons)


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[sqlite3.Connection]:
    """Give a connection that only reads; each statement sees the last commit. Raises StateError.

    What a killed run has left half done is taken back first, as the next run would; that alone writes.
    """
    place = Path(path)
    if not place.is_file():
        raise OtherRun(f"{place}: there is no such state; give the file that --state named")
    try:
        db = _opened(place)
    except sqlite3.OperationalError:
        State(place, identity=None).close()
        db = _connected(place)
    except sqlite3.Error as exc:
        raise StateError(f"{place} is damaged, or no state of a run ({exc}); give the file of a run") from exc
    try:
        yield db
    except sqlite3.Error as exc:
        raise StateError(f"{place} cannot be read: {exc}; is it the state of a run, and the disk in order?") from exc
    finally:
        db.close()


def _opened(place: Path) -> sqlite3.Connection:
    db = _connected(place)
    try:
        mark = db.execute("PRAGMA application_id").fetchone()[0]
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        db.close()
        raise
    if mark != MARK:
        db.close()
        raise OtherRun(f"{place} is a database, but no state of a run; give the file that --state named")
    return db


def _connected(place: Path) -> sqlite3.Connection:
    name = quote(str(place.absolute()))
    with suppress(OSError):
        name = quote(str(place.resolve()))
    return sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=_PATIENCE, isolation_level=None)
