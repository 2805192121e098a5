"""What a pool promises on one machine and on a cluster: the same tests of both."""

import asyncio
import threading
from concurrent.futures import CancelledError, as_completed, wait
from itertools import count, islice

import pytest
from clusters import module_cluster  # noqa: F401  a fixture

from workerpool import (
    ConnectError,
    DeadlineExceeded,
    DNSError,
    HTTPStatusError,
    InvalidRequest,
    Job,
    Lane,
    PoolClosed,
    QueueFull,
    Request,
    Response,
    Result,
    Retry,
    Timeout,
    WorkerPool,
    WorkerPoolError,
)
from workerpool.cluster import DaskPool
from workerpool.testing import Site

_PATIENCE = 60  # seconds after which something hangs
LANES = [
    Lane("few", connections=2),
    Lane("polite", per_host=1),
    Lane("browser", cookies={}),
    Lane("narrow", connections=1, queue=1, retry=None),
]


async def double(session, number):
    return 2 * number


async def fail(session, text):
    raise ValueError(text)


async def status(session, url):
    async with session.get(url) as answer:
        return answer.status


@pytest.fixture(scope="module")
def local():
    with WorkerPool(workers=2, lanes=LANES, name="tested") as pool:
        yield pool


@pytest.fixture(scope="module")
def spread(cluster):
    with DaskPool(cluster.address, lanes=LANES, name="tested") as pool:
        yield pool


@pytest.fixture(params=["local", "spread"])
def pool(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["local", "spread"])
def make(request):
    """Make a pool of one's own, to be closed."""
    if request.param == "local":
        return lambda **options: WorkerPool(workers=2, **options)
    address = request.getfixturevalue("cluster").address
    return lambda **options: DaskPool(address, **options)


def test_a_verb_blocks_for_its_answer(pool, shared_site):
    """A Response, with what was asked."""
    answer = pool.get(shared_site.url_for("/echo"), params={"a": "b"}, headers={"X-A": "c"}, meta="mine")
    assert isinstance(answer, Response)
    assert (200, {"a": "b"}, "c", "mine", 1) == (
        answer.status_code, answer.json()["args"], answer.json()["headers"]["X-A"], answer.meta, answer.attempts,
    )  # fmt: skip
    assert 0 < answer.elapsed < _PATIENCE


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_every_verb_sends_its_method(pool, shared_site, method):
    """As it is called."""
    answer = getattr(pool, method)(shared_site.url_for("/echo"), json={"n": 1})
    assert (method.upper(), '{"n": 1}') == (answer.json()["method"], answer.json()["body"])


def test_a_job_is_a_future(pool, shared_site):
    """Those of concurrent.futures take it, and a loop awaits it."""
    jobs = [pool.submit(shared_site.url_for(f"/fast/{number}")) for number in range(20)]
    assert all(isinstance(job, Job) for job in jobs)
    assert set(jobs) == set(as_completed(jobs, _PATIENCE))
    assert not wait(jobs, _PATIENCE).not_done

    async def awaited():
        return await pool.submit(shared_site.url_for("/fast/7"))

    assert "fast page 7" in asyncio.run(awaited()).text


def test_a_function_runs_beside_a_session(pool, shared_site):
    """And its value comes back."""
    assert 14 == pool.submit(double, 7).result(_PATIENCE)
    assert 200 == pool.submit(status, shared_site.url_for("/fast/1")).result(_PATIENCE)
    assert 6 == pool.call(double, 3, timeout=_PATIENCE).result(_PATIENCE)


def test_a_closure_travels(pool):
    """What it holds with it."""
    more = {"a": 5}

    async def fn(session):
        return more["a"] + 1

    assert 6 == pool.submit(fn).result(_PATIENCE)


def test_what_a_function_raises_is_raised(pool):
    """As it is."""
    with pytest.raises(ValueError, match="so"):
        pool.submit(fail, "so").result(_PATIENCE)


