"""What a server sees of a run: never more, and never sooner, than its robots.txt and its answers allow."""

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from time import monotonic, sleep, time
from typing import ClassVar

import pytest
from faults.certificates import client_context, server_context
from servers import Listening, handled, ok, read_request

from workerpool import WorkerPool
from workerpool.scraping import Crawl, Politeness


class Books(BaseHTTPRequestHandler):
    """Keep when each path was asked for, and how many were under way at once."""

    protocol_version = "HTTP/1.1"
    robots: ClassVar = (404, b"", {})
    pages: ClassVar = {}
    log: ClassVar = []
    lock = threading.Lock()
    under_way = 0
    most = 0

    def do_GET(self):
        kind = type(self)
        with kind.lock:
            kind.log.append((monotonic(), self.path, self.headers["User-Agent"]))
            kind.under_way += self.path != "/robots.txt"
            kind.most = max(kind.most, kind.under_way)
        if self.path == "/robots.txt":
            status, body, headers = kind.robots
        else:
            status, headers = kind.pages.get(self.path, (200, {}))
            body = b"page"
        with kind.lock:
            kind.under_way -= self.path != "/robots.txt"
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_parts):
        pass


@pytest.fixture
def books():
    return type("OneServersBooks", (Books,), {"log": [], "pages": {}, "lock": threading.Lock()})


def asked(books):
    return [path for _, path, _ in books.log]


def test_robots_is_asked_for_once_and_obeyed(books):
    books.robots = (200, b"User-agent: *\nDisallow: /no\nUser-agent: mine\nDisallow: /mine\n", {})
    with handled(books) as url:
        urls = [f"{url}{path}" for path in ("a", "b", "no", "mine", "mine/deeper", "c")]
        outcomes = list(Crawl(urls, politeness=Politeness(robots=True, agent="mine/1.0")))
    verdicts = {outcome.url.removeprefix(url): (outcome.verdict, outcome.reason) for outcome in outcomes}
    assert {path for path, verdict in verdicts.items() if verdict == ("skipped", "robots")} == {"mine", "mine/deeper"}
    assert Counter(asked(books)) == {"/robots.txt": 1, "/a": 1, "/b": 1, "/no": 1, "/c": 1}
    assert {agent for _, _, agent in books.log} == {"mine/1.0"}


@pytest.mark.parametrize("status", [500, 503, 599])
def test_nothing_is_asked_of_a_site_whose_rules_cannot_be_told(books, status):
    books.robots = (status, b"", {})
    with handled(books) as url:
        outcomes = list(Crawl([f"{url}a", f"{url}b"], politeness=Politeness(robots=True)))
    assert [(outcome.verdict, outcome.reason) for outcome in outcomes] == [("skipped", "robots-unreachable")] * 2
    assert asked(books) == ["/robots.txt"]


def test_a_redirect_to_what_is_disallowed_is_not_followed(books):
    books.robots = (200, b"User-agent: *\nDisallow: /secret\n", {})
    books.pages = {"/a": (302, {"Location": "/b"}), "/b": (301, {"Location": "/secret"})}
    with handled(books) as url:
        (outcome,) = Crawl([f"{url}a"], politeness=Politeness(robots=True))
    assert (outcome.verdict, outcome.reason) == ("skipped", "robots")
    assert outcome.redirects == (f"{url}a", f"{url}b")
    assert asked(books) == ["/robots.txt", "/a", "/b"]


def test_a_crawl_delay_is_never_passed(books):
    books.robots = (200, b"User-agent: *\nCrawl-delay: 0.2\n", {})
    with handled(books) as url:
        before = time()
        outcomes = list(Crawl([f"{url}{n}" for n in range(8)], politeness=Politeness(robots=True, per_host=8)))
    # By the clock of who asks: at the server one may come late, and the next one in time.
    times = sorted(outcome.attempts[0].started for outcome in outcomes)
    assert min(later - sooner for sooner, later in pairwise([before, *times])) >= 0.195
    assert len(asked(books)) == 9
    assert books.most == 1


class Slow(Listening):
    """Take its time before the first handshake; keep when that was over, and when each request came."""

    def __init__(self, seconds):
        self.over, self.times, self._seconds = None, [], seconds
        super().__init__(self._serve)

    def _serve(self, connection):
        if self.over is None:
            sleep(self._seconds)
            self.over = monotonic()
        with server_context("good").wrap_socket(connection.dup(), server_side=True) as secured:
            while read_request(secured):
                self.times.append(monotonic())
                secured.sendall(ok(b"page"))


def test_a_delay_counts_from_the_sending_where_a_connection_was_slow_to_come():
    """A handshake that takes longer than the delay, and then both at once, would be two requests at once."""
    with Slow(0.5) as server, WorkerPool(ssl=client_context()) as pool:
        urls = [f"https://{server.host}/{n}" for n in range(2)]
        assert all(outcome.ok for outcome in Crawl(urls, politeness=Politeness(delay=0.4), pool=pool))
    assert len(server.times) == 2
    assert server.times[1] - server.over >= 0.4


def test_a_delay_counts_from_the_sending_where_the_place_was_taken(books):
    """By another host's request, say: what was handed to the pool waits there."""
    ends = []

    class Busy(Books):
        def do_GET(self):
            sleep(0.5)
            ends.append(monotonic())
            super().do_GET()

    with handled(Busy) as busy, handled(books) as url, WorkerPool(connections=1) as pool:
        list(Crawl([busy, f"{url}1", f"{url}2"], politeness=Politeness(delay=0.4), pool=pool))
    (_, first, _), (second, last, _) = books.log
    assert (first, last) == ("/1", "/2")
    assert second - ends[0] >= 0.4


def test_a_delay_counts_from_the_sending_where_outcomes_are_taken_slowly(books):
    """One that needs no request comes first, and whoever takes it is in no hurry: meanwhile no clock stands still."""
    taken = []
    with handled(books) as url:
        for outcome in Crawl(["no URL", f"{url}1", f"{url}2"], politeness=Politeness(delay=0.4)):
            if outcome.error is not None:
                sleep(0.5)
                taken.append(monotonic())
    assert books.log[1][0] - taken[0] >= 0.4


def test_a_host_is_not_blamed_for_where_it_leads(books, free_port):
    """Where what it redirects to is down, its own circuit stays closed."""
    books.pages = {f"/{n}": (302, {"Location": f"http://127.0.0.1:{free_port}/"}) for n in range(6)}
    politeness = Politeness(per_host=1, breaker_failures=2, breaker_pause=3600, breaker_pause_max=3600)
    with handled(books) as url:
        outcomes = list(Crawl([f"{url}{n}" for n in range(6)], politeness=politeness, retry=None, max_seconds=60))
    assert ["connect"] * 6 == [outcome.reason for outcome in outcomes]


def test_a_retry_after_holds_the_whole_host(books):
    books.pages = {"/0": (503, {"Retry-After": "1"})}
    with handled(books) as url:
        crawl = Crawl([f"{url}{n}" for n in range(4)], politeness=Politeness(per_host=1), retry=None)
        first, *others = crawl
    assert first.response.status_code == 503
    assert min(outcome.attempts[0].started for outcome in others) - first.attempts[0].started >= 0.995


def test_no_more_than_so_many_at_once_at_a_host(books):
    with handled(books) as url:
        list(Crawl([f"{url}{n}" for n in range(100)], politeness=Politeness(per_host=3)))
    assert len(asked(books)) == 100
    assert books.most <= 3
