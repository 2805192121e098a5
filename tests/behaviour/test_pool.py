"""The pool: blocking verbs, futures, functions, map, fetch_many, drain, shutdown."""

import asyncio
import contextvars
import pickle
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed, wait

import aiohttp
import pytest

import workerpool
from workerpool import (
    ConnectError,
    DeadlineExceeded,
    HTTPStatusError,
    Lane,
    PoolClosed,
    QueueFull,
    Request,
    Response,
    Retry,
    WorkerLost,
    WorkerPool,
    WrongThread,
    get_pool,
)


async def nothing(session):
    return None


async def text_of(session, url):
    async with session.get(url) as response:
        return await response.text()


def test_get_answers_as_requests_would(pool, shared_site):
    """A blocking get has the names and shapes of requests."""
    response = pool.get(shared_site.url_for("/echo"), params={"q": "tea", "none": None}, headers={"X-Tag": "7"})

    assert 200 == response.status_code == response.status
    assert response.ok
    assert {"q": "tea"} == response.json()["args"]
    assert "7" == response.json()["headers"]["X-Tag"]
    assert response.headers["content-type"].startswith("application/json")
    assert response.elapsed.total_seconds() > 0
    assert 1 == response.attempts
    assert "1.1" == response.http_version


@pytest.mark.parametrize("method", ["get", "options", "post", "put", "patch", "delete"])
def test_every_verb_sends_its_method(pool, shared_site, method):
    """The verbs send what they are named after."""
    assert method.upper() == getattr(pool, method)(shared_site.url_for("/echo")).json()["method"]


def test_head_has_no_body(pool, shared_site):
    """A HEAD is complete without a body."""
    assert b"" == pool.head(shared_site.url_for("/fast/1")).content


@pytest.mark.parametrize(
    ("options", "body", "kind"),
    [
        ({"json": {"n": 1}}, '{"n": 1}', "application/json"),
        ({"data": {"a": "1", "b": ["2", "3"]}}, "a=1&b=2&b=3", "application/x-www-form-urlencoded"),
        ({"data": b"raw"}, "raw", "application/octet-stream"),
        ({"data": (b"%d" % n for n in range(3))}, "012", "application/octet-stream"),
    ],
)
def test_bodies_arrive(pool, shared_site, options, body, kind):
    """json, forms, bytes and generators arrive as they were given, with their type."""
    seen = pool.post(shared_site.url_for("/echo"), **options).json()
    assert body == seen["body"]
    assert kind == seen["headers"]["Content-Type"]


def test_a_file_is_sent_with_its_length(pool, shared_site, tmp_path):
    """An open file travels with a Content-Length, from where it stands."""
    path = tmp_path / "body"
    path.write_bytes(b"0123456789" * 10_000)
    with path.open("rb") as file:
        file.seek(10)
        seen = pool.put(shared_site.url_for("/echo"), data=file).json()
    assert "99990" == seen["headers"]["Content-Length"]
    assert 99_990 == seen["length"]


def test_files_are_sent_as_a_form(pool, shared_site):
    """files= makes a multipart form of fields and files."""
    seen = pool.post(
        shared_site.url_for("/echo"), data={"field": "value"}, files={"up": ("name.txt", b"inside", "text/plain")}
    ).json()
    assert seen["headers"]["Content-Type"].startswith("multipart/form-data")
    for part in ('name="field"', "value", 'filename="name.txt"', "inside"):
        assert part in seen["body"]


def test_a_generator_that_raises_gives_its_own_error(pool, shared_site):
    """The error of a body's own source is the cause that the caller sees."""

    def broken():
        yield b"first"
        raise LookupError("the source broke")

    with pytest.raises(workerpool.InvalidRequest) as caught:
        pool.post(shared_site.url_for("/echo"), data=broken())
    assert isinstance(caught.value.__cause__, LookupError)
    assert pool.get(shared_site.url_for("/fast/1")).ok


def test_redirects_are_followed_and_kept(pool, shared_site):
    """The way of the redirects is in history, the final URL in url."""
    response = pool.get(shared_site.url_for("/redirect/3"))
    assert shared_site.url_for("/fast/0") == response.url
    assert [302, 302, 302, 302] == [hop.status_code for hop in response.history]
    assert 302 == pool.get(shared_site.url_for("/redirect/3"), allow_redirects=False).status_code


def test_gzip_is_decoded(pool, shared_site):
    """A gzip body is handed out decoded."""
    assert {"n": 5} == pool.get(shared_site.url_for("/gzip/5")).json()


