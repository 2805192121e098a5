"""Every session of the process over the pool, for code that cannot be touched."""

from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any

import requests

from .adapter import PoolAdapter

__all__ = ["install", "uninstall"]

_lock = Lock()
_original: Callable[..., None] | None = None


def install(adapter: PoolAdapter | None = None) -> None:
    """Mount the adapter, or one on the default pool, on every requests.Session made from now on. Repeatable.

    What a program mounts itself comes after that, and counts.
    """
    global _original
    mounted = PoolAdapter() if adapter is None else adapter
    uninstall()
    with _lock:
        original = _original = requests.Session.__init__

        @wraps(original)
        def init(self: requests.Session, *args: Any, **options: Any) -> None:
            original(self, *args, **options)
            self.mount("https://", mounted)
            self.mount("http://", mounted)

        requests.Session.__init__ = init  # type: ignore[method-assign]


def uninstall() -> None:
    """Leave new sessions alone again; those that have the adapter keep it. Repeatable."""
    global _original
    with _lock:
        if _original is not None:
            requests.Session.__init__ = _original  # type: ignore[method-assign]
            _original = None
