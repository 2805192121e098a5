"""Workers that are lost or blocked: every job has an outcome, and the next one works."""

import asyncio
import ctypes
import logging
import threading
import time

import pytest

from workerpool import Lane, WorkerLost, WorkerPool
from workerpool.caller.client import board_of


async def nothing(session):
    return "done"


def raise_in(thread_name: str, error: type[BaseException]) -> None:
    """Set an exception in a thread, as a debugger or a job runner with time limits would."""
    thread = next(thread for thread in threading.enumerate() if thread.name == thread_name)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(error)) == 1


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
def test_what_a_function_raises_ends_the_job_only(pool, site, error):
    """The worker and what it holds are not touched by it."""

    async def leave(session):
        raise error

    held = [pool.submit(site.url_for("/hold/1")) for _ in range(4)]
    site.wait_in_flight(4)
    with pytest.raises((WorkerLost, MemoryError)):
        pool.submit(leave).result(10)
    site.release()
    assert all(job.result(10).ok for job in held)
    assert [0, 0] == [worker.losses for worker in pool.stats().workers]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("how", ["task", "callback"])
def test_a_lost_loop_is_replaced(site, caplog, error, how):
    """A task or callback of the user's that ends the loop: what was held is WorkerLost, the rest is done."""

    async def kill(session):
        async def leave():
            raise error

        def fall():
            raise error

        if how == "task":
            task = asyncio.get_running_loop().create_task(leave())
            await asyncio.wait([task])
        asyncio.get_running_loop().call_soon(fall)
        await asyncio.sleep(60)

    with WorkerPool(workers=1, connections=3) as pool:
        held = [pool.submit(site.url_for("/hold/1")) for _ in range(2)]
        site.wait_in_flight(2)
        killer = pool.submit(kill)
        queued = [pool.submit(site.url_for(f"/fast/{n}")) for n in range(5)]
        for job in (*held, killer):
            with pytest.raises(WorkerLost, match="was lost"):
                job.result(10)
        assert all(job.result(10).ok for job in queued)
        assert pool.get(site.url_for("/fast/9")).ok
        assert pool.drain(10)
        stats = pool.stats()
        assert (1, 9, 6, 3) == (stats.workers[0].losses, stats.submitted, stats.succeeded, stats.failed)
    assert "is replaced" in caplog.text


@pytest.mark.parametrize("error", [SystemExit, ValueError, MemoryError])
def test_an_exception_set_from_another_thread(site, caplog, error):
    """Wherever it strikes, each job has an outcome and the pool goes on; within an exchange, it is the request's fault."""

    def is_told(outcome):
        return isinstance(outcome, WorkerLost | error | None) or isinstance(outcome.__cause__, error)

    with WorkerPool(workers=1, connections=2, name="struck") as pool:
        for _ in range(10):
            held = [pool.submit(site.url_for("/slow/1?delay=0.05")) for _ in range(2)]
            queued = [pool.submit(site.url_for("/fast/1")) for _ in range(2)]
            raise_in("struck-0", error)
            functions = [pool.submit(nothing) for _ in range(3)]
            for job in (*held, *queued, *functions):
                assert is_told(job.exception(10))
        assert "done" == pool.submit(nothing).result(10)
        assert pool.drain(10)
        stats = pool.stats()
        assert stats.submitted == stats.completed


def test_a_session_closes_over_a_lost_loop(site):
    """close() of a browser does not wait for a loop that is gone."""

    async def kill(session):
        asyncio.get_running_loop().call_soon(exec, "raise SystemExit")
        await asyncio.sleep(60)

    with WorkerPool(workers=1) as pool:
        with pool.session() as browser:
            killer = pool.submit(kill)
            assert isinstance(killer.exception(10), WorkerLost)
            assert browser.get(site.url_for("/fast/1")).ok
        assert pool.get(site.url_for("/fast/1")).ok


def test_a_blocked_worker_is_named_and_avoided(shared_site, caplog):
    """The stack of the blocking job is logged; new jobs go to the other worker."""
    caplog.set_level(logging.WARNING, "workerpool.watchdog")
    told = threading.Event()
    free = threading.Event()

    class Tell(logging.Handler):
        def emit(self, record):
            told.set()

    async def block_the_loop(session):
        free.wait(20)

    handler = Tell()
    logging.getLogger("workerpool.watchdog").addHandler(handler)
    try:
        with WorkerPool(workers=2, slow_callback=0.05, name="blocked") as pool:
            job = pool.submit(block_the_loop)
            assert told.wait(10)
            assert [True, False] == sorted((worker.blocked for worker in pool.stats().workers), reverse=True)
            assert all(pool.get(shared_site.url_for(f"/fast/{n}")).ok for n in range(10))
            told.clear()
            free.set()
            job.result(10)
            assert told.wait(10)
            assert not any(worker.blocked for worker in pool.stats().workers)
    finally:
        logging.getLogger("workerpool.watchdog").removeHandler(handler)
    assert "block_the_loop" in caplog.text
    assert "goes on after" in caplog.text


def test_a_pool_that_runs_no_functions_has_no_watchdog(shared_site):
    """Requests alone cannot block a loop; with hooks they can."""
    with WorkerPool(name="plain") as pool:
        assert pool.get(shared_site.url_for("/fast/1")).ok
        assert "plain-watchdog" not in [thread.name for thread in threading.enumerate()]
        pool.submit(nothing).result(10)
        assert "plain-watchdog" in [thread.name for thread in threading.enumerate()]


def test_middlewares_are_watched_too(shared_site, caplog):
    """A middleware that sleeps for real is found."""

    async def sleepy(request, handler):
        time.sleep(0.3)
        return await handler(request)

    with WorkerPool(lanes=[Lane("hooked", middlewares=[sleepy])], slow_callback=0.05) as pool:
        assert pool.lane("hooked").get(shared_site.url_for("/fast/1")).ok
    assert "sleepy" in caplog.text


def test_a_loop_that_cannot_be_made_at_once_is_tried_again(site, caplog):
    """A worker that has lost its loop, and fails to make the next one, is not lost itself."""
    import asyncio

    made = []

    def factory():
        made.append(None)
        if len(made) in (2, 3):
            raise MemoryError
        return asyncio.new_event_loop()

    with WorkerPool(workers=1, event_loop=factory) as pool:
        assert pool.get(site.url_for("/fast/1")).ok
        board_of(pool).workers[0].loop.call_soon(exit, 3)
        assert pool.get(site.url_for("/fast/1"), timeout=60).ok
    assert 4 == len(made)
    assert "it is tried again" in caplog.text