def test_map_keeps_the_order(pool):
    """And pulls no more than it may."""
    pulled = count()

    def inputs():
        for number in range(1000):
            next(pulled)
            yield number

    results = pool.map(double, inputs(), buffersize=8)
    assert [0, 2, 4] == list(islice(results, 3))
    results.close()
    assert next(pulled) <= 12


def test_fetch_many_gives_one_result_each(pool, shared_site):
    """Errors among them."""
    urls = [shared_site.url_for(f"/fast/{number}") for number in range(300)] + ["no url", "http://host:1x/"]
    results = list(pool.fetch_many(urls))
    assert all(isinstance(result, Result) for result in results)
    assert list(range(302)) == sorted(result.index for result in results)
    assert 300 == sum(result.ok for result in results)
    assert {InvalidRequest} == {type(result.error) for result in results if not result.ok}


def test_fetch_many_in_order(pool, shared_site):
    """Where that is asked for."""
    requests = [Request(shared_site.url_for(f"/fast/{number}"), meta=number) for number in range(300)]
    results = list(pool.fetch_many(requests, ordered=True))
    assert list(range(300)) == [result.index for result in results] == [result.meta for result in results]
    assert all(result.request is request for result, request in zip(results, requests, strict=True))


def test_fetch_many_is_lazy(pool, shared_site):
    """Of inputs without an end, no more are pulled than `buffersize` allows."""
    pulled = 0

    def inputs():
        nonlocal pulled
        while True:
            pulled += 1
            yield shared_site.url_for(f"/fast/{pulled}")

    with pool.fetch_many(inputs(), buffersize=16) as results:
        assert all(result.ok for result in islice(results, 50))
        assert pulled <= 50 + 16 + 1


def test_inputs_that_fail_raise_where_they_are_read(pool, shared_site):
    """Their own error."""

    def inputs():
        yield shared_site.url_for("/fast/1")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(pool.fetch_many(inputs()))


def test_results_are_read_on_a_loop(pool, shared_site):
    """By `async for`."""

    async def read():
        return [result.ok async for result in pool.fetch_many(shared_site.url_for(f"/fast/{n}") for n in range(50))]

    assert [True] * 50 == asyncio.run(read())


def test_a_status_is_no_error(pool, shared_site):
    """Until it is asked to be."""
    answer = pool.get(shared_site.url_for("/status/404"))
    assert (404, False) == (answer.status_code, answer.ok)
    with pytest.raises(HTTPStatusError):
        answer.raise_for_status()


def test_no_connection(pool, free_port):
    """Facts and cause are there."""
    with pytest.raises(ConnectError) as caught:
        pool.get(f"http://127.0.0.1:{free_port}/?key=secret", retry=None)
    assert ("GET", 1, "connect", "default") == (
        caught.value.method, caught.value.attempts, caught.value.stage, caught.value.lane,
    )  # fmt: skip
    assert "secret" not in str(caught.value) + caught.value.url
    assert caught.value.__cause__ is not None


def test_no_such_name(pool):
    """Its own class of error."""
    with pytest.raises(DNSError):
        pool.get("http://nowhere.invalid/")


def test_a_deadline_falls(pool, site):
    """Where a thread waits, and of a job."""
    with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s"):
        pool.get(site.url_for("/hold/1"), timeout=0.2)
    with pytest.raises(DeadlineExceeded):
        pool.submit(site.url_for("/hold/2"), timeout=0.2).result(_PATIENCE)


def test_a_wait_for_a_place_is_bounded_by_queue(pool, site):
    """And by that only."""
    lane = pool.lane("narrow")
    first = lane.submit(site.url_for("/hold/1"))
    site.wait_in_flight(1)
    second = lane.submit(site.url_for("/fast/1"), timeout=Timeout(queue=0.2))
    with pytest.raises(DeadlineExceeded):
        second.result(_PATIENCE)
    site.release()
    assert first.result(_PATIENCE).ok


