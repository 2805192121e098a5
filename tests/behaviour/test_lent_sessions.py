"""The session that submitted functions get: aiohttp's own, shared, and closed by nobody but the lane."""

import asyncio
import gc
import re
import threading

import aiohttp
import pytest

from workerpool import WorkerPool


async def page(session, url):
    async with session.get(url) as response:
        return response.status


async def closing(session, url):
    assert isinstance(session, aiohttp.ClientSession)
    async with session:
        return await page(session, url)


async def closing_by_hand(session, url):
    await session.close()
    return await page(session, url)


async def detaching(session, url):
    session.detach()
    return await page(session, url)


async def closing_the_connector(session, url):
    await session.connector.close()
    async with session.connector:
        return await page(session, url)


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("function", [closing, closing_by_hand, detaching, closing_the_connector])
def test_a_function_that_closes_its_session_closes_it_for_nobody(shared_site, event_loop, function):
    """Neither for later functions, nor for requests, nor in a session of the pool."""
    url = shared_site.url_for("/fast/1")
    with WorkerPool(event_loop=event_loop) as pool, pool.session() as browser:
        for client in (pool, browser):
            assert 200 == client.submit(function, url).result()
            assert 200 == client.submit(function, url).result()
            assert 200 == client.submit(page, url).result()
            assert 200 == client.get(url).status_code


def test_a_function_that_closes_its_session_leaves_those_that_run_alone(pool, shared_site):
    """A request that is under way in another function of the same worker gets its answer."""
    waits, closed = threading.Event(), []

    async def waiting(session):
        closed.append(asyncio.Event())
        async with session.get(shared_site.url_for("/drip/1"), params={"n": 3, "pause": 0.01}) as response:
            waits.set()
            await closed[0].wait()
            return len(await response.read()) > 0

    async def release(session):
        async with session:
            pass
        closed[0].set()

    with pool.session() as browser:
        job = browser.submit(waiting)
        assert waits.wait(30)
        browser.submit(release).result()
        assert job.result()


def test_closing_it_is_quiet_when_asyncio_debugs(pytester):
    """aiohttp then warns of attributes that it does not know."""
    program = pytester.makepyfile(
        """
        import logging

        from workerpool import WorkerPool
        from workerpool.testing import Site

        # It tells of steps that took long, too, as any may where the machine is busy.
        logging.getLogger("asyncio").addFilter(lambda record: not record.msg.startswith("Executing %s took"))

        async def closing(session, url):
            async with session, session.get(url) as response:
                return response.status

        with Site() as site, WorkerPool(event_loop="asyncio") as pool:
            print([pool.submit(closing, site.url_for("/fast/1")).result() for _ in range(2)])
        """
    )
    result = pytester.runpython_c(
        f"import os, sys; os.execv(sys.executable, [sys.executable, '-X', 'dev', '-W', 'error', {str(program)!r}])"
    )
    result.stdout.fnmatch_lines(["[[]200, 200[]]"])
    # In this mode asyncio also tells of what took its time, as anything does where others have the processors.
    assert not [line for line in result.stderr.lines if not re.search(r" took [\d.]+ seconds$", line)]


def test_a_pool_that_ends_closes_what_it_lent(shared_site):
    """Nothing is left open, and nothing says so."""
    with WorkerPool() as pool:
        kept = pool.submit(_own, shared_site.url_for("/fast/1")).result()
    assert kept.closed
    assert kept.connector.closed
    del kept
    gc.collect()


async def _own(session, url):
    await page(session, url)
    return session


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
def test_a_lane_that_cannot_be_opened_leaves_nothing_half_open(event_loop, caplog):
    """Each job gets the error; no session or connector is said to be unclosed."""
    made = []

    def connector():
        made.append(aiohttp.TCPConnector())
        made[-1]._factory = None  # what makes aiohttp stumble below does not matter
        return made[-1]

    class Broken(aiohttp.TraceConfig):
        def freeze(self):
            raise LookupError("no trace")

    with WorkerPool(connector=connector, trace_configs=[Broken()], event_loop=event_loop) as pool:
        for _ in range(2):
            with pytest.raises(LookupError):
                pool.get("http://127.0.0.1:9/")
        gc.collect()
    assert [True, True] == [each.closed for each in made]
    assert "nclosed" not in caplog.text
