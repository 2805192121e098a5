"""FuturesSession: the interface of requests-futures, no thread per request. Its own test suite is run beside this."""

import threading
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed

import pytest
import requests

from workerpool import WorkerPool
from workerpool.adapters.requests import FuturesSession, PoolAdapter


@pytest.fixture
def session(pool):
    with FuturesSession(pool=pool, max_workers=3) as session:
        session.trust_env = False
        yield session


def test_every_verb_returns_a_future_of_a_response(session, site):
    """Results are responses of requests: redirects followed, cookies kept, hooks called."""
    seen = []
    futures = [getattr(session, verb)(site.url_for("/echo")) for verb in ("get", "post", "put", "patch", "delete")]
    assert ["GET", "POST", "PUT", "PATCH", "DELETE"] == [future.result(30).json()["method"] for future in futures]
    assert all(isinstance(future, Future) for future in futures)
    answer = session.get(site.url_for("/redirect/2"), hooks={"response": lambda r, **_: seen.append(r.status_code)})
    assert (200, 3) == (answer.result(30).status_code, len(answer.result().history))
    assert [302, 302, 302, 200] == seen
    session.get(site.url_for("/cookies/set?name=value")).result(30)
    assert {"name": "value"} == session.get(site.url_for("/cookies")).result(30).json()
    assert 200 == session.head(site.url_for("/fast/1")).result(30).status_code
    assert session.options(site.url_for("/echo")).result(30).ok


def test_many_in_flight_need_no_threads(site):
    """Two hundred requests wait for their server, and not one thread waits with them."""
    with WorkerPool(workers=1, connections=0) as pool, FuturesSession(pool=pool, max_workers=3) as session:
        before = threading.active_count()
        futures = [session.get(site.url_for(f"/hold/{n}")) for n in range(200)]
        site.wait_in_flight(200)
        assert threading.active_count() <= before
        site.release()
        assert {200} == {future.result(30).status_code for future in as_completed(futures)}
        assert threading.active_count() <= before + 3


def test_a_cancel_reaches_the_server(session, site, pool):
    """cancel() gives the request up in flight; who waits is told."""
    future = session.get(site.url_for("/hold/1"))
    site.wait_in_flight(1)
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result(30)
    assert pool.drain(10)


def test_what_is_wrong_comes_from_the_future(session, free_port):
    """Neither a bad URL nor a dead server raises where the request is begun."""
    bad = session.get("no-scheme")
    dead = session.get(f"http://127.0.0.1:{free_port}/")
    with pytest.raises(requests.exceptions.MissingSchema):
        bad.result(30)
    assert isinstance(dead.exception(30), requests.exceptions.ConnectionError)


def test_a_stream_comes_as_a_future(session, site):
    """stream=True resolves with the head; the body is read by whoever has the response."""
    with session.get(site.url_for("/large/300"), stream=True).result(30) as answer:
        assert 300 * 1024 == sum(map(len, answer.iter_content(4096)))


def test_a_background_callback_still_works_and_warns(session, site):
    """requests-futures' old parameter is deprecated there as here; what it returns takes the response's place."""
    with pytest.warns(DeprecationWarning, match="hooks"):
        future = session.get(site.url_for("/fast/1"), background_callback=lambda _session, r: r.status_code)
    assert 200 == future.result(30)


def test_a_session_and_an_executor_of_ones_own(site, pool):
    """With a session its adapters count; with an executor all is done there."""
    with requests.Session() as own, FuturesSession(session=own) as session:
        own.mount("http://", PoolAdapter(pool))
        assert session.get(site.url_for("/fast/1")).result(30).ok
    assert 1 == pool.stats().succeeded
    with ThreadPoolExecutor(2) as executor, FuturesSession(executor, pool=pool) as session:
        assert session.get(site.url_for("/fast/1")).result(30).ok
    assert 2 == pool.stats().succeeded


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"adapter_kwargs": {"nonsense": 1}}, "not nonsense$"),
        ({"adapter_kwargs": {"max_retries": 1, "lane": "a", "pool": "b"}}, r"not lane, pool; FuturesSession\(pool="),
        ({"session": requests.Session(), "pool": "a"}, "mount"),
        ({"session": requests.Session(), "lane": "default"}, "mount"),
    ],
)
def test_what_would_be_without_effect_is_refused(options, named):
    """A name that no adapter has, and a pool or lane beside a session, whose adapters count."""
    before = threading.active_count()
    with pytest.raises(TypeError, match=named):
        FuturesSession(**options)
    assert before == threading.active_count()


def test_what_a_process_cannot_be_given_is_refused_at_once(site):
    """A hook that cannot be pickled raises where the request is made, and not from the future."""
    with ProcessPoolExecutor(1) as executor, FuturesSession(executor) as session:
        with pytest.raises(RuntimeError, match="Cannot pickle request"):
            session.get(site.url_for("/fast/1"), hooks={"response": lambda r, **_: r})


def test_close_waits_for_what_is_under_way_and_refuses_more(site):
    """Requests that have begun are finished, and a closed session says that it is."""
    with WorkerPool(workers=1) as pool:
        session = FuturesSession(pool=pool)
        future = session.get(site.url_for("/hold/1"))
        site.wait_in_flight(1)
        closing = threading.Thread(target=session.close)
        closing.start()
        site.release()
        closing.join(30)
        assert future.result(0).ok
        with pytest.raises(RuntimeError, match="after close"):
            session.get(site.url_for("/fast/1"))
        assert pool.get(site.url_for("/fast/1")).ok
