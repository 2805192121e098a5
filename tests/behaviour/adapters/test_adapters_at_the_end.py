"""Requests of other libraries when their pool is shut down: errors of the library, never a cancel that nobody asked for."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import httpx
import pytest
import requests

from workerpool import WorkerPool
from workerpool.adapters.httpx import AsyncPoolTransport, PoolTransport
from workerpool.adapters.requests import FuturesSession, PoolAdapter


@pytest.fixture
def narrow():
    """A pool with one connection: what comes second waits."""
    with WorkerPool(workers=1, connections=1) as pool:
        yield pool


def _wait_queued(pool, number):
    end = monotonic() + 30
    while pool.stats().queued < number:
        assert monotonic() < end


@pytest.mark.parametrize("stream", [True, False])
def test_requests_see_a_connection_error(narrow, site, stream):
    """What a shutdown takes back from the queue is a ConnectionError, from a session and from its futures."""
    session = requests.Session()
    session.mount("http://", PoolAdapter(narrow))
    futures = FuturesSession(pool=narrow)
    futures.trust_env = session.trust_env = False
    with ThreadPoolExecutor(2) as threads:
        held = threads.submit(session.get, site.url_for("/hold/1"))
        site.wait_in_flight(1)
        waiting = threads.submit(session.get, site.url_for("/fast/1"), stream=stream)
        promised = futures.get(site.url_for("/fast/1"), stream=stream)
        _wait_queued(narrow, 2)
        narrow.shutdown(wait=False, cancel_futures=True)
        for each in (waiting, promised):
            with pytest.raises(requests.exceptions.ConnectionError, match="shut down"):
                each.result(30)
        site.release()
        assert held.result(30).ok
    session.close()
    futures.close()


def test_httpx_sees_a_connect_error(narrow, site):
    """The same with httpx, in threads."""
    with httpx.Client(transport=PoolTransport(narrow)) as client, ThreadPoolExecutor(2) as threads:
        held = threads.submit(client.get, site.url_for("/hold/1"), timeout=None)
        site.wait_in_flight(1)
        waiting = threads.submit(client.get, site.url_for("/fast/1"), timeout=None)
        _wait_queued(narrow, 1)
        narrow.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(httpx.ConnectError, match="shut down"):
            waiting.result(30)
        site.release()
        assert held.result(30).status_code == 200


def test_a_task_is_not_cancelled_by_a_shutdown(narrow, site):
    """The same on a loop: a task that nobody has cancelled gets an error, and one that was is cancelled."""

    async def main():
        async with httpx.AsyncClient(transport=AsyncPoolTransport(narrow), timeout=None) as client:
            held = asyncio.create_task(client.get(site.url_for("/hold/1")))
            await asyncio.to_thread(site.wait_in_flight, 1)
            waiting = [asyncio.create_task(client.get(site.url_for("/fast/1"))) for _ in range(2)]
            await asyncio.to_thread(_wait_queued, narrow, 2)
            waiting[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting[0]
            narrow.shutdown(wait=False, cancel_futures=True)
            with pytest.raises(httpx.ConnectError, match="shut down"):
                await waiting[1]
            site.release()
            assert (await held).status_code == 200

    asyncio.run(main())
