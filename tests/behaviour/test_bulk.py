"""Bulk: many requests through few tasks, with memory that stays flat."""

import asyncio
import gc
import itertools
import subprocess
import sys
import threading
from contextvars import ContextVar
from time import monotonic

import psutil
import pytest

from workerpool import DeadlineExceeded, Lane, Timeout, WorkerPool
from workerpool.handover.deadlines import GRAIN, Deadlines
from workerpool.handover.errand import Call
from workerpool.handover.job import Job

SITE = """
import sys
from workerpool.testing import Site
with Site() as site:
    print(site.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def far_site():
    """A site in a process of its own, so that this one's memory is the pool's."""
    with subprocess.Popen(
        [sys.executable, "-c", SITE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate("")


def test_an_endless_generator_in_flat_memory(far_site):
    """20,000 jobs from an endless generator: never more than `buffersize` pulled ahead, memory flat."""
    process, pulled, most_ahead, sizes = psutil.Process(), 0, 0, {}

    def urls():
        nonlocal pulled
        for n in itertools.count():
            pulled += 1
            yield f"{far_site}/fast/{n % 100}"

    with WorkerPool() as pool:
        for done, result in enumerate(pool.fetch_many(urls(), buffersize=200), 1):
            assert result.unwrap().ok
            # What was handed out last is the reader's; the rest is ahead of it.
            most_ahead = max(most_ahead, pulled - (done - 1))
            if done in (4_000, 20_000):
                gc.collect()
                sizes[done] = process.memory_info().rss
            if done == 20_000:
                break
    assert most_ahead <= 201
    assert sizes[20_000] - sizes[4_000] < 4 * 2**20


def test_a_cancelled_request_leaves_its_task_to_the_next(site):
    """One place: the job behind a cancelled or expired one runs, undisturbed, and so do the next hundred."""
    with WorkerPool(connections=1) as pool:
        held = pool.submit(site.url_for("/hold/1"))
        expired = pool.submit(site.url_for("/hold/2"), timeout=0.05)
        behind = pool.submit(site.url_for("/fast/3"))
        site.wait_in_flight(1)
        assert held.cancel()
        assert behind.result(10).ok
        with pytest.raises(DeadlineExceeded):
            expired.result(10)
        again = [pool.submit(site.url_for("/hold/4"), timeout=0.05), pool.submit(site.url_for("/fast/5"))]
        assert again[1].result(10).ok
        assert all(pool.get(site.url_for("/fast/6")).ok for _ in range(100))
        assert 0 == pool.stats().in_flight


def test_each_job_keeps_its_own_context(shared_site):
    """A middleware sees the context of the one who submitted, and functions do, in whatever task they run."""
    who: ContextVar[str] = ContextVar("who", default="nobody")
    seen = []

    async def note(request, handler):
        seen.append((request.url.name, who.get()))
        return await handler(request)

    async def tell(session):
        return who.get()

    with WorkerPool(connections=1, middlewares=[note], lanes=[Lane("plain", connections=1)]) as pool:
        jobs = []
        for name in ("1", "2", "3"):
            who.set(name)
            jobs.append(pool.submit(shared_site.url_for(f"/fast/{name}")))
            jobs.append(pool.lane("plain").submit(shared_site.url_for(f"/fast/{name}")))
            jobs.append(pool.lane("plain").submit(tell))
        results = [job.result(10) for job in jobs]
    assert ["1", "2", "3"] == results[2::3]
    assert [("1", "1"), ("2", "2"), ("3", "3")] == sorted(seen)


def test_deadlines_lose_nothing_between_threads(run):
    """Threads add and take back while slots open and close: what stays falls due, and nothing else."""

    class Due(Job):
        def expire(self):
            fallen.append(self)
            fell.set()

    fallen, kept, lock, fell = [], [], threading.Lock(), asyncio.Event()

    def churn(deadlines):
        for n in range(3000):
            work = Due("lane", None, Call(print), Timeout(0.001 + (n % 7) * GRAIN))
            deadlines.add(work)
            if n % 3:
                deadlines.discard(work)
            else:
                with lock:
                    kept.append(work)

    async def main():
        loop = asyncio.get_running_loop()
        deadlines = Deadlines(loop.call_soon_threadsafe)
        await asyncio.gather(*(asyncio.to_thread(churn, deadlines) for _ in range(4)))
        while not set(kept) <= set(fallen):
            fell.clear()
            await asyncio.wait_for(fell.wait(), 10)
        deadlines.stop()

    run(main())
    assert set(kept) <= set(fallen)
    assert all(work.deadline <= monotonic() for work in fallen)
