"""The state of a run in one SQLite file: what is known, what was asked, what became of it, what is written out.

One connection writes, on the run's thread (SQLite before 3.51.3 can damage a log that two write to). What is noted is
written in batches and becomes true with `commit`; a run that is killed goes on from the last one.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time
from typing import IO, Any, Literal, TypeVar
from urllib.parse import urljoin

from ..messages.redirects import REDIRECTS
from ..messages.response import Response
from .entry import Entry
from .errors import OtherRun, StateError
from .item import Item
from .outcome import Attempt, Outcome

__all__ = ["ASKED", "FAILED", "FETCHED", "MARK", "QUEUED", "SKIPPED", "State"]

QUEUED, ASKED, FETCHED, FAILED, SKIPPED = range(5)
T = TypeVar("T")
_STAGES = {"fetched": FETCHED, "failed": FAILED, "skipped": SKIPPED}
MARK = 0x77706C73  # SQLite's application_id: a state file of ours, and no other database
_FORMAT = 1
_SAFE_LOG = (3, 51, 3)
_SCHEMA = """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
    CREATE TABLE item (
        id INTEGER PRIMARY KEY, url TEXT NOT NULL, key BLOB, host TEXT NOT NULL, priority INTEGER NOT NULL,
        stage INTEGER NOT NULL, more TEXT, status INTEGER, reason TEXT, final TEXT, ended REAL,
        etag TEXT, modified TEXT, digest TEXT
    );
    CREATE UNIQUE INDEX known ON item (key) WHERE key IS NOT NULL;
    CREATE INDEX waiting ON item (host, priority DESC, id) WHERE stage = 0;
    CREATE INDEX asked ON item (id) WHERE stage = 1;
    CREATE TABLE attempt (
        item INTEGER, number INTEGER, started REAL, waited REAL, took REAL, status INTEGER,
        error TEXT, stage TEXT, message TEXT, PRIMARY KEY (item, number)
    ) WITHOUT ROWID;
"""
_ADD = "INSERT OR IGNORE INTO item (id, url, key, host, priority, stage, more, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_END = """
    UPDATE item SET stage = ?, status = ?, reason = ?, final = ?, ended = ?, etag = ?, modified = ?, digest = ?
    WHERE id = ?
"""
_TRY = "INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_WAITING = """
    SELECT id, url, more, EXISTS (SELECT 1 FROM attempt WHERE item = id) FROM item
    WHERE stage = 0 AND host = ? ORDER BY priority DESC, id LIMIT ?
