"""Workers that come, go and are killed, and a scheduler that is lost: nothing is lost, doubled, or waited for in vain."""

import signal
import threading
from collections import Counter

import pytest
from clusters import running

from workerpool import Lane, PoolClosed, Request, WorkerLost
from workerpool.cluster import DaskPool, SchedulerLost

_PATIENCE = 60  # seconds after which something hangs


def wait_until(holds):
    """Wait for what has no event of its own: numbers of the pool."""
    for _ in range(_PATIENCE * 20):
        if holds():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it has not come to that")


@pytest.fixture
def lone():
    """A cluster of one's own, to be killed in part."""
    with running(2) as cluster:
        yield cluster


def test_what_a_killed_worker_had_is_done_by_another(lone, site):
    """Each input has one result, and the numbers tell of it."""
    with DaskPool(lone.address) as pool:
        results, found = pool.fetch_many([site.url_for(f"/hold/{number}") for number in range(50)]), []
        threading.Thread(target=lambda: found.extend(results), daemon=True).start()
        site.wait_in_flight(50)
        lone.kill(lone.workers[0])
        wait_until(lambda: pool.stats().lost == 1)
        site.wait_in_flight(50)
        site.release()
        assert pool.drain(_PATIENCE)
        wait_until(lambda: len(found) == 50)
        assert list(range(50)) == sorted(result.index for result in found)
        assert all(result.ok for result in found)
        stats = pool.stats()
        assert (50, 50, 0, 0) == (stats.submitted, stats.succeeded, stats.in_flight, stats.queued)
        assert stats.repeated
        # What was sent just before is not known to have been: that is not counted as an attempt.
        assert {result.response.attempts for result in found} <= {1, 2}


def test_what_may_not_be_repeated_is_told(lone, site):
    """That it may have been sent, at the worker that was lost."""
    with DaskPool(lone.address) as pool:
        jobs = [pool.submit(Request("POST", site.url_for(f"/hold/{number}"))) for number in range(4)]
        jobs += [pool.submit(site.url_for(f"/hold/{number}"), retry=None) for number in range(4)]
        posts = [pool.submit(site.url_for("/echo"), method="POST") for _ in range(4)]
        assert all(job.result(_PATIENCE).ok for job in posts)
        site.wait_in_flight(4)  # there is no POST of /hold
        for address in lone.workers:
            lone.kill(address)
        for job in jobs[4:]:
            with pytest.raises(
                WorkerLost, match=r"GET http.*may have been sent, and was not repeated: submit it again"
            ):
                job.result(_PATIENCE)


def test_a_function_is_not_run_twice(lone):
    """Nobody knows what it has done."""

    async def sleep(session):
        import asyncio

        await asyncio.sleep(_PATIENCE)

    with DaskPool(lone.address) as pool:
        jobs = [pool.submit(sleep) for _ in range(8)]
        wait_until(lambda: pool.stats().in_flight == 8)
        lone.kill(next(worker.name for worker in pool.stats().workers if worker.in_flight))
        wait_until(lambda: pool.stats().lost == 1)
        failed = [job for job in jobs if job.done()]
        assert failed
        for job in failed:
            with pytest.raises(WorkerLost, match="sleep"):
                job.result(_PATIENCE)
        pool.shutdown(timeout=0.1)
        assert all(job.done() for job in jobs)


def test_a_worker_that_joins_gets_work(lone, site):
    """Without anybody's doing."""
    with DaskPool(lone.address, connections=30) as pool:
        results = pool.fetch_many([site.url_for(f"/hold/{number}") for number in range(30)])
        reading = threading.Thread(target=lambda: found.extend(results))
        found = []
        reading.start()
        site.wait_in_flight(30)
        address = lone.add()
        wait_until(lambda: address in {each.name for each in pool.stats().workers})
        assert 30 == site.max_in_flight
        site.release()
        reading.join(_PATIENCE)
        jobs = [pool.submit(site.url_for(f"/slow/{number}?delay=1")) for number in range(30)]
        wait_until(lambda: _has(pool, address))
        assert all(job.result(_PATIENCE).ok for job in jobs)
        assert site.max_in_flight <= 30
        assert len(found) == 30


def _has(pool, address):
    """Whether the worker has work."""
    return any(each.in_flight for each in pool.stats().workers if each.name == address)


