"""A run: each input has exactly one outcome, whatever becomes of it."""

import threading
from collections import Counter

import pytest

from workerpool import WorkerPool
from workerpool.scraping import Crawl, Item, Politeness
from workerpool.testing import Site


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


@pytest.fixture(params=["without a state", "with a state"])
def options(request, tmp_path):
    return {} if request.param == "without a state" else {"state": tmp_path / "state.db"}


def verdicts(crawl):
    return Counter((outcome.verdict, outcome.reason) for outcome in crawl)


def test_every_input_has_one_outcome(site, options):
    urls = [site.url_for(f"/fast/{n}") for n in range(300)] + [site.url_for("/status/404"), "nonsense", "http://[@/"]
    crawl = Crawl(urls, politeness=Politeness(per_host=0), **options)
    outcomes = list(crawl)
    assert sorted(outcome.index for outcome in outcomes) == list(range(303))
    assert all(outcome.url == urls[outcome.index] for outcome in outcomes)
    assert Counter((outcome.verdict, outcome.reason) for outcome in outcomes) == {
        ("fetched", None): 300,
        ("fetched", "4xx"): 1,
        ("failed", "invalid"): 2,
    }
    assert (crawl.summary.fetched, crawl.summary.failed, crawl.summary.complete) == (301, 2, True)


def test_what_parse_finds_is_followed_once(site, options):
    def links(outcome):
        yield {"length": len(outcome.response.content)}
        number = int(outcome.url.rsplit("/", 1)[1])
        if number < 40:
            for each in (number + 1, number + 2):
                yield site.url_for(f"/fast/{each}")

    crawl = Crawl([site.url_for("/fast/0")], parse=links, key=str.encode, **options)
    found = {outcome.url: (outcome.item.depth, outcome.fields["length"] > 0) for outcome in crawl}
    assert found.keys() == {site.url_for(f"/fast/{n}") for n in range(42)}
    assert found[site.url_for("/fast/2")] == (1, True)


def test_the_users_code_may_raise(site, options):
    def raises(outcome):
        raise LookupError("mine")

    assert verdicts(Crawl([site.url_for("/fast/0")], parse=raises, **options)) == {("failed", "parse"): 1}


def length_of(outcome):
    return [{"length": len(outcome.response.content)}]


def test_parse_may_run_in_processes(site, options):
    crawl = Crawl([site.url_for(f"/fast/{n}") for n in range(10)], parse=length_of, processes=1, **options)
    assert {outcome.fields["length"] > 0 for outcome in crawl} == {True}


def test_items_are_sent_as_they_say(site, options):
    item = Item(url=site.url_for("/echo"), method="POST", headers=(("X-Mine", "1"),), body=b"payload")
    (outcome,) = Crawl([item], politeness=Politeness(agent="mine/1.0", contact="https://example.org/bot"), **options)
    assert outcome.item == item
    echoed = outcome.response.json()
    assert echoed["method"] == "POST"
    assert {name.lower(): value for name, value in echoed["headers"].items()}["user-agent"] == (
        "mine/1.0 (+https://example.org/bot)"
    )


def test_a_run_goes_on_where_it_was_stopped(site, tmp_path):
    urls = [site.url_for(f"/fast/{n}") for n in range(200)]
    first = Crawl(urls, state=tmp_path / "state.db", max_pages=50)
    before = [outcome.index for outcome in first]
    assert not first.summary.complete
    second = Crawl(urls, state=tmp_path / "state.db")
    after = [outcome.index for outcome in second]
    assert sorted(before + after) == list(range(200))
    assert second.summary.complete
    assert list(Crawl(urls, state=tmp_path / "state.db")) == []


def test_what_was_in_flight_is_asked_again_and_counted(tmp_path):
    with Site() as site:
        crawl = Crawl([site.url_for("/hold/1")], state=tmp_path / "state.db")

        def stop_amid_it():
            site.wait_in_flight(1)
            crawl.stop()
            crawl.stop()

        stopper = threading.Thread(target=stop_amid_it)
        stopper.start()
        assert list(crawl) == []
        stopper.join()
        site.release()
        (outcome,) = Crawl([site.url_for("/hold/1")], state=tmp_path / "state.db")
    assert [attempt.error for attempt in outcome.attempts] == ["Interrupted", None]


def test_a_pool_of_ones_own_stays_open(site, options):
    with WorkerPool(workers=1, connections=4) as pool:
        assert len(list(Crawl([site.url_for("/fast/1")] * 20, pool=pool, **options))) == 20
        assert pool.get(site.url_for("/fast/1")).ok