def test_a_503_is_tried_again_and_counted(pool, shared_site):
    """A passing 503 is tried again, and attempts says so."""
    assert 2 == pool.get(shared_site.url_for("/flaky/31")).attempts


def test_retry_none_takes_the_first_answer(pool, shared_site):
    """retry=None gives the 503 to the caller."""
    response = pool.get(shared_site.url_for("/flaky/32"), retry=None)
    assert (503, 1) == (response.status_code, response.attempts)


def test_a_post_is_not_sent_twice(pool, site):
    """A POST is not tried again unless its method is named."""
    assert 1 == pool.post(site.url_for("/status/503")).attempts
    again = Retry(attempts=2, methods=frozenset({"POST"}), wait_initial=0.001, wait_jitter=0)
    assert 2 == pool.post(site.url_for("/status/503"), retry=again).attempts
    assert 3 == site.hits


def test_raise_for_status_names_url_and_status(pool, shared_site):
    """The status error carries the response and no secret."""
    response = pool.get(shared_site.url_for("/status/404?token=secret"))
    with pytest.raises(HTTPStatusError) as caught:
        response.raise_for_status()
    assert caught.value.response is response
    assert "404" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "secret" not in str(pickle.loads(pickle.dumps(caught.value)))


def test_what_travels_can_be_pickled(pool, shared_site):
    """Requests, responses and results survive pickling."""
    for result in pool.fetch_many([Request("GET", shared_site.url_for("/fast/9"), headers={"X-A": "b"})]):
        again = pickle.loads(pickle.dumps(result))
    assert result.response.content == again.response.content
    assert list(result.response.headers.items()) == list(again.response.headers.items())
    assert result.request == again.request == again.response.request


def test_a_response_is_frozen(pool, shared_site):
    """Nothing of a response can be set."""
    response = pool.get(shared_site.url_for("/fast/1"))
    for name in ("content", "status_code", "anything"):
        with pytest.raises(AttributeError):
            setattr(response, name, b"")


def test_submit_takes_urls_requests_and_functions(pool, shared_site):
    """All three kinds of targets become jobs."""
    url = shared_site.url_for("/fast/3")
    jobs = [pool.submit(url), pool.submit(Request(url)), pool.submit(text_of, url)]
    done = {job.result() if isinstance(job.result(), str) else job.result().text for job in as_completed(jobs)}
    assert 1 == len(done)
    assert {"tested-0", "tested-1"} >= {job.worker for job in jobs}
    assert "POST" == pool.submit(shared_site.url_for("/echo"), method="POST", json=1).result().json()["method"]


def test_contextvars_of_the_submitter_are_seen(pool):
    """A function sees the contextvars of the thread that submitted it."""
    tag = contextvars.ContextVar("tag")

    async def read(session):
        return tag.get()

    tag.set("mine")
    assert "mine" == pool.submit(read).result()


def test_a_function_raises_in_the_caller(pool):
    """What a function raises is raised by result(); SystemExit as WorkerLost, for it is not the caller's to exit."""

    async def fail(session):
        raise LookupError("mine")

    async def leave(session):
        raise SystemExit(3)

    with pytest.raises(LookupError, match="mine"):
        pool.submit(fail).result()
    with pytest.raises(WorkerLost) as caught:
        pool.submit(leave).result()
    assert isinstance(caught.value.__cause__, SystemExit)
    assert pool.submit(nothing).result() is None


def test_a_blocking_call_on_a_workers_thread_is_refused(pool, shared_site):
    """What would wait for itself is refused at once, whatever it is called on."""
    url = shared_site.url_for("/fast/1")

    async def misuse(session, how):
        how()

    for how in (lambda: pool.get(url), lambda: pool.submit(url).result(), lambda: list(pool.fetch_many([url]))):
        with pytest.raises(WrongThread):
            pool.submit(misuse, how).result()


def test_a_job_can_be_awaited(pool, shared_site):
    """A job can be awaited on any loop, and so can a job inside a worker."""

    async def main():
        return (await pool.submit(shared_site.url_for("/fast/1"))).status_code

    async def nested(session):
        return (await pool.submit(shared_site.url_for("/fast/2"))).status_code

    assert 200 == asyncio.run(main())
    assert 200 == pool.submit(nested).result()


def test_cancel_reaches_the_server(pool, site):
    """A cancelled job closes its connection, so that the server sees it."""
    job = pool.submit(site.url_for("/hold/1"))
    site.wait_in_flight(1)
    assert job.running()
    assert job.cancel()
    assert job.cancelled()
    with pytest.raises(CancelledError):
        job.result()
    site.wait_in_flight(0)
    assert job in wait([job]).done


