"""Lanes with robots=True: a request is sent only where the host's robots.txt allows it; asked for once per origin."""

import asyncio
import pickle
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from time import monotonic

import pytest
from aiohttp import web
from servers import Scripted, handled, served

from workerpool import (
    AddressRules,
    ConnectionLost,
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    Lane,
    Request,
    Retry,
    WorkerPool,
)

RULES = """
User-agent: workerpool
Disallow: /private
Allow: /private/open

User-agent: mybot
Disallow: /bots

User-agent: *
Disallow: /
"""


class Host:
    """What a host answers with, and what it was asked."""

    def __init__(self, robots=RULES, status=200, headers=(), locations=None):
        self.robots, self.status, self.headers = robots.encode(), status, headers
        self.locations = locations or {}
        self.asked, self.agents = [], []
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def counts(self):
        return Counter(self.asked)

    def handler(self):
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                host.asked.append(self.path)
                host.is_asked.set()
                self.answer()

            do_POST = do_PUT = do_HEAD = do_GET

            def answer(self):
                status, headers, body = 200, {}, b"ok"
                if self.path in host.locations:
                    status, headers, body = 302, {"Location": host.locations[self.path]}, b""
                elif self.path == "/robots.txt":
                    host.agents.append(dict(self.headers))
                    host.may_answer.wait(60)
                    status, headers, body = host.status, dict(host.headers), host.robots
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        return Handler


@pytest.fixture
def host():
    it = Host()
    with handled(it.handler()) as url:
        it.url = url.rstrip("/")
        yield it


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/", None), ("/a?b=c", None), ("/private", "disallow: /private"), ("/private/x?y=z", "disallow: /private"),
        ("/%70rivate", "disallow: /private"), ("/private/open", None), ("/private/open/a", None), ("/robots.txt", None), ("/bots", None),
    ],
)  # fmt: skip
def test_what_is_allowed_is_sent_and_nothing_else(host, path, rule):
    """The rule is the line that decides."""
    with WorkerPool(robots=True, retry=Retry(attempts=5)) as pool:
        if rule is None:
            assert pool.get(host.url + path).ok
            assert path in host.asked
            return
        for _ in range(2):
            with pytest.raises(Forbidden) as caught:
                pool.get(host.url + path)
        error = caught.value
        assert (rule, "robots", 0, "GET") == (error.rule, error.stage, error.attempts, error.method)
        assert rule in str(error)
        assert vars(pickle.loads(pickle.dumps(error))) == vars(error)
        assert ["/robots.txt"] == host.asked


@pytest.mark.parametrize(
    ("agent", "allowed", "forbidden"),
    [
        ("mybot/1.0 (+https://host.test/)", "/private", "/bots"),
        ("Mozilla/5.0 (compatible; MyBot/2.1)", "/private", "/bots"),
        ("other", None, "/any"),
        (None, "/bots", "/private"),
    ],
)
def test_the_name_is_that_of_the_lanes_user_agent(host, agent, allowed, forbidden):
    """Unless it is given, `workerpool`; a request's own does not count."""
    with WorkerPool(robots=True, headers={"User-Agent": agent, "X-Api-Key": "a"} if agent else None) as pool:
        if allowed:
            assert pool.get(host.url + allowed, headers={"User-Agent": "other"}).ok
        with pytest.raises(Forbidden):
            pool.get(host.url + forbidden, headers={"User-Agent": "mybot"})
    (asked,) = host.agents
    assert (agent or "workerpool/") in asked["User-Agent"]
    assert "X-Api-Key" not in asked


