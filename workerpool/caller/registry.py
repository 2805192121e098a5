"""The registry of process-wide pools, made at first use; and the verbs of the module."""

import os
import threading
from typing import Any, Unpack

from ..errors import WorkerPoolError
from ..lane import check_options
from ..messages.keywords import OF_A_POOL
from ..messages.request import GetOptions, PostOptions, PutOptions, RequestOptions
from ..messages.response import Response
from .options import checked_name
from .pool import WorkerPool

__all__ = [
    "configure",
    "delete",
    "find_pool",
    "get",
    "get_pool",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
]

_lock = threading.RLock()  # which a signal handler may take again
_pools: dict[str, WorkerPool] = {}
_options: dict[str, dict[str, Any]] = {}


def get_pool(name: str = "default") -> WorkerPool:
    """Return the process-wide pool of that name, made at first use. Thread-safe.

    Made anew after a shutdown, and in a forked child.
    """
    checked_name(name)
    with _lock:
        pool = _pools.get(name)
        if pool is None or not pool.is_open:
            pool = _pools[name] = WorkerPool(name=name, **_options.get(name, {}))
        return pool


def find_pool(name: str) -> WorkerPool | None:
    """Return the process-wide pool of that name if it has been made; it may have been shut down. Thread-safe."""
    with _lock:
        return _pools.get(name)


def configure(name: str = "default", **options: Any) -> None:
    """Set what `get_pool(name)` makes its pool with: the keywords of WorkerPool but name. Thread-safe.

    Raises WorkerPoolError if that pool is open already.
    """
    checked_name(name)
    check_options("configure()", options, also=OF_A_POOL - {"name"})
    with _lock:
        pool = _pools.get(name)
        if pool is not None and pool.is_open:
            raise WorkerPoolError(f"pool '{name}' is open already; configure() before its first use, or shut it down")
        _options[name] = options


def _forget_in_child() -> None:
    """Start empty after a fork; another thread may have held the lock."""
    global _lock
    _lock = threading.RLock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def request(method: str, url: str, **options: Unpack[RequestOptions]) -> Response:
    """Send a request through the default pool; see WorkerPool.request."""
    return get_pool().request(method, url, **options)


def get(url: str, params: Any = None, **options: Unpack[GetOptions]) -> Response:
    """Send a GET through the default pool."""
    return get_pool().get(url, params, **options)


def options(url: str, **options: Unpack[RequestOptions]) -> Response:
    """Send an OPTIONS through the default pool."""
    return get_pool().options(url, **options)


def head(url: str, **options: Unpack[RequestOptions]) -> Response:
    """Send a HEAD through the default pool."""
    return get_pool().head(url, **options)


def post(url: str, data: Any = None, json: Any = None, **options: Unpack[PostOptions]) -> Response:
    """Send a POST through the default pool."""
    return get_pool().post(url, data, json, **options)


def put(url: str, data: Any = None, **options: Unpack[PutOptions]) -> Response:
    """Send a PUT through the default pool."""
    return get_pool().put(url, data, **options)


def patch(url: str, data: Any = None, **options: Unpack[PutOptions]) -> Response:
    """Send a PATCH through the default pool."""
    return get_pool().patch(url, data, **options)


def delete(url: str, **options: Unpack[RequestOptions]) -> Response:
    """Send a DELETE through the default pool."""
    return get_pool().delete(url, **options)
