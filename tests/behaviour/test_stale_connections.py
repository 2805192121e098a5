"""Connections that were kept and that the server closes just when the next request goes out."""

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
