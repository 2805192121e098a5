"""The fast path of requests without hooks: the same answers, and open to whoever watches sessions."""

import asyncio
from time import monotonic

import aiohttp
import pytest
from faults.wire import read_head
from servers import Listening, ok

from workerpool import Lane, Request, WorkerPool
from workerpool.handover.errand import Fetch
from workerpool.transport import Environment, Transport

WAYS = {"fast": {}, "full": {"trace_configs": [aiohttp.TraceConfig()]}}


def _echo(connection):
    """Answer each request with its own head, as it came."""
    while head := read_head(connection)[:-2]:
        connection.sendall(ok(head, b"Set-Cookie: seen=1"))


@pytest.fixture
def echo():
    """A server that shows what came in; `host` is its address, `url` its root."""
    with Listening(_echo) as server:
        yield server


@pytest.fixture
def count_requests(monkeypatch):
    """Patch the session as tracers and aioresponses do, and count what comes by."""
    seen = []
    original = aiohttp.ClientSession._request

    async def watched(self, method, url, **options):
        seen.append((method, str(url)))
        return await original(self, method, url, **options)

    def patch():
        monkeypatch.setattr(aiohttp.ClientSession, "_request", watched)
        return seen

    return patch


def test_a_patched_session_sees_every_request(shared_site, count_requests):
    """Who puts a function in the place of aiohttp's, at whatever time, is called for each request."""
    with WorkerPool() as pool:
        url = shared_site.url_for("/fast/1")
        assert pool.get(url).ok
        seen = count_requests()
        assert pool.get(url).ok
        assert [("GET", url)] == seen


def test_a_hook_sees_every_request(shared_site):
    """A trace config is told of each request."""
    seen = []

    async def note(session, context, params):
        seen.append(params.method)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)
    with WorkerPool(lanes=[Lane("traced", trace_configs=[trace])]) as pool:
        assert pool.lane("traced").get(shared_site.url_for("/fast/1")).ok
    assert ["GET"] == seen


@pytest.mark.parametrize("way", WAYS)
def test_both_ways_send_the_same(way, echo):
    """Order and spelling of the headers, target and Host are the same, whichever way a request goes."""
    with WorkerPool(headers={"X-Lane": "1"}, **WAYS[way]) as pool:
        head = pool.get(echo.url + "?a=b#part", headers={"X-Own": "2"}).text.splitlines()
    assert "GET /?a=b HTTP/1.1" == head[0]
    names = [line.split(":")[0] for line in head[1:] if line]
    assert ["Host", "Accept", "Accept-Encoding", "User-Agent", "X-Lane", "X-Own"] == names
    assert f"Host: {echo.host}" == head[1]


@pytest.mark.parametrize("way", WAYS)
def test_each_request_has_the_headers_that_it_was_given(way, echo):
    """However many there are in turn, and though the caller writes into his mapping between two of them."""
    given = {"X-Own": "0"}
    with WorkerPool(headers={"X-Lane": "1"}, **WAYS[way]) as pool:
        for n in (*range(100), *range(3)):
            given["X-Own"] = str(n)
            lines = pool.get(echo.url, headers=given).text.splitlines()
            assert [f"X-Own: {n}"] == [line for line in lines if line.startswith("X-Own")]
            assert "X-Own" not in pool.get(echo.url).text
        requests = [Request(echo.url, headers={"x-lane": value, "X-B": value}) for value in "aba"]
        heads = [pool.send(request).text for request in requests]
        assert ["a", "b", "a"] == [head.partition("x-lane: ")[2].partition("\n")[0].strip() for head in heads]
        assert all("X-Lane" not in head for head in heads)


class Text(str):
    """What writes itself as it is, and says that case makes no difference."""

    __hash__ = None

    def __eq__(self, other):
        return self.lower() == other.lower()


class HashedText(Text):
    """The same, of which sets and mappings may be made."""

    def __hash__(self):
        return hash(self.lower())


@pytest.mark.parametrize("kind", [Text, HashedText])
def test_what_derives_from_str_is_sent_as_the_text_that_it_is(kind, echo):
    """Whatever it says that it equals."""
    with WorkerPool() as pool:
        assert pool.get(echo.url).ok
        heads = [pool.get(echo.url, headers={"X-Own": kind(value)}).text for value in ("ab", "aB", "AB")]
    assert ["ab", "aB", "AB"] == [head.partition("X-Own: ")[2].split()[0] for head in heads]


def test_the_heads_that_are_kept_are_bounded():
    """Of many origins, whose requests have headers that differ each time."""

    async def keep():
        transport = Transport(Lane("many"), 1, lambda _host: 0.0, Environment())
        errands = [
            Fetch(request, request.target)
            for n in range(32)
            for host in range(500)
            for request in [Request(f"http://h{host}.test/", headers={"X-Own": f"{n} {host}"})]
        ]
        fast_path = transport.fast_path
        for errand in errands:
            assert b"X-Own: " in fast_path.known_tail(errand, fast_path.origin(errand.target))
        await transport.close()
        return sum(len(fast_path.origin(errand.target).tails) for errand in errands[:500])

    assert asyncio.run(keep()) <= 2000


def test_a_keep_alive_of_the_users_is_kept_to():
    """No request finds a connection that its connector would have closed by then, though one right before has left it."""
    opened = []

    def serve(connection):
        opened.append(connection)
        _echo(connection)

    with (
        Listening(serve) as server,
        WorkerPool(workers=1, connector=lambda: aiohttp.TCPConnector(keepalive_timeout=0.1)) as pool,
    ):
        while not pool.stats().lanes[0].direct:
            assert pool.get(server.url).ok
        before, end = len(opened), monotonic() + 0.11
        while monotonic() < end:
            pass
        assert pool.get(server.url).ok
        assert before + 1 == len(opened)


def test_what_another_library_has_prepared_gets_no_headers_of_ours(echo):
    """Beside requests of the pool's own with the same headers, on the same connection."""
    with WorkerPool(headers={"X-Lane": "1"}) as pool:
        for _ in range(3):
            assert "User-Agent: workerpool" in pool.get(echo.url, headers={"X-Own": "2"}).text
            as_it_is = pool.send(Request.prepared("GET", echo.url, [("X-Own", "2")], None)).text
            assert ["Host", "X-Lane", "X-Own"] == [line.split(":")[0] for line in as_it_is.splitlines()[1:] if line]


@pytest.mark.parametrize("way", WAYS)
def test_a_host_of_the_callers_is_kept(way, echo):
    """A Host header that the caller gives goes out instead of the URL's."""
    with WorkerPool(**WAYS[way]) as pool:
        head = pool.get(echo.url, headers={"Host": "other.example"}).text
    assert 1 == head.count("Host:")
    assert "Host: other.example" in head


@pytest.mark.parametrize("way", WAYS)
def test_cookies_are_kept_either_way(way, echo):
    """A lane with cookies sends what the server has set."""
    with WorkerPool(cookies={}, **WAYS[way]) as pool:
        assert "Cookie:" not in pool.get(echo.url).text
        assert "Cookie: seen=1" in pool.get(echo.url).text


def test_a_function_gets_a_session_with_the_hosts_of_its_urls(echo):
    """The place that is kept for Host in the pool's own requests is not sent by the session that functions get."""

    async def fetch(session, url):
        async with session.get(url) as answer:
            return await answer.text()

    with WorkerPool() as pool:
        head = pool.submit(fetch, echo.url).result(20)
    assert 1 == head.count("Host:")
    assert f"Host: {echo.host}" in head
