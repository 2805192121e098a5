"""Every session of the process over the pool, for code that cannot be touched."""

from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any

import requests

from ...pool import WorkerPool
from .adapter import PoolAdapter

__all__ = ["install", "uninstall"]

_lock = Lock()
_original: Callable[..., None] | None = None


def install(
    adapter: PoolAdapter | WorkerPool | str | None = None,
    lane: str | None = None,
    *,
    pool: WorkerPool | str | None = None,
) -> None:
    """Mount the pool on every requests.Session made from now on: each gets an adapter of its own. Repeatable.

    Takes what PoolAdapter takes, or a PoolAdapter, of which each session gets a copy: they share its pool and
    connections, and what is set on one of them is set there only. What a program mounts itself comes after that, and
    counts.
    """
    global _original
    model = _model(adapter, lane, pool)
    uninstall()
    with _lock:
        original = _original = requests.Session.__init__

        @wraps(original)
        def init(self: requests.Session, *args: Any, **options: Any) -> None:
            original(self, *args, **options)
            self.mount("https://", model.copy())
            self.mount("http://", model.copy())

        requests.Session.__init__ = init  # type: ignore[method-assign]


def _model(adapter: object, lane: str | None, pool: WorkerPool | str | None) -> PoolAdapter:
    """Return the adapter that the sessions' are copies of."""
    if adapter is not None and pool is not None:
        raise TypeError("install() takes an adapter or a pool, not both")
    if not isinstance(adapter, PoolAdapter):
        return PoolAdapter(pool if adapter is None else adapter, lane)  # type: ignore[arg-type]  # it checks
    if lane is not None:
        raise TypeError("install() takes a lane beside a pool; an adapter has its lane already")
    return adapter


def uninstall() -> None:
    """Leave new sessions alone again; those that have the adapter keep it. Repeatable."""
    global _original
    with _lock:
        if _original is not None:
            requests.Session.__init__ = _original  # type: ignore[method-assign]
            _original = None