def test_the_deadline_counts_from_submit(site):
    """A job that waits in the queue fails at its deadline, and says where it was."""
    with WorkerPool(connections=1) as pool:
        first = pool.submit(site.url_for("/hold/1"))
        site.wait_in_flight(1)
        with pytest.raises(DeadlineExceeded) as caught:
            pool.get(site.url_for("/fast/1"), timeout=0.1)
        assert "queued" == caught.value.stage
        site.release()
        assert first.result().ok
    assert 1 == site.hits


def test_the_deadline_falls_in_flight(pool, site):
    """A server that does not answer is left at the deadline, its connection closed."""
    with pytest.raises(DeadlineExceeded) as caught:
        pool.get(site.url_for("/hold/1?key=secret"), timeout=0.1)
    assert "headers" == caught.value.stage
    assert "secret" not in str(caught.value)
    site.wait_in_flight(0)


def test_no_connection_is_a_typed_error(pool, free_port):
    """A closed port gives ConnectError with the operating system's reason."""
    with pytest.raises(ConnectError) as caught:
        pool.get(f"http://127.0.0.1:{free_port}/", retry=None)
    assert ("connect", 1) == (caught.value.stage, caught.value.attempts)
    assert isinstance(caught.value.__cause__, OSError)


def test_map_is_ordered_and_bounded(pool, shared_site):
    """map yields in the order of its inputs and pulls no more than buffersize ahead."""
    pulled = 0

    def urls():
        nonlocal pulled
        for n in range(50):
            pulled += 1
            yield shared_site.url_for(f"/fast/{n}")

    got = pool.map(text_of, urls(), buffersize=5)
    for n, text in enumerate(got):
        assert f"{n}" in text
        assert pulled <= n + 1 + 5
    assert 50 == pulled


def test_fetch_many_yields_one_result_per_input(pool, shared_site):
    """Good, bad and impossible inputs yield a result each, never an exception."""
    inputs = [
        shared_site.url_for("/fast/1"),
        "http://",
        Request(shared_site.url_for("/status/500"), retry=None),
        "nonsense",
    ]
    results = sorted(pool.fetch_many(inputs), key=lambda result: result.index)
    assert [True, False, False, False] == [result.ok for result in results]
    assert 500 == results[2].unwrap().status_code
    with pytest.raises(workerpool.InvalidRequest):
        results[3].unwrap()


def test_fetch_many_in_order(pool, shared_site):
    """ordered=True keeps the order of the inputs."""
    urls = [shared_site.url_for(f"/slow/{n}?delay={(5 - n % 5) / 100}") for n in range(20)]
    assert list(range(20)) == [result.index for result in pool.fetch_many(urls, ordered=True, buffersize=7)]


def test_fetch_many_is_lazy_and_bounded(pool, shared_site):
    """An endless generator is pulled no further than buffersize ahead."""
    pulled = 0

    def endless():
        nonlocal pulled
        while True:
            pulled += 1
            yield shared_site.url_for("/fast/1")

    for handed_out, result in enumerate(pool.fetch_many(endless(), buffersize=16)):
        assert result.ok
        assert pulled <= handed_out + 1 + 16
        if handed_out == 300:
            break
    assert pool.drain(10)


def test_leaving_the_loop_cancels_what_is_in_flight(pool, site):
    """After a break nothing is under way any more."""
    urls = [site.url_for("/fast/1"), *(site.url_for(f"/hold/{n}") for n in range(10))]
    for result in pool.fetch_many(urls):
        assert result.ok
        site.wait_in_flight(10)
        break
    assert pool.drain(10)
    site.wait_in_flight(0)


def test_fetch_many_with_async_for(pool, shared_site):
    """The same results come out of `async for`."""

    async def main():
        return sorted([result.index async for result in pool.fetch_many([shared_site.url_for("/fast/1")] * 40)])

    assert list(range(40)) == asyncio.run(main())


def test_an_error_of_the_inputs_is_raised(pool, shared_site):
    """An iterable that raises ends the loop with its own error."""

    def inputs():
        yield shared_site.url_for("/fast/1")
        raise LookupError

    with pytest.raises(LookupError):
        list(pool.fetch_many(inputs()))
    assert pool.drain(10)


def test_many_callers_get_their_own_answers(pool, shared_site):
    """64 threads that block on get, 10,000 requests: nobody is given another's answer, nobody is left waiting."""

    def one(n: int) -> bool:
        return str(n) == pool.get(shared_site.url_for("/echo"), params={"n": n}).json()["args"]["n"]

    with ThreadPoolExecutor(64) as threads:
        assert all(threads.map(one, range(10_000)))


