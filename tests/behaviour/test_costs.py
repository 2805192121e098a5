"""What must not grow with what there is: counted in steps of the code, not in time."""

import asyncio
import threading
from contextlib import ExitStack

import pytest
from tracing import traced

from workerpool import Lane, PoolClosed, WorkerPool

PATIENCE = 60


async def nothing(_session):
    return None


FILES = ("switchboard.py", "routing.py", "tally.py", "outstanding.py")


def steps(action):
    """Return how many lines the choice of a worker takes, and what is done under its lock."""
    counted = []

    def count():
        lines = []
        traced(action, lambda file: file.endswith(FILES), lambda: lines.append(1))
        counted.append(len(lines))

    for _ in range(3):
        thread = threading.Thread(target=count)
        thread.start()
        thread.join(PATIENCE)
    assert 1 == len(set(counted))
    return counted[0]


def test_a_submit_costs_the_same_however_many_lanes_and_sessions_there_are():
    """Under the pool's lock nobody counts them."""
    with WorkerPool(workers=1) as pool, ExitStack() as stack:
        few = steps(lambda: pool.submit(nothing))
        for _ in range(40):
            stack.enter_context(pool.session()).submit(nothing)
        assert few == steps(lambda: pool.submit(nothing))
    with WorkerPool(workers=1, lanes=[Lane(f"lane-{n}") for n in range(40)]) as pool:
        assert few == steps(lambda: pool.submit(nothing))


def test_a_submit_costs_the_same_however_many_workers_there_are():
    """Beyond a few, two are compared and not all."""
    counted = []
    for workers in (6, 24):
        with WorkerPool(workers=workers) as pool:
            counted.append(steps(lambda pool=pool: pool.submit(nothing)))
    assert counted[0] == counted[1]


@pytest.mark.parametrize("timeout", [0.0, 30.0])
def test_a_shutdown_that_cancels_many_has_an_outcome_for_each(timeout):
    """However short its time is: what could not be cancelled by then is closed."""
    held = threading.Event()

    async def hold(_session):
        await asyncio.to_thread(held.wait, PATIENCE)

    pool = WorkerPool(workers=1, connections=1)
    jobs = [pool.submit(hold), *(pool.submit(nothing) for _ in range(20_000))]
    left = iter(range(len(jobs) - 2, -1, -1))
    for job in jobs[1:]:
        job.add_done_callback(lambda _job: None if next(left) else held.set())  # once the last has its outcome
    pool.shutdown(cancel_futures=True, timeout=timeout)
    pool.shutdown()
    assert all(job.done() for job in jobs)
    assert all(job.cancelled() or isinstance(job.exception(0), PoolClosed) for job in jobs[1:])
