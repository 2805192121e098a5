"""Deadlines and cancels at every stage of a request: the error tells the stage, the server sees the end."""

import asyncio
import socket
from contextlib import contextmanager
from time import monotonic

import aiohttp
import pytest
from servers import Silent

from workerpool import DeadlineExceeded, DNSError, Retry, WorkerPool

SOON = 0.15  # seconds; well above the timers' grain


class NeverResolves(aiohttp.abc.AbstractResolver):
    """A resolver that waits for ever."""

    async def resolve(self, host, port=0, family=socket.AF_INET):
        await asyncio.Event().wait()

    async def close(self):
        pass


def blackhole():
    """A listening socket whose queue is full: SYNs get no answer."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(server.getsockname())
        fillers.append(filler)
    return server, fillers


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"


@contextmanager
def stalled(stage):
    """Yield (url, options of the request, options of the pool) for a request that comes as far as the stage."""
    if stage == "dns":
        connector = lambda: aiohttp.TCPConnector(resolver=NeverResolves())  # noqa: E731
        yield "http://never.test/", {}, {"connector": connector}
    elif stage == "connect":
        server, fillers = blackhole()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/", {}, {}
        for each in (*fillers, server):
            each.close()
    elif stage == "retry":
        with Silent(b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n") as server:
            # A deadline ends before the pause: what outlasts it is not begun. A wait that begins is cut by a cancel.
            yield f"http://127.0.0.1:{server.port}/", {}, {"retry": Retry(attempts=2)}
    else:
        with Silent(HEAD if stage == "body" else b"") as server:
            scheme = "https" if stage == "tls" else "http"
            options = {"data": iter(lambda: bytes(2**16), None)} if stage == "send" else {}
            yield f"{scheme}://127.0.0.1:{server.port}/", options, {}


@pytest.mark.parametrize("stage", ["dns", "connect", "tls", "send", "headers", "body"])
def test_a_deadline_falls_at_every_stage(stage):
    """The error tells how far the request came."""
    with stalled(stage) as (url, options, pool_options), WorkerPool(retry=None, **pool_options) as pool:
        method = "POST" if options else "GET"
        began = monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            pool.request(method, url, timeout=SOON, **options)
        assert monotonic() - began < SOON + 2
        assert stage == caught.value.stage
        assert 1 == caught.value.attempts
        assert pool.drain(10)


def test_a_deadline_falls_in_the_queue(site):
    """What waits for a place waits no longer than its deadline."""
    with WorkerPool(connections=1) as pool:
        held = pool.submit(site.url_for("/hold/1"))
        site.wait_in_flight(1)
        with pytest.raises(DeadlineExceeded) as caught:
            pool.get(site.url_for("/fast/1"), timeout=SOON)
        assert ("queued", 0) == (caught.value.stage, caught.value.attempts)
        site.release()
        assert held.result(10).ok


@pytest.mark.parametrize("stage", ["dns", "connect", "tls", "send", "headers", "body", "retry"])
def test_a_cancel_is_heard_at_every_stage(stage):
    """A cancelled job is cancelled at once, its place comes free, and nothing is left in flight."""
    with stalled(stage) as (url, options, pool_options), WorkerPool(connections=1, **pool_options) as pool:
        job = pool.submit(url, method="POST" if options else "GET", **options)
        while job.stage != stage:
            pass
        assert job.cancel()
        assert job.cancelled()
        assert pool.drain(10)
        assert 0 == pool.stats().in_flight


@pytest.mark.parametrize("stage", ["tls", "headers", "body"])
def test_the_server_sees_a_cancel(stage):
    """Its connection is closed."""
    with Silent(HEAD if stage == "body" else b"") as server, WorkerPool() as pool:
        job = pool.submit(f"{'https' if stage == 'tls' else 'http'}://127.0.0.1:{server.port}/")
        server.wait_reached()
        assert job.cancel()
        server.wait_gone()


def test_a_name_that_does_not_resolve(pool):
    """The stage is dns, and the cause is the resolver's."""
    with pytest.raises(DNSError) as caught:
        pool.get("http://no-such-host.invalid/", timeout=10)
    assert "dns" == caught.value.stage
    assert caught.value.__cause__ is not None
