"""One way to each error that a call may raise: a pool that is in the state for it, and the URL to ask."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

from aiohttp import web

from workerpool import AddressRules, Timeout, WorkerPool
from workerpool.testing import FakePool

__all__ = ["PROVOCATIONS", "URL", "Provocation", "silent"]

URL = "http://shop.example/"
Provocation = Callable[[], Iterator[tuple[WorkerPool, str]]]
PROVOCATIONS: dict[str, Provocation] = {}


def provocation(name: str) -> Callable[[Provocation], Provocation]:
    def enter(make: Provocation) -> Provocation:
        PROVOCATIONS[name] = make
        return make

    return enter


def fake(name: str, *, handler: Any = None, error: Any = None, **lane: Any) -> None:
    """Enter a provocation that is one answer, or one error of the network."""

    @provocation(name)
    def make() -> Iterator[tuple[WorkerPool, str]]:
        with FakePool(retry=None, **lane) as pool:
            pool.reply(URL, handler=handler, error=error)
            yield pool, URL


async def cut(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "10"})
    await answer.prepare(request)
    await answer.write(b"half")
    assert request.transport is not None
    request.transport.close()
    return answer


async def halting(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "10"})
    await answer.prepare(request)
    await answer.write(b"half")
    await asyncio.Event().wait()
    return answer


async def silent(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def broken(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(b"SMTP 220 ready\r\n\r\n")
    request.transport.close()
    return web.Response()


async def packed(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"no gzip", headers={"Content-Encoding": "gzip"})


async def broken_chunks(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    await asyncio.sleep(0)
    request.transport.write(b"not a number\r\n")
    request.transport.close()
    return web.Response()


async def around(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": URL})


async def large(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x" * 100)


fake("ConnectError", error=ConnectionRefusedError())
fake("DNSError", error=socket.gaierror(-2, "unknown"))
fake("TLSError", error=ssl.SSLError(1, "bad certificate"))
fake("ConnectionLost", error="reset")
fake("TruncatedBody", handler=cut)
fake("ReadTimeout", handler=silent, timeout=(5, 0.05))
fake("ReadTimeout in a body", handler=halting, timeout=(5, 0.2))
fake("DeadlineExceeded", handler=silent, timeout=0.05)
fake("DeadlineExceeded in a body", handler=halting, timeout=0.3)
fake("ProtocolError", handler=broken)
fake("ProtocolError in a body", handler=broken_chunks)
fake("DecodingError", handler=packed)
fake("TooManyRedirects", handler=around)
fake("BodyTooLarge", handler=large, max_body=10)


@provocation("InvalidRequest")
def _invalid() -> Iterator[tuple[WorkerPool, str]]:
    with FakePool() as pool:
        yield pool, "http://shop.example:port/"


@provocation("Forbidden")
def _forbidden() -> Iterator[tuple[WorkerPool, str]]:
    with WorkerPool(addresses=AddressRules()) as pool:
        yield pool, "http://127.0.0.1/"


@provocation("ProxyError")
def _proxy() -> Iterator[tuple[WorkerPool, str]]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with WorkerPool(proxy=f"http://127.0.0.1:{taken.getsockname()[1]}") as pool:
            yield pool, URL


@provocation("ConnectTimeout")
def _connect_timeout() -> Iterator[tuple[WorkerPool, str]]:
    with socket.create_server(("127.0.0.1", 0)) as silent_server:  # accepts, and answers no handshake
        with WorkerPool(timeout=Timeout(connect=0.05), retry=None) as pool:
            yield pool, f"https://127.0.0.1:{silent_server.getsockname()[1]}/"


@provocation("PoolClosed")
def _closed() -> Iterator[tuple[WorkerPool, str]]:
    pool = FakePool()
    pool.shutdown()
    yield pool, URL


@provocation("QueueFull")
def _full() -> Iterator[tuple[WorkerPool, str]]:
    with FakePool(connections=1, queue=1, timeout=Timeout(queue=0.05), retry=None) as pool:
        pool.reply(URL, handler=silent)
        jobs = [pool.call(_wait, timeout=60) for _ in range(2)]
        yield pool, URL
        for job in jobs:
            job.cancel()


async def _wait(_session: object) -> None:
    await asyncio.Event().wait()


@provocation("WorkerLost")
def _lost() -> Iterator[tuple[WorkerPool, str]]:
    async def middleware(_request: object, _handler: object) -> object:
        raise SystemExit

    with FakePool(retry=None, middlewares=[middleware]) as pool:
        pool.reply(URL, text="never seen")
        yield pool, URL
