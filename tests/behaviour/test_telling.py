"""Whoever waits for what is decided is told of it, whatever keeps the loop that has yet to tell, or ends it."""

import asyncio
import threading

import pytest
from faults.wire import read_head
from servers import Listening, ok

from workerpool import Timeout, WorkerPool
from workerpool.caller.client import board_of
from workerpool.handover.errand import Call
from workerpool.handover.work import Blocking

PATIENCE = 60
MANY = 100  # jobs, at which a loop tells of several turns together


class Waited:
    """A callback of a job that notes when it was called, and may wait then."""

    def __init__(self, on=None):
        self.told, self._on = threading.Event(), on

    def __call__(self, job):
        self.told.set()
        if self._on is not None:
            self._on.wait(PATIENCE)


@pytest.fixture
def held():
    """A server that answers at once, but for /held: that when `let` is set. It counts what it has `said`."""
    let, said = threading.Event(), threading.Semaphore(0)

    def serve(connection):
        while request := read_head(connection):
            if b"/held" in request:
                let.wait(PATIENCE)
            connection.sendall(ok(b"here"))
            said.release()

    with Listening(serve) as server:
        server.let, server.said = let, said
        yield server
        let.set()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_before_a_function_keeps_the_loop(held, loop):
    """However many others are on their way."""
    blocks, on, waited = threading.Event(), threading.Event(), Waited()

    async def hold(_session):
        while not held.let.is_set():
            await asyncio.sleep(0.001)

    async def block(_session):
        blocks.set()
        on.wait(PATIENCE)

    with WorkerPool(workers=1, connections=1, event_loop=loop, retry=None) as pool:
        assert all(pool.get(held.url).ok for _ in range(2))
        pool.submit(hold)
        pool.submit(held.url).add_done_callback(waited)
        pool.submit(block)
        others = [pool.submit(held.url) for _ in range(MANY)]
        held.let.set()
        assert blocks.wait(PATIENCE)
        in_time = waited.told.wait(5)
        on.set()
        assert all(job.result(PATIENCE).ok for job in others)
    assert in_time


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_though_the_loop_ends_before(held, loop, monkeypatch):
    """Of what its last turns have decided."""
    monkeypatch.setattr("workerpool.worker.loop._MOMENT", PATIENCE)
    with WorkerPool(workers=1, connections=2, event_loop=loop, retry=None) as pool:
        assert pool.get(held.url).ok
        first = pool.submit(held.url + "held")
        callbacks = [Waited() for _ in range(9)]
        jobs = [pool.submit(held.url) for _ in callbacks]
        others = [pool.submit(held.url + "held") for _ in range(MANY)]
        for job, callback in zip(jobs, callbacks, strict=True):
            job.add_done_callback(callback)
        for _ in range(10):
            assert held.said.acquire(timeout=PATIENCE)
        pool.shutdown(timeout=0)
        assert all(callback.told.wait(PATIENCE / 2) for callback in callbacks)
        assert all(job.exception(PATIENCE) for job in (first, *others))


def test_by_a_shutdown_while_a_callback_keeps_the_thread(held):
    """Of two that one turn has decided, before either was told."""
    on = threading.Event()
    callbacks = [Waited(on), Waited(on)]
    with WorkerPool(workers=1, retry=None) as pool:
        kept = [pool.submit(held.url + "held") for _ in callbacks]
        held.let.set()
        assert all(job.result(PATIENCE).ok for job in kept)  # a connection for each
        held.let.clear()
        jobs = [pool.submit(held.url + "held") for _ in callbacks]
        for job, callback in zip(jobs, callbacks, strict=True):
            job.add_done_callback(callback)
        said = threading.Event()
        board_of(pool).workers[0].loop.call_soon(said.wait, PATIENCE)
        held.let.set()
        for _ in range(4):
            assert held.said.acquire(timeout=PATIENCE)
        said.set()
        while not all(job.done() for job in jobs):
            pass
        ending = threading.Thread(target=pool.shutdown, kwargs={"timeout": 0.01})
        ending.start()
        told = [callback.told.wait(5) for callback in callbacks]
        on.set()
        ending.join(PATIENCE)
    assert [True, True] == told


def test_a_blocking_caller_goes_on_at_its_deadline():
    """With the outcome, which is there; only the word of it has not come."""
    work = Blocking("lane", None, Call(print, (), {}), Timeout(total=0.01), None, 0)
    work.conclude("succeeded", "here")
    found = []
    waiting = threading.Thread(target=lambda: found.append(work.wait()), daemon=True)
    waiting.start()
    waiting.join(5)
    work.tell()
    assert ["here"] == found
    assert not waiting.is_alive()