def test_a_full_queue_refuses(pool, site):
    """After the time there was for a place."""
    lane = pool.lane("narrow")
    first = lane.submit(site.url_for("/hold/1"))
    site.wait_in_flight(1)
    second = lane.submit(site.url_for("/fast/1"))
    with pytest.raises(QueueFull, match="narrow"):
        lane.submit(site.url_for("/fast/2"), timeout=0.1)
    site.release()
    assert first.result(_PATIENCE).ok
    assert second.result(_PATIENCE).ok
    assert lane.submit(site.url_for("/fast/3")).result(_PATIENCE).ok


def test_a_job_in_flight_is_cancelled(pool, site):
    """Its request is aborted at the server."""
    job = pool.submit(site.url_for("/hold/1"))
    site.wait_in_flight(1)
    assert job.running()
    assert job.cancel()
    site.wait_in_flight(0)
    with pytest.raises(CancelledError):
        job.result(_PATIENCE)


def test_leaving_the_loop_gives_up_the_rest(pool, site):
    """What is in flight is aborted."""
    urls = [site.url_for("/fast/1"), *(site.url_for(f"/hold/{number}") for number in range(5))]
    for _result in pool.fetch_many(urls):
        site.wait_in_flight(5)
        break
    site.wait_in_flight(0)


def test_a_bad_status_is_tried_again(pool, site):
    """Where it does no harm, and each try is counted."""
    retry = Retry(wait_initial=0.001, wait_jitter=0.001)
    assert (200, 2) == _told(pool.get(site.url_for("/flaky/1"), retry=retry))
    assert 503 == pool.get(site.url_for("/flaky/2"), retry=None).status_code


def _told(answer):
    return answer.status_code, answer.attempts


def test_redirects_are_followed(pool, shared_site):
    """With their history, and not further than asked."""
    answer = pool.get(shared_site.url_for("/redirect/2"))
    assert ([302, 302, 302], shared_site.url_for("/fast/0")) == (
        [each.status_code for each in answer.history], answer.url,
    )  # fmt: skip
    assert 302 == pool.get(shared_site.url_for("/redirect/2"), allow_redirects=False).status_code


def test_a_redirect_to_another_host_counts_there(pool, shared_site):
    """In a lane with limits per host: its history and its meta come along."""
    with Site() as other:
        answer = pool.lane("polite").get(
            shared_site.url_for("/redirect-to"),
            params={"url": other.url_for("/echo")},
            headers={"X-Secret": "s"},
            meta=1,
        )
        assert ([302], 1, other.url_for("/echo")) == ([e.status_code for e in answer.history], answer.meta, answer.url)
        assert "X-Secret" not in answer.json()["headers"]


def test_one_request_at_a_time_to_a_host(pool, site):
    """Whichever worker does it."""
    results = list(pool.lane("polite").fetch_many(site.url_for(f"/slow/{n}?delay=0.001") for n in range(40)))
    assert all(result.ok for result in results)
    assert 1 == site.max_in_flight


def test_connections_bound_the_whole_lane(pool, site):
    """Over all workers."""
    results = list(pool.lane("few").fetch_many(site.url_for(f"/slow/{n}?delay=0.001") for n in range(60)))
    assert all(result.ok for result in results)
    assert site.max_in_flight <= 2


def test_a_lane_with_cookies_is_one_browser(pool, shared_site):
    """What one answer has set goes with the next request."""
    lane = pool.lane("browser")
    lane.get(shared_site.url_for("/cookies/set?name=value"))
    assert {"name": "value"} == lane.get(shared_site.url_for("/cookies")).json()
    assert {} == pool.get(shared_site.url_for("/cookies")).json()


def test_a_lane_that_there_is_not(pool):
    """Names those that there are."""
    with pytest.raises(InvalidRequest, match="it has: browser, default, few"):
        pool.lane("other")


