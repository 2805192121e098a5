"""The state of a run in one SQLite file: what is known, what was asked, what became of it, what is written out.

One connection writes, on the run's thread (SQLite before 3.51.3 can damage a log that two write to). What is noted is
written in batches and becomes true with `commit`; a run that is killed goes on from the last one.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time
from typing import Any, Literal, TypeVar
from urllib.parse import urljoin

from ..messages.redirects import REDIRECTS
from ..messages.response import Response
from .entry import Entry
from .errors import OtherRun, StateError
from .item import Item
from .outcome import Attempt, Outcome
from .rounds import begin_round, check_outputs, check_round, returned
from .state_file import MARK, SCHEMA, check_ours, locked, make_private, meaning, remove
from .validators import Validators

__all__ = ["ASKED", "BEFORE", "FAILED", "FETCHED", "QUEUED", "SKIPPED", "State"]

QUEUED, ASKED, FETCHED, FAILED, SKIPPED, BEFORE = range(6)  # the last one: not named in this round so far
T = TypeVar("T")
_STAGES = {"fetched": FETCHED, "failed": FAILED, "skipped": SKIPPED}
_FORMAT = 2
_SAFE_LOG = (3, 51, 3)
_ADD = "INSERT OR IGNORE INTO item (id, url, key, host, priority, stage, more, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_END = """
    UPDATE item SET stage = ?, status = ?, reason = ?, final = ?, ended = ?,
        place = ?, digest = ?, captured = ?, etag = ?, modified = ?
    WHERE id = ?
"""
_TRY = "INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_AGAIN = "UPDATE item SET url = ?, key = ?, host = ?, priority = ?, stage = ?, more = ?, reason = ? WHERE id = ?"
_WAITING = """
    SELECT id, url, more, EXISTS (SELECT 1 FROM attempt WHERE item = id), digest, place, captured, etag, modified
    FROM item
    WHERE stage = 0 AND host = ? ORDER BY priority DESC, id LIMIT ?
