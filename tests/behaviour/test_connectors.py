"""Connections that are not the lane's own TCP: by SOCKS, by a Unix socket, by a connector that is given."""

import socket
import ssl
import struct
import tempfile
import threading
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingUnixStreamServer

import aiohttp
import pytest
import requests
from faults.server import Listener
from faults.wire import answer, chunk, head, read_head
from proxies import SocksProxy
from servers import read_request, running
from yarl import URL

from workerpool import InvalidRequest, ProtocolError, TruncatedBody, WorkerPool
from workerpool.adapters.requests import PoolAdapter
from workerpool.testing.fake import FakePool
from workerpool.testing.scripted import TlsSite

LOOPS = pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
UNIX = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix sockets")


async def fetch(session, url):
    async with session.get(url) as response:
        return await response.read()


@contextmanager
def unix_server(talk):
    """Serve each connection by the function; yield the path."""

    class Handler(BaseRequestHandler):
        def handle(self):
            talk(self.request)

    with tempfile.TemporaryDirectory() as folder, running(ThreadingUnixStreamServer(f"{folder}/s", Handler)) as server:
        yield server.server_address


@contextmanager
def listening(talk):
    """Serve each connection by the function; yield the port."""
    listener = Listener(talk)
    try:
        yield listener.port
    finally:
        listener.close()


@contextmanager
def socks_server(talk):
    """Be a SOCKS5 proxy, and whatever is behind it; yield the URL."""
    pytest.importorskip("aiohttp_socks")

    def serve(connection):
        connection.recv(2**10)
        connection.sendall(b"\x05\x00")
        connection.recv(2**10)
        connection.sendall(b"\x05\x00\x00\x01" + socket.inet_aton("127.0.0.1") + struct.pack("!H", 1))
        talk(connection)

    with listening(serve) as port:
        yield f"socks5h://127.0.0.1:{port}"


@contextmanager
def reached(way, talk, monkeypatch):
    """Serve by the function; yield the settings of a lane by which it is reached as http://h.test/."""
    if way == "a Unix socket":
        with unix_server(talk) as path:
            yield {"connector": lambda: aiohttp.UnixConnector(path)}
        return
    with socks_server(talk) as proxy:
        if way == "the environment's SOCKS proxy":
            monkeypatch.setenv("all_proxy", proxy)
            for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
                monkeypatch.delenv(name, raising=False)
            yield {"trust_env": True}
        elif way == "the lane's SOCKS proxy":
            yield {"proxy": proxy}
        else:
            from aiohttp_socks import ProxyConnector

            yield {"connector": lambda: ProxyConnector.from_url(proxy.replace("socks5h", "socks5"), rdns=True)}


WAYS = pytest.mark.parametrize(
    "way",
    [
        pytest.param("a Unix socket", marks=UNIX),
        "the environment's SOCKS proxy",
        "the lane's SOCKS proxy",
        "aiohttp-socks of the user's",
    ],
)


@LOOPS
@WAYS
def test_a_body_that_is_cut_is_never_whole(way, event_loop, monkeypatch):
    """Not where only the end of the connection would have told its length either."""
    was_read = threading.Event()

    def cut(connection):
        connection.recv(10)  # what is left unread makes the close a reset
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        was_read.wait(60)
        connection.close()

    with reached(way, cut, monkeypatch) as lane, WorkerPool(event_loop=event_loop, retry=None, **lane) as pool:
        with pool.stream("GET", "http://h.test/") as stream:
            pieces = stream.iter_bytes()
            assert b"half of it" == next(pieces)
            was_read.set()
            with pytest.raises(TruncatedBody):
                list(pieces)


@LOOPS
@WAYS
def test_a_chunk_that_is_none_ends_the_body_at_once(way, event_loop, monkeypatch):
    """And not the deadline."""
    was_read = threading.Event()

    def spoil(connection):
        read_head(connection)
        connection.sendall(head("Transfer-Encoding: chunked") + chunk(b"half of it"))
        was_read.wait(60)
        connection.sendall(b"none\r\n")
        connection.recv(1)

    lane = {"event_loop": event_loop, "retry": None, "timeout": None}
    with reached(way, spoil, monkeypatch) as more, WorkerPool(**lane, **more) as pool:
        with pool.stream("GET", "http://h.test/") as stream:
            pieces = stream.iter_bytes()
            assert b"half of it" == next(pieces)
            was_read.set()
            with pytest.raises(ProtocolError):
                list(pieces)


@LOOPS
@WAYS
def test_a_body_that_is_whole_is_read_and_its_connection_kept(way, event_loop, monkeypatch):
    """By requests and functions; what is guarded is not slowed down to a connection for each."""
    came = []

    def talk(connection):
        came.append(connection)
        while request := read_head(connection):
            connection.sendall(answer(request.split(b" ")[1]))

    with reached(way, talk, monkeypatch) as lane, WorkerPool(workers=1, event_loop=event_loop, **lane) as pool:
        assert b"/1" == pool.get("http://h.test/1").content
        assert b"/function" == pool.submit(fetch, "http://h.test/function").result()
        assert b"/2" == pool.get("http://h.test/2").content
        assert 1 == len(came)