"""
_WAY = "SELECT more FROM item WHERE key = ? AND stage = 4 AND reason = 'duplicate'"
_COUNTS = "SELECT stage, count(*) FROM item GROUP BY stage"

Mode = Literal["continue", "resume", "restart"]


class State:
    """Keep a run's state. Of the run's thread only; `close` it.

    `identity` says what the run is: its input, its outputs, the options that change what comes out. A file that
    belongs to another one is refused; with None it may be any. `mode` is "continue" where there is a state and begin
    where there is none, "resume" to demand one, or "restart" to begin anew. Raises StateError.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, identity: Mapping[str, str] | None, mode: Mode = "continue"
    ) -> None:
        self._path = Path(path)
        self._begun: dict[int, None] = {}  # in their order
        self._put_back: list[tuple[int]] = []
        self._ended: list[tuple[Any, ...]] = []
        self._tries: list[tuple[Any, ...]] = []
        self._known = self._waiting = 0
        if mode == "resume" and not self._path.exists():
            raise OtherRun(f"{self._path}: there is no state to resume; leave out --resume to begin")
        self._lock = _locked(self._path)
        try:
            if mode == "restart":
                _check_ours(self._path)
                _remove(self._path)
            with self._told():
                self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        except BaseException:
            self._lock.close()
            raise
        try:
            with self._told():
                self._begin(identity)
        except BaseException:
            self.close()
            raise

    @property
    def known(self) -> int:
        """How many items there are: the next one's index."""
        return self._known

    @property
    def waiting(self) -> int:
        """How many items wait to be asked for."""
        return self._waiting

    @property
    def identity(self) -> dict[str, str]:
        """What the run is."""
        return dict(self._get("identity") or {})

    @property
    def earlier_outputs(self) -> list[str]:
        """The outputs of the run before it asked again, as its identity named them."""
        return list(self._get("earlier outputs") or ())

    @property
    def complete(self) -> bool:
        """Whether the run has come to its end, its outputs closed."""
        return bool(self._get("complete"))

    @property
    def input_mark(self) -> Any:
        """How far the input was read at the last commit; None at its beginning."""
        return self._get("input")

    @property
    def input_ended(self) -> bool:
        """Whether the input was read to its end."""
        return bool(self._get("input ended"))

    @property
    def asked_again(self) -> float:
        """When the run began to ask once more for what had its outcome already, since the epoch; 0 if it did not."""
        return float(self._get("asked again") or 0.0)

    def positions(self) -> list[Any]:
        """Return the positions of the sinks at the last commit."""
        return list(self._get("positions") or ())

    def counts(self) -> dict[int, int]:
        """Return how many items are at each stage."""
        with self._told():
            self._write()
            return dict(self._db.execute(_COUNTS).fetchall())

    def add(self, items: Iterable[tuple[Item, str, bytes | None, str | None]]) -> list[int]:
        """Note items with their host, the key that tells known ones, and the reason for which one is skipped.

        Returns the indices of those that were not known.
        """
        new: list[int] = []
        rows: list[tuple[Any, ...]] = []  # of items without a key, which are all new
        with self._told():
            for item, host, key, reason in items:
                stage = QUEUED if reason is None else SKIPPED
                row = (self._known, item.url, key, host, item.priority, stage, _packed(item), reason)
                if key is None:
                    rows.append(row)
                elif not self._db.execute(_ADD, row).rowcount:
                    continue
                new.append(self._known)
                self._known += 1
                self._waiting += stage == QUEUED
            self._db.executemany(_ADD, rows)
        return new

    def knows(self, key: bytes) -> bool:
        """Whether there is an item of that key."""
        with self._told():
            return self._db.execute("SELECT 1 FROM item WHERE key = ?", (key,)).fetchone() is not None

    def way_from(self, key: bytes) -> str | None:
        """Return the URL whose redirect has made this key known; None where it is an item by itself."""
        with self._told():
            row = self._db.execute(_WAY, (key,)).fetchone()
        parent = None if row is None or row[0] is None else json.loads(row[0]).get("parent")
        return None if parent is None else str(parent)

    def begin(self, index: int) -> None:
        """Note that an item is asked for, once for each. True with the next commit."""
        self._begun[index] = None
        self._waiting -= 1

    def put_back(self, index: int) -> None:
        """Note that an item that was begun has not been sent, and waits again. True with the next commit."""
        if index in self._begun:  # since the last time that all was written
            del self._begun[index]
        else:
            self._put_back.append((index,))
        self._waiting += 1

    def end(self, outcome: Outcome, digest: str | None = None) -> None:
        """Note what became of an item that was begun. True with the next commit."""
        self._begun.pop(outcome.index, None)  # that it was asked for is told by what became of it
        found = (None,) * 4 if outcome.response is None else _facts(outcome.response)
        status, final, etag, modified = found
        self._ended.append(
            (_STAGES[outcome.verdict], status, outcome.reason, final, time(), etag, modified, digest, outcome.index)
        )
        for number, each in enumerate(outcome.attempts, 1):
            self._tries.append((
                outcome.index, number, each.started, each.waited, each.took, each.status, each.error, each.stage,
                each.message,
            ))  # fmt: skip

    def waiting_of(self, host: str, limit: int) -> list[Entry]:
        """Return what waits at a host: the highest priority first, then in the order of the input."""
        with self._told():
            self._write()
            rows = self._db.execute(_WAITING, (host, limit)).fetchall()
            return [
                Entry(index, _unpacked(url, more), self._attempts(index) if tried else (), host=host)
                for index, url, more, tried in rows
            ]

    def hosts(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return hosts at which something waits, in the order of their names, after this one."""
        found: list[str] = []
        with self._told():
            self._write()
            while len(found) < limit:
                row = self._db.execute("SELECT min(host) FROM item WHERE stage = 0 AND host > ?", (after,)).fetchone()
                if row[0] is None:
                    break
                found.append(after := row[0])
        return found

    def commit(self, positions: Iterable[Mapping[str, int]], mark: Any, *, input_ended: bool) -> None:
        """Make what was noted true, with how far the outputs are written and the input is read."""
        with self._told():
            self._write()
            self._put("positions", [dict(each) for each in positions])
            self._put("input", mark)
            self._put("input ended", input_ended)
            self._db.execute("COMMIT")
            self._db.execute("BEGIN IMMEDIATE")

    def ask_again(self, reasons: Collection[str], *, errors: bool, identity: Mapping[str, str]) -> int:
        """Have those wait again that ended for one of these reasons, or with `errors` by any error; return how many.

        The run is another one from now on, with outputs of its own: `identity` says which. What was tried stays known.
        """
        marks = ", ".join("?" * len(reasons))
        where = f"(stage IN (2, 3, 4) AND reason IN ({marks}))" + (" OR stage = 3" if errors else "")
        with self._told():
            number = self._db.execute(
                f"UPDATE item SET stage = 0, reason = NULL WHERE {where}", tuple(reasons)
            ).rowcount
            outputs = self._get("earlier outputs") or []
            self._put("earlier outputs", [*outputs, (self._get("identity") or {}).get("outputs", "")])
            self._put("identity", dict(identity))
            self._put("positions", [])
            self._put("complete", False)
            self._put("asked again", time())
            self._db.execute("COMMIT")
            self._db.execute("BEGIN IMMEDIATE")
        self._waiting += number
        return number

    def finish(self) -> None:
        """Note that the run has come to its end, its outputs closed."""
        with self._told():
            self._put("complete", True)
            self._db.execute("COMMIT")
            self._db.execute("BEGIN IMMEDIATE")

    def read(self, reader: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a reader finds, what was noted and is not committed yet included."""
        with self._told():
            self._write()
            return reader(self._db)

    def close(self) -> None:
        """Let go of the file; what was not committed is forgotten. Repeatable."""
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        self._db.close()
        self._lock.close()

    def _begin(self, identity: Mapping[str, str] | None) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = NORMAL")
        is_new = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if is_new and identity is None:
            raise OtherRun(f"{self._path}: no run has begun in it; run the command that is to have this state")
        if is_new:  # before there is a log, in which the file's own head would not have it
            db.execute(f"PRAGMA application_id = {MARK}")
        elif db.execute("PRAGMA application_id").fetchone()[0] != MARK:
            raise StateError(f"{self._path} is a database, but no state of a run; give another file")
        db.execute(f"PRAGMA journal_mode = {'WAL' if sqlite3.sqlite_version_info >= _SAFE_LOG else 'TRUNCATE'}")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        if is_new:  # all in one transaction: a run that is killed here has begun, or has not
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            self._put("format", _FORMAT)
            self._put("identity", dict(identity or {}))
            self._put("created", time())
        self._check(self.identity if identity is None else identity)
        self._interrupted()
        self._known = db.execute("SELECT ifnull(max(id) + 1, 0) FROM item").fetchone()[0]
        self._waiting = db.execute("SELECT count(*) FROM item WHERE stage = 0").fetchone()[0]
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")

    def _check(self, identity: Mapping[str, str]) -> None:
        if self._get("format") != _FORMAT:
            raise StateError(f"{self._path} is of another version of workerpool; finish it there, or begin anew")
        before = self.identity
        for name in sorted({*before, *identity}):
            if before.get(name) != identity.get(name):
                was, now = before.get(name, "not there"), identity.get(name, "not there")
                raise OtherRun(
                    f"{self._path} belongs to another run: its {name} was {was}, now it is {now}; give what it was,"
                    " another state file, or --restart to begin anew"
                )

    def _interrupted(self) -> None:
        """Have what was in flight asked again, and count it as one more attempt."""
        for (index,) in self._db.execute("SELECT id FROM item WHERE stage = 1").fetchall():
            number = self._db.execute("SELECT count(*) + 1 FROM attempt WHERE item = ?", (index,)).fetchone()[0]
            row = (index, number, None, None, None, None, "Interrupted", "", "the run was stopped while it was asked")
            self._db.execute(_TRY, row)
        self._db.execute("UPDATE item SET stage = 0 WHERE stage = 1")

    def _attempts(self, index: int) -> list[Attempt]:
        rows = self._db.execute(
            "SELECT started, waited, took, status, error, stage, message FROM attempt WHERE item = ? ORDER BY number",
            (index,),
        )
        return [
            Attempt(started=row[0] or 0.0, waited=row[1] or 0.0, took=row[2] or 0.0, status=row[3], error=row[4],
                    stage=row[5], message=row[6])
            for row in rows
        ]  # fmt: skip

    def _write(self) -> None:
        if self._begun:
            self._db.executemany("UPDATE item SET stage = 1 WHERE id = ?", [(index,) for index in self._begun])
            self._begun = {}
        if self._put_back:
            self._db.executemany("UPDATE item SET stage = 0 WHERE id = ?", self._put_back)
            self._put_back = []
        if self._tries:
            self._db.executemany(_TRY, self._tries)
            self._tries = []
        if self._ended:
            self._db.executemany(_END, self._ended)
            self._ended = []

    def _get(self, name: str) -> Any:
        with self._told():
            row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def _put(self, name: str, value: Any) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, json.dumps(value)))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what SQLite's errors mean for the run."""
        try:
            yield
        except sqlite3.Error as exc:
            raise StateError(f"{self._path}: {_meaning(exc)}") from exc


