"""Whatever a server or a proxy says, what comes out of a call is an answer or one of the pool's errors."""

import importlib.util
import logging

import pytest
from fuzzing import FuzzServer, outcomes, pools

from workerpool import RequestError

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
# The road, and the seeds that go along it: fixed, so that what fails once fails again.
ROADS = {"origin": range(300), "proxy": range(1000, 1040), "tunnel": range(2000, 2060)}
SOCKS = {"socks5h": range(3000, 3015), "socks4": range(4000, 4015)}


@pytest.fixture
def server():
    server = FuzzServer()
    yield server
    server.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("road", [*ROADS, *SOCKS])
def test_no_server_can_make_a_call_raise_what_is_not_ours(road, loop, server, caplog):
    """By every verb and every way of reading; nothing is left in flight, and the loop has nothing to complain of."""
    caplog.set_level(logging.ERROR)
    if road in SOCKS:
        pytest.importorskip("aiohttp_socks")
    seeds = {**ROADS, **SOCKS}[road]
    for number, (pool, url_of) in enumerate(pools(server, loop)):
        with pool:
            if number != [*ROADS, *SOCKS].index(road):
                continue
            foreign = [
                (seed, way, repr(outcome))
                for seed, way, outcome in outcomes(pool, url_of, seeds)
                if not isinstance(outcome, int | RequestError)
            ]
            assert [] == foreign
            assert pool.drain(30)
            assert 0 == pool.stats().in_flight
    assert [] == [record.getMessage() for record in caplog.records]


def test_there_is_something_to_read_in_them(server):
    """A good part of what the server says is an answer, and another is none; else nothing would have been tried."""
    pool, url_of = next(pools(server, "asyncio"))
    with pool:
        answers = [isinstance(outcome, int) for _seed, _way, outcome in outcomes(pool, url_of, range(100))]
    assert 0.1 < sum(answers) / len(answers) < 0.9