def test_stats_add_up(pool, shared_site):
    """What was submitted is what ended, in one count each."""
    pool.get(shared_site.url_for("/fast/1"))
    with pytest.raises(DeadlineExceeded):
        pool.get(shared_site.url_for("/slow/1?delay=5"), timeout=0.05)
    assert pool.drain(10)
    stats = pool.stats()
    assert (2, 1, 1, 0, 0, 0) == (
        stats.submitted, stats.succeeded, stats.failed, stats.cancelled, stats.in_flight, stats.queued,
    )  # fmt: skip
    assert "open" in repr(pool)


def test_shutdown_does_what_was_accepted(shared_site):
    """shutdown waits for accepted jobs; afterwards the pool refuses."""
    pool = WorkerPool()
    job = pool.submit(shared_site.url_for("/slow/1"))
    pool.shutdown()
    pool.shutdown()
    assert job.result().ok
    with pytest.raises(PoolClosed):
        pool.get(shared_site.url_for("/fast/1"))


def test_shutdown_can_cancel_what_waits(site):
    """cancel_futures cancels the queue, and lets what has begun come to its end."""
    pool = WorkerPool(connections=1)
    first = pool.submit(site.url_for("/hold/1"))
    site.wait_in_flight(1)
    second = pool.submit(site.url_for("/hold/2"))
    pool.shutdown(wait=False, cancel_futures=True)
    assert second.cancelled()
    site.release()
    pool.shutdown()
    assert first.result().ok


def test_shutdown_with_a_timeout_fails_what_is_left(site):
    """After the timeout every job has an outcome: PoolClosed."""
    pool = WorkerPool(connections=5)
    jobs = [pool.submit(site.url_for(f"/hold/{n}")) for n in range(20)]
    site.wait_in_flight(5)
    pool.shutdown(timeout=0.1)
    assert 20 == sum(isinstance(job.exception(0), PoolClosed) for job in jobs)


def test_a_stuck_function_does_not_hang_the_shutdown():
    """A function that blocks its loop is left behind, and its callers are told."""
    release = threading.Event()

    async def stuck(session):
        release.wait(30)

    pool = WorkerPool(workers=1)
    jobs = [pool.submit(stuck), pool.submit(nothing)]
    pool.shutdown(timeout=0.1)
    assert all(isinstance(job.exception(0), PoolClosed) for job in jobs)
    release.set()
    pool.shutdown()


def test_a_full_queue_blocks_and_then_raises(site):
    """A full queue blocks for the timeout, then raises QueueFull; nothing is lost of what was accepted."""
    with WorkerPool(connections=1, queue=1) as pool:
        jobs = [pool.submit(site.url_for("/hold/1"))]
        site.wait_in_flight(1)
        jobs.append(pool.submit(site.url_for("/fast/2")))
        with pytest.raises(QueueFull):
            pool.submit(site.url_for("/fast/3"), timeout=0.05)
        site.release()
        assert all(job.result().ok for job in jobs)
    assert 2 == site.hits


def test_fetch_many_gets_through_a_short_queue(pool, shared_site):
    """fetch_many waits for room in the lane's queue instead of failing."""
    with WorkerPool(connections=1, queue=1) as narrow:
        assert 30 == sum(result.ok for result in narrow.fetch_many([shared_site.url_for("/fast/1")] * 30))


def test_the_registry_reaches_one_pool_from_anywhere(shared_site):
    """get_pool gives the same pool everywhere, and a new one after a shutdown."""
    workerpool.configure("registered", workers=1)
    pool = get_pool("registered")
    assert pool is get_pool("registered")
    with pytest.raises(workerpool.WorkerPoolError):
        workerpool.configure("registered", workers=2)
    pool.shutdown()
    assert pool is not get_pool("registered")
    get_pool("registered").shutdown()
    assert isinstance(workerpool.get(shared_site.url_for("/fast/1")), Response)
    get_pool().shutdown()


def test_a_raw_session_is_plain_aiohttp(pool):
    """Functions get a real ClientSession, the same one for each call on a worker and lane."""

    async def which(session):
        return isinstance(session, aiohttp.ClientSession), id(session)

    with WorkerPool(workers=1, lanes=[Lane("other")]) as single:
        own = {single.submit(which).result() for _ in range(5)}
        other = single.lane("other").submit(which).result()
    assert 1 == len(own)
    assert other not in own
