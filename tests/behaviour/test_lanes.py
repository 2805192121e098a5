"""Lanes and sessions: configuration, priorities, limits at the server, cookies, streaming, isolation."""

import gzip
import json
import random
import threading
from collections import defaultdict
from time import monotonic

import aiohttp
import pytest
from aiohttp import web
from servers import Scripted

from workerpool import BodyTooLarge, ConnectionLost, DecodingError, Lane, Rate, Request, WorkerPool
from workerpool.testing.site import Site
from workerpool.transport import sessions as transport_session


def test_a_lane_has_its_own_configuration(shared_site):
    """base_url, headers and auth of a lane go with each of its requests, and with no other's."""
    lane = Lane("api", base_url=shared_site.url, headers={"X-Tag": "api"}, auth=("user", "pass"))
    with WorkerPool(lanes=[lane]) as pool:
        seen = pool.lane("api").get("/echo").json()["headers"]
        other = pool.get(shared_site.url_for("/echo")).json()["headers"]
    assert ("api", "Basic dXNlcjpwYXNz") == (seen["X-Tag"], seen["Authorization"])
    assert not {"X-Tag", "Authorization"} & other.keys()


def test_a_function_gets_the_lanes_configuration(shared_site):
    """The raw session of a lane has its base_url and headers too."""

    async def tag(session):
        async with session.get("echo") as response:
            return (await response.json())["headers"]["X-Tag"]

    with WorkerPool(lanes=[Lane("api", base_url=shared_site.url, headers={"X-Tag": "raw"})]) as pool:
        assert "raw" == pool.lane("api").submit(tag).result()


def test_an_urgent_lane_never_waits_behind_bulk(site):
    """While bulk is at its limit, urgent answers."""
    with WorkerPool(workers=1, lanes=[Lane("urgent", connections=0), Lane("bulk", connections=2, queue=1000)]) as pool:
        jobs = [pool.lane("bulk").submit(site.url_for(f"/hold/{n}")) for n in range(50)]
        site.wait_in_flight(2)
        assert pool.lane("urgent").get(site.url_for("/fast/1")).ok
        assert 48 == pool.stats().lane("bulk").queued
        site.release()
        assert all(job.result().ok for job in jobs)
    assert 3 == site.max_in_flight


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_connections_hold_for_the_whole_pool(site, workers):
    """The server never sees more at once than the lane allows, and sees all that it allows."""
    with WorkerPool(workers=workers, connections=5) as pool:
        jobs = [pool.submit(site.url_for(f"/hold/{n}")) for n in range(30)]
        site.wait_in_flight(5)
        site.release()
        assert all(job.result().ok for job in jobs)
    assert 5 == site.max_in_flight


def test_connections_hold_for_functions_too(site):
    """What functions fetch is under the lane's limit as well."""

    async def hold(session, n):
        async with session.get(site.url_for(f"/hold/{n}")) as response:
            return await response.text()

    with WorkerPool(workers=1, connections=3) as pool:
        jobs = [pool.submit(hold, n) for n in range(12)]
        site.wait_in_flight(3)
        site.release()
        assert [f"held page {n}" for n in range(12)] == [job.result() for job in jobs]
    assert 3 == site.max_in_flight


def test_per_host_holds_and_blocks_no_other_host(site):
    """A host at its limit does not hold up another; the limit holds over all workers."""
    other = site.url.replace("127.0.0.1", "localhost")
    with WorkerPool(workers=3, per_host=2) as pool:
        held = [pool.submit(site.url_for(f"/hold/{n}")) for n in range(10)]
        site.wait_in_flight(2)
        assert pool.get(f"{other}/fast/1").ok
        site.release()
        assert all(job.result().ok for job in held)
    assert 3 >= site.max_in_flight


def test_rates_are_kept_in_order():
    """Starts are spaced out by the rate, first come first served."""
    from workerpool.policies.pace import Pace

    pace = Pace(Rate(10))
    assert [0.0, 0.1, 0.2] == [round(pace.reserve(100.0), 6) for _ in range(3)]
    burst = Pace(Rate(10, burst=3))
    assert [0.0, 0.0, 0.0, 0.1] == [round(burst.reserve(100.0), 6) for _ in range(4)]


