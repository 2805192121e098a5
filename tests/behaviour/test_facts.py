"""The facts of errors: where, in which lane, at which attempt and stage, wherever the error is raised."""

import asyncio
import pickle

import pytest
from servers import Scripted, ok
from streams import event_server
from test_websocket import server  # noqa: F401  the fixture

from workerpool import (
    BodyTooLarge,
    ConnectionLost,
    HTTPStatusError,
    InvalidRequest,
    JSONDecodeError,
    Lane,
    ProtocolError,
    ReadTimeout,
    Request,
    RequestError,
    Retry,
    WorkerPool,
)


def facts(error):
    return error.url, error.method, error.attempts, error.stage, error.lane


async def _list(pieces):
    return [piece async for piece in pieces]


@pytest.fixture
def lane():
    with WorkerPool(lanes=[Lane("mine")]) as pool:
        yield pool.lane("mine")


READERS = {
    "lines": lambda stream: list(stream.iter_lines(max_line=50)),
    "events": lambda stream: list(stream.iter_events(max_line=50)),
    "lines on a loop": lambda stream: asyncio.run(_list(stream.aiter_lines(max_line=50))),
    "events on a loop": lambda stream: asyncio.run(_list(stream.aiter_events(max_line=50))),
}


@pytest.mark.parametrize("way", READERS)
def test_a_line_that_is_too_long_tells_whose_it_is(way, lane):
    """Though it is the reader's side that finds out."""
    with event_server((200, b"data: " + b"x" * 100 + b"\n\n")) as (url, _ids), lane.stream("GET", url) as stream:
        with pytest.raises(BodyTooLarge, match=f"GET {url}: a line") as caught:
            READERS[way](stream)
    assert (url, "GET", 1, "body", "mine") == facts(caught.value)


@pytest.mark.parametrize("way", ["events", "events on a loop"])
def test_an_event_that_is_too_long_tells_whose_it_is(way, lane):
    """Each of its lines being short."""
    with event_server((200, b"data: x\n" * 100)) as (url, _ids), lane.stream("GET", url) as stream:
        with pytest.raises(BodyTooLarge, match=f"GET {url}: an event") as caught:
            READERS[way](stream)
    assert (url, "GET", 1, "body", "mine") == facts(caught.value)


def test_a_limit_that_the_worker_finds_exceeded_tells_the_same(lane):
    """As before the reader's side has a say."""
    with Scripted([ok(b"x" * 100)]) as site, lane.stream("GET", site.url, max_body=50) as stream:
        with pytest.raises(BodyTooLarge) as caught:
            list(stream.iter_lines())
    assert (site.url, "GET", 1, "body", "mine") == facts(caught.value)


def test_what_an_answer_raises_tells_its_lane(lane):
    """Of its status, of its JSON, and of what is no event stream; and its pickle does."""
    answers = [b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"] * 3
    with Scripted(answers) as site:
        answer = lane.get(site.url, retry=Retry(attempts=2, wait_initial=0.0, wait_jitter=0.0))
        with pytest.raises(HTTPStatusError) as status:
            answer.raise_for_status()
        with pytest.raises(JSONDecodeError) as json:
            answer.json()
        with lane.stream("GET", site.url, retry=None) as stream, pytest.raises(HTTPStatusError) as streamed:
            list(stream.iter_events())
    for caught in (status, json):
        assert (site.url, "GET", 2, "body", "mine") == facts(caught.value) == facts(copied(caught.value))
    assert (site.url, "GET", 1, "body", "mine") == facts(streamed.value)
    with pytest.raises(HTTPStatusError) as again:
        copied(status.value).response.raise_for_status()
    assert "mine" == again.value.lane


def copied(error):
    return pickle.loads(pickle.dumps(error))


def test_a_stream_that_is_left_or_is_none_of_events_tells_its_lane(lane, shared_site):
    """ConnectionLost of whoever reads on, ProtocolError."""
    url = shared_site.url_for("/large/1000")
    with lane.stream("GET", url) as stream:
        with pytest.raises(ProtocolError, match="no event stream") as caught:
            list(stream.iter_events())
        assert (url, "GET", 1, "headers", "mine") == facts(caught.value)
    with pytest.raises(ConnectionLost) as caught:
        stream.read()
    assert (url, "GET", 1, "body", "mine") == facts(caught.value)


def test_a_body_that_cannot_be_sent_again_was_not_tried(pool, site):
    """The error and the numbers count what the server has seen; a redirect to where it would be sent again counts."""
    request = Request("POST", site.url_for("/echo"), data=iter([b"1"]))
    assert pool.send(request).ok
    with pytest.raises(InvalidRequest) as caught:
        pool.send(request)
    assert 0 == caught.value.attempts
    assert 1 == site.hits == pool.stats().lane("default").attempts
    again = b"HTTP/1.1 307 Again\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    with Scripted([again]) as elsewhere, pytest.raises(InvalidRequest, match="source") as caught:
        pool.post(elsewhere.url, data=iter([b"1"]))
    assert 1 == caught.value.attempts
    assert 2 == pool.stats().lane("default").attempts


def test_a_websocket_tells_its_lane(lane, server):  # noqa: F811
    """Whichever side raises."""
    with lane.websocket(server) as socket:
        with pytest.raises(ReadTimeout) as late:
            socket.recv(0)
        socket.send("cut")
        with pytest.raises(ConnectionLost) as lost:
            socket.recv(20)
    with Scripted([b"HTTP/1.1 302 Found\r\nLocation: http://localhost:9/\r\nContent-Length: 0\r\n\r\n"]) as site:
        with pytest.raises(RequestError) as led, lane.websocket(site.url.replace("http", "ws", 1)):
            pass
    assert ["mine"] * 3 == [caught.value.lane for caught in (late, lost, led)]
