"""Proxies that are down, refuse, or talk rubbish: it is they who are told of, once, and with the stage."""

import importlib.util
import pickle
import select
import socket
import ssl
import struct

import pytest

from faults.server import Listener
from faults.wire import answer, head, read_head
from workerpool import DNSError, InvalidRequest, ProxyError, Retry, TLSError, TruncatedBody, WorkerPool

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
QUICK = Retry(attempts=3, wait_initial=0.001, wait_jitter=0)
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture(params=LOOPS)
def loop(request):
    return request.param


@pytest.fixture
def listen():
    """Serve connections by a function; yields the port."""
    listeners = []

    def start(serve):
        listeners.append(Listener(serve))
        return listeners[-1].port

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture(scope="module")
def authority():
    return pytest.importorskip("trustme").CA()


@pytest.fixture
def origin(listen, authority):
    """A server over TLS; yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as secure:
            while request := read_head(secure):
                if b"/cut" in request:
                    secure.sendall(head("Connection: close") + b"half of it")
                    socket.socket.shutdown(secure, socket.SHUT_RDWR)
                    return
                secure.sendall(answer(b"through the tunnel"))

    return listen(serve)


@pytest.fixture
def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def join(one, other):
    """Carry bytes between two connections until one of them ends."""
    with other:
        while True:
            for ready in select.select([one, other], [], [], 20)[0]:
                if not (data := ready.recv(2**16)):
                    return
                (other if ready is one else one).sendall(data)


def say(*parts, count=None):
    """Return a proxy that answers each CONNECT with these bytes, and counts them."""

    def serve(connection):
        read_head(connection)
        if count is not None:
            count.append(1)
        connection.sendall(b"".join(parts))

    return serve


TUNNEL_FAULTS = {
    "garbage": [b"SSH-2.0-OpenSSH_9.6\r\n\r\n"],
    "a head without end": [b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 100_000],
    "nothing": [],
    "half a head": [b"HTTP/1.1 200 OK\r\nX-Half"],
    "an open tunnel without TLS": [ESTABLISHED, b"220 smtp.example ready\r\n"],
    "an open tunnel that ends": [ESTABLISHED],
    "a refusal": [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"],
    "a redirect": [b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"],
}


@pytest.mark.parametrize("kind", TUNNEL_FAULTS)
def test_a_proxy_that_gives_no_tunnel_is_told_at_once(kind, loop, listen, free_port):
    """ProxyError, at its stage, after one try: the server behind it has seen nothing."""
    count = []
    port = listen(say(*TUNNEL_FAULTS[kind], count=count))
    with WorkerPool(proxy=f"http://u:SECRET@127.0.0.1:{port}", event_loop=loop, retry=QUICK) as pool:
        with pytest.raises(ProxyError) as caught:
            pool.get(f"https://127.0.0.1:{free_port}/?token=SECRET", timeout=20)
    assert (1, 1) == (caught.value.attempts, len(count))
    assert caught.value.stage in ("proxy", "tls")
    assert "SECRET" not in str(caught.value)
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))


def test_a_proxy_whose_name_cannot_be_one_is_refused(loop):
    """When the pool is made: neither a URL nor a server is blamed later."""
    with pytest.raises(InvalidRequest, match="proxy"):
        WorkerPool(proxy="http://a..b:1", event_loop=loop)


def test_a_tunnel_that_works_stays_as_it_is(loop, listen, origin, trusting):
    """A certificate of the server's that is refused is TLSError, through a proxy as well."""

    def serve(connection):
        read_head(connection)
        connection.sendall(ESTABLISHED)
        join(connection, socket.create_connection(("127.0.0.1", origin)))

    proxy, url = f"http://127.0.0.1:{listen(serve)}", f"https://127.0.0.1:{origin}/"
    with WorkerPool(proxy=proxy, event_loop=loop, retry=QUICK, ssl=trusting) as pool:
        assert "through the tunnel" == pool.get(url, timeout=20).text
        with pytest.raises(TruncatedBody):
            pool.get(url + "cut", timeout=20, retry=None)
    with WorkerPool(proxy=proxy, event_loop=loop, retry=QUICK) as pool, pytest.raises(TLSError) as caught:
        pool.get(url, timeout=20)
    assert ("tls", 1) == (caught.value.stage, caught.value.attempts)


