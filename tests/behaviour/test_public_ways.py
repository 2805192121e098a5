"""What adapters and the like are built upon: Requests sent as they are, lanes like others, streams without a block."""

import asyncio
import gc
import threading
import weakref
from concurrent.futures import wait

import pytest

from workerpool import InvalidRequest, Lane, PoolClosed, Request, StreamedResponse, Timeout, WorkerPool, WrongThread


@pytest.fixture
def lanes():
    lane = Lane("api", headers={"X-Lane": "api"}, connections=7, timeout=Timeout(20))
    with WorkerPool(workers=2, name="ways", lanes=[lane]) as pool:
        yield pool


def test_a_request_is_sent_as_it_is(lanes, shared_site):
    """By the pool, a lane and a session alike, with the request's own settings."""
    request = Request("POST", shared_site.url_for("/echo"), json=[1], meta="mine")
    with lanes.session(headers={"X-Lane": "own"}) as browser:
        for client, told in ((lanes, None), (lanes.lane("api"), "api"), (browser, "own")):
            response = client.send(request)
            assert ("POST", told) == (response.json()["method"], response.json()["headers"].get("X-Lane"))
            assert "mine" == response.meta


def test_what_is_no_request_is_not_sent(lanes):
    """A URL has verbs of its own, and nothing goes beside a Request."""
    request = Request("http://host/")
    for call, said in (
        (lambda: lanes.send("http://host/"), "takes a Request, not str"),
        (lambda: lanes.send(None), "not NoneType"),
        (lambda: lanes.submit(request, timeout=5), "no further arguments"),
        (lambda: lanes.submit(request, 5), "no further arguments"),
        (lambda: lanes.submit(request, stream=1), "stream is True or False, not int"),
        (lambda: lanes.submit("http://host/", stream=None), "stream is True or False, not NoneType"),
        (lambda: lanes.stream(request, "http://host/"), "no further arguments"),
        (lambda: lanes.stream(request, timeout=5), "no further arguments"),
        (lambda: lanes.stream("GET"), "a method and a URL, or a Request"),
    ):
        with pytest.raises(TypeError, match=said):
            call()


def test_nobody_waits_on_a_workers_thread(lanes, shared_site):
    """`send` and `open` are refused there."""
    request = Request(shared_site.url_for("/echo"))

    async def both(session):
        with pytest.raises(WrongThread):
            lanes.send(request)
        with pytest.raises(WrongThread):
            lanes.stream(request).open()
        return (await lanes.stream(request).aopen()).status_code

    assert 200 == lanes.submit(both).result(30)


def test_a_request_is_streamed(lanes, site):
    """In a block, without one, and on a loop of the caller's."""
    request = Request(site.url_for("/large/100"))

    async def read():
        async with lanes.stream(request) as block:
            first = await block.aread()
        async with await lanes.stream(request).aopen() as opened:
            return len(first), len(await opened.aread())

    with lanes.stream(request) as block:
        assert 102400 == len(block.read())
    with lanes.stream(request).open() as opened:
        assert 102400 == len(opened.read())
    assert (102400, 102400) == asyncio.run(read())


def test_a_stream_that_was_submitted_is_there_with_its_head(lanes, site):
    """The job is done while the body is still on its way; the time counts as for any job."""
    url = site.url_for("/large/50000")
    for job in (lanes.submit(url, stream=True), lanes.lane("api").submit(Request(url), stream=True)):
        with job.result(30) as answer:
            assert isinstance(answer, StreamedResponse)
            assert 65536 == len(next(answer.iter_bytes(65536)))
    whole = lanes.submit(site.url_for("/echo"), stream=False).result(30)
    assert not isinstance(whole, StreamedResponse)
    assert lanes.drain(30)


def test_an_event_stream_that_was_submitted_is_asked_for_anew(lanes, workerpool_server):
    """It goes on after its end as one that was opened does."""
    events = {"Content-Type": "text/event-stream"}
    for part in ("retry: 1\nid: 1\ndata: a\n\n", "id: 2\ndata: b\n\n"):
        workerpool_server.reply("/", text=part, headers=events, times=1)
    workerpool_server.reply("/", status=204)
    with lanes.submit(workerpool_server.url_for("/"), stream=True).result(30) as answer:
        assert ["a", "b"] == [event.data for event in answer.iter_events()]


def test_a_function_keeps_its_stream(lanes):
    """The keyword is the function's own."""

    async def given(session, *, stream):
        return stream

    assert "mine" == lanes.submit(given, stream="mine").result(30)


def test_the_settings_of_a_lane_can_be_read(lanes):
    """Of the pool they are those of its default lane; nobody sets them."""
    assert ("default", 100) == (lanes.lane_settings.name, lanes.lane_settings.connections)
    assert ("api", 7) == (lanes.lane("api").lane_settings.name, lanes.lane("api").lane_settings.connections)
    with lanes.session(connections=3) as browser:
        assert (3, {}) == (browser.lane_settings.connections, dict(browser.lane_settings.cookies))
    with pytest.raises(AttributeError):
        lanes.lane_settings = Lane("other")


def test_a_lane_like_another(lanes, shared_site):
    """It has the other's settings but for its own, serves on all workers, and is counted with the other."""
    with lanes.like("api", connections=2, per_host=1) as like:
        settings = like.lane_settings
        assert (2, 1, 20) == (settings.connections, settings.per_host, settings.timeout.total)
        assert "api" == like.get(shared_site.url_for("/echo")).json()["headers"]["X-Lane"]
        assert 2 == len(like.route.workers)
        with lanes.like(like.name) as third:
            assert third.get(shared_site.url_for("/echo")).ok
            assert {"api"} == {lane.group for lane in lanes.stats().lanes if lane.name in (like.name, third.name)}
    assert lanes.drain(30)
    assert 2 == lanes.stats().lane("api (closed)").succeeded
    with pytest.raises(InvalidRequest):
        lanes.lane(settings.name)


def test_a_lane_that_cannot_be_is_refused(lanes):
    """By name, by keyword and by value, and none once the pool is shut down."""
    for wrong in ("no such lane", None, 5, Lane("api")):
        with pytest.raises(InvalidRequest, match="lane"):
            lanes.like(wrong)
    with pytest.raises(InvalidRequest, match="connections"):
        lanes.like("api", connections=-1)
    with pytest.raises(TypeError, match=r"like\(\) takes no keyword 'verify'; .*ssl=False"):
        lanes.like("api", verify=False)
    with pytest.raises(TypeError, match="name"):
        lanes.like("api", name="other")
    lanes.shutdown()
    with pytest.raises(PoolClosed):
        lanes.like("api")


def test_a_lane_is_closed_without_waiting(lanes, site):
    """What is under way there is given up, soon."""
    like = lanes.like("api")
    job = like.submit(site.url_for("/hold/1"))
    site.wait_in_flight(1)
    assert not like.route.is_idle
    like.close(wait=False)
    assert {job} == wait([job], 30).done
    assert lanes.drain(30)
    assert like.route.is_idle


def test_a_route_keeps_no_pool(shared_site):
    """Who keeps the lane of a pool that is forgotten keeps the pool not."""
    pool = WorkerPool(workers=1, name="forgotten")
    route, gone = pool.like("default").route, weakref.ref(pool)
    (thread,) = (each for each in threading.enumerate() if each.name == "forgotten-0")
    del pool
    gc.collect()
    assert gone() is None
    thread.join(10)  # told to stop by the finalizer
    assert not thread.is_alive()
    assert "default-1" == route.lane.name
