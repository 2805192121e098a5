"""Connections without a network: what of aiohttp they rest on, and that they bear what real ones bear."""

import asyncio
import importlib.util
import inspect
import random
import re
import threading
from concurrent.futures import CancelledError

import aiohttp
import pytest
from aiohttp import web

from workerpool import PoolClosed, RequestError
from workerpool.testing import FakePool
from workerpool.transport.memory import MemoryTransport

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
KINDS = ("slow", "drip", "cut", "reset", "boom")
SEED = 20_261_124


def test_aiohttp_asks_a_connector_for_each_connection():
    """A connector is a class whose `_create_connection` gives the client's protocol; it keeps the loop."""
    assert ["self", "req", "traces", "timeout"] == list(
        inspect.signature(aiohttp.BaseConnector._create_connection).parameters
    )
    assert "self._loop" in inspect.getsource(aiohttp.BaseConnector.__init__)
    assert {"is_ssl", "connection_key"} <= set(dir(aiohttp.ClientRequest))


def test_aiohttps_server_takes_a_maker_of_requests():
    """The maker gets message, payload, protocol, writer and task, and what it makes goes to the handler."""
    assert "request_factory" in inspect.signature(web.Server).parameters
    assert ["message", "payload", "protocol", "payload_writer", "task", "loop"] == list(
        inspect.signature(web.BaseRequest).parameters
    )[:6]


def test_a_transport_has_all_that_asyncios_have():
    """No method is left to the abstract class, which raises NotImplementedError."""
    missing = [
        name
        for name in dir(asyncio.Transport)
        if not name.startswith("_") and getattr(MemoryTransport, name) is getattr(asyncio.Transport, name)
    ]
    assert ["get_extra_info"] == missing


async def slow(request):
    await asyncio.sleep(0.005)
    return web.Response(text="slow")


async def drip(request):
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(20):
        await answer.write(b"x" * 1000)
        await asyncio.sleep(0.001)
    return answer


async def cut(request):
    answer = web.StreamResponse(headers={"Content-Length": "100"})
    await answer.prepare(request)
    await answer.write(b"x")
    request.transport.close()
    return answer


async def boom(request):
    raise ValueError("of the handler's")


@pytest.fixture(params=LOOPS)
def scripted(request):
    """A pool of each loop, with every kind of answer."""
    with FakePool(workers=2, connections=10, event_loop=request.param, retry=None) as pool:
        for handler in (slow, drip, cut, boom):
            pool.reply(re.compile(f"/{handler.__name__}/"), handler=handler)
        pool.reply(re.compile("/reset/"), error="reset")
        yield pool


def test_many_requests_of_every_kind_and_cancels_at_random(scripted):
    """Each has an outcome of its own, and nothing is left in flight."""
    dice = random.Random(SEED)
    jobs, cancels = [], []
    for n in range(400):
        body = {"method": "POST", "data": (b"y" * 50_000 for _ in range(n % 4))} if n % 3 == 0 else {}
        jobs.append(scripted.submit(f"https://h{n % 7}.test/{dice.choice(KINDS)}/{n}", timeout=60, **body))
        if n % 4 == 0:
            cancels.append(threading.Timer(dice.random() / 20, jobs[-1].cancel))
            cancels[-1].start()
    ends = set()
    for job in jobs:
        try:
            ends.add(job.result(60).status_code)
        except CancelledError:
            ends.add("cancelled")
        except RequestError as error:
            ends.add(type(error).__name__)
    for cancel in cancels:
        cancel.join()
    expected = {200, 500, "TruncatedBody", "ConnectionLost"}
    assert expected <= ends <= expected | {"cancelled"}
    assert scripted.drain(60)
    assert (0, ()) == (scripted.stats().in_flight, scripted.unexpected)


def test_a_shutdown_in_the_middle(scripted):
    """From another thread: what runs is stopped, and every job has its outcome."""
    jobs = [scripted.submit(f"https://x.test/drip/{n}") for n in range(100)]
    thread = threading.Thread(target=scripted.shutdown, kwargs={"timeout": 0.01})
    thread.start()
    thread.join()
    assert all(job.done() for job in jobs)
    assert any(isinstance(job.exception(), PoolClosed) for job in jobs)
