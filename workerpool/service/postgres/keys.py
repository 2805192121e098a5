"""By what number the tables know a job."""

from ..errors import NoSuch
from .link import Connection, first

__all__ = ["key_of"]


async def key_of(db: Connection, id: str) -> int:
    """Return the job's key; raises NoSuch."""
    row = await first(db, "SELECT key FROM job WHERE id = %s", (id,))
    if row is None:
        raise NoSuch(f"there is no job {id}")
    return int(row[0])
