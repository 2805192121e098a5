"""Answers in chunks that set a cookie, over the drop-ins: the body and the cookie are there."""

import gzip

import pytest
from faults.server import Listener
from faults.wire import chunk, head, read_head

from workerpool import WorkerPool


@pytest.fixture
def url():
    """The URL of a server whose answers come in chunks and set a cookie; packed below /gzip."""

    def serve(connection):
        while request := read_head(connection):
            packed = b"/gzip" in request
            body = gzip.compress(b"the body") if packed else b"the body"
            lines = ["Transfer-Encoding: chunked", "Set-Cookie: a=1", *(["Content-Encoding: gzip"] if packed else [])]
            connection.sendall(head(*lines) + chunk(body[:5]) + chunk(body[5:]) + b"0\r\n\r\n")

    listener = Listener(serve)
    yield f"http://127.0.0.1:{listener.port}"
    listener.close()


@pytest.mark.parametrize("path", ["/plain", "/gzip"])
@pytest.mark.parametrize("stream", [False, True])
def test_requests_reads_them(path, stream, url):
    """Whole, piece by piece, and as a file."""
    requests = pytest.importorskip("requests")
    from workerpool.adapters.requests import PoolAdapter

    with WorkerPool() as pool, requests.Session() as session:
        session.mount("http://", PoolAdapter(pool))
        response = session.get(url + path, stream=stream)
        assert b"the body" == b"".join(response.iter_content(3))
        assert "1" == session.cookies["a"]
        assert b"the body" == session.get(url + path, stream=stream).content
        assert b"the body" == session.get(url + path, stream=True).raw.read(decode_content=True)


@pytest.mark.parametrize("path", ["/plain", "/gzip"])
def test_httpx_reads_them(path, url):
    """Whole and streamed."""
    httpx = pytest.importorskip("httpx")
    from workerpool.adapters.httpx import PoolTransport

    with WorkerPool() as pool, httpx.Client(transport=PoolTransport(pool)) as client:
        assert b"the body" == client.get(url + path).content
        with client.stream("GET", url + path) as response:
            assert b"the body" == response.read()
        assert "1" == client.cookies["a"]