@pytest.mark.parametrize("option", ["rate", "per_host_rate"])
def test_a_rated_lane_gets_everything_done(shared_site, option):
    """Work that waits for its turn is started when it is due."""
    with WorkerPool(workers=2, **{option: Rate(200)}) as pool:
        assert 20 == sum(r.ok for r in pool.fetch_many(shared_site.url_for(f"/fast/{n}") for n in range(20)))


@pytest.mark.parametrize("option", ["rate", "per_host_rate"])
def test_a_rate_holds_at_the_server_over_all_workers(monkeypatch, option):
    """The n-th request comes no sooner than the rate allows, whichever worker sends it, redirects counted."""
    arrivals = []

    @web.middleware
    async def note(self, request, handler):
        arrivals.append(monotonic())
        return await count(self, request, handler)

    count = Site._count
    monkeypatch.setattr(Site, "_count", note)
    with Site() as site, WorkerPool(workers=4, **{option: Rate(100, burst=4)}) as pool:
        began = monotonic()
        urls = [site.url_for(path) for n in range(20) for path in (f"/fast/{n}", "/redirect/0")]
        assert 40 == sum(result.ok for result in pool.fetch_many(urls))
    assert 60 == len(arrivals)
    assert [] == [n for n, at in enumerate(sorted(arrivals)) if at - began < (n + 1 - 4) / 100 - 1e-6]


def test_priority_orders_the_queue(site):
    """The higher priority goes first, equals in their order."""
    order: list[str] = []
    with WorkerPool(connections=1) as pool:
        pool.submit(site.url_for("/hold/0"))
        site.wait_in_flight(1)
        for n, priority in enumerate([0, 5, 0, 5, 9]):
            job = pool.submit(Request("GET", site.url_for(f"/fast/{n}"), priority=priority))
            job.add_done_callback(lambda done: order.append(done.request.url.rpartition("/")[2]))
        site.release()
    assert ["4", "1", "3", "0", "2"] == order


def test_a_session_is_one_private_browser(pool, shared_site):
    """Cookies set in a session are sent there again, and nowhere else."""
    with pool.session() as browser, pool.session() as other:
        browser.get(shared_site.url_for("/cookies/set?name=value"))
        assert {"name": "value"} == browser.get(shared_site.url_for("/cookies")).json()
        assert {} == other.get(shared_site.url_for("/cookies")).json()
        assert {} == pool.get(shared_site.url_for("/cookies")).json()
    assert 3 == pool.stats().submitted - 1


def test_given_cookies_stay_with_their_origin(shared_site):
    """A lane's cookies are sent, and do not follow a redirect to another origin."""
    with WorkerPool(cookies={"a": "b"}) as pool:
        assert {"a": "b"} == pool.get(shared_site.url_for("/cookies")).json()


def test_a_session_ends_with_its_block(pool, site):
    """What is under way in a session is given up when it is closed."""
    with pool.session() as browser:
        job = browser.submit(site.url_for("/hold/1"))
        site.wait_in_flight(1)
    assert job.exception(5) is not None
    site.wait_in_flight(0)


def test_a_connector_factory_is_called_on_each_workers_loop(shared_site):
    """A connector passed in tunes the pool; every worker makes its own."""
    made: list[tuple[str, aiohttp.TCPConnector]] = []

    def connector():
        made.append((threading.current_thread().name, aiohttp.TCPConnector(keepalive_timeout=60)))
        return made[-1][1]

    with WorkerPool(workers=2, connector=connector, connections=0) as pool:
        list(pool.fetch_many(shared_site.url_for(f"/slow/{n}?delay=0.01") for n in range(20)))
    assert {"workerpool-0", "workerpool-1"} == {name for name, _ in made}
    assert all(each.closed for _, each in made)