@LOOPS
def test_a_lanes_own_connector_goes_through_its_socks_proxy(event_loop, shared_site):
    """Whoever asks: requests, functions, or requests' sessions with a proxy of their own over a pool with a connector."""
    pytest.importorskip("aiohttp_socks")
    lane = {"event_loop": event_loop, "connector": lambda: aiohttp.TCPConnector(limit=1, force_close=True)}
    url = shared_site.url_for("/fast/1")
    with SocksProxy() as proxy:
        with WorkerPool(proxy=proxy.url.replace("://", "://me:mine@"), **lane) as pool:
            assert pool.get(url).content == pool.submit(fetch, url).result()
            assert 405 == pool.post(url, data=b"x").status_code
        with WorkerPool(**lane) as pool, requests.Session() as session:
            session.mount("http://", PoolAdapter(pool))
            assert session.get(url, proxies={"http": proxy.url}).ok
    place = f"127.0.0.1:{URL(url).port}"
    assert [f"me:mine@{place}"] * 3 + [place] == proxy.seen


@LOOPS
@pytest.mark.parametrize("kind", ["a context", "unchecked"])
def test_the_lanes_certificates_count_beside_a_connector_of_its_own(kind, event_loop):
    """For requests, functions and WebSockets alike; what a function gives itself goes before."""
    pytest.importorskip("trustme")
    connector = {"connector": lambda: aiohttp.TCPConnector(force_close=True), "event_loop": event_loop}

    async def with_its_own(session, url):
        async with session.get(url, ssl=ssl.create_default_context()) as response:
            return await response.read()

    with TlsSite() as site:
        url = site.url_for("/fast/1")
        trusting = site.ssl_context if kind == "a context" else False
        with WorkerPool(ssl=trusting, **connector) as pool:
            assert pool.get(url).content == pool.submit(fetch, url).result()
            with pytest.raises(ProtocolError, match="answered 200"), pool.websocket(url.replace("http", "ws", 1)):
                pass
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                pool.submit(with_its_own, url).result()
        with WorkerPool(connector=lambda: aiohttp.TCPConnector(ssl=trusting), event_loop=event_loop) as pool:
            assert pool.get(url).content == pool.submit(fetch, url).result()


@UNIX
@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_a_connector_that_would_go_around_its_proxy_is_refused(scheme, free_port):
    """What the proxy is told is told to nobody else."""
    pytest.importorskip("aiohttp_socks")
    lane = {
        "proxy": f"{scheme}://me:mine@127.0.0.1:{free_port}",
        "connector": lambda: aiohttp.UnixConnector("/nowhere"),
    }
    with WorkerPool(**lane) as pool, pytest.raises(InvalidRequest, match="lane 'default': its connector cannot use"):
        pool.get("http://h.test/")


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_pool_without_a_network_asks_no_proxy(scheme, free_port):
    """Lanes are tested as they are."""
    pytest.importorskip("aiohttp_socks")
    with FakePool(proxy=f"{scheme}://127.0.0.1:{free_port}") as pool:
        pool.reply("http://h.test/", body=b"scripted")
        assert b"scripted" == pool.get("http://h.test/").content


@UNIX
@LOOPS
def test_an_answer_that_nobody_asked_for_is_not_taken_from_a_unix_socket(event_loop):
    """Though the loop had no turn to see that it waits there."""
    idle, sent = threading.Event(), threading.Event()

    def talk(connection):
        while request := read_head(connection):
            connection.sendall(answer(request.split(b" ")[1]))
            if not sent.is_set():
                idle.wait(60)
                connection.sendall(answer(b"unasked"))
                sent.set()

    async def ask_twice(session):
        bodies = []
        for path in ("/1", "/2"):
            async with session.get(f"http://h.test{path}") as response:
                bodies.append(await response.read())
            idle.set()
            sent.wait(60)  # blocks the loop
        return bodies

    with unix_server(talk) as path:
        with WorkerPool(event_loop=event_loop, connector=lambda: aiohttp.UnixConnector(path)) as pool:
            assert [b"/1", b"/2"] == pool.submit(ask_twice).result()


@UNIX
@LOOPS
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("news", [answer(b"unasked"), b""], ids=["an answer", "the end"])
def test_a_request_right_behind_another_meets_no_news_on_a_unix_socket(event_loop, method, news):
    """That the connection was at hand for the pool's own requests makes no difference."""
    blocks, sent, posted = threading.Event(), threading.Event(), threading.Event()

    def talk(connection):
        while request := read_request(connection):
            connection.sendall(answer(request.split(b" ")[1]))
            if b" /2 " in request:
                blocks.wait(60)
                if news:
                    connection.sendall(news)
                else:
                    connection.shutdown(socket.SHUT_RDWR)
                sent.set()

    async def block(_session):
        blocks.set()
        posted.wait(60)

    with (
        unix_server(talk) as path,
        WorkerPool(workers=1, event_loop=event_loop, connector=lambda: aiohttp.UnixConnector(path), retry=None) as pool,
    ):
        assert ["/1", "/2"] == [pool.get(f"http://h.test{path}").text for path in ("/1", "/2")]
        pool.submit(block)
        sent.wait(60)
        job = pool.submit("http://h.test/3", method=method, data=None if method == "GET" else b"3")
        posted.set()
        assert "/3" == job.result(60).text


@UNIX
@LOOPS
def test_a_unix_socket_that_is_not_there_is_told_as_such(event_loop, tmp_path):
    """No TLS is blamed, of which there is none."""
    with WorkerPool(
        event_loop=event_loop, retry=None, connector=lambda: aiohttp.UnixConnector(f"{tmp_path}/s")
    ) as pool:
        job = pool.submit("http://h.test/")
        assert ("connect", "ConnectError") == (job.exception().stage, type(job.exception()).__name__)
        assert "TLS" not in str(job.exception())
