"""A stream that the pool cuts is an error of the library that reads it: requests, httpx, httpx2."""

import asyncio
import contextlib
import threading

import httpx
import httpx2
import pytest
import requests
from streams import stalling

from workerpool import WorkerPool
from workerpool.adapters.httpx import AsyncPoolTransport, PoolTransport
from workerpool.adapters.requests import PoolAdapter

FRAMINGS = pytest.mark.parametrize("framing", ["length", "chunked"])
BOTH = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


@contextlib.contextmanager
def cut_when(began, pool):
    """Shut the pool down, on a thread, once the reader has begun."""

    def cut():
        assert began.wait(60)
        pool.shutdown(timeout=0)

    thread = threading.Thread(target=cut)
    thread.start()
    yield
    thread.join()


def _all_of(pieces, began):
    size = 0
    for piece in pieces:
        size += len(piece)
        if size == 1000:
            began.set()
    return size


@FRAMINGS
@pytest.mark.parametrize("way", ["iter_content", "iter_lines", "content", "raw"])
def test_requests_is_told(framing, way):
    """However the body is read, 1,000 of 1,000,000 bytes are not all."""
    began = threading.Event()
    with stalling(framing) as url, WorkerPool(workers=1) as pool, requests.Session() as session, cut_when(began, pool):
        session.mount("http://", PoolAdapter(pool))
        answer = session.get(url, stream=True)
        if way in ("content", "iter_lines"):  # which say nothing before they have more
            began.set()
        with pytest.raises((requests.exceptions.RequestException, requests.packages.urllib3.exceptions.HTTPError)):
            _all_of(_pieces(answer, way), began)


def _pieces(answer, way):
    ways = {
        "content": lambda: [answer.content],
        "raw": lambda: iter(lambda: answer.raw.read(100), b""),
        "iter_content": lambda: answer.iter_content(100),
        "iter_lines": answer.iter_lines,
    }
    return ways[way]()


@BOTH
@FRAMINGS
def test_httpx_is_told(library, framing):
    """In a thread."""
    began = threading.Event()
    with stalling(framing) as url, WorkerPool(workers=1) as pool, cut_when(began, pool):
        with library.Client(transport=PoolTransport(pool), timeout=None) as client, client.stream("GET", url) as answer:
            with pytest.raises(library.TransportError):
                _all_of(answer.iter_bytes(), began)


@BOTH
@FRAMINGS
def test_an_async_client_is_told(library, framing):
    """On a loop."""
    began = threading.Event()

    async def main(url, pool):
        async with library.AsyncClient(transport=AsyncPoolTransport(pool), timeout=None) as client:
            async with client.stream("GET", url) as answer:
                pieces = answer.aiter_bytes()
                assert await anext(pieces)
                began.set()
                with pytest.raises(library.TransportError):
                    assert not [piece async for piece in pieces]

    with stalling(framing) as url, WorkerPool(workers=1) as pool, cut_when(began, pool):
        asyncio.run(main(url, pool))
