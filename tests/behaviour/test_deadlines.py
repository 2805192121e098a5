"""Where the time of a request begins, and what a deadline says that was waited for."""

import asyncio
import re
import threading
from concurrent.futures import wait

import pytest

from workerpool import DeadlineExceeded, QueueFull, Rate, Timeout, WorkerPool
from workerpool.testing import Site

PAGES = 30
SHORT = 2.5  # seconds: less than the queue of any lane here takes for so many pages, and much more than one page does

LIMITS = [
    {"per_host_rate": Rate(10)},
    {"rate": Rate(10)},
    {"connections": 1},
    {"per_host": 1},
    {"connections": 2, "per_host": 1, "per_host_rate": Rate(12, burst=3)},
]


async def _fetch(session, url):
    async with session.get(url) as response:
        return len(await response.read())


@pytest.mark.parametrize(
    ("way", "limits"),
    [*((way, limits) for way in ("submit", "fetch_many") for limits in LIMITS), ("map", {"connections": 1})],
    ids=str,
)
def test_no_page_is_lost_to_the_limits_of_the_lane(shared_site, way, limits):
    """Work that waits for its turn longer than the timeout is done all the same: its time begins with its place."""
    urls = [shared_site.url_for("/slow/1?delay=0.11")] * PAGES
    with WorkerPool(workers=1, timeout=SHORT, **limits) as pool:
        if way == "submit":
            jobs = [pool.submit(url) for url in urls]
            assert [200] * PAGES == [job.result().status_code for job in jobs]
        elif way == "fetch_many":
            results = pool.fetch_many(urls, buffersize=PAGES)
            assert [200] * PAGES == [result.unwrap().status_code for result in results]
        else:
            assert PAGES == len(list(pool.map(_fetch, urls, job_timeout=SHORT, buffersize=PAGES)))


SLOWLY = Rate(1, per=SHORT + 0.5)  # the second turn comes after the total
AGAIN = ["/redirect/0", "/flaky/1"]  # what waits for a second turn


@pytest.mark.parametrize(
    ("way", "path", "limits"),
    [
        ("submit", "/redirect/0", {"rate": SLOWLY}),
        ("stream", "/redirect/0", {"per_host_rate": SLOWLY}),
        ("submit", "/flaky/1", {"per_host_rate": SLOWLY}),
        ("fetch_many", "/flaky/1", {"rate": SLOWLY}),
    ],
    ids=str,
)
def test_no_redirect_and_no_retry_is_lost_to_the_rate_of_the_lane(site, way, path, limits):
    """The second turn is waited for as the first was: the time stands still."""
    with WorkerPool(workers=1, timeout=SHORT, **limits) as pool:
        if way == "fetch_many":
            assert [True] == [result.ok for result in pool.fetch_many([site.url_for(path)])]
        else:
            with pool.submit(site.url_for(path), stream=way == "stream").result(60) as answer:
                assert answer.ok
                assert answer.content if way == "submit" else answer.read()


def test_no_redirect_is_lost_to_the_limits_of_another_host(site):
    """The request gives its place up, and its time stands still until it has one there."""
    with Site() as other, WorkerPool(workers=2, per_host=1) as pool:
        held = pool.submit(other.url_for("/hold/1"))
        other.wait_in_flight(1)
        led = pool.submit(site.url_for(f"/redirect-to?url={other.url_for('/fast/1')}"), timeout=0.5)
        assert pool.get(site.url_for("/slow/1?delay=1")).ok
        assert not led.done()
        other.release()
        assert led.result(60).ok
        assert held.result(60).ok


@pytest.mark.parametrize("limits", [{"rate": Rate(1, per=0.5)}, {"per_host": 1}], ids=str)
def test_the_time_goes_on_after_the_wait(site, limits):
    """A server that is silent then is not waited for: the deadline falls."""
    with Site() as other, WorkerPool(workers=2, **limits) as pool:
        led = pool.submit(site.url_for(f"/redirect-to?url={other.url_for('/hold/1')}"), timeout=0.3)
        error = led.exception(60)
        assert isinstance(error, DeadlineExceeded)
        assert "headers" == error.stage


