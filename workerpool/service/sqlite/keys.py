"""By what number the tables know a job."""

import sqlite3

from ..errors import NoSuch

__all__ = ["key_of"]


def key_of(db: sqlite3.Connection, id: str) -> int:
    """Return the job's key; raises NoSuch."""
    row = db.execute("SELECT key FROM job WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise NoSuch(f"there is no job {id}")
    return int(row[0])
