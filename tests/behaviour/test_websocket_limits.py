"""What a WebSocket can carry, and what it says of the rest: nothing is lost in silence."""

import asyncio
import re
import sys
import threading
from contextlib import suppress

import aiohttp
import pytest
from faults.server import Listener
from faults.wire import answer, head, read_head
from servers import Scripted, ok
from test_websocket import server  # noqa: F401  the fixture

from workerpool import ConnectionLost, InvalidRequest, ProtocolError, ReadTimeout, RequestError, WorkerPool

HUGE = [1e300, float("inf"), sys.maxsize, 10**400, threading.TIMEOUT_MAX]


def test_text_that_cannot_be_encoded_is_refused_where_it_is_given(pool, server):  # noqa: F811
    """The WebSocket goes on, and what the message was is not told."""
    with pool.websocket(server) as socket:
        with pytest.raises(ValueError, match="character 6") as caught:
            socket.send("SECRET\ud800")
        assert "SECRET" not in str(caught.value)
        assert "SECRET" not in repr(caught.value.__cause__)
        socket.send("after")
        assert "after" == socket.recv(20)


@pytest.mark.parametrize("code", [0, -1, 999, 1004, 1005, 1006, 1015, 2999, 5000, 99999, 10**30])
def test_a_code_that_nobody_may_send_is_refused(code, pool, server):  # noqa: F811
    """The error names the codes that can be sent, and the WebSocket is still open."""
    with pool.websocket(server) as socket:
        with pytest.raises(ValueError, match="3000 to 4999"):
            socket.close(code)
        socket.send("open")
        assert "open" == socket.recv(20)
        socket.close(4999)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("1000",), TypeError),
        ((1000.0,), TypeError),
        ((True,), TypeError),
        ((1000, b"bytes"), TypeError),
        ((1000, None), TypeError),
        ((1000, "x" * 124), ValueError),
        ((1000, "ü" * 62), ValueError),
        ((1000, "\udc80"), ValueError),
    ],
)
def test_a_reason_or_code_that_is_none_is_refused(arguments, error, pool, server):  # noqa: F811
    """And one that is just short enough arrives."""
    with pool.websocket(server) as socket:
        with pytest.raises(error):
            socket.close(*arguments)
        socket.close(3000, "ü" * 61 + "x")
    assert pool.drain(20)


@pytest.mark.parametrize("data", [1, None, ["x"], object()])
def test_a_ping_or_message_of_another_type_is_refused(data, pool, server):  # noqa: F811
    """TypeError, at the call."""
    with pool.websocket(server) as socket:
        for call in (socket.send, socket.ping):
            with pytest.raises(TypeError):
                call(data)
        with pytest.raises(TypeError):
            socket.ping("text")
        socket.ping(bytearray(b"abc"))
        assert "pinged abc" == socket.recv(20)
        socket.send(memoryview(b"xyz"))
        assert b"xyz" == socket.recv(20)


@pytest.mark.parametrize("seconds", HUGE)
def test_as_good_as_for_ever_is_a_time(seconds, pool, server):  # noqa: F811
    """To open, to send, to receive, and between heartbeats."""
    with pool.websocket(server, timeout=seconds, heartbeat=min(seconds, 1e300)) as socket:
        socket.send("x", timeout=seconds)
        assert "x" == socket.recv(timeout=seconds)


@pytest.mark.parametrize("seconds", [-1, float("nan"), "1", [], True])
def test_a_time_that_is_none_is_refused(seconds, pool, server):  # noqa: F811
    """At the call; while opening as InvalidRequest, which names the argument."""
    for name in ("timeout", "heartbeat"):
        with pytest.raises(InvalidRequest, match=name), pool.websocket(server, **{name: seconds}):
            pass
    with pool.websocket(server) as socket:
        for call in (lambda: socket.recv(seconds), lambda: socket.send("x", seconds)):
            with pytest.raises((TypeError, ValueError), match="timeout"):
                call()


@pytest.mark.parametrize(
    "options",
    [
        {"max_message": 0},
        {"max_message": "1"},
        {"protocols": ["a b"]},
        {"protocols": [1]},
        {"protocols": "a\n"},
        {"heartbeat": 0},
        {"heartbeat": 0.0},
        {"compress": "no"},
        {"compress": 0},
        {"compress": None},
    ],
)
def test_options_that_cannot_be_are_refused_at_once(options, pool, server):  # noqa: F811
    """InvalidRequest names the option."""
    with pytest.raises(InvalidRequest, match=next(iter(options))), pool.websocket(server, **options):
        pass


def test_no_time_at_all_is_a_look(pool, server):  # noqa: F811
    """recv(0) takes what is there."""
    with pool.websocket(server) as socket:
        with pytest.raises(ReadTimeout, match="within 0 s"):
            socket.recv(0)


def test_a_sender_that_dies_ends_the_websocket(pool, server, monkeypatch):  # noqa: F811
    """Whatever it dies of: who receives and who sends later is told, and the place is free."""

    async def fail(self, data, compress=None):
        raise LookupError("SECRET")

    with pool.websocket(server) as socket:
        with monkeypatch.context() as patched:
            patched.setattr(aiohttp.ClientWebSocketResponse, "send_bytes", fail)
            socket.send(b"never sent")
            with pytest.raises(ConnectionLost, match="LookupError") as caught:
                socket.recv(20)
        assert "SECRET" not in str(caught.value)
        with pytest.raises(ConnectionLost, match="LookupError"):
            socket.send("more")
        with pytest.raises(ConnectionLost, match="LookupError"):
            list(socket)
    assert pool.drain(20)