@pytest.mark.parametrize("path", AGAIN)
@pytest.mark.parametrize("way", ["get", "submit"])
def test_who_waits_for_a_second_turn_in_vain_is_told_so(site, way, path):
    """It is the lane's own limit, by the total of a call that blocks, by `queue` elsewhere; the server is not blamed."""
    url = site.url_for(path)
    with WorkerPool(workers=1, rate=Rate(1, per=1000)) as pool:
        ways = {
            "get": lambda: pool.get(url, timeout=SHORT),
            "submit": lambda: pool.submit(url, timeout=Timeout(total=60, queue=60)).result(60),
        }
        with pytest.raises(DeadlineExceeded) as caught:
            ways[way]()
        assert "queued" == caught.value.stage
        assert ("queue=" in str(caught.value)) == (way == "submit")


def test_the_time_of_a_blocking_call_begins_with_the_call(site):
    """Somebody waits: the queue counts."""
    with WorkerPool(workers=1, connections=1) as pool:
        held = pool.submit(site.url_for("/hold/1"))
        site.wait_in_flight(1)
        with pytest.raises(DeadlineExceeded, match=r"at stage 'queued'.*all 1 connections of lane 'default'") as caught:
            pool.get(site.url_for("/fast/1"), timeout=0.1)
        assert ("queued", 0) == (caught.value.stage, caught.value.attempts)
        with pytest.raises(DeadlineExceeded, match="at stage 'queued'"), pool.stream("GET", site.url, timeout=0.1):
            pass
        site.release()
        assert held.result(60).ok


@pytest.mark.parametrize("timeout", [Timeout(queue=0.1), Timeout(total=None, queue=0.1), Timeout(total=9, queue=0.1)])
@pytest.mark.parametrize("way", ["submit", "get", "fetch_many", "stream", "call"])
def test_the_wait_for_a_place_can_be_limited(site, timeout, way):
    """`Timeout.queue` ends it, and the error says which limit that was and what was waited for."""

    async def one(session):
        return 1

    with WorkerPool(workers=1, connections=1) as pool:
        held = pool.submit(site.url_for("/hold/1"))
        site.wait_in_flight(1)
        url = site.url_for("/fast/1")
        ways = {
            "submit": lambda: pool.submit(url, timeout=timeout).result(60),
            "get": lambda: pool.get(url, timeout=timeout),
            "fetch_many": lambda: next(iter(pool.fetch_many([url], timeout=timeout))).unwrap(),
            "call": lambda: pool.call(one, timeout=timeout).result(60),
            "stream": lambda: pool.stream("GET", url, timeout=timeout).__enter__(),
        }
        with pytest.raises(DeadlineExceeded, match=r"not begun within 0.1 s.*raise Timeout\(queue=...\)"):
            ways[way]()
        site.release()
        assert held.result(60).ok
    assert 1 == site.hits


@pytest.mark.parametrize("way", ["submit", "get", "stream"])
def test_once_it_has_its_place_the_total_counts(site, way):
    """A short wait for the place allowed does not shorten the request itself."""
    url, timeout = site.url_for("/slow/1?delay=0.6"), Timeout(total=60, queue=0.3)
    with WorkerPool(workers=1) as pool:
        if way == "submit":
            assert pool.submit(url, timeout=timeout).result().ok
        elif way == "get":
            assert pool.get(url, timeout=timeout).ok
        else:
            with pool.stream("GET", url, timeout=timeout) as response:
                assert response.read()


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"rate": Rate(1, per=1000)}, r"the rate of lane 'default' \(1 per 1000 s\)"),
        ({"per_host_rate": Rate(1, per=1000)}, r"its turn at 127.0.0.1:\d+ \(per_host_rate=1 per 1000 s\)"),
        ({"per_host": 1}, r"its turn at 127.0.0.1:\d+ \(per_host=1\)"),
        ({"connections": 1}, "a place: all 1 connections of lane 'default' on tested-0 are taken"),
    ],
)
def test_the_error_says_what_was_waited_for(site, limits, told):
    """The lane's rate, its connections, or the host."""
    with WorkerPool(workers=1, name="tested", **limits) as pool:
        first = pool.submit(site.url_for("/hold/1"))
        site.wait_in_flight(1)
        error = pool.submit(site.url_for("/hold/2"), timeout=Timeout(queue=0.1)).exception(60)
        assert isinstance(error, DeadlineExceeded)
        assert re.search(told, str(error))
        site.release()
        assert first.result(60).ok