@pytest.mark.parametrize(
    "lane", [Lane("polite", per_host=2), Lane("one", rate=200.0, connections=2)], ids=["host", "rate"]
)
def test_a_limit_holds_while_workers_come_and_go(lone, site, lane):
    """As the server counts: of one host, and of a lane in one place."""
    with DaskPool(lone.address, lanes=[lane]) as pool:
        urls = [site.url_for(f"/slow/{number}?delay=0.005") for number in range(600)]
        found = Counter()
        for place, result in enumerate(pool.lane(lane.name).fetch_many(urls)):
            found[result.index, result.ok] += 1
            if place in (100, 300):
                lone.add()
                lone.kill(lone.workers[0])
        assert {(number, True): 1 for number in range(600)} == found
        assert site.max_in_flight <= 2


def test_connections_are_never_more_than_the_lane_has(lone, site):
    """However they are shared out anew."""
    with DaskPool(lone.address, connections=6) as pool:
        urls = [site.url_for(f"/slow/{number}?delay=0.005") for number in range(900)]
        found = Counter()
        for place, result in enumerate(pool.fetch_many(urls)):
            found[result.index, result.ok] += 1
            if place in (100, 400):
                lone.add()
            if place in (250, 600):
                lone.kill(lone.workers[0])
        assert {(number, True): 1 for number in range(900)} == found
        assert site.max_in_flight <= 6


def test_without_any_worker_work_waits_for_one(lone, site):
    """And is done when there is one."""
    with DaskPool(lone.address) as pool:
        for address in lone.workers:
            lone.kill(address)
        wait_until(lambda: pool.stats().lost == 2)
        job = pool.submit(site.url_for("/fast/1"))
        lone.add()
        assert job.result(_PATIENCE).ok


def test_without_any_worker_for_long_work_fails(lone, site, monkeypatch):
    """With what to do."""
    monkeypatch.setattr("workerpool.cluster.control._NOBODY", 0.5)
    with DaskPool(lone.address) as pool:
        for address in lone.workers:
            lone.kill(address)
        with pytest.raises(WorkerLost, match=r"has had no worker for 0.5 s; start some|was lost"):
            pool.submit(site.url_for("/fast/1")).result(_PATIENCE)


def test_the_scheduler_is_lost(lone, site, monkeypatch):
    """All that was under way fails by a typed error, and nothing more is taken."""
    monkeypatch.setattr("workerpool.cluster.pool._LOST", 0.5)
    with DaskPool(lone.address) as pool:
        jobs = [pool.submit(site.url_for(f"/hold/{number}")) for number in range(10)]
        site.wait_in_flight(10)
        lone.kill_scheduler()
        for job in jobs:
            with pytest.raises(WorkerLost):
                job.result(_PATIENCE)
        with pytest.raises(SchedulerLost, match=r"scheduler of pool 'cluster' is gone.*make a new pool"):
            pool.submit(site.url_for("/fast/1"))


def test_a_late_answer_is_refused(site, monkeypatch):
    """Of a worker that was silent for so long that its work was given to another; what it was asked before still comes."""
    monkeypatch.setattr("workerpool.cluster.member._PUT", 0.5)
    monkeypatch.setattr("workerpool.cluster.member._TAKE", _PATIENCE)
    with running(1) as cluster:
        # Its answer to the last question is to hold outcomes, and not that there are none yet.
        frozen = cluster.add(f"import workerpool.cluster.station as station; station._POLL = {_PATIENCE}")
        with DaskPool(cluster.address) as pool:
            jobs = [pool.submit(site.url_for(f"/hold/{number}")) for number in range(20)]
            site.wait_in_flight(20)
            wait_until(lambda: all(flight.begun for flight in list(pool._control._ledger._flights.values())))
            cluster.signal(frozen, signal.SIGSTOP)
            jobs += [pool.submit(site.url_for(f"/hold/{number}")) for number in range(20, 40)]  # not all get through
            wait_until(lambda: pool.stats().lost == 1)
            cluster.signal(frozen, signal.SIGCONT)
            site.release()
            assert all(job.result(_PATIENCE).ok for job in jobs)
            wait_until(lambda: pool.stats().late)
            assert (40, 40) == (pool.stats().submitted, pool.stats().succeeded)


def test_a_client_that_is_gone_leaves_nothing_under_way(lone, site):
    """Its workers give its work up when they have not heard of it for a while."""
    with DaskPool(lone.address) as pool:
        pool.submit(site.url_for("/hold/1"))
        site.wait_in_flight(1)
        pool.shutdown(timeout=0.0)
        site.wait_in_flight(0)
        with pytest.raises(PoolClosed):
            pool.get(site.url_for("/fast/1"))
