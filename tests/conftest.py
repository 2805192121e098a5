"""Fixtures: a real site on loopback, a pool, and the check that nothing is left behind."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from workerpool import WorkerPool
from workerpool.testing.site import Site

pytest_plugins = ["pytester"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Shells start what runs in the background so, and children would not hear a Ctrl-C either.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def site() -> Iterator[Site]:
    """A site of one's own, whose counters nobody else moves."""
    with Site() as site:
        yield site


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(workers=2, name="tested") as pool:
        yield pool


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail the test that leaves a worker's thread behind."""
    before = set(threading.enumerate())
    yield
    left = [t.name for t in threading.enumerate() if t not in before and "workerpool" in t.name]
    assert not left


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on a loop of its own."""
    return asyncio.run
