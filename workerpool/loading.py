"""Libraries that are loaded with the first pool, so that an import of this one costs little."""

import concurrent.futures.thread  # noqa: F401  uvloop does, and its hooks must not come while a fork waits below
import os
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["loaded_once"]

T = TypeVar("T")

# A fork amid an import leaves the child a lock that nobody opens; so it waits for the end of it.
_loading = threading.RLock()


def loaded_once(load: Callable[[], T]) -> Callable[[], T]:
    """Have the function called once, at first use, and its result kept; no other thread forks meanwhile."""
    found: list[T] = []

    def loaded() -> T:
        if not found:
            with _loading:
                if not found:
                    found.append(load())
        return found[0]

    return loaded


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release)
