"""The queue's keys: a job's own, and the number of a request in its lowest bits, so that a job is a range of them."""

import sqlite3

from ..errors import NoSuch

__all__ = ["MOST", "job_of_key", "key_of", "keys_of"]

_BITS = 20  # as the SQL has it, too
MOST = 1 << _BITS  # requests of one job


def key_of(db: sqlite3.Connection, id: str) -> int:
    """Return the job's key; raises NoSuch."""
    row = db.execute("SELECT key FROM job WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise NoSuch(f"there is no job {id}")
    return int(row[0])


def keys_of(job: int) -> tuple[int, int]:
    """Return the first and the last key that requests of a job can have."""
    return job << _BITS, (job + 1 << _BITS) - 1


def job_of_key(key: int) -> int:
    """Return the job of a key."""
    return key >> _BITS
