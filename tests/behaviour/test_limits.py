"""Limits per host and per queue, measured at the server: whichever worker sends, and wherever redirects lead."""

from concurrent.futures import wait
from contextlib import ExitStack
from itertools import count
from time import monotonic, sleep
from urllib.parse import quote

import pytest
from aiohttp import web

from workerpool import (
    DeadlineExceeded,
    HTTPStatusError,
    PoolClosed,
    QueueFull,
    Rate,
    Response,
    Retry,
    StreamedResponse,
    Timeout,
    WorkerPool,
)
from workerpool.testing import Site


@pytest.fixture
def sites():
    """Four sites, so that with several workers some redirects change the worker."""
    with ExitStack() as stack:
        yield [stack.enter_context(Site()) for _ in range(4)]


def _led_from_to(start, end, path):
    return start.url_for(f"/redirect-to?url={quote(end.url_for(path), safe='')}")


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("streamed", [False, True])
def test_per_host_holds_where_redirects_lead_to(sites, workers, streamed):
    """A redirect to another host waits for a place there; the one at the first host is free meanwhile."""
    *first, last = sites
    with WorkerPool(workers=workers, per_host=2) as pool:
        urls = [_led_from_to(site, last, f"/hold/{n}") for n, site in zip(range(30), first * 10, strict=True)]
        jobs = [pool.submit(url, stream=streamed) for url in urls]
        last.wait_in_flight(2)
        for site in first:  # all redirects have been answered, though what they led to waits
            assert pool.get(site.url_for("/fast/1")).ok
        assert {0} == {site.in_flight for site in first}
        while pool.stats().succeeded < len(first):  # an answer is handed out before it is counted
            sleep(0.001)
        assert 30 == pool.stats().in_flight + pool.stats().queued
        last.release()
        texts = [job.result().text for job in jobs]
        assert [f"held page {n}" for n in range(30)] == texts
        assert [1] * 30 == [len(job.result().history) for job in jobs]
        assert [1] * 30 == [job.attempts for job in jobs]
        assert pool.drain(60)
        stats = pool.stats()
        assert (33, 33, 0, 0) == (stats.submitted, stats.succeeded, stats.in_flight, stats.queued)
    assert 2 == last.max_in_flight


def test_a_rate_per_host_holds_where_redirects_lead_to(sites, monkeypatch):
    """The n-th request at the last host comes no sooner than its rate allows."""
    *first, _ = sites
    arrivals = []
    counted = Site._count

    @web.middleware
    async def note(self, request, handler):
        if self is last:
            arrivals.append(monotonic())
        return await counted(self, request, handler)

    monkeypatch.setattr(Site, "_count", note)
    with Site() as last, WorkerPool(workers=3, per_host_rate=Rate(50)) as pool:
        began = monotonic()
        urls = [_led_from_to(site, last, f"/fast/{n}") for n, site in zip(range(12), first * 4, strict=True)]
        assert 12 == sum(result.ok for result in pool.fetch_many(urls))
    assert 12 == len(arrivals)
    assert [] == [n for n, at in enumerate(sorted(arrivals)) if at - began < n / 50 - 1e-6]


def test_a_redirected_request_starts_again_at_its_beginning(sites):
    """What a retry asks for first is the first host, wherever the try before had led; no try is counted twice."""
    first, *_, last = sites
    with WorkerPool(workers=3, per_host=1, retry=Retry(wait_initial=0.01)) as pool:
        answer = pool.get(_led_from_to(first, last, "/flaky/1"))
    assert ("flaky page 1", 2, 1) == (answer.text, answer.attempts, len(answer.history))
    assert (2, 2) == (first.hits, last.hits)


def test_a_redirected_request_can_be_cancelled_and_expires_while_it_waits(sites):
    """Neither the first host's worker nor the last one's keeps what was given up."""
    first, *_, last = sites
    with WorkerPool(workers=3, per_host=1) as pool:
        held = pool.submit(last.url_for("/hold/0"))
        last.wait_in_flight(1)
        late = pool.submit(_led_from_to(first, last, "/fast/1"), timeout=Timeout(total=60, queue=0.3))
        given_up = pool.submit(_led_from_to(first, last, "/fast/2"))
        with pytest.raises(DeadlineExceeded, match=r"not gone on within 0.3 s.*at stage 'queued'.*its turn at"):
            late.result()
        assert given_up.cancel()
        last.release()
        assert held.result().ok
        assert pool.drain(10)
        stats = pool.stats()
        assert (3, 1, 1, 1) == (stats.submitted, stats.succeeded, stats.failed, stats.cancelled)
    assert 1 == last.hits


def test_drain_waits_for_what_redirects_lead_elsewhere(sites):
    """Work that goes on at a worker that was idle before is not forgotten."""
    with WorkerPool(workers=4, per_host=1) as pool:
        for turn in range(5):
            jobs = [
                pool.submit(_led_from_to(start, end, f"/slow/{turn}?delay=0.01"))
                for start in sites
                for end in sites
                if start is not end
            ]
            assert pool.drain(30)
            assert all(job.done() for job in jobs)


