"""The checks of what a pool is made with: how many workers, which lanes, and where it cannot be."""

import os
import sys
from collections.abc import Iterable
from math import inf

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment,unused-ignore]

from ..errors import InvalidRequest, WorkerPoolError
from ..lane import Lane

__all__ = [
    "check_threads",
    "checked_lanes",
    "checked_name",
    "checked_patience",
    "checked_workers",
    "default_workers",
]

_MOST = 1024  # workers; a slip of the pen would take all memory before the system refuses
_FILES = 5  # that each worker has open, before any connection


def default_workers() -> int:
    """Return how many workers pay off: one per core without the GIL, one with it (see docs/performance.md)."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return 1 if gil else os.cpu_count() or 1


def checked_workers(workers: int | None) -> int:
    if workers is None:
        return default_workers()
    if isinstance(workers, bool) or not isinstance(workers, int):
        raise InvalidRequest(f"workers must be a whole number, not {type(workers).__name__}")
    if workers < 1:
        raise InvalidRequest("workers must be at least 1")
    limit = _open_files()
    if limit is not None and workers * _FILES > limit:
        raise InvalidRequest(f"workers: each needs {_FILES} open files, and this process may have {limit} (ulimit -n)")
    if workers > _MOST:
        raise InvalidRequest(f"workers must be at most {_MOST}, a thread each; for more requests at once, connections=")
    return workers


def _open_files() -> int | None:
    """Return how many files this process may have open, None where the system sets no limit or does not tell."""
    if resource is None:
        return None
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def check_threads() -> None:
    """Refuse to start where gevent has replaced the threads: a call would wait for a loop that is never run."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        raise WorkerPoolError(
            "gevent has patched the threads of this process (monkey.patch_all), and a pool needs real ones;"
            " patch with thread=False, or run under real threads (gunicorn: --worker-class gthread)"
        )


def checked_name(name: object) -> str:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise InvalidRequest("name must be a str that can be printed and is not empty")
    return name


def checked_patience(slow_callback: float | None) -> float | None:
    usable = isinstance(slow_callback, int | float) and not isinstance(slow_callback, bool)
    if slow_callback is None or (usable and 0 < slow_callback < inf):
        return slow_callback
    raise InvalidRequest("slow_callback must be more than 0 seconds, or None for no watch")


def _listed(lanes: Iterable[Lane]) -> list[Lane]:
    try:
        return list(lanes)
    except Exception as exc:
        raise InvalidRequest(f"lanes cannot be read: {type(exc).__name__}") from exc


def checked_lanes(default: Lane, lanes: Iterable[Lane]) -> list[Lane]:
    found = {default.name: default}
    if isinstance(lanes, Lane | str | bytes) or not isinstance(lanes, Iterable):
        raise InvalidRequest(f"lanes takes a list of Lane objects, not {type(lanes).__name__}: lanes=[Lane(...)]")
    for lane in _listed(lanes):
        if not isinstance(lane, Lane):
            raise InvalidRequest(f"lanes takes Lane objects, not {type(lane).__name__}")
        if lane.name in found:
            raise InvalidRequest(f"two lanes are named {lane.name!r}; the default lane is set by the pool's keywords")
        if lane.event_loop not in ("auto", default.event_loop):
            raise InvalidRequest(f"lane {lane.name!r}: the workers have one event loop; set event_loop on the pool")
        found[lane.name] = lane
    return list(found.values())
