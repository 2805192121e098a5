"""The file of a state: its tables, the lock beside it, and what SQLite's errors mean."""

import fcntl
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import IO

from .errors import StateError

__all__ = ["MARK", "SCHEMA", "check_ours", "locked", "make_private", "meaning", "remove"]

MARK = 0x77706C73  # SQLite's application_id: a state file of ours, and no other database
SCHEMA = """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
    CREATE TABLE item (
        id INTEGER PRIMARY KEY, url TEXT NOT NULL, key BLOB, host TEXT NOT NULL, priority INTEGER NOT NULL,
        stage INTEGER NOT NULL, more TEXT, status INTEGER, reason TEXT, final TEXT, ended REAL,
        place TEXT, digest TEXT, captured REAL, etag TEXT, modified TEXT
    );
    CREATE UNIQUE INDEX known ON item (key) WHERE key IS NOT NULL;
    CREATE INDEX waiting ON item (host, priority DESC, id) WHERE stage = 0;
    CREATE INDEX asked ON item (id) WHERE stage = 1;
    CREATE TABLE attempt (
        item INTEGER, number INTEGER, started REAL, waited REAL, took REAL, status INTEGER,
        error TEXT, stage TEXT, message TEXT, PRIMARY KEY (item, number)
    ) WITHOUT ROWID;
"""
_MEANINGS = {  # what SQLite's errors mean for a run, by words in them
    "full": "the disk is full; free some of it and run the same again: what was committed is safe",
    "I/O error": "the disk refuses ({}); is it full, gone, or over a quota? Mend that and run the same again: what was"
    " committed is safe",
    "readonly": "it cannot be written ({}); give a file in a folder that can",
    "unable to open": "it cannot be written ({}); give a file in a folder that can",
    "locked": "another program keeps it locked; end that, or give another state file",
    "busy": "another program keeps it locked; end that, or give another state file",
    "malformed": "it is damaged ({}); restore a copy, or begin anew with --restart",
    "not a database": "it is damaged, or no state of a run ({}); restore a copy, or remove it to begin anew",
}


def meaning(exc: sqlite3.Error) -> str:
    """Return what an error of SQLite means for the run, and the cure."""
    text = str(exc)
    if getattr(exc, "sqlite_errorname", "") == "SQLITE_READONLY_DBMOVED":
        return "it was moved or removed while it was written; put it back, or begin the run anew (--restart)"
    for part, told in _MEANINGS.items():
        if part in text:
            return told.format(text)
    return f"SQLite says: {text}"


def make_private(path: Path) -> None:
    """Make the file, if there is none, so that its owner alone may read it: it holds what requests are made of.

    One that is there is not opened: to close it would give up what SQLite has locked of it in this process.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as exc:
        raise StateError(f"{path}: it cannot be written ({exc.strerror}); give a file in a folder that can") from exc


def locked(path: Path) -> IO[str]:
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


def check_ours(path: Path) -> None:
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


def remove(path: Path) -> None:
    """Remove a state, and what SQLite has put beside it."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.remove(f"{path}{suffix}")