def test_a_shutdown_waits_for_what_redirects_lead_elsewhere(sites):
    """No worker ends while something is on its way that may lead to its hosts."""
    for _ in range(5):
        pool = WorkerPool(workers=4, per_host=2)
        pairs = [(start, end) for start in sites for end in sites if start is not end]
        jobs = [pool.submit(_led_from_to(start, end, "/slow/1?delay=0.01")) for start, end in pairs]
        pool.shutdown()
        assert {"slow page 1"} == {job.result(0).text for job in jobs}


@pytest.mark.parametrize("end", ["session", "pool", "at once"])
def test_what_is_on_its_way_to_another_worker_has_an_outcome_at_the_end(sites, end):
    """Redirects lead from worker to worker while the lane, or the pool, is closed: nothing is lost between them."""
    with WorkerPool(workers=3, per_host=1) as pool:
        for _ in range(8):
            lane = pool.like("default")
            jobs = [lane.submit(_led_from_to(sites[n % 4], sites[(n + 1) % 4], "/fast/1")) for n in range(24)]
            jobs[0].result(30)
            if end == "session":
                lane.close()
                break_off = (PoolClosed,)
            elif end == "pool":
                pool.shutdown()
                break_off = ()
            else:
                pool.shutdown(timeout=0)
                break_off = (PoolClosed,)
            done = wait(jobs, 30)
            assert not done.not_done
            for job in jobs:
                error = None if job.cancelled() else job.exception()
                assert error is None or isinstance(error, break_off), error
            if end != "session":
                break
            assert pool.drain(30)


@pytest.mark.parametrize(("connections", "per_host"), [(1, 0), (9, 1)])
def test_a_queue_is_bounded_whatever_it_waits_for(site, connections, per_host):
    """Work set aside for its host counts in the queue as any other."""
    with WorkerPool(workers=1, connections=connections, per_host=per_host, queue=3) as pool:
        jobs = [pool.submit(site.url_for("/hold/0"))]
        site.wait_in_flight(1)
        jobs += [pool.submit(site.url_for(f"/fast/{n}")) for n in range(3)]
        with pytest.raises(QueueFull):
            pool.submit(site.url_for("/fast/9"), timeout=0.05)
        site.release()
        assert all(job.result().ok for job in jobs)


@pytest.mark.parametrize(("connections", "per_host"), [(1, 0), (9, 1)])
def test_what_is_given_up_makes_way_in_the_queue_at_once(site, connections, per_host):
    """A place in a full queue is free as soon as its work was cancelled or has expired."""
    with WorkerPool(workers=1, connections=connections, per_host=per_host, queue=2) as pool:
        held = pool.submit(site.url_for("/hold/0"))
        site.wait_in_flight(1)
        given_up = [
            pool.submit(site.url_for("/fast/1")),
            pool.submit(site.url_for("/fast/2"), timeout=Timeout(queue=0.02)),
        ]
        assert given_up[0].cancel()
        wait(given_up)
        jobs = [pool.submit(site.url_for(f"/fast/{n}"), timeout=5) for n in (3, 4)]
        site.release()
        assert all(job.result().ok for job in (held, *jobs))
    assert 3 == site.hits


@pytest.mark.parametrize("per_host", [0, 1])
def test_cancel_futures_cancels_all_that_has_not_started(site, per_host):
    """Work set aside for its host is as queued as the rest."""
    pool = WorkerPool(connections=3, per_host=per_host)
    held = [pool.submit(site.url_for(f"/hold/{n}")) for n in range(per_host or 3)]
    site.wait_in_flight(per_host or 3)
    queued = [pool.submit(site.url_for(f"/fast/{n}")) for n in range(10)]
    pool.shutdown(wait=False, cancel_futures=True)
    wait(queued)
    site.release()
    pool.shutdown()
    assert all(job.cancelled() for job in queued)
    assert all(job.result().ok for job in held)


@pytest.mark.parametrize("tries", [1, 3])
def test_a_stream_is_tried_again_for_its_status(pool, site, tries):
    """The first head that is not tried again is handed out, and only that."""
    retries = count()
    retry = Retry(tries, wait_initial=0.01, on_retry=lambda details: next(retries))
    with pool.stream("GET", site.url_for("/flaky/1"), retry=retry) as answer:
        assert isinstance(answer, StreamedResponse)
        assert ((503, "not yet") if tries == 1 else (200, "flaky page 1")) == (answer.status_code, answer.text)
        assert min(tries, 2) == answer.attempts
    assert min(tries, 2) == site.hits == next(retries) + 1
    with pool.stream("GET", site.url_for("/status/503"), retry=retry) as answer, pytest.raises(HTTPStatusError):
        answer.raise_for_status()
    assert isinstance(answer, Response)
    assert tries == answer.attempts