def test_closing_while_another_thread_receives(pool, server):  # noqa: F811
    """The receiver is told; a second close does nothing."""
    for _ in range(20):
        with pool.websocket(server) as socket:
            ends = []

            def wait(socket=socket, ends=ends):
                try:
                    socket.recv()
                except RequestError as exc:
                    ends.append(type(exc))

            thread = threading.Thread(target=wait)
            thread.start()
            socket.close()
            socket.close()
            thread.join(20)
            assert [ConnectionLost] == ends
    assert pool.drain(20)


def test_closing_on_a_workers_own_thread_waits_for_nothing(server, monkeypatch):  # noqa: F811
    """The goodbye goes on without it: the server answers, and the place is free; a second close does nothing."""
    monkeypatch.setattr("workerpool.caller.websocket.GOODBYE", 60)  # seconds for which the loop is not held

    with WorkerPool(workers=1) as pool, pool.websocket(server) as socket:

        async def close(session):
            socket.close(4000)
            socket.close()

        pool.submit(close).result(30)
        with pytest.raises(ConnectionLost):
            socket.recv(30)
        assert pool.drain(30)
        assert 1000 == socket.close_code  # the answer of the server, in order


def test_closing_there_without_room_for_a_goodbye_gives_the_websocket_up(server):  # noqa: F811
    """Nobody waits for room on a worker's own thread; the place is free."""
    blocked, filled = threading.Event(), threading.Event()
    with WorkerPool(workers=1, slow_callback=None) as pool, pool.websocket(server) as socket:

        async def close(session):
            blocked.set()
            filled.wait(60)
            socket.close()

        job = pool.submit(close)
        assert blocked.wait(60)
        with suppress(ReadTimeout):
            while True:
                socket.send("one more", timeout=0)
        filled.set()
        job.result(60)
        assert pool.drain(60)
        with pytest.raises(ConnectionLost):
            socket.recv(60)


def test_the_loop_is_no_place_to_wait(pool, server):  # noqa: F811
    """An asyncio program that opens one on its own thread may; a time of 0 does not hang it."""

    async def main():
        with pool.websocket(server) as socket:
            socket.send("x")
            return socket.recv(20)

    assert "x" == asyncio.run(main())


@pytest.fixture
def elsewhere():
    """A server that redirects to another one, which notes what it is told; (its URL, the heads, a way to redirect)."""
    heads, places = [], []

    def note(connection):
        heads.append(read_head(connection))
        connection.sendall(answer())

    def lead(connection):
        while request := read_head(connection):
            place = places[0] if b"/start" in request else "/end"
            connection.sendall(head(f"Location: {place}", "Content-Length: 0", status="302 Found"))

    there, here = Listener(note), Listener(lead)
    places.append(f"http://localhost:{there.port}/")
    yield f"ws://127.0.0.1:{here.port}/start", heads, places
    here.close()
    there.close()


SECRETS = {"headers": {"X-Api-Key": "SECRET", "Authorization": "Bearer SECRET"}, "cookies": {"sid": "SECRET"}}


@pytest.mark.parametrize("session", [False, True])
def test_a_redirect_takes_no_websocket_to_another_origin(session, elsewhere):
    """The lane's keys stay where they belong; the error names the place."""
    url, heads, _places = elsewhere
    with WorkerPool(**SECRETS) as pool, pool.session(**SECRETS) as own:
        client = own if session else pool
        with pytest.raises(ProtocolError, match=r"redirects to http://localhost:\d+; open") as caught:
            with client.websocket(url, headers={"X-Own": "SECRET"}):
                pass
        assert pool.drain(20)
    assert [] == heads
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("place", ["ftp://h/", "javascript:1", "http://a..b/", "http://[::1", "ws://%25 ::1xn--[::1]@"])
def test_a_redirect_to_nowhere_is_the_servers_fault(place, elsewhere, pool):
    """ProtocolError, and never an InvalidRequest: nobody here has named it."""
    url, _heads, places = elsewhere
    places[0] = place
    with pytest.raises(RequestError) as caught, pool.websocket(url):
        pass
    assert not isinstance(caught.value, InvalidRequest)


def test_a_function_still_goes_where_it_likes(elsewhere, pool):
    """Its session is aiohttp's, redirects included."""
    url, heads, _places = elsewhere

    async def follow(session):
        async with session.get(url.replace("ws", "http")) as response:
            return response.status

    assert 200 == pool.submit(follow).result(20)
    assert 1 == len(heads)


@pytest.mark.parametrize(
    ("lane", "headers", "expected"),
    [
        ({}, {}, "Basic dcO8Om1pbmU="),
        ({"auth": "Bearer lane"}, {}, "Bearer lane"),
        ({}, {"Authorization": "Bearer call"}, "Bearer call"),
        ({"auth": "Bearer lane"}, {"Authorization": "Bearer call"}, "Bearer call"),
    ],
)
def test_a_login_in_the_url_counts_as_it_does_for_requests(lane, headers, expected):
    """After that of the call and of the lane, whatever characters it has; and it is not told."""
    with Scripted([ok(b"no WebSocket")], again=True) as site, WorkerPool(**lane) as pool:
        url = site.url.replace("://", "://u%C3%BC:mine@")
        with pytest.raises(ProtocolError, match="answered 200") as caught:
            with pool.websocket(url.replace("http", "ws", 1), headers=headers):
                pass
        assert pool.get(url, headers=headers).ok
    assert "mine" not in str(caught.value)
    assert 2 == len(site.seen)
    for request in site.seen:
        assert [expected] == re.findall("\r\nAuthorization: (.*)\r\n", request.decode())