def test_no_session_is_touched_by_a_second_thread(shared_site, monkeypatch):
    """Sessions, connectors and jars are made, used and closed on one thread each."""
    touched: defaultdict[int, set[str]] = defaultdict(set)
    kept: list[object] = []

    def record(cls, name):
        original = getattr(cls, name)

        def recorder(self, *args, **kwargs):
            kept.append(self)  # so that no id is used twice
            touched[id(self)].add(threading.current_thread().name)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(cls, name, recorder)

    for cls, names in {
        aiohttp.ClientSession: ("__init__", "_request", "close"),
        aiohttp.TCPConnector: ("__init__", "connect", "_release", "_close"),
        aiohttp.CookieJar: ("__init__", "filter_cookies", "update_cookies_from_headers"),
        transport_session.Sessions: ("__init__", "close"),
    }.items():
        for name in names:
            record(cls, name)

    async def fetch(session, url):
        async with session.get(url) as response:
            return await response.read()

    with WorkerPool(workers=3, connections=0) as pool, pool.session() as browser:
        list(pool.fetch_many(shared_site.url_for(f"/slow/{n}?delay=0.01") for n in range(60)))
        [job.result() for job in [pool.submit(fetch, shared_site.url_for("/fast/1")) for _ in range(30)]]
        browser.get(shared_site.url_for("/cookies/set?a=b"))
    assert len(touched) >= 8
    assert all(1 == len(threads) for threads in touched.values())
    assert {"workerpool-0", "workerpool-1", "workerpool-2"} == set.union(*touched.values())


def test_a_stream_hands_out_its_head_first(pool, shared_site):
    """Status and headers come first, then the whole body in pieces."""
    with pool.stream("GET", shared_site.url_for("/large/2048")) as response:
        assert 200 == response.status_code
        assert 2048 * 1024 == sum(len(chunk) for chunk in response.iter_bytes())
    with pool.stream("GET", shared_site.url_for("/large/64")) as response:
        assert [50_000, 15_536] == [len(chunk) for chunk in response.iter_bytes(50_000)]
    with pool.stream("GET", shared_site.url_for("/gzip/3")) as response:
        assert ['{"n": 3}'] == list(response.iter_lines())
    with pool.stream("GET", shared_site.url_for("/gzip/4")) as response:
        assert {"n": 4} == json.loads(response.text)


def test_a_stream_left_early_closes_its_connection(pool, site):
    """Leaving the block stops the download; the pool works on."""
    with pool.stream("GET", site.url_for("/large/1000000")) as response:
        assert next(response.iter_bytes())
    site.wait_in_flight(0)
    assert pool.get(site.url_for("/fast/1")).ok


def test_a_stream_hands_out_what_came_before_a_damage(pool):
    """The pieces that could be decoded are read, and then the error is raised."""
    content = random.randbytes(200_000)
    damaged = gzip.compress(content)[:-8] + b"damaged!"
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(damaged)}\r\n\r\n".encode()
    with Scripted([head + damaged], closes=True) as server:
        pieces = []
        with pool.stream("GET", server.url) as answer, pytest.raises(DecodingError):
            pieces.extend(answer.iter_bytes())
    got = b"".join(pieces)
    assert content.startswith(got)
    assert len(got) > 100_000


def test_max_body_bounds_what_is_kept(pool, shared_site):
    """A body over max_body is refused, announced or not."""
    for path in ("/fast/1", "/large/2048"):
        with pytest.raises(BodyTooLarge):
            pool.get(shared_site.url_for(path), max_body=1000)
    assert pool.get(shared_site.url_for("/fast/1"), max_body=1024).ok


def test_a_lost_connection_is_typed(pool):
    """A server that hangs up is ConnectionLost, tried as often as attempts says."""
    with Scripted([b""], again=True) as server, pytest.raises(ConnectionLost) as caught:
        pool.get(f"{server.url}?key=secret")
    assert 3 == caught.value.attempts == len(server.seen)
    assert "secret" not in str(caught.value)