def _facts(answer: Response) -> tuple[int, str, str | None, str | None]:
    headers, final = answer.headers, answer.url
    if answer.status_code in REDIRECTS and "Location" in headers:  # that is not followed
        with suppress(ValueError):
            final = urljoin(final, headers["Location"])
    return answer.status_code, final, headers.get("ETag"), headers.get("Last-Modified")


def _meaning(exc: sqlite3.Error) -> str:
    text = str(exc)
    if "full" in text:
        return "the disk is full; free some of it and run the same again: what was committed is safe"
    if "readonly" in text or "unable to open" in text:
        return f"it cannot be written ({text}); give a file in a folder that can"
    if "locked" in text or "busy" in text:
        return "another program keeps it locked; end that, or give another state file"
    if isinstance(exc, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text):
        return f"it is damaged, or no state of a run ({text}); restore a copy, or begin anew with --restart"
    return f"SQLite says: {text}"


def _locked(path: Path) -> IO[str]:
    """Open the lock beside the state, so that no two runs have it. It is left there: to remove it would be a race."""
    place = path.with_name(path.name + ".lock")
    try:
        lock = place.open("w")
    except OSError as exc:
        raise StateError(f"{place}: it cannot be written ({exc.strerror}); give a file in a folder that can") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock.close()
        raise StateError(f"{path} is in use by another run; wait for its end, or give another state file") from exc
    return lock


def _check_ours(path: Path) -> None:
    """Raise StateError for a file that is no state, damaged or not: it may be somebody's work."""
    try:
        with path.open("rb") as file:
            head = file.read(72)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise StateError(f"{path} cannot be read ({exc.strerror}); give another file") from exc
    if head and not (head.startswith(b"SQLite format 3\0") and head[68:] == MARK.to_bytes(4, "big")):
        raise StateError(f"{path} is no state of a run, so it is not removed; give another file")


def _remove(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.remove(f"{path}{suffix}")


def _packed(item: Item) -> str | None:
    found = item.as_dict()
    return json.dumps(found) if found else None


def _unpacked(url: str, more: str | None) -> Item:
    return Item.from_dict(url, json.loads(more)) if more else Item(url=url)