"""
_WAY = "SELECT more FROM item WHERE key = ? AND stage = 4 AND reason = 'duplicate'"
_RECALL = "UPDATE item SET stage = 0 WHERE stage = 5 AND digest IS NOT NULL"
_LEFT = "SELECT count(*) FROM item WHERE stage = 5 AND digest IS NOT NULL"

Mode = Literal["continue", "resume", "restart"]


class State:
    """Keep a run's state. Of the run's thread only; `close` it.

    `identity` says what the run is: its input, its outputs, the options that change what comes out. A file that
    belongs to another one is refused; with None it may be any. `mode` is "continue" where there is a state and begin
    where there is none, "resume" to demand one, or "restart" to begin anew. With `since_last` a run that is complete is
    begun once more, as a round over the same inputs, in which items keep their numbers and what was kept to ask by.
    Raises StateError.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        identity: Mapping[str, str] | None,
        mode: Mode = "continue",
        since_last: bool = False,
    ) -> None:
        self._path = Path(path)
        self._begun: dict[int, None] = {}  # in their order
        self._put_back: list[tuple[int]] = []
        self._ended: list[tuple[Any, ...]] = []
        self._tries: list[tuple[Any, ...]] = []
        self._known = self._waiting = 0
        self._has_before = False  # whether items of the round before are left
        self._tells_changes = False
        if mode == "resume" and not self._path.exists():
            raise OtherRun(f"{self._path}: there is no state to resume; leave out --resume to begin")
        self._lock = locked(self._path)
        try:
            if mode == "restart":
                check_ours(self._path)
                remove(self._path)
            make_private(self._path)
            with self._told():
                self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        except BaseException:
            self._lock.close()
            raise
        try:
            with self._told():
                self._begin(identity, since_last=since_last)
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

    @property
    def tells_changes(self) -> bool:
        """Whether the run is one of several rounds, each of which tells what has changed since the one before."""
        return bool(self._get("since last"))

    def positions(self) -> list[Any]:
        """Return the positions of the sinks at the last commit."""
        return list(self._get("positions") or ())

    def add(self, items: Iterable[tuple[Item, str, bytes | None, str | None]]) -> list[int]:
        """Note items with their host, the key that tells known ones, and the reason for which one is skipped.

        Returns the indices of those that were not known.
        """
        new: list[int] = []
        rows: list[tuple[Any, ...]] = []  # of items without a key, which are all new
        with self._told():
            for item, host, key, reason in items:
                stage = QUEUED if reason is None else SKIPPED
                about = (item.url, key, host, item.priority, stage, _packed(item), reason)
                index = returned(self._db, item, key) if self._has_before else None
                if index is not None:
                    self._db.execute(_AGAIN, (*about, index))
                elif key is None:
                    rows.append((self._known, *about))
                elif not self._db.execute(_ADD, (self._known, *about)).rowcount:
                    continue
                new.append(self._known if index is None else index)
                self._known += index is None
                self._waiting += stage == QUEUED
            self._db.executemany(_ADD, rows)
        return new

    def recall(self) -> int:
        """Have those wait, too, that were fetched before and that nothing has named in this round; return how many."""
        with self._told():
            number = self._db.execute(_RECALL).rowcount if self._has_before else 0
        self._waiting += number
        return number

    def left(self) -> int:
        """Return how many of those that were fetched before nothing has named in this round."""
        with self._told():
            return int(self._db.execute(_LEFT).fetchone()[0]) if self._has_before else 0

    def knows(self, key: bytes) -> bool:
        """Whether there is an item of that key."""
        query = "SELECT 1 FROM item WHERE key = ? AND stage != 5"
        with self._told():
            return self._db.execute(query, (key,)).fetchone() is not None

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

    def end(self, outcome: Outcome) -> None:
        """Note what became of an item that was begun. True with the next commit."""
        self._begun.pop(outcome.index, None)  # that it was asked for is told by what became of it
        status, final = (None, None) if outcome.response is None else _facts(outcome.response)
        stage, kept = _STAGES[outcome.verdict], _kept(outcome)
        self._ended.append((stage, status, outcome.reason, final, time(), *kept, outcome.index))
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
                Entry(
                    index,
                    _unpacked(url, more),
                    self._attempts(index) if tried else (),
                    self._before(url, *kept),
                    host=host,
                )
                for index, url, more, tried, *kept in rows
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
            self._put("earlier outputs", [*outputs, self.identity.get("outputs", "")])
            self._put("round", self._get("round") or self.identity)
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

    def _begin(self, identity: Mapping[str, str] | None, *, since_last: bool) -> None:
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
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            self._put("format", _FORMAT)
            self._put("identity", dict(identity or {}))
            self._put("created", time())
            self._put("since last", since_last)
        elif since_last:
            self._begin_round(dict(identity or {}))
        self._check(self.identity if identity is None else identity)
        self._interrupted()
        self._tells_changes = self.tells_changes
        self._has_before = db.execute("SELECT 1 FROM item WHERE stage = 5 LIMIT 1").fetchone() is not None
        self._known = db.execute("SELECT ifnull(max(id) + 1, 0) FROM item").fetchone()[0]
        self._waiting = db.execute("SELECT count(*) FROM item WHERE stage = 0").fetchone()[0]
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")

    def _begin_round(self, identity: dict[str, str]) -> None:
        before = self.identity
        if not self.complete:
            if before == identity and self.tells_changes:
                return
            raise OtherRun(
                f"{self._path} is of a run that has not come to its end; go on with that, by the options that it had,"
                " before --since last"
            )
        outputs = [*self.earlier_outputs, before.get("outputs", "")]
        check_round(self._path, self._get("round") or before, identity)
        check_outputs(outputs, identity, "--since last")
        begin_round(self._db)
        for name, value in {
            "identity": identity, "round": identity, "earlier outputs": outputs, "positions": [], "complete": False,
            "input": None, "input ended": False, "asked again": 0.0, "since last": True,
        }.items():  # fmt: skip
            self._put(name, value)

    def _before(self, url: str, digest: str | None, place: str | None, *kept: Any) -> Validators | None:
        """Return what the round before has kept; nothing where changes are not to be told."""
        if digest is None or not self._tells_changes:
            return None
        captured, etag, modified = kept
        return Validators(url=place or url, digest=digest, captured=captured, etag=etag, modified=modified)

    def _check(self, identity: Mapping[str, str]) -> None:
        if (found := self._get("format")) != _FORMAT:
            age = "a newer" if isinstance(found, int) and found > _FORMAT else "another"
            raise StateError(
                f"{self._path} is of {age} version of workerpool; finish it there, or begin anew with --restart"
            )
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
            raise StateError(f"{self._path}: {meaning(exc)}") from exc


def _facts(answer: Response) -> tuple[int, str]:
    final = answer.url
    if answer.status_code in REDIRECTS and "Location" in answer.headers:  # that is not followed
        with suppress(ValueError):
            final = urljoin(final, answer.headers["Location"])
    return answer.status_code, final


def _kept(outcome: Outcome) -> tuple[Any, ...]:
    found = outcome.validators
    if found is None:
        return (None,) * 5
    place = None if found.url == outcome.url else found.url
    return place, found.digest, found.captured, found.etag, found.modified


def _packed(item: Item) -> str | None:
    found = item.as_dict()
    return json.dumps(found) if found else None


def _unpacked(url: str, more: str | None) -> Item:
    return Item.from_dict(url, json.loads(more)) if more else Item(url=url)
