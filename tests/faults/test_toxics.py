"""A network that spoils good connections: each of Toxiproxy's toxics, and what the caller gets."""

import importlib.util

import pytest

from faults.proxy import Bandwidth, Latency, LimitData, Proxy, ResetPeer, Slicer, SlowClose, Timeout, Toxic
from faults.server import Listener
from faults.wire import answer, head, read_head
from workerpool import ConnectError, ConnectionLost, DeadlineExceeded, RequestError, TruncatedBody, WorkerPool

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
TEXT = b"0123456789" * 1000


def serve(connection):
    """Answer /until-close with a body that the end of the connection ends, anything else with one of known length."""
    while request := read_head(connection):
        if b"/until-close" in request:
            connection.sendall(head("Connection: close") + TEXT)
            return
        connection.sendall(answer(TEXT))


@pytest.fixture
def proxy():
    """A proxy before a good server."""
    server = Listener(serve)
    with Proxy(server.port) as proxy:
        yield proxy
    server.close()


@pytest.fixture(params=LOOPS)
def one_worker(request):
    with WorkerPool(workers=1, event_loop=request.param, retry=None) as pool:
        yield pool


@pytest.fixture(autouse=True)
def right_afterwards(one_worker, proxy):
    """Nothing is left in flight, and without the toxic the same pool gets the same answer right."""
    yield
    assert one_worker.drain(60)
    assert 0 == one_worker.stats().in_flight
    proxy.down()  # connections made with the toxic keep it
    proxy.toxic = Toxic()
    proxy.up()
    assert TEXT == one_worker.get(proxy.url, timeout=60).content


def error_of(pool, url, timeout=60):
    with pytest.raises(RequestError) as caught:
        pool.get(url, timeout=timeout)
    assert 1 == caught.value.attempts
    return caught.value


def assert_late(pool, url, stage):
    """The deadline ends it at this stage, or a longer one does on a slow machine."""
    for timeout in (0.5, 2, 8):
        with pytest.raises(DeadlineExceeded) as caught:
            pool.get(url, timeout=timeout)
        if (1, stage) == (caught.value.attempts, caught.value.stage):
            return
    pytest.fail(f"{caught.value!r} after {caught.value.attempts} attempts at stage {caught.value.stage}")


def test_latency_costs_time_only(one_worker, proxy):
    """Late data is right data."""
    proxy.toxic = Latency(0.05)
    assert TEXT == one_worker.get(proxy.url, timeout=60).content


def test_latency_beyond_the_deadline(one_worker, proxy):
    """Data that comes too late is the deadline's."""
    proxy.toxic = Latency(30)
    assert_late(one_worker, proxy.url, "headers")


def test_down_refuses(one_worker, proxy):
    """A port that is down refuses, although it was up before; an idle connection from then is not used."""
    assert TEXT == one_worker.get(proxy.url).content
    proxy.down()
    error = error_of(one_worker, proxy.url)
    assert (ConnectError, "connect") == (type(error), error.stage)


def test_down_and_up_again(one_worker, proxy):
    """Connections lost while idle cost nothing."""
    for _ in range(3):
        assert TEXT == one_worker.get(proxy.url).content
        proxy.down()
        proxy.up()


def test_bandwidth_costs_time_only(one_worker, proxy):
    """A thin line brings the whole body."""
    proxy.toxic = Bandwidth(100_000)
    assert TEXT == one_worker.get(proxy.url, timeout=60).content


def test_bandwidth_beyond_the_deadline(one_worker, proxy):
    """A body that does not get through in time is the deadline's."""
    proxy.toxic = Bandwidth(1000)
    assert_late(one_worker, proxy.url, "body")


def test_slow_close_is_not_waited_for(one_worker, proxy):
    """A body of known length is whole before the connection ends."""
    proxy.toxic = SlowClose(30)
    assert TEXT == one_worker.get(proxy.url, timeout=60).content


def test_slow_close_of_a_body_that_it_ends(one_worker, proxy):
    """A body that only the end would end is not whole before."""
    proxy.toxic = SlowClose(30)
    assert_late(one_worker, f"{proxy.url}/until-close", "body")


def test_timeout_that_ends(one_worker, proxy):
    """Silence and then the end: the connection is lost."""
    proxy.toxic = Timeout(0.05)
    error = error_of(one_worker, proxy.url)
    assert (ConnectionLost, "headers") == (type(error), error.stage)


def test_timeout_that_never_ends(one_worker, proxy):
    """Silence without an end is the deadline's."""
    proxy.toxic = Timeout(0)
    assert_late(one_worker, proxy.url, "headers")


def test_reset_peer_at_once(one_worker, proxy):
    """A reset before the answer: the connection is lost, or was never made."""
    proxy.toxic = ResetPeer(0)
    assert isinstance(error_of(one_worker, proxy.url), ConnectionLost | ConnectError)


def test_reset_peer_while_idle(one_worker, proxy):
    """A reset after the answer costs nothing."""
    reset = proxy.toxic = ResetPeer(0.2)
    assert TEXT == one_worker.get(proxy.url, timeout=60).content
    proxy.toxic = Toxic()
    assert reset.done.wait(5)
    assert TEXT == one_worker.get(proxy.url, timeout=60).content


def test_slicer_changes_nothing(one_worker, proxy):
    """An answer in pieces of seven bytes is the same answer."""
    proxy.toxic = Slicer(7)
    assert TEXT == one_worker.get(proxy.url, timeout=60).content


def test_limit_data_in_the_body(one_worker, proxy):
    """A body cut off by the network is no body."""
    proxy.toxic = LimitData(5000)
    error = error_of(one_worker, proxy.url)
    assert (TruncatedBody, "body") == (type(error), error.stage)


def test_limit_data_in_the_head(one_worker, proxy):
    """A head cut off is a lost connection."""
    proxy.toxic = LimitData(20)
    error = error_of(one_worker, proxy.url)
    assert (ConnectionLost, "headers") == (type(error), error.stage)


def test_limit_data_above_the_answer(one_worker, proxy):
    """What stays below the limit is right."""
    proxy.toxic = LimitData(20_000)
    assert TEXT == one_worker.get(proxy.url, timeout=60).content
