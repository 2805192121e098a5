"""Messages name what they are about."""

import asyncio

import pytest

from workerpool import DeadlineExceeded, Timeout, WorkerPool


async def fetch_all(session):
    await asyncio.Event().wait()


def test_a_deadline_names_the_function(pool):
    """A function that is not done in time is told by its name."""
    with pytest.raises(DeadlineExceeded, match=r"^fetch_all: not done within"):
        pool.call(fetch_all, timeout=0.1).result()


def test_a_deadline_names_the_function_that_never_began():
    """So is one whose time was over before it had its place."""
    with WorkerPool(connections=1) as narrow:
        first = narrow.submit(fetch_all)
        with pytest.raises(DeadlineExceeded, match="fetch_all: not begun within"):
            narrow.call(fetch_all, timeout=Timeout(total=None, queue=0.1)).result()
        assert first.cancel()
