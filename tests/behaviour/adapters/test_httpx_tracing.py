"""httpx's trace extension over the pool: called by the names of httpcore's events, for what can be seen from here."""

import asyncio

import httpx
import httpx2
import pytest

from workerpool.adapters.httpx import AsyncPoolTransport, PoolTransport

BOTH = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
EVENTS = [
    f"http11.{name}.{state}"
    for name in ("send_request_headers", "receive_response_headers", "receive_response_body", "response_closed")
    for state in ("started", "complete")
]


@BOTH
def test_the_function_is_told_what_happens(pool, site, library):
    """The events of a request come in httpcore's order, the heads with them."""
    told = {}
    with library.Client(transport=PoolTransport(pool)) as client:
        client.get(site.url_for("/fast/1?a=b"), extensions={"trace": lambda name, info: told.update({name: info})})
    assert EVENTS == list(told)
    asked = told["http11.send_request_headers.started"]["request"]
    assert (b"GET", b"/fast/1?a=b") == (asked.method, asked.url.target)
    version, status, reason, headers = told["http11.receive_response_headers.complete"]["return_value"]
    assert (b"HTTP/1.1", 200, b"OK") == (version, status, reason)
    assert (b"Content-Length", b"1024") in headers


@BOTH
def test_an_async_function_is_awaited(pool, site, library):
    """An AsyncClient's function runs on the client's loop."""
    told = []

    async def trace(name, info):
        await asyncio.sleep(0)
        told.append(name)

    async def main():
        async with library.AsyncClient(transport=AsyncPoolTransport(pool)) as client:
            await client.get(site.url_for("/fast/1"), extensions={"trace": trace})
            with pytest.raises(TypeError, match="must be an async function"):
                await client.get(site.url_for("/fast/1"), extensions={"trace": lambda name, info: None})

    asyncio.run(main())
    assert EVENTS == told


@BOTH
def test_failures_are_told(pool, site, free_port, library):
    """What got no answer, and a body that is left, say so; an async function in a thread is refused."""
    told = []
    trace = {"trace": lambda name, info: told.append((name, type(info.get("exception")).__name__))}
    with library.Client(transport=PoolTransport(pool)) as client:
        with pytest.raises(library.ConnectError):
            client.get(f"http://127.0.0.1:{free_port}/", extensions=trace)
        assert ("http11.receive_response_headers.failed", "ConnectError") == told[-1]
        with client.stream("GET", site.url_for("/large/10000"), extensions=trace) as answer:
            next(answer.iter_raw())
        assert ("http11.response_closed.complete", "NoneType") in told

        async def wrong(name, info):
            """Do nothing."""

        with pytest.raises(TypeError, match="normal function"), pytest.warns(RuntimeWarning, match="never awaited"):
            client.get(site.url_for("/fast/1"), extensions={"trace": wrong})
