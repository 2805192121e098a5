"""What a call may raise is what is told of it: each error is provoked of each call, and neither more nor less comes."""

from contextlib import contextmanager, suppress

import pytest
from provocations import PROVOCATIONS, URL, silent

from workerpool import WorkerPool, WorkerPoolError
from workerpool.explanations import CALLS
from workerpool.testing import FakePool

# What cannot be provoked by an answer; each has tests of its own where it comes from.
ELSEWHERE = {
    "pool.get": {"ForkedPool", "RequestError", "WrongThread"},
    "job.result": {"ForkedPool", "InvalidRequest", "PoolClosed", "RequestError", "WrongThread"},
    "pool.submit": {"ForkedPool", "WrongThread"},
    "pool.fetch_many": {"ForkedPool", "WorkerPoolError", "WrongThread"},
    "result.unwrap": {"PoolClosed", "RequestError", "WorkerPoolError"},
    "pool.stream": {"ForkedPool", "RequestError", "WrongThread"},
    "streamed.read": {"BodyTooLarge", "ConnectionLost", "ForkedPool", "PoolClosed", "WorkerLost", "WrongThread"},
    "pool.websocket": {"ForkedPool", "RequestError", "WrongThread"},
}


def get(pool, url):
    yield lambda: pool.get(url)


def submit(pool, url):
    yield lambda: pool.submit(url)


def job_result(pool, url):
    with suppress(WorkerPoolError):  # which is submit's
        job = pool.submit(url)
        yield job.result


def fetch_many(pool, url):
    yield lambda: list(pool.fetch_many([url]))


def unwrap(pool, url):
    with suppress(WorkerPoolError):  # which is fetch_many's
        (result,) = pool.fetch_many([url])
        yield result.unwrap


def stream(pool, url):
    def enter():
        with pool.stream("GET", url):
            pass

    yield enter


def read(pool, url):
    with suppress(WorkerPoolError):  # which is stream's
        with pool.stream("GET", url) as streamed:
            yield streamed.read


def websocket(pool, url):
    def enter():
        with pool.websocket(url):
            pass

    yield enter


WAYS = {
    "pool.get": get, "pool.submit": submit, "job.result": job_result, "pool.fetch_many": fetch_many, "result.unwrap": unwrap,
    "pool.stream": stream, "streamed.read": read, "pool.websocket": websocket,
}  # fmt: skip


def raised(way, pool, url):
    """Return the names of the pool's errors that the call raises here."""
    names = set()
    for call in way(pool, url):
        try:
            call()
        except WorkerPoolError as error:
            names.add(type(error).__name__)
    return names


@pytest.mark.parametrize("call", WAYS)
def test_a_call_raises_what_is_told(call):
    """Of all that a server, a network, a setting and the pool's life can do to it."""
    names = set()
    for make in PROVOCATIONS.values():
        with contextmanager(make)() as (pool, url):
            names |= raised(WAYS[call], pool, url)
    assert set(CALLS[call].raises) == names | ELSEWHERE[call]


@pytest.mark.parametrize("call", ["pool.get", "pool.fetch_many", "pool.stream", "pool.websocket", "job.result"])
def test_on_a_workers_own_thread(call):
    """What would wait for itself raises WrongThread, which is told."""
    assert "WrongThread" in CALLS[call].raises

    async def called(_session, pool):
        return raised(WAYS[call], pool, URL)

    with FakePool(retry=None) as pool:
        pool.reply(URL)
        assert {"WrongThread"} == pool.submit(called, pool).result()


def test_what_comes_to_a_job_that_was_accepted():
    """Its source fails, or its pool ends: both are the job's, and told."""

    def source():
        yield b"part"
        raise ValueError("spent")

    names = set()
    with FakePool(retry=None) as pool:
        pool.reply(URL, handler=silent)
        waiting, sending = pool.submit(URL), pool.submit(URL, method="POST", data=source())
        names.add(type(sending.exception()).__name__)
        pool.shutdown(timeout=0)
        names.add(type(waiting.exception()).__name__)
    assert {"InvalidRequest", "PoolClosed"} == names
    assert names <= set(CALLS["job.result"].raises)


def test_a_name_that_no_lane_has():
    with WorkerPool(workers=1) as pool, pytest.raises(WorkerPoolError) as caught:
        pool.lane("none")
    assert (type(caught.value).__name__,) == CALLS["pool.lane"].raises
