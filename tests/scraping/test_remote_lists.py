"""A sitemap at a URL, as input: it is asked for as all else is, by robots.txt, the pace, the signature, again after a stop."""

from collections import Counter
from time import monotonic

import pytest
from servers import Handler, handled

from workerpool import WorkerPool
from workerpool.scraping import Crawl, Gathered, InputError, Politeness, SitemapInput


class Site(Handler):
    """Serve two sitemaps, of five pages each, and keep what was asked for, when, and by whom."""

    def do_GET(self):
        kind, (host, port) = type(self), self.server.server_address
        kind.log.append((monotonic(), self.path, dict(self.headers.items())))
        root = f"http://{host}:{port}"
        if self.path in kind.answers:
            self.answer(*kind.answers[self.path])
        elif self.path == "/all.xml":
            parts = "".join(f"<sitemap><loc>{root}/{n}.xml</loc></sitemap>" for n in "ab")
            self.answer(200, f"<sitemapindex>{parts}</sitemapindex>".encode())
        elif self.path in ("/a.xml", "/b.xml"):
            pages = "".join(f"<url><loc>{root}/{self.path[1]}{n}</loc></url>" for n in range(5))
            self.answer(200, f"<urlset>{pages}</urlset>".encode())
        else:
            self.answer(404 if self.path == "/robots.txt" else 200, b"page")


@pytest.fixture
def site():
    kind = type("OneSite", (Site,), {"log": [], "answers": {}})
    with handled(kind) as url:
        yield kind, url


class Signs:
    """Sign for a test."""

    def headers(self, url):
        return (("Signature", url),)


def paths(kind):
    return Counter(path for _, path, _ in kind.log)


PAGES = Counter(f"/{letter}{n}" for letter in "ab" for n in range(5))
LISTS = Counter({"/all.xml": 1, "/a.xml": 1, "/b.xml": 1})


def test_its_pages_are_the_inputs_and_itself_is_none(site, tmp_path):
    """With a state or without one, each has one outcome; beside other inputs."""
    kind, url = site
    for state in (None, tmp_path / "s.db"):
        kind.log.clear()
        inputs = Gathered([[f"{url}first"], SitemapInput(f"{url}all.xml")])
        outcomes = list(Crawl(inputs, state=state))
        assert [*range(11)] == sorted(outcome.index for outcome in outcomes)
        assert paths(kind) == PAGES + LISTS + Counter({"/first": 1})


def test_it_is_signed_and_says_who_asks(site):
    """As each request does."""
    kind, url = site
    politeness = Politeness(robots=True, agent="mine/1", contact="https://example.org/bot")
    list(Crawl(SitemapInput(f"{url}all.xml"), signer=Signs(), politeness=politeness))
    assert paths(kind) == PAGES + LISTS + Counter({"/robots.txt": 1})
    for _, path, headers in kind.log:
        assert headers["Signature"] == url.rstrip("/") + path
        assert headers["User-Agent"] == "mine/1 (+https://example.org/bot)"


def test_it_is_paced_with_all_others(site):
    """A Crawl-delay lies between sitemaps and pages, too, whose order is that of one host."""
    kind, url = site
    kind.answers["/robots.txt"] = (200, b"User-agent: *\nCrawl-delay: 0.1")
    begun = monotonic()
    outcomes = list(Crawl(Gathered([[f"{url}first"], SitemapInput(f"{url}a.xml")]), politeness=Politeness(robots=True)))
    times = [when for when, _, _ in kind.log]
    assert len(outcomes) == 6
    assert len(times) == 8
    # One may come late and the next in time: so it is from the beginning that the last one is counted.
    assert times[-1] - begun >= 7 * 0.1


@pytest.mark.parametrize(
    ("robots", "why"),
    [((200, b"User-agent: *\nDisallow: /all.xml"), "robots.txt forbids it"), ((503, b""), "robots-unreachable")],
)
def test_what_robots_txt_forbids_is_not_asked_for(site, robots, why):
    """Without the first list there is no input: that is an error, and no page was asked for."""
    kind, url = site
    kind.answers["/robots.txt"] = robots
    with pytest.raises(InputError, match=why):
        list(Crawl(SitemapInput(f"{url}all.xml"), politeness=Politeness(robots=True)))
    assert paths(kind) == {"/robots.txt": 1}


def test_a_sitemap_below_that_cannot_be_had_is_told_and_passed_over(site):
    """By its status, or by the rule."""
    kind, url = site
    kind.answers["/robots.txt"] = (200, b"User-agent: *\nDisallow: /a.xml")
    kind.answers["/b.xml"] = (404, b"")
    told = []
    list(Crawl(SitemapInput(f"{url}all.xml", on_trouble=told.append), politeness=Politeness(robots=True)))
    assert [f"the sitemap {url}a.xml cannot be read: robots.txt forbids it (robots)"] == told[:1]
    assert told[1:] == [f"the sitemap {url}b.xml cannot be read: status 404"]


def test_it_is_tried_again_and_redirected(site):
    """As pages are."""
    kind, url = site
    kind.answers["/old.xml"] = (301, b"", {"Location": "/a.xml"})
    outcomes = list(Crawl(SitemapInput(f"{url}old.xml"), politeness=Politeness(robots=True), key=str.encode))
    assert {f"{url}a{n}" for n in range(5)} == {outcome.url for outcome in outcomes}


def test_a_run_that_was_stopped_reads_it_once_more_and_goes_on(site, tmp_path):
    """Each page is asked for once."""
    kind, url = site
    for pages in (3, None):
        list(Crawl(SitemapInput(f"{url}all.xml"), state=tmp_path / "s.db", max_pages=pages))
    assert PAGES == Counter({path: count for path, count in paths(kind).items() if not path.endswith(".xml")})


def test_outside_of_a_run_it_is_as_polite(site):
    """For a forecast: by a run of its own."""
    kind, url = site
    kind.answers["/robots.txt"] = (200, b"User-agent: *\nDisallow: /b.xml")
    told = []
    with WorkerPool() as pool:
        politeness = Politeness(robots=True)
        source = SitemapInput(f"{url}all.xml", pool, politeness=politeness, signer=Signs(), on_trouble=told.append)
        assert 5 == len([found for found in source.read() if found is not None])
    assert "/b.xml" not in paths(kind)
    assert len(told) == 1
    assert all("Signature" in headers for _, _, headers in kind.log)