@pytest.mark.parametrize(
    ("status", "rule"),
    [(200, "disallow: /private"), (204, None), (301, None), (400, None), (401, None), (403, None), (404, None), (410, None), (429, None),
     (500, "unreachable"), (502, "unreachable"), (503, "unreachable"), (599, "unreachable")],
)  # fmt: skip
def test_what_follows_from_a_status(host, status, rule):
    """RFC 9309, 2.3.1: 4xx allows all, 5xx nothing."""
    host.status = status
    if status == 204:
        host.robots = b""
    with WorkerPool(robots=True) as pool:
        if rule is None:
            assert pool.get(f"{host.url}/private").ok
        else:
            with pytest.raises(Forbidden) as caught:
                pool.get(f"{host.url}/private")
            assert rule == caught.value.rule
    assert 1 == host.counts["/robots.txt"]


def test_a_host_that_cannot_be_reached_forbids_all(free_port):
    """And the error says why."""
    with WorkerPool(robots=True) as pool:
        with pytest.raises(Forbidden, match="ConnectError") as caught:
            pool.get(f"http://127.0.0.1:{free_port}/")
    assert "unreachable" == caught.value.rule


@pytest.mark.parametrize(("hops", "rule"), [(1, "disallow: /private"), (5, "disallow: /private"), (6, None)])
def test_five_redirects_of_a_robots_txt_are_followed(host, hops, rule):
    """With more of them there is none."""
    names = ["/robots.txt", *(f"/r{n}" for n in range(hops - 1))]
    host.locations = dict(pairwise(names))
    other = Host()
    with handled(other.handler()) as there:
        host.locations[names[-1]] = f"{there.rstrip('/')}/robots.txt"
        with WorkerPool(robots=True) as pool:
            if rule is None:
                assert pool.get(f"{host.url}/private").ok
            else:
                with pytest.raises(Forbidden) as caught:
                    pool.get(f"{host.url}/private")
                assert rule == caught.value.rule


def test_of_a_large_one_500_kib_count(host):
    """The rest is not read."""
    host.robots = b"User-agent: *\nDisallow: /private\n" + b"# \n" * 300_000 + b"Disallow: /late\n"
    with WorkerPool(robots=True) as pool:
        assert pool.get(f"{host.url}/late").ok
        with pytest.raises(Forbidden):
            pool.get(f"{host.url}/private")


@pytest.mark.parametrize("workers", [1, 2])
def test_it_is_asked_for_once(workers):
    """Whoever comes meanwhile waits for the one answer, a hundred at once; one that gives up leaves it to the others."""
    asked, may_answer = [], threading.Event()

    async def robots(request):
        asked.append(request.path)
        await asyncio.get_running_loop().run_in_executor(None, may_answer.wait, 60)
        return web.Response(text=RULES)

    async def page(_request):
        return web.Response(text="ok")

    with served(web.get("/robots.txt", robots), web.get("/{path}", page)) as url:
        with WorkerPool(workers=workers, robots=True, connections=300) as pool:
            jobs = [pool.submit(f"{url}{path}{n}") for n in range(50) for path in ("open", "private")]
            given_up = pool.submit(f"{url}open", timeout=0.1)
            with pytest.raises(DeadlineExceeded, match="robots"):
                given_up.result()
            may_answer.set()
            assert 50 == sum(job.exception() is None for job in jobs)
            assert 50 == sum(isinstance(job.exception(), Forbidden) for job in jobs)
    assert ["/robots.txt"] == asked


def test_each_origin_has_its_own_and_each_hop_is_judged(host):
    """A redirect to another origin is judged by that one's."""
    other = Host("User-agent: *\nDisallow: /no")
    with handled(other.handler()) as there:
        there = there.rstrip("/")
        host.locations = {"/to-no": f"{there}/no", "/to-yes": f"{there}/private", "/to-private": "/private/x"}
        with WorkerPool(workers=2, robots=True) as pool:
            assert pool.get(f"{host.url}/to-yes").ok
            for path, rule in (("/to-no", "disallow: /no"), ("/to-private", "disallow: /private")):
                for ask in (pool.get, lambda url: pool.submit(url).result()):
                    with pytest.raises(Forbidden) as caught:
                        ask(host.url + path)
                    assert (rule, 1) == (caught.value.rule, caught.value.attempts)
    assert (1, 1) == (host.counts["/robots.txt"], other.counts["/robots.txt"])
    assert not {"/no", "/private/x"} & {*host.asked, *other.asked}


