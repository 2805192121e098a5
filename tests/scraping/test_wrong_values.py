"""A Crawl is told at once what it cannot do, by the argument's name; an input that is none is an outcome."""

import inspect
from math import inf, nan

import pytest

from workerpool import Request, WorkerPool
from workerpool.errors import InvalidRequest
from workerpool.scraping import Crawl, Item
from workerpool.testing import Site

WRONG = {
    "parse": [5, "x"],
    "state": [5, "", "/", b"a"],
    "mode": ["foo", 5, None, []],
    "identity": [5, {"a": 5}, {5: "a"}, "x"],
    "skip_existing": [1, None],
    "since_last": [1, "last", None],
    "politeness": [5, {"robots": True}],
    "accepts": [5],
    "key": [5],
    "headers": [5, {"a": "b"}],
    "signer": [5, "key.pem"],
    "sitemaps": ["yes", 1, None],
    "retry": [5, "x", True],
    "pool": [5, "default", WorkerPool],
    "processes": [-1, "2", 1.5, True, None],
    "max_pages": [0, -1, "5", 1.5, True],
    "max_seconds": [0, -1, "x", nan, inf, True],
    "max_bytes": [0, -1, "x", 2.5],
}


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_an_option_that_cannot_be_is_refused_by_its_name(name, value):
    with pytest.raises(InvalidRequest, match=rf"^{name} must be "):
        Crawl(["http://h/"], **{name: value})


def test_every_option_is_tried():
    assert {*inspect.signature(Crawl).parameters} == {*WRONG, "inputs", "sinks"}


@pytest.mark.parametrize(
    "inputs", ["http://h/", b"http://h/", 5, None, Request("http://h/"), Item(url="http://h/"), {}]
)
def test_what_is_no_list_of_inputs_is_refused(inputs):
    with pytest.raises(InvalidRequest, match=r"^inputs must be an iterable .* such as \[url\]"):
        Crawl(inputs)


@pytest.mark.parametrize("sinks", [5, "out.jsonl", ["out.jsonl"], [5]])
def test_what_is_no_sink_is_refused(sinks):
    with pytest.raises(InvalidRequest, match=r"sink_for\('out\.jsonl'\)"):
        Crawl(["http://h/"], sinks=sinks)


def test_what_cannot_watch_is_refused():
    with pytest.raises(InvalidRequest, match="a watcher must be a Watcher"):
        Crawl(["http://h/"]).watch(5)


@pytest.mark.parametrize("name", [name for name in inspect.signature(Item).parameters if name != "headers"])
def test_an_item_holds_what_it_says(name):
    options = {"url": "http://h/"} | {name: [1]}
    with pytest.raises(InvalidRequest, match=f"^{name} of an Item must be "):
        Item(**options)


@pytest.mark.parametrize("headers", [5, None, "x y", [1], {"a": 1}, [("a",)], b"x"])
def test_headers_of_an_item_are_pairs(headers):
    with pytest.raises(InvalidRequest, match=r"^headers of an Item must be "):
        Item(url="http://h/", headers=headers)


def test_an_item_takes_a_mapping_and_text():
    assert Item(url="u", headers={"a": "b"}, body="ü") == Item(url="u", headers=(("a", "b"),), body="ü".encode())


@pytest.mark.parametrize("state", [None, "s.db"])
def test_inputs_that_are_none_are_outcomes_and_requests_are_sent(site, tmp_path, state):
    given = [5, None, b"http://h/", "", ("a", "b"), Request("POST", site.url_for("/echo"), data=b"x")]
    options = {} if state is None else {"state": tmp_path / state}
    outcomes = sorted(Crawl(given, **options), key=lambda outcome: outcome.index)
    assert [(outcome.verdict, outcome.reason) for outcome in outcomes[:-1]] == [("failed", "invalid")] * 5
    assert outcomes[-1].response.json()["method"] == "POST"


@pytest.mark.parametrize(
    ("found", "fields", "paths"),
    [
        (lambda url: {"a": 1}, {"a": 1}, []),
        (lambda url: "/fast/2", {}, ["/fast/2"]),
        (lambda url: ["2", url.replace("/fast/1", "/fast/3")], {}, ["/fast/2", "/fast/3"]),
        (lambda url: None, {}, []),
    ],
)
def test_parse_may_return_one_thing_and_urls_of_the_page(site, found, fields, paths):
    """One str is one URL, and no letters; a URL is read as a link in the page would be."""
    first = site.url_for("/fast/1")
    outcomes = list(Crawl([first], parse=lambda outcome: found(outcome.url) if outcome.url == first else None))
    assert outcomes[0].fields == fields
    assert {outcome.url for outcome in outcomes[1:]} == {site.url_for(path) for path in paths}
