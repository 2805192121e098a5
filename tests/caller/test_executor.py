"""The pool where an Executor is asked for, and under asyncio."""

import asyncio
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, as_completed, wait

import httpx
import pytest

from workerpool import PoolClosed, WorkerPool
from workerpool.adapters.httpx import AsyncPoolTransport


async def double(session, n):
    """What stands for a function here."""
    await asyncio.sleep(0)
    return 2 * n


async def fail(session, n):
    """One that raises."""
    raise LookupError(n)


async def forever(session, n=0):
    """One that does not end."""
    await asyncio.Event().wait()


def test_wait_and_as_completed(pool):
    """The helpers of concurrent.futures take its jobs."""
    assert isinstance(pool, Executor)
    jobs = {pool.submit(double, n) for n in range(20)}
    done, left = wait(jobs, timeout=30)
    assert (jobs, set()) == (done, left)
    assert {2 * n for n in range(20)} == {job.result() for job in as_completed(jobs)}
    held = pool.submit(forever)
    done, left = wait([held, pool.submit(double, 1)], timeout=30, return_when=FIRST_COMPLETED)
    assert {held} == left
    held.cancel()


def test_callbacks_are_called_once_and_what_they_raise_is_logged(pool, caplog):
    """As with any Future: added before or after the end, and none spoils the next."""
    called = []
    job = pool.submit(double, 1)
    job.add_done_callback(lambda _job: 1 / 0)
    job.add_done_callback(called.append)
    assert 2 == job.result(30)
    job.add_done_callback(called.append)
    assert pool.drain(30)
    assert [job, job] == called
    assert "exception calling callback" in caplog.text


def test_exceptions_travel_as_they_are(pool):
    """The function's own error, with its traceback, from result() and from exception()."""
    job = pool.submit(fail, 7)
    with pytest.raises(LookupError, match="7") as caught:
        job.result(30)
    assert job.exception() is caught.value
    assert "fail" in [frame.name for frame in caught.traceback]


def test_map_keeps_order_time_and_errors(pool):
    """Results in the order of the inputs; TimeoutError after `timeout` from the call; the first error in its place."""
    assert [0, 2, 4] == list(pool.map(double, range(3)))
    assert [0] == list(pool.map(double, [0], timeout=30, chunksize=7, buffersize=1))
    with pytest.raises(TimeoutError):
        next(pool.map(forever, [1], timeout=0.05))
    results = pool.map(fail, [1, 2])
    with pytest.raises(LookupError, match="1"):
        next(results)
    assert pool.drain(30)


@pytest.mark.parametrize("ahead", [1, 2, 3, 100])
def test_map_raises_what_its_inputs_raise_in_its_place(pool, ahead):
    """The results of what came before are handed out first, however many inputs are pulled ahead."""

    def inputs(number):
        yield from range(number)
        raise LookupError("inputs")

    results = pool.map(double, inputs(4), buffersize=ahead)
    assert [0, 2, 4, 6] == [next(results) for _ in range(4)]
    with pytest.raises(LookupError, match="inputs"):
        next(results)
    with pytest.raises(LookupError, match="inputs"):
        pool.map(double, inputs(0), buffersize=ahead)
    assert pool.drain(30)


def test_map_hands_out_what_was_done_before_the_pool_was_shut_down(pool):
    """The refusal comes behind the results; a pool that is closed refuses the call."""
    results = pool.map(double, range(5), buffersize=2)
    pool.shutdown()
    assert [0, 2] == [next(results), next(results)]
    with pytest.raises(PoolClosed):
        next(results)
    with pytest.raises(PoolClosed):
        pool.map(double, range(5))


def test_shutdown_refuses_and_cancels():
    """After shutdown nothing is taken; cancel_futures cancels what has not begun."""
    pool = WorkerPool(workers=1, connections=1)
    first, second = pool.submit(forever), pool.submit(double, 1)
    pool.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(CancelledError):
        second.result(30)
    with pytest.raises(RuntimeError):
        pool.submit(double, 1)
    first.cancel()
    pool.shutdown()


def test_run_in_executor_takes_async_functions_and_refuses_plain_ones(pool):
    """asyncio's own bridge works; a plain function, which would block a worker, is refused with the cure."""

    async def main():
        loop = asyncio.get_running_loop()
        assert 4 == await loop.run_in_executor(pool, double, 2)
        with pytest.raises(TypeError, match="ThreadPoolExecutor"):
            await loop.run_in_executor(pool, len, "abc")

    asyncio.run(main())


def test_asyncio_callers(site):
    """`async with` the pool, `await` a job, `async for` over results; a cancelled await cancels the job."""

    async def main():
        async with WorkerPool(workers=2) as pool:
            assert 200 == (await pool.submit(site.url_for("/fast/1"))).status_code
            urls = [site.url_for(f"/fast/{n}") for n in range(20)]
            assert {*range(20)} == {result.index async for result in pool.fetch_many(urls)}
            held = pool.submit(site.url_for("/hold/1"))

            async def wait_for_it():
                return await held

            waiting = asyncio.create_task(wait_for_it())
            await asyncio.sleep(0)  # lets it begin: to_thread does not give way where the thread is quicker
            await asyncio.to_thread(site.wait_in_flight, 1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await asyncio.to_thread(pool.drain, 30)  # asyncio hands the cancel on a turn later
            assert held.cancelled()
        with pytest.raises(PoolClosed):
            pool.submit(site.url_for("/fast/1"))

    asyncio.run(main())


def test_who_awaits_without_an_asyncio_loop_is_told(pool, shared_site):
    """Under trio for one, whose steps are these; by httpx's transport as well. The job is done all the same."""
    job = pool.submit(shared_site.url_for("/fast/1"))

    async def wait_for_it():
        return await job

    client = httpx.AsyncClient(transport=AsyncPoolTransport(pool))
    for awaited in (wait_for_it(), client.get(shared_site.url_for("/fast/2"))):
        with pytest.raises(RuntimeError, match=r"asyncio loop; under trio: await trio\.to_thread"):
            awaited.send(None)
    assert job.result().ok
    assert pool.drain(60)
