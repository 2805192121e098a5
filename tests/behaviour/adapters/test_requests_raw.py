"""What is inside of requests' response: urllib3's, over a body that looks like http.client's. Nothing cut is whole."""

import asyncio
import gc
import gzip
import io
import json
import shutil
import threading

import pytest
import requests
from aiohttp import web

from workerpool import WorkerPool
from workerpool.adapters.requests import PoolAdapter

docker = pytest.importorskip("docker", reason="of the extra `test`")


@pytest.fixture
def session(pool):
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", PoolAdapter(pool))
        yield session


def _chunks(*pieces, gate=None):
    """Return a handler that sends the pieces one by one; after each it waits for the gate, if there is one."""

    async def handler(request):
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        for piece in pieces:
            await answer.write(piece)
            if gate is not None:
                await asyncio.to_thread(gate.acquire)
        return answer

    return handler


@pytest.mark.parametrize("size", [1, 3, 7, 1024, None])
@pytest.mark.parametrize("path", ["/chunked", "/length", "/gzip"])
def test_a_body_is_the_same_in_any_pieces(session, workerpool_server, path, size):
    """Chunked, counted or packed, whole or streamed, in pieces of any size."""
    text = b"".join(b"%d\n" % n for n in range(500))
    workerpool_server.reply("/chunked", handler=_chunks(text[:100], text[100:101], text[101:]))
    workerpool_server.reply("/length", body=text)
    workerpool_server.reply("/gzip", body=gzip.compress(text), headers={"Content-Encoding": "gzip"})
    url = workerpool_server.url_for(path)
    assert text == session.get(url).content
    with session.get(url, stream=True) as answer:
        assert text == b"".join(answer.iter_content(size))
        assert (True, b"") == (answer.raw.closed, answer.raw.read())
    with session.get(url, stream=True) as answer:
        assert 500 == len(list(answer.iter_lines(size or 512)))
    with session.get(url, stream=True) as answer:
        shutil.copyfileobj(answer.raw, copied := io.BytesIO(), size or 512)
        assert text == (gzip.decompress(copied.getvalue()) if path == "/gzip" else copied.getvalue())


def test_a_chunk_is_here_as_soon_as_it_was_sent(session, workerpool_server):
    """Whoever reads one byte, and then what is left of the chunk, does not wait for the next one."""
    gate = threading.Semaphore(0)
    workerpool_server.reply("/", handler=_chunks(b"first", b"second", gate=gate))
    with session.get(workerpool_server.url_for("/"), stream=True) as answer:
        raw = answer.raw
        for piece in (b"first", b"second"):
            assert piece == raw.read(1) + raw.read(raw._fp.chunk_left)
            gate.release()
        assert b"" == raw.read(1)
        assert (True, None) == (raw.closed, raw._fp.fp)


def test_the_end_is_where_http_client_has_it(session, site):
    """`fp` is there until the last byte has been read, and None from then on."""
    with session.get(site.url_for("/fast/1"), stream=True) as answer:
        body = answer.raw._fp
        assert (11, False, 1024) == (body.version, body.isclosed(), body.length)
        body.read(1023)
        assert body.fp is not None
        body.read(1)
        assert (None, True, 0) == (body.fp, body.isclosed(), body.length)
    for answer in (session.get(site.url_for("/fast/1")), session.head(site.url_for("/fast/1"))):
        assert answer.raw._fp.fp is None or answer.raw.read() == b""
        assert answer.raw.closed


@pytest.mark.parametrize("chunked", [True, False])
def test_what_failed_fails_again(workerpool_server, chunked):
    """A download that was cut raises, however often and however it is read: what came is never all."""

    async def cut(request):
        answer = web.StreamResponse(headers={} if chunked else {"Content-Length": "1000"})
        if chunked:
            answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(b"x" * 100)
        await asyncio.sleep(0)
        request.transport.close()
        return answer

    workerpool_server.reply("/", handler=cut)
    with WorkerPool(workers=1) as pool, requests.Session() as session:
        session.mount("http://", PoolAdapter(pool))
        with session.get(workerpool_server.url_for("/"), stream=True) as answer:
            for _ in range(3):
                with pytest.raises(requests.exceptions.ChunkedEncodingError):
                    list(answer.iter_content(10))


@pytest.mark.parametrize("path", ["/large/100000", "/hold/1"])
def test_a_response_closed_by_another_thread_is_not_whole(session, workerpool_server, path):
    """Who reads while another thread closes the response gets an error, and no end."""
    begun, gate = threading.Event(), threading.Semaphore(0)
    workerpool_server.reply("/hold/1", handler=_chunks(b"x" * 10, b"y", gate=gate))
    answer = session.get(workerpool_server.url_for(path), stream=True)
    closing = threading.Thread(target=lambda: (begun.wait(30), answer.raw.close()))
    closing.start()

    def read():
        for _ in answer.iter_content(10):
            begun.set()

    with pytest.raises(requests.exceptions.RequestException):
        read()
    closing.join(30)
    gate.release(2)


@pytest.fixture
def engine(pool, workerpool_server):
    """A docker client whose engine is the scripted server."""
    client = docker.APIClient(base_url=workerpool_server.url_for("").replace("http", "tcp"), version="1.45")
    client.mount("http://", PoolAdapter(pool))
    yield client
    client.close()


def test_dockers_events_come_as_they_happen(engine, workerpool_server):
    """events() hands each one out while the engine is silent after it."""
    gate = threading.Semaphore(0)
    lines = [json.dumps({"n": n}).encode() + b"\n" for n in range(3)]
    workerpool_server.reply("/v1.45/events", handler=_chunks(*lines, gate=gate))
    for n, event in enumerate(engine.events(decode=True)):
        assert {"n": n} == event
        gate.release()
    assert 2 == n


def test_docker_pulls_and_reads_logs(engine, workerpool_server):
    """pull() yields its progress; logs(stream=True) the frames of both outputs."""
    workerpool_server.reply("/v1.45/images/create", handler=_chunks(b'{"status":"a"}\n', b'{"status":"b"}\n'))
    assert ["a", "b"] == [line["status"] for line in engine.pull("x", stream=True, decode=True)]
    frames = [b"\x01\0\0\0\0\0\0\x03out", b"\x02\0\0\0\0\0\0\x05", b"wrong"]
    workerpool_server.reply("/v1.45/containers/c/json", json={"Id": "c", "Config": {"Tty": False}})
    workerpool_server.reply("/v1.45/containers/c/logs", handler=_chunks(*frames))
    assert [b"out", b"wrong"] == list(engine.logs("c", stream=True))
    assert b"outwrong" == engine.logs("c")


def test_the_raw_tells_what_urllib3s_does(session, site):
    """Version, path and retries are where urllib3 has them."""
    with session.get(site.url_for("/fast/1?a=b"), stream=True) as answer:
        assert ("/fast/1?a=b", 11, 0) == (answer.raw.geturl(), answer.raw.version, answer.raw.retries.total)
        assert "HTTP/1.1" == answer.raw.version_string


def test_a_forgotten_stream_ends_its_download(session, pool, site):
    """A response that nobody holds any more gives its place back."""
    for _ in range(3):
        answer = session.get(site.url_for("/large/100000"), stream=True)
        next(answer.iter_content(10))
    del answer
    gc.collect()
    assert pool.drain(30)