def test_numbers_are_exact(make, shared_site):
    """When all has come."""
    with make() as pool:
        list(
            pool.fetch_many(
                [shared_site.url_for(f"/fast/{n}") for n in range(100)] + [shared_site.url_for("/status/404")]
            )
        )
        pool.submit(fail, "so").exception(_PATIENCE)
        assert pool.drain(_PATIENCE)
        stats = pool.stats()
        assert ("open", 102, 101, 1, 0, 0, 0) == (
            stats.state, stats.submitted, stats.succeeded, stats.failed, stats.cancelled, stats.in_flight, stats.queued,
        )  # fmt: skip
        assert (101, 102) == (stats.lane("default").attempts, stats.lane("default").durations.count)
        assert stats.workers


def test_drain_waits(make, site):
    """For all that was submitted before, so long at most."""
    with make() as pool:
        job = pool.submit(site.url_for("/hold/1"))
        assert not pool.drain(0.01)
        site.release()
        assert pool.drain(_PATIENCE)
        assert job.done()


def test_a_shut_pool_takes_nothing(make, shared_site):
    """What was submitted before has its outcome."""
    pool = make()
    job = pool.submit(shared_site.url_for("/fast/1"))
    pool.shutdown()
    pool.shutdown()
    assert job.result(0).ok
    with pytest.raises(PoolClosed):
        pool.submit(shared_site.url_for("/fast/1"))
    with pytest.raises(PoolClosed):
        list(pool.fetch_many([shared_site.url_for("/fast/1")]))


def test_a_shutdown_that_is_bounded(make, site):
    """What is left after it fails."""
    pool = make()
    job = pool.submit(site.url_for("/hold/1"))
    site.wait_in_flight(1)
    pool.shutdown(timeout=0.1)
    with pytest.raises(PoolClosed):
        job.result(_PATIENCE)
    site.wait_in_flight(0)


def test_an_error_leaves_the_block_at_once(make, site):
    """And what is in flight does not hold it up."""

    def leave():
        with make() as pool:
            jobs.append(pool.submit(site.url_for("/hold/1")))
            site.wait_in_flight(1)
            raise KeyError("mine")

    jobs = []
    with pytest.raises(KeyError, match="mine"):
        leave()
    with pytest.raises(WorkerPoolError):
        jobs[0].result(_PATIENCE)


def test_many_threads_share_a_pool(pool, shared_site):
    """Each gets its own answers."""
    wrong = []

    def ask(number):
        pages = range(number * 100, number * 100 + 20)
        wrong.extend(n for n in pages if f"fast page {n} " not in pool.get(shared_site.url_for(f"/fast/{n}")).text)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE)
    assert [] == wrong


def test_a_blocking_call_in_a_callback_is_refused(pool, shared_site):
    """On the pool's own thread it would wait for itself."""
    found, done = [], threading.Event()

    def call_back(job):
        try:
            pool.get(shared_site.url_for("/fast/1"))
        except WorkerPoolError as error:
            found.append(type(error).__name__)
        done.set()

    pool.submit(shared_site.url_for("/slow/1?delay=0.1")).add_done_callback(call_back)
    assert done.wait(_PATIENCE)
    assert found == ["WrongThread"]


def test_a_large_body_comes_whole(pool, shared_site):
    """Beyond what one message of the cluster holds."""
    assert 20 * 2**20 == len(pool.get(shared_site.url_for(f"/large/{20 * 1024}")).content)


def test_what_cannot_be_sent_is_refused_at_the_call(pool):
    """And a misspelt keyword with the right one."""
    with pytest.raises(InvalidRequest):
        pool.submit("no url")
    with pytest.raises(TypeError, match="timeout"):
        pool.submit("http://host/", timeuot=1)
    with pytest.raises(TypeError, match="not an async function"):
        pool.submit(print)


def test_a_pool_is_not_pickled(pool):
    """It says what to do instead."""
    import pickle

    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(pool)
