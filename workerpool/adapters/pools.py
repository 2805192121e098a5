"""What every adapter is given: a pool, or the name of one, and perhaps a lane of it."""

from ..caller.pool import WorkerPool
from ..caller.registry import get_pool
from ..caller.session import LaneView
from ..errors import PoolClosed
from ..lane import Lane

__all__ = ["Client", "as_sent", "checked_lane", "checked_pool", "client_of", "has_secrets", "pool_of", "taken_back"]

Client = LaneView | WorkerPool  # what to send by


def checked_pool(pool: object, adapter: str) -> WorkerPool | str:
    """Return what was given, None as the name "default"; raises TypeError for what is no pool and no name."""
    if pool is None:
        return "default"
    if isinstance(pool, WorkerPool) or (isinstance(pool, str) and pool):
        return pool
    if isinstance(pool, LaneView):
        raise TypeError(f"{adapter} takes the pool and the name of its lane: {adapter}(pool, {pool.name!r})")
    raise TypeError(f"{adapter} takes a WorkerPool, or the name of one (a str), not {type(pool).__name__}")


def checked_lane(lane: object) -> str | None:
    """Return what was given; raises TypeError for what is no name."""
    if isinstance(lane, str | None):
        return lane
    raise TypeError(f"lane is the name of a lane (a str), not {type(lane).__name__}")


def pool_of(pool: WorkerPool | str) -> WorkerPool:
    """Return the pool; that of a name is made at its first use."""
    return get_pool(pool) if isinstance(pool, str) else pool


def client_of(pool: WorkerPool | str, lane: str | None) -> Client:
    """Return what to send by; the pool of a name is made at its first use. Raises InvalidRequest for no such lane."""
    found = pool_of(pool)
    return found if lane is None else found.lane(lane)


def has_secrets(lane: Lane) -> bool:
    """Whether the lane adds what must not follow a redirect to another origin."""
    return bool(lane.own_headers or lane.cookies)


def taken_back() -> PoolClosed:
    """Return the error for a request that a shutdown has cancelled: other libraries know no such outcome."""
    return PoolClosed("the pool was shut down, and took back what had not been sent yet")


def as_sent(value: bytes) -> str:
    """Return the str that goes out as these bytes: text goes out as UTF-8. Other bytes are taken for latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
