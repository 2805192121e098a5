"""The core that a process runs on, chosen here where the scheduler's choice would be part of the figures.

On a busy machine server and contestant are put on one core or on two as it happens, each process for as long as it
lives. That decides how much of the answers a loop finds in one turn, and makes a third of the rate either way.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["CLIENT", "SERVER", "on_core"]

SERVER, CLIENT = 0, -1  # of the cores that this process may use


@contextmanager
def on_core(index: int | None) -> Iterator[None]:
    """Give what this thread starts within the one core; None, or a system that can't, leaves the choice to it."""
    if index is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(allowed)[index]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
