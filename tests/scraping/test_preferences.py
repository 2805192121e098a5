"""What a site wishes to be done with what it serves."""

import subprocess
import sys

import pytest
from multidict import CIMultiDict

from workerpool.policies.robots import RobotsRules
from workerpool.scraping.politeness import RESPECTED
from workerpool.scraping.preferences import MAX_HEAD, preferences_of, refuses

URL = "http://h.test/page"
HTML = ("Content-Type", "text/html; charset=utf-8")


def of(*headers, body=b"", agent="MyBot/1.0", rules=None):
    return preferences_of(URL, headers, body, agent=agent, rules=rules)


def robots(text):
    return RobotsRules.from_response(200, {}, text.encode(), agent="MyBot", now=0)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], {}),
        ([("Content-Usage", "train-ai=n")], {"content-usage": "train-ai=n"}),
        ([("CONTENT-SIGNAL", "search=yes,  ai-train=no")], {"content-signal": "search=yes, ai-train=no"}),
        ([("TDM-Reservation", "1"), ("tdm-policy", "/p.json")], {"tdm-reservation": "1", "tdm-policy": "/p.json"}),
        ([("X-Robots-Tag", "noindex")], {"x-robots-tag": "noindex"}),
        ([("X-Robots-Tag", "noai"), ("X-Robots-Tag", "noimageai, noai")], {"x-robots-tag": "noai, noimageai, noai"}),
        ([("X-Robots-Tag", "googlebot: noindex, nofollow")], {}),
        ([("X-Robots-Tag", "mybot: noindex, nofollow")], {"x-robots-tag": "noindex, nofollow"}),
        ([("X-Robots-Tag", "noarchive, other: noindex, MyBot: noai")], {"x-robots-tag": "noarchive, noai"}),
        ([("X-Robots-Tag", "*: noai")], {"x-robots-tag": "noai"}),
        (
            [("X-Robots-Tag", "unavailable_after: Fri, 25 Jun 2010 15:00:00 PST, max-snippet:20")],
            {"x-robots-tag": "unavailable_after: Fri, 25 Jun 2010 15:00:00 PST, max-snippet:20"},
        ),
        ([("X-Robots-Tag", "")], {}),
        ([("X-Robots-Tag", "a\r\n\tb\x1b")], {"x-robots-tag": "a b"}),
    ],
)
def test_headers(headers, expected):
    """As they were written, but for what is for others."""
    assert expected == of(*headers)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<meta name=robots content='noai, noimageai'>", {"robots": "noai, noimageai"}),
        ("<META NAME='ROBOTS' CONTENT='NoIndex'/>", {"robots": "NoIndex"}),
        ("<meta content=noai name=mybot><meta name=googlebot content=noindex>", {"robots": "noai"}),
        ("<meta name=robots content=noai><meta name=robots content=noindex>", {"robots": "noai, noindex"}),
        ("<meta name=tdm-reservation content=1>", {"tdm-reservation": "1"}),
        ("<!-- <meta name=robots content=noai> -->", {}),
        ("<script>'<meta name=robots content=noai>'</script>", {}),
        ("<meta name=robots>", {}),
        ("<meta name=robots content>", {}),
        ("<meta name=description content=noai>", {}),
        ("<meta name=robots content='no&#97;i'>", {"robots": "noai"}),
        ("<meta name=robots content=noai", {}),
        ("<body><p><meta name=robots content=noai>", {"robots": "noai"}),
    ],
)
def test_the_meta_elements_of_a_page(page, expected):
    """As a browser reads them."""
    assert expected == of(HTML, body=page.encode())


def test_the_first_64_kib_of_a_page_are_read():
    """No more of it."""
    page = b" " * (MAX_HEAD - 34) + b"<meta name=robots content='noai'>\n"
    assert {"robots": "noai"} == of(HTML, body=page + b"<meta name=robots content=noindex>" * 10**5)
    assert {} == of(HTML, body=b"  " + page)


@pytest.mark.parametrize("kind", ["text/plain", "image/png", "application/json"])
def test_what_is_no_page_has_no_elements(kind):
    """Though it may hold such text."""
    assert {} == of(("Content-Type", kind), body=b"<meta name=robots content=noai>")


@pytest.mark.parametrize("body", [b"", b"\xff\xfe<meta\x00" * 100, b"<meta" * 10_000, b"<meta name='" + b"a" * 70_000])
def test_rubbish_is_read(body):
    """Without an error."""
    assert {} == of(HTML, body=body)


def test_what_all_say_is_told_together():
    """robots.txt first, then the headers; an answer's own headers will do."""
    rules = robots("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /other ai-use=n\n")
    headers = CIMultiDict([("content-usage", "train-ai=y"), ("content-usage", "search=n")])
    found = preferences_of(URL, headers, agent="MyBot", rules=rules)
    assert {"content-usage": "train-ai=n, train-ai=y, search=n"} == found
    assert "noai" == refuses(found, {"noai"})


def test_what_is_kept_is_bounded():
    """A server may say what it likes, at any length."""
    assert 1000 == len(of(("Content-Usage", "a=n," * 10_000))["content-usage"])


@pytest.mark.parametrize(
    ("preferences", "wishes"),
    [
        ({}, set()),
        ({"content-usage": "train-ai=n"}, {"noai"}),
        ({"content-usage": "train-ai=y"}, set()),
        ({"content-usage": "TRAIN-AI = N;x=1"}, {"noai"}),
        ({"content-usage": "ai=n"}, {"noai", "noaiinput"}),
        ({"content-usage": "search=y, ai-use=n"}, {"noaiinput"}),
        ({"content-usage": "search=?0"}, {"noindex"}),
        ({"content-usage": "train-ai"}, set()),
        ({"content-signal": "search=yes,ai-train=no"}, {"noai"}),
        ({"content-signal": "ai-input=no"}, {"noaiinput"}),
        ({"content-signal": "search=no"}, {"noindex"}),
        ({"content-signal": "ai-train=yes"}, set()),
        ({"x-robots-tag": "noai"}, {"noai"}),
        ({"robots": "index, NoImageAI"}, {"noai"}),
        ({"robots": "none"}, {"noindex"}),
        ({"x-robots-tag": "nofollow, noarchive"}, {"noarchive"}),
        ({"robots": "max-snippet:-1"}, set()),
        ({"tdm-reservation": "1"}, {"noai", "tdm"}),
        ({"tdm-reservation": "0"}, set()),
        ({"tdm-policy": "1"}, set()),
    ],
)
def test_what_is_refused(preferences, wishes):
    """By the wishes that are to be respected, and by no others."""
    assert wishes == {wish for wish in RESPECTED if refuses(preferences, {wish}) == wish}
    assert None is refuses(preferences, set())
    assert (min(wishes) if wishes else None) == refuses(preferences, RESPECTED)


def test_robots_txt_alone_decides_before_a_request():
    """Whether a wish is in the way."""
    rules = robots("User-agent: *\nContent-Signal: ai-train=no\nDisallow: /private\n")
    assert "noai" == refuses(rules.preferences(URL), {"noai"})


def test_without_the_extra_all_but_the_page_is_read():
    script = (
        "import sys; sys.modules['selectolax.lexbor'] = None\n"
        "from workerpool.scraping.preferences import preferences_of\n"
        "page = b'<meta name=robots content=noindex>'\n"
        "print(preferences_of('http://h/', {'X-Robots-Tag': 'noai', 'Content-Type': 'text/html'}, page, agent='me'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=80, check=True)
    assert done.stdout.strip() == "{'x-robots-tag': 'noai'}"
