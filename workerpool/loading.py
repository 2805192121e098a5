"""What comes with the first pool, so that an import of this one costs little: libraries are loaded, memory is kept."""

import concurrent.futures.thread  # noqa: F401  uvloop does, and its hooks must not come while a fork waits below
import os
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["keep_memory", "loaded_once"]

T = TypeVar("T")

_BLOCK = 2**22  # bytes

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


def keep_memory() -> None:
    """Have glibc keep some MiB of what a thread frees, to be used again. Does nothing where others give memory out.

    Reads of 256 KiB, which uvloop makes for TLS, would have a thread's memory grow and shrink for each (measured: two
    thirds more of what a request over TLS costs). By glibc's own rule, mallopt(3), a block that was freed raises the
    sizes from which on memory is given back, to twice its own; not where MALLOC_TRIM_THRESHOLD_ or its like is set.
    """
    bytes(_BLOCK)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release)