async def by_aiohttp(session, url):
    async with session.get(url) as response:
        return response.status


def opened(context):
    with context as it:
        return it


WAYS = [
    lambda client, url: client.get(url),
    lambda client, url: client.post(url, data=b"a"),
    lambda client, url: client.put(url, data=iter([b"a"])),
    lambda client, url: client.send(Request(url)),
    lambda client, url: client.submit(url).result(),
    lambda client, url: next(iter(client.fetch_many([url]))).unwrap(),
    lambda client, url: opened(client.stream("GET", url)),
    lambda client, url: client.submit(by_aiohttp, url).result(),
]


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_every_way_obeys(host, way):
    """What is forbidden is sent in no way."""
    with WorkerPool(lanes=[Lane("polite", robots=True)]) as pool:
        client = pool.lane("polite")
        with pytest.raises(Forbidden):
            WAYS[way](client, f"{host.url}/private")
        if way != 2:
            WAYS[way](client, f"{host.url}/open")
        assert pool.get(f"{host.url}/private").ok
    assert 1 == host.counts["/robots.txt"]
    assert 1 == host.counts["/private"]


def test_websockets_obey(host):
    """By the http origin that they are opened at."""
    with WorkerPool(robots=True) as pool:
        with pytest.raises(Forbidden):
            opened(pool.websocket(f"{host.url}/private".replace("http", "ws")))
    assert ["/robots.txt"] == host.asked


def test_it_is_no_way_around_address_rules(host):
    """The robots.txt of what is forbidden is not asked for."""
    with WorkerPool(robots=True, addresses=AddressRules()) as pool:
        with pytest.raises(Forbidden) as caught:
            pool.get(f"{host.url}/open")
        assert ("loopback", "127.0.0.1") == (caught.value.rule, caught.value.address)
    assert [] == host.asked


def test_a_crawl_delay_is_kept(host):
    """Between the starts, that of robots.txt included, also of what came before it was known."""
    host.robots = b"User-agent: *\nCrawl-delay: 0.2\n"
    host.may_answer.clear()
    with WorkerPool(robots=True) as pool:
        jobs = [pool.submit(f"{host.url}/{n}") for n in range(4)]
        begun = monotonic()
        host.may_answer.set()
        assert all(job.result().ok for job in jobs)
        assert monotonic() - begun >= 4 * 0.2 - 0.05  # no machine is so slow that it would be sooner
    assert 5 == len(host.asked)


def test_one_that_breaks_off_forbids():
    """What came of it is not taken for the whole."""
    with Scripted([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nUser-agent: *\n"], again=True) as server:
        with WorkerPool(robots=True) as pool:
            with pytest.raises(Forbidden, match="TruncatedBody"):
                pool.get(server.url)
            with pytest.raises(Exception) as caught:
                pool.get(server.url + "robots.txt")
            assert isinstance(caught.value, ConnectionLost)


@pytest.mark.parametrize("agent", ["", "(+https://host.test/)", "/1.0"])
def test_a_user_agent_needs_a_name(agent):
    """Else no robots.txt could call it."""
    with pytest.raises(InvalidRequest, match="headers: the User-Agent"):
        Lane("a", robots=True, headers={"User-Agent": agent})


def test_a_shutdown_waits_for_no_robots_txt(host):
    """Nor leaves the request for it behind."""
    host.may_answer.clear()
    with WorkerPool(robots=True) as pool:
        job = pool.submit(f"{host.url}/open")
        assert host.is_asked.wait(60)
        pool.shutdown(cancel_futures=True, timeout=0.1)
        host.may_answer.set()
        assert job.done()
