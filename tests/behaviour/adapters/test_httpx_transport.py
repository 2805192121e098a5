"""httpx and httpx2 over the pool, with real servers."""

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import httpx2
import pytest

from workerpool import WorkerPool
from workerpool.adapters.httpx import AsyncPoolTransport, PoolTransport

BOTH = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


@pytest.fixture
def client(pool, library):
    with library.Client(transport=PoolTransport(pool), follow_redirects=True) as client:
        yield client


@BOTH
def test_the_usual_things_work(client, site, library):
    """Verbs, forms, JSON, redirects, cookies, gzip; the answer is a response of the library that asked."""
    answer = client.get(site.url_for("/echo"), params={"a": 1}, headers={"X-One": "1"})
    assert isinstance(answer, library.Response)
    assert (200, "OK", "HTTP/1.1", {"a": "1"}) == (
        answer.status_code, answer.reason_phrase, answer.http_version, answer.json()["args"],
    )  # fmt: skip
    assert "a=1" == client.post(site.url_for("/echo"), data={"a": 1}).json()["body"]
    assert {"n": 1} == json.loads(client.put(site.url_for("/echo"), json={"n": 1}).json()["body"])
    assert 'filename="a.txt"' in client.post(site.url_for("/echo"), files={"f": ("a.txt", b"x")}).json()["body"]
    assert 4 == len(client.get(site.url_for("/redirect/3")).history)
    client.get(site.url_for("/cookies/set?name=value"))
    assert {"name": "value"} == client.get(site.url_for("/cookies")).json()
    assert {"n": 7} == client.get(site.url_for("/gzip/7")).json()
    assert 200 == client.head(site.url_for("/fast/1")).status_code
    assert 1 == answer.extensions["workerpool"]["attempts"]


@BOTH
def test_streams_go_both_ways(client, site, library):
    """A body is read as it comes, left early without a leak, and sent from a generator."""
    with client.stream("GET", site.url_for("/large/300")) as answer:
        assert 300 * 1024 == sum(map(len, answer.iter_bytes()))
    with client.stream("GET", site.url_for("/large/100000")) as answer:
        next(answer.iter_raw())
    assert "12345" == client.post(site.url_for("/echo"), content=iter([b"12", b"345"])).json()["body"]

    def broken():
        yield b"1"
        raise LookupError("the source broke")

    with pytest.raises(LookupError, match="the source broke"):
        client.post(site.url_for("/echo"), content=broken())


@BOTH
def test_errors_are_those_of_the_library(client, site, free_port, library):
    """Refused, silent, unreadable: each has its exception, and the pool's is the cause."""
    with pytest.raises(library.ConnectError) as caught:
        client.get(f"http://127.0.0.1:{free_port}/")
    assert "ConnectError" == type(caught.value.__cause__).__name__
    assert f"http://127.0.0.1:{free_port}/" == str(caught.value.request.url)
    with pytest.raises(library.ReadTimeout):
        client.get(site.url_for("/hold/1"), timeout=0.05)
    with pytest.raises(library.UnsupportedProtocol):
        client.get("ftp://127.0.0.1/")


@BOTH
def test_a_closed_pool_says_so(site, library):
    """A client that outlives its pool raises at once."""
    with WorkerPool(workers=1) as pool:
        client = library.Client(transport=PoolTransport(pool))
    with client, pytest.raises(library.ConnectError, match="shut down"):
        client.get(site.url_for("/fast/1"))


@BOTH
def test_threads_share_one_client(client, site, library):
    """Every answer is the one that was asked for."""
    with ThreadPoolExecutor(20) as threads:
        seen = [*threads.map(lambda n: client.get(site.url_for(f"/fast/{n}")).text.split()[2], range(400))]
    assert [str(n) for n in range(400)] == seen


@BOTH
def test_an_async_client(pool, site, library):
    """Many at once, streamed both ways, cancelled, and failed."""

    async def source():
        for piece in (b"12", b"345"):
            await asyncio.sleep(0)
            yield piece

    async def main():
        async with library.AsyncClient(transport=AsyncPoolTransport(pool)) as client:
            answers = await asyncio.gather(*(client.get(site.url_for(f"/fast/{n}")) for n in range(50)))
            assert [str(n) for n in range(50)] == [answer.text.split()[2] for answer in answers]
            assert "12345" == (await client.post(site.url_for("/echo"), content=source())).json()["body"]
            async with client.stream("GET", site.url_for("/large/300")) as answer:
                assert 300 * 1024 == sum([len(piece) async for piece in answer.aiter_bytes()])
            with pytest.raises(library.ReadTimeout):
                await client.get(site.url_for("/hold/1"), timeout=0.05)
            held = asyncio.create_task(client.get(site.url_for("/hold/2"), timeout=None))
            await asyncio.to_thread(site.wait_in_flight, 1)
            held.cancel()
            with pytest.raises(asyncio.CancelledError):
                await held

    asyncio.run(main())
    assert pool.drain(10)


def test_a_missing_extra_names_the_cure(tmp_path):
    """Without httpx and httpx2, the import says what to install."""
    code = (
        "import importlib.util as u, sys; find = u.find_spec;"
        "u.find_spec = lambda name, *rest: None if name.startswith('httpx') else find(name, *rest);"
        "import workerpool.adapters.httpx"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert "pip install 'aiohttp-workerpool[httpx]'" in done.stderr
