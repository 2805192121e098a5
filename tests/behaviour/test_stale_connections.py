"""Connections that were kept and that the server closes just when the next request goes out."""

import aiohttp
import pytest
import requests
from servers import Scripted, ok

from workerpool import ConnectionLost, WorkerPool
from workerpool.adapters.requests import install, uninstall


@pytest.fixture
def fickle():
    """A server that answers the first request of each connection, and closes at the second."""
    with Scripted([ok(b"ok"), b""], again=True) as server:
        yield server


def test_requests_get_meets_no_closed_connection(fickle):
    """As requests.get has it with a connection for each call: every one is answered, though nothing is retried."""
    with WorkerPool(workers=1) as pool:
        install(pool)
        try:
            assert ["ok"] * 10 == [requests.get(fickle.url).text for _ in range(10)]
        finally:
            uninstall()
        assert len(fickle.seen) == sum(lane.attempts for lane in pool.stats().lanes)


def test_what_the_server_has_seen_is_counted(fickle):
    """A request that goes out again is another attempt, whether or not anything is retried."""
    with WorkerPool(workers=1, retry=None) as pool:
        assert [1, 2] == [pool.get(fickle.url).attempts for _ in range(2)]
    assert 3 == len(fickle.seen)


async def pass_on(request, handler):
    return await handler(request)


@pytest.mark.parametrize(
    "lane",
    [{}, {"trace_configs": [aiohttp.TraceConfig()]}, {"middlewares": [pass_on]}],
    ids=["plain", "traces", "middlewares"],
)
@pytest.mark.parametrize("first", ["GET", "POST", "function"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_whoever_had_the_connection_before(fickle, lane, first, method):
    """A kept connection is one, whatever went out on it, and hooks change nothing in that."""

    async def ask(session):
        async with session.get(fickle.url) as answer:
            return await answer.read()

    with WorkerPool(workers=1, retry=None, **lane) as pool:
        if first == "function":
            assert b"ok" == pool.submit(ask).result(30)
        else:
            assert pool.request(first, fickle.url, data=b"1" if first == "POST" else None).ok
        if method == "HEAD":
            fickle.scripts[0][0] = ok(b"")
        answer = pool.request(method, fickle.url)
        assert (200, 2) == (answer.status_code, answer.attempts)
    assert 3 == len(fickle.seen)


def test_a_proxy_that_closes_is_asked_again(fickle):
    """A connection to it is kept as any other is."""
    with WorkerPool(workers=1, retry=None, proxy=fickle.url) as pool:
        assert [1, 2] == [pool.get("http://h.test/").attempts for _ in range(2)]


@pytest.mark.parametrize("middlewares", [(), (pass_on,)], ids=["plain", "middlewares"])
def test_what_a_new_connection_ends_is_not_sent_again(middlewares):
    """The server meant it."""
    with Scripted([b""], again=True) as server, WorkerPool(retry=None, middlewares=middlewares) as pool:
        with pytest.raises(ConnectionLost):
            pool.get(server.url)
        assert 1 == len(server.seen)


def test_many_kept_connections_are_closed_at_once(fickle):
    """However many connections were kept, the request goes out on a new one in the end."""
    with WorkerPool(workers=1, retry=None) as pool:
        for _ in range(3):
            jobs = [pool.submit(fickle.url) for _ in range(8)]
            assert {"ok"} == {job.result(30).text for job in jobs}


def test_a_part_of_an_answer_is_an_answer(fickle):
    """Once the server has begun to answer, nothing is sent again."""
    fickle.scripts[0][1] = b"HTTP/1.1 200 OK\r\nContent-"
    with WorkerPool(workers=1, retry=None) as pool:
        assert pool.get(fickle.url).ok
        with pytest.raises(ConnectionLost):
            pool.get(fickle.url)
    assert 2 == len(fickle.seen)


def test_what_changes_something_is_not_sent_again(fickle):
    """A POST that met a closed connection may have been done: the caller decides."""
    with WorkerPool(workers=1, retry=None) as pool:
        assert pool.get(fickle.url).ok
        with pytest.raises(ConnectionLost):
            pool.post(fickle.url, data=b"1")
