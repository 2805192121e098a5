"""The file itself: locked, opened, checked, brought to the present version; and SQLite's errors in words."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ..errors import ServiceError, StoreDown, StoreRefused
from .schema import MARK, MIGRATIONS, VERSION

__all__ = ["CONSTRAINT", "Turn", "connect", "has_log", "lock", "open_writing", "told"]

CONSTRAINT = sqlite3.IntegrityError
_PATIENCE = 10.0  # seconds that one connection waits for another one's lock
_CACHE = -16_384  # KiB
_JOURNAL = 64 * 2**20  # bytes of it that stay on the disk: to make it anew each time takes twice as long
_CHECKPOINT = 4000  # pages in the log from which on a commit takes them over into the file


def has_log(db: sqlite3.Connection) -> bool:
    """Whether the file has a write-ahead log: readers and the writer do not wait for each other then.

    Where its file system cannot share memory (over a network) it has a journal instead.
    """
    mode: str = db.execute("PRAGMA journal_mode").fetchone()[0]
    return mode == "wal"


def lock(path: Path) -> IO[str]:
    """Take the lock beside the file, so that no two services have it; it is left there: removing it would be a race."""
    place = path.with_name(path.name + ".lock")
    try:
        file = place.open("w")
    except OSError as exc:
        raise StoreRefused(f"{place} cannot be written ({exc.strerror}); give a database in a folder that can") from exc
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        file.close()
        raise StoreRefused(f"{path} is in use by another service; stop that, or give another --database") from exc
    return file


class Turn:
    """The right to write to the file, and to take its log over into it: of one process at a time, by a lock beside it.

    A service has it for each transaction, and so has whoever writes a token while a service has the file. SQLite's own
    lock lets one write while another takes the log over, which before 3.51.3 can damage it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.with_name(path.name + ".turn").open("w")

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *exc_info: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the lock's file."""
        self._file.close()


def open_writing(path: Path) -> sqlite3.Connection:
    """Open the file for the one connection that writes, made or brought to the present version."""
    _check_writable(path)
    try:
        db = connect(path)
    except sqlite3.Error as exc:
        raise StoreRefused(f"{path}: {_meaning(exc)}") from exc
    try:
        _prepare(db, path)
    except sqlite3.Error as exc:
        db.close()
        raise StoreRefused(f"{path}: {_meaning(exc)}") from exc
    except BaseException:
        db.close()
        raise
    return db


def _check_writable(path: Path) -> None:
    """Refuse a file that may only be read, before SQLite makes files beside it that may only be read, too."""
    try:
        path.open("r+b").close()
    except FileNotFoundError:
        return
    except OSError as exc:
        raise StoreRefused(
            f"{path}: it cannot be written ({exc.strerror}); mend the folder's rights or the disk, or give another"
            " --database"
        ) from exc


def connect(path: Path, *, reading: bool = False) -> sqlite3.Connection:
    """Make a connection; one that reads cannot write."""
    db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=256)
    db.execute(f"PRAGMA cache_size = {_CACHE if not reading else _CACHE // 4}")
    if reading:
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA wal_autocheckpoint = 0")
    return db


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Say what SQLite's errors mean for whoever asks."""
    try:
        yield
    except sqlite3.Error as exc:
        raise StoreDown(f"{path}: {_meaning(exc)}") from exc


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    is_new = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if is_new:  # before there is a log, in which the file's own head would not have it
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute(f"PRAGMA application_id = {MARK}")
    elif db.execute("PRAGMA application_id").fetchone()[0] != MARK:
        raise StoreRefused(f"{path} is a database, but none of the service's; give another --database")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise StoreRefused(
            f"{path} was written by a newer version of workerpool (its tables are of version {version}, this knows"
            f" {VERSION}); install that version, or give another --database"
        )
    # SQLite before 3.51.3 can damage a log that two connections write to, or take over into the file, at a time. Here
    # one does at a time: the lock keeps other services away, `Turn` whoever else writes; readers do neither.
    db.execute("PRAGMA journal_mode = WAL")
    if not has_log(db):
        db.execute("PRAGMA journal_mode = PERSIST")
    db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
    db.execute(f"PRAGMA journal_size_limit = {_JOURNAL}")
    db.execute("PRAGMA synchronous = FULL")
    _migrate(db, version)


def _migrate(db: sqlite3.Connection, version: int) -> None:
    db.execute("BEGIN IMMEDIATE")  # all in one transaction: the file is of one version or of the other
    for migration in MIGRATIONS[version:]:
        for statement in migration.split(";"):
            db.execute(statement)
    if version < VERSION:
        db.execute(f"PRAGMA user_version = {VERSION}")
    _take_over(db)
    db.execute("COMMIT")


def _take_over(db: sqlite3.Connection) -> None:
    """Have what a predecessor held given out again, and what it did not finish storing forgotten: it is gone."""
    db.execute("UPDATE queue SET stage = 1 WHERE stage = 2")
    db.execute("UPDATE job SET running = 0 WHERE running > 0")
    db.execute("UPDATE delivery SET owner = NULL, until = NULL WHERE owner IS NOT NULL")
    db.execute("DELETE FROM request WHERE job IN (SELECT job FROM draft)")
    db.execute("DELETE FROM draft")


def _meaning(exc: sqlite3.Error) -> str:
    text = str(exc)
    if "full" in text:
        return "the disk is full; free some of it: what was accepted is safe"
    if "readonly" in text or "unable to open" in text or "disk I/O" in text:
        return f"it cannot be written ({text}); mend the folder's rights or the disk, or give another --database"
    if "locked" in text or "busy" in text:
        return "another program keeps it locked; end that"
    if isinstance(exc, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text):
        return f"it is damaged, or no database ({text}); restore a backup, or give another --database"
    return f"SQLite says: {text}"


def close_quietly(db: sqlite3.Connection) -> None:
    """Close a connection, whatever is wrong with it."""
    with suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute("ROLLBACK")
    with suppress(sqlite3.Error):
        db.close()


def is_refusal(exc: BaseException) -> bool:
    """Whether it is an answer to one caller, and nothing wrong with the file."""
    return isinstance(exc, ServiceError | ValueError)


def size_of(path: Path) -> int:
    """Return the bytes that the file takes."""
    return sum(os.path.getsize(f"{path}{end}") for end in ("", "-wal") if os.path.exists(f"{path}{end}"))
