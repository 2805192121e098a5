"""Whatever a server or a proxy says, what comes out of a call is an answer or one of the pool's errors."""

import importlib.util
import logging

import pytest

from faults.fuzzing import FuzzServer, outcomes, pools
from workerpool import RequestError

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
# The road, and where its seeds begin: fixed, so that what fails once fails again.
ROADS = {
    "origin": 0,
    "proxy": 1000,
    "tunnel": 2000,
    "socks5h": 3000,
    "socks4": 4000,
    "middleware": 5000,
    "connector": 6000,
}
PARTS = [(road, begin + n) for road, begin in ROADS.items() for n in range(0, 250 if road == "origin" else 25, 25)]
SLOW = {"socks5h": 8, "socks4": 8}  # seeds; a client that is told too little waits


@pytest.fixture
def server():
    server = FuzzServer()
    yield server
    server.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("road", "begin"), PARTS)
def test_no_server_can_make_a_call_raise_what_is_not_ours(road, begin, loop, server, caplog):
    """By every verb and every way of reading; nothing is left in flight, and the loop has nothing to complain of."""
    caplog.set_level(logging.ERROR)
    if road in SLOW:
        pytest.importorskip("aiohttp_socks")
    with pools[road](server, loop) as pool:
        seeds = range(begin, begin + SLOW.get(road, 25))
        foreign = [
            (seed, way, repr(outcome))
            for seed, way, outcome in outcomes(pool, server, road, seeds)
            if not isinstance(outcome, int | RequestError)
        ]
        assert [] == foreign
        assert pool.drain(30)
        assert 0 == pool.stats().in_flight
    assert [] == [record.getMessage() for record in caplog.records]


def test_there_is_something_to_read_in_them(server):
    """A good part of what the server says is an answer, and another is none; else nothing would have been tried."""
    with pools["origin"](server, "asyncio") as pool:
        answers = [isinstance(outcome, int) for _seed, _way, outcome in outcomes(pool, server, "origin", range(60))]
    assert 0.1 < sum(answers) / len(answers) < 0.9
