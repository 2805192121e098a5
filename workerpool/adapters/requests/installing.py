"""install() and uninstall(): patch requests, so that every session of the process uses the pool."""

from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any

import requests

from ...caller.pool import WorkerPool
from .adapter import PoolAdapter

__all__ = ["install", "uninstall"]

_lock = Lock()
_model: PoolAdapter | None = None  # what new sessions get copies of; read without the lock
_original: Callable[..., None] | None = None
_ours: Callable[..., None] | None = None  # what stands in the place of the original


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
    global _model, _original, _ours
    model = _chosen(adapter, lane, pool)
    with _lock:
        _model = model
        if _ours is None or requests.Session.__init__ is not _ours:
            _original = requests.Session.__init__
            _ours = requests.Session.__init__ = _mounting(_original)  # type: ignore[method-assign]


def uninstall() -> None:
    """Leave new sessions alone again; those that have an adapter keep it. Repeatable."""
    global _model, _original, _ours
    with _lock:
        _model = None
        # Somebody may have wrapped it meanwhile, a tracer for one: then it stays below that, and does nothing.
        if _original is not None and requests.Session.__init__ is _ours:
            requests.Session.__init__ = _original  # type: ignore[method-assign]
            _original = _ours = None


def _mounting(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def init(self: requests.Session, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        model = _model
        if model is not None:
            self.mount("https://", model.copy())
            self.mount("http://", model.copy())

    return init


def _chosen(adapter: object, lane: str | None, pool: WorkerPool | str | None) -> PoolAdapter:
    """Return the adapter that the sessions' are copies of."""
    if adapter is not None and pool is not None:
        raise TypeError("install() takes an adapter or a pool, not both")
    if not isinstance(adapter, PoolAdapter):
        return PoolAdapter(pool if adapter is None else adapter, lane)  # type: ignore[arg-type]  # it checks
    if lane is not None:
        raise TypeError("install() takes a lane beside a pool; an adapter has its lane already")
    return adapter