# SOCKS


def socks_server(origin, reply=0):
    """Return a SOCKS proxy (RFC 1928) that leads to one port, or gives a reply that refuses."""

    def serve(connection):
        if connection.recv(2**10).startswith(b"\x04"):
            connection.sendall(b"\x00\x5b" + bytes(6))  # SOCKS4, refused
            return
        connection.sendall(b"\x05\x00")
        connection.recv(2**10)
        connection.sendall(
            b"\x05" + bytes([reply]) + b"\x00\x01" + socket.inet_aton("127.0.0.1") + struct.pack("!H", 1)
        )
        if not reply:
            join(connection, socket.create_connection(("127.0.0.1", origin)))

    return serve


def garbage(connection):
    connection.recv(2**10)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def silence(connection):
    connection.recv(2**10)


@pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h"])
@pytest.mark.parametrize("kind", ["down", "garbage", "closes", "refuses"])
def test_a_socks_proxy_that_fails_is_told_once(kind, scheme, loop, listen, free_port):
    """ProxyError, whatever the library below calls it, and no further try."""
    pytest.importorskip("aiohttp_socks")
    serve = {"garbage": garbage, "closes": silence, "refuses": socks_server(0, reply=5)}.get(kind)
    port = free_port if serve is None else listen(serve)
    with WorkerPool(proxy=f"{scheme}://127.0.0.1:{port}", event_loop=loop, retry=QUICK) as pool:
        for url in (f"http://127.0.0.1:{free_port}/", f"https://127.0.0.1:{free_port}/"):
            with pytest.raises(ProxyError) as caught:
                pool.get(url, timeout=20)
            assert 1 == caught.value.attempts
            (result,) = pool.fetch_many([url])
            assert isinstance(result.error, ProxyError)
        with pytest.raises(ProxyError), pool.websocket(f"ws://127.0.0.1:{free_port}/", timeout=20):
            pass
        with pytest.raises(ProxyError), pool.stream("GET", url, timeout=20):
            pass


def test_what_is_behind_a_socks_proxy_is_told_as_without(loop, listen, origin, trusting):
    """An answer, a cut body, a certificate that is refused: the proxy has no part in them."""
    pytest.importorskip("aiohttp_socks")
    proxy, url = f"socks5h://127.0.0.1:{listen(socks_server(origin))}", f"https://127.0.0.1:{origin}/"
    with WorkerPool(proxy=proxy, event_loop=loop, retry=QUICK, ssl=trusting) as pool:
        assert "through the tunnel" == pool.get(url, timeout=20).text
        with pytest.raises(TruncatedBody):
            pool.get(url + "cut", timeout=20, retry=None)
    with WorkerPool(proxy=proxy, event_loop=loop, retry=QUICK) as pool, pytest.raises(TLSError) as caught:
        pool.get(url, timeout=20)
    assert 1 == caught.value.attempts


def test_a_name_behind_a_socks_proxy_is_the_servers(loop, listen):
    """Where names are resolved on this side, one that is none is DNSError, and one that cannot be is InvalidRequest."""
    pytest.importorskip("aiohttp_socks")
    proxy = f"socks5://127.0.0.1:{listen(socks_server(0))}"
    with WorkerPool(proxy=proxy, event_loop=loop, retry=QUICK) as pool:
        with pytest.raises(DNSError):
            pool.get("http://no-such-host.invalid/", timeout=20)
        with pytest.raises(InvalidRequest):
            pool.get("http://a..b/", timeout=20)