def test_retries_and_their_pauses_count(site):
    """The total of submitted work is spent by its retries as by anything else."""
    with WorkerPool(workers=1) as pool:
        job = pool.submit(site.url_for("/hold/1"), timeout=Timeout(total=0.5, read=0.1))
        assert isinstance(job.exception(60), DeadlineExceeded)
        assert job.attempts >= 1


def test_a_function_has_a_deadline_and_a_priority(site):
    """`call` runs a function with both; its own keywords are bound by partial."""
    order = []

    async def note(session, what, *, timeout=None):
        order.append((what, timeout))

    async def sleep(session):
        await asyncio.sleep(1000)

    from functools import partial

    with WorkerPool(workers=1, connections=1) as pool:
        held = pool.submit(site.url_for("/hold/1"))
        site.wait_in_flight(1)
        jobs = [pool.call(note, "low"), pool.call(partial(note, timeout=5), "high", priority=1)]
        site.release()
        assert held.result(60).ok
        wait(jobs)
        assert [("high", 5), ("low", None)] == order
        with pytest.raises(DeadlineExceeded, match="at stage 'running'"):
            pool.call(sleep, timeout=0.1).result(60)
        assert pool.drain(60)


def test_a_function_that_awaits_a_job_of_its_own_full_lane_is_told_so(shared_site):
    """The inner job's time begins with its submit, and its error names the reason; the function ends, and the pool."""
    seen = []

    async def outer(session):
        try:
            await pool.submit(shared_site.url_for("/fast/1"), timeout=0.2)
        except DeadlineExceeded as exc:
            seen.append(str(exc))
            raise

    with WorkerPool(workers=1, connections=1) as pool:
        assert isinstance(pool.submit(outer).exception(60), DeadlineExceeded)
    assert "submitted on a worker's own thread" in seen[0]


def test_a_full_queue_bounds_the_submit(site):
    """The caller waits there, for `Timeout.queue` or else for the total, and then knows."""
    with WorkerPool(workers=1, connections=1, queue=1) as pool:
        jobs = [pool.submit(site.url_for("/hold/1"))]
        site.wait_in_flight(1)
        jobs.append(pool.submit(site.url_for("/fast/1")))
        for timeout in (0.05, Timeout(queue=0.05), Timeout(total=None, queue=0.05)):
            with pytest.raises(QueueFull):
                pool.submit(site.url_for("/fast/2"), timeout=timeout)
        site.release()
        assert all(job.result(60).ok for job in jobs)


@pytest.mark.parametrize(("options", "in_flight"), [({"connections": 4}, 4), ({"rate": 2}, 1)])
def test_fetch_many_pulls_no_more_ahead_than_can_start_soon(site, options, in_flight):
    """Four connections, or two starts a second: a handful of inputs, and not hundreds, wait for them."""
    pulled = 0

    def urls():
        nonlocal pulled
        for n in range(1000):
            pulled += 1
            yield site.url_for(f"/hold/{n}")

    with WorkerPool(**options) as pool:
        results = pool.fetch_many(urls())
        reader = threading.Thread(target=lambda: next(results, None))
        reader.start()
        site.wait_in_flight(in_flight)
        assert pulled <= 32
        site.release()
        reader.join()
        results.close()


def test_what_was_given_up_keeps_no_pool_from_its_end(site):
    """An expired or cancelled job in a slow lane does not wait for its turn before the pool may end."""
    for limits in ({"rate": Rate(1, per=1000)}, {"per_host_rate": Rate(1, per=1000)}):
        with WorkerPool(workers=1, **limits) as pool:
            assert pool.get(site.url_for("/fast/1")).ok
            jobs = [pool.submit(site.url_for("/fast/2"), priority=n % 2) for n in range(6)]
            jobs.append(pool.submit(site.url_for("/fast/3"), timeout=Timeout(queue=0.05)))
            for job in jobs[:-1]:
                assert job.cancel()
            wait(jobs)
            assert pool.drain(60)
            assert 0 == pool.stats().queued
