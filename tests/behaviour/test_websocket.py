"""WebSockets for threads, against a real server."""

import asyncio
import threading
from concurrent.futures import Future

import pytest
from aiohttp import WSMsgType, web
from servers import served

from workerpool import (
    BodyTooLarge,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    ReadTimeout,
    WorkerPool,
    WrongThread,
)


async def _serve(request):
    """Echo messages; a few words ask for something else."""
    socket = web.WebSocketResponse(protocols=("chat",), autoping=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
            await socket.send_str(f"pinged {message.data.decode()}")
        elif message.data == "close":
            await socket.close(code=4001, message=b"as you like")
        elif message.data == "bye":
            await socket.close()
        elif message.data == "cut":
            request.transport.abort()
        elif message.data == "many":
            for n in range(200):
                await socket.send_str(str(n))
        elif message.data == "headers":
            await socket.send_str(f"{request.headers.get('X-One')} {request.headers.get('Sec-WebSocket-Extensions')}")
        elif message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def _hold(request):
    await asyncio.sleep(60)


@pytest.fixture(scope="module")
def server():
    """The URL of a WebSocket server."""
    with served(web.get("/", _serve), web.get("/hold", _hold)) as url:
        yield url.replace("http", "ws", 1)


@pytest.mark.parametrize("compress", [True, False])
def test_text_and_bytes_go_to_and_fro(pool, server, compress):
    """Messages keep their type, order and size; headers, subprotocol and compression are as asked for."""
    options = {"headers": {"X-One": "1"}, "protocols": ["other", "chat"], "compress": compress}
    with pool.websocket(server, **options) as socket:
        assert ("chat", None) == (socket.protocol, socket.close_code)
        for message in ("text é", b"\x00\xff", "x" * 500_000, ""):
            socket.send(message)
            assert message == socket.recv(10)
        socket.send("headers")
        one, _, extensions = socket.recv(10).partition(" ")
        assert ("1", compress) == (one, "permessage-deflate" in extensions)
        socket.ping(b"abc")
        assert "pinged abc" == socket.recv(10)
    assert 1000 == socket.close_code
    assert pool.drain(10)


def test_iteration_ends_with_a_close_in_order_and_raises_otherwise(pool, server):
    """1000 ends the loop; another code, and a lost connection, are ConnectionLost that says so."""
    with pool.websocket(server) as socket:
        socket.send("one")
        socket.send("bye")
        assert ["one"] == list(socket)
        with pytest.raises(ConnectionLost, match=r"closed \(1000\)"):
            socket.recv(10)
        with pytest.raises(ConnectionLost):
            socket.send("more")
    for word, code in (("close", 4001), ("cut", 1006)):
        with pool.websocket(server) as socket:
            socket.send(word)
            with pytest.raises(ConnectionLost):
                list(socket)
            assert code == socket.close_code
    assert pool.drain(10)


def test_one_thread_receives_while_others_send(pool, server):
    """Nothing is mixed up or lost between four senders and a receiver."""
    with pool.websocket(server) as socket:

        def send(n):
            for i in range(100):
                socket.send(f"{n}-{i}")

        threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        seen = [socket.recv(10) for _ in range(400)]
        for thread in threads:
            thread.join()
    assert {f"{n}-{i}" for n in range(4) for i in range(100)} == set(seen)
    assert all([m for m in seen if m.startswith(f"{n}-")] == [f"{n}-{i}" for i in range(100)] for n in range(4))


def test_a_reader_that_stops_holds_the_sender_back_and_can_still_close(pool, server):
    """Two hundred messages wait at the server's side, and closing does not wait for them."""
    with pool.websocket(server) as socket:
        socket.send("many")
        assert "0" == socket.recv(10)
    assert pool.drain(10)


def test_times_and_sizes_are_bounded(pool, server):
    """A silent server, a handshake that hangs, and a message too large are typed errors."""
    with pool.websocket(server) as socket:
        with pytest.raises(ReadTimeout, match=r"no message within 0\.05 s"):
            socket.recv(0.05)
        socket.send("still open")
        assert "still open" == socket.recv(10)
    with pytest.raises(DeadlineExceeded), pool.websocket(server + "hold", timeout=0.1):
        pass
    with pool.websocket(server, max_message=1000) as socket:
        socket.send("x" * 2000)
        with pytest.raises(BodyTooLarge, match="1000 bytes"):
            socket.recv(10)
    assert pool.drain(10)


def test_what_cannot_be_is_said_at_once(pool, server, site, free_port):
    """No server, no WebSocket, no message, no blocking on a worker's thread."""
    with pytest.raises(ConnectError), pool.websocket(f"ws://127.0.0.1:{free_port}/"):
        pass
    with pytest.raises(ProtocolError, match="answered 200 instead"), pool.websocket(site.url_for("/fast/1")):
        pass
    with pool.websocket(server) as socket:
        with pytest.raises(TypeError, match="str or bytes"):
            socket.send(1)
        with pytest.raises(ValueError, match="125"):
            socket.ping(b"x" * 126)

        async def inside(session):
            socket.recv()

        with pytest.raises(WrongThread):
            pool.submit(inside).result(10)


def test_a_shutdown_releases_whoever_waits(server):
    """A thread in recv() is told that the pool is closed; nothing hangs."""
    outcome = Future()
    with WorkerPool(workers=1) as pool:
        with pool.websocket(server) as socket:

            def wait():
                try:
                    outcome.set_result(socket.recv())
                except BaseException as exc:
                    outcome.set_exception(exc)

            thread = threading.Thread(target=wait)
            thread.start()
            pool.shutdown(timeout=0.1)
            assert isinstance(outcome.exception(10), ConnectionLost)
            thread.join()


def test_a_shutdown_closes_what_is_open(server):
    """A WebSocket that nobody closes does not keep the pool from ending; its reader's loop ends in order."""
    pool = WorkerPool(workers=1)
    context = pool.websocket(server)
    socket = context.__enter__()
    pool.shutdown()
    assert [] == list(socket)
    assert 1000 == socket.close_code  # the server's answer
    context.__exit__(None, None, None)
