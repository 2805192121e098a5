"""Following links by the library, and what a run holds on to on its way."""

import signal
import threading

import pytest

from workerpool.scraping import Crawl, Politeness
from workerpool.scraping.asking_again import ask_again
from workerpool.scraping.errors import OtherRun
from workerpool.scraping.explaining import explain
from workerpool.scraping.extracting import Extractor
from workerpool.scraping.following import follow
from workerpool.scraping.gathered import Gathered
from workerpool.scraping.inputs import Input
from workerpool.scraping.reading import standing
from workerpool.scraping.scope import Scope, url_key
from workerpool.scraping.sinks import sink_for
from workerpool.testing import Site


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


@pytest.mark.parametrize("state", [None, "s.db"])
def test_pages_are_followed_within_the_scope(site, tmp_path, state):
    """Each page once, with its fields and its depth; what is too deep is counted, and explained where there is a state."""
    seeds = [site.url_for("/page/0")]
    onward = follow(Scope(seeds, depth=2), extractor=Extractor({"title": "css:title"}))
    options = {} if state is None else {"state": tmp_path / state}
    crawl = Crawl(seeds, parse=onward, accepts=onward.accepts, key=url_key, **options)
    found = {outcome.fields["title"]: outcome.item.depth for outcome in crawl}
    assert {f"Page {n}": depth for n, depth in enumerate((0, 1, 1, 2, 2, 2, 2))} == found
    assert {"depth": 8} == crawl.summary.left_out
    if state is not None:
        deep, twin = (explain(tmp_path / state, site.url_for(f"/page/{path}")) for path in ("7", "0?utm_source=x"))
        assert ("skipped", "depth") == (deep.items[0].stage, deep.items[0].reason)
        assert [seeds[0]] == [each.url for each in twin.same]


def test_a_state_is_read_while_it_is_written(site, tmp_path):
    """Neither waits for the other for long; what is told is the last commit's."""
    urls = [site.url_for(f"/fast/{n}") for n in range(50)]
    crawl = Crawl(urls, state=tmp_path / "s.db", politeness=Politeness(per_host=2))
    seen = [standing(tmp_path / "s.db").fetched for _ in crawl]
    assert sorted(seen) == seen
    assert (50, True) == (standing(tmp_path / "s.db").fetched, standing(tmp_path / "s.db").complete)


def test_files_are_inputs_of_a_run_with_a_state(site, tmp_path):
    """Where they were left goes into the state, of one file and of several in a row."""
    urls = [site.url_for(f"/fast/{n}") for n in range(6)]
    (tmp_path / "urls").write_text("".join(f"{url}\n" for url in urls[2:]))
    for name, inputs in {
        "one": Input(tmp_path / "urls"),
        "several": Gathered([urls[:2], Input(tmp_path / "urls")]),
    }.items():
        found = [outcome.url for outcome in Crawl(inputs, state=tmp_path / name, max_pages=1)]
        found += [outcome.url for outcome in Crawl(inputs, state=tmp_path / name, mode="resume")]
        assert sorted(urls if name == "several" else urls[2:]) == sorted(found)


class Noting:
    """A sink that does what it is told with the third outcome, and keeps nothing."""

    def __init__(self, third=lambda: None):
        self.count = 0
        self.third = third

    def open(self, position):
        pass

    def write(self, outcome):
        self.count += 1
        if self.count == 3:
            self.third()

    def flush(self):
        return {}

    def close(self):
        pass

    abandon = close


def test_an_interrupt_amid_an_outcome_doubles_nothing(site, tmp_path):
    """One that strikes between an output and the state leaves that outcome to the next run."""
    urls = [site.url_for(f"/fast/{n}") for n in range(9)]
    rows = tmp_path / "o.jsonl"
    struck = Noting(lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        Crawl(urls, sinks=[sink_for(rows), struck], state=tmp_path / "s.db").run()
    Crawl(urls, sinks=[sink_for(rows), Noting()], state=tmp_path / "s.db").run()
    assert 9 == len(rows.read_text().splitlines())


def test_a_stop_takes_back_what_was_not_sent(site, tmp_path):
    """It waits again, and counts no attempt; the run goes on from there."""
    urls = [site.url_for(f"/slow/{n}?delay=0.2") for n in range(40)]
    crawl = Crawl(urls, state=tmp_path / "s.db", politeness=Politeness(per_host=2))
    for _ in crawl:
        threading.Thread(target=crawl.stop).start()
        break
    rest = Crawl(urls, state=tmp_path / "s.db", politeness=Politeness(per_host=0))
    attempts = [len(outcome.attempts) for outcome in rest]
    assert max(attempts) <= 2
    assert 40 == standing(tmp_path / "s.db").fetched


def test_asking_again_is_another_run(site, tmp_path):
    """It needs a complete one and other outputs; it goes on where it was stopped, and tries as often as a new one."""
    urls = [site.url_for(f"/status/{code}") for code in (200, 404, 500, 503)]
    path = tmp_path / "s.db"
    identity = {"outputs": "2.jsonl", "retry": "5xx"}
    with pytest.raises(OtherRun, match="there is no state"):
        ask_again(path, ["5xx"], identity)
    Crawl(urls, state=path, identity={"outputs": "1.jsonl"}, max_pages=1).run()
    with pytest.raises(OtherRun, match="has not come to its end"):
        ask_again(path, ["5xx"], identity)
    Crawl(urls, state=path, identity={"outputs": "1.jsonl"}, retry=None).run()
    with pytest.raises(OtherRun, match=r"1\.jsonl has the rows of the run before"):
        ask_again(path, ["5xx"], {"outputs": "1.jsonl", "retry": "5xx"})
    assert 2 == ask_again(path, ["5xx"], identity)
    assert None is ask_again(path, ["5xx"], identity)
    again = list(Crawl((), state=path, identity=identity, retry=None))
    assert {500, 503} == {outcome.response.status_code for outcome in again}
    assert {2} == {len(outcome.attempts) for outcome in again}


@pytest.mark.parametrize("state", [None, "s.db"])
def test_a_redirect_leads_out_of_no_scope_without_robots_either(tmp_path, state):
    """Where each place is judged the run follows redirects by itself."""
    with Site() as other, Site() as site:
        seeds = [site.url_for(f"/redirect-to?url={other.url_for('/fast/1')}")]
        onward = follow(Scope(seeds, by="prefix", depth=2))
        options = {} if state is None else {"state": tmp_path / state}
        (outcome,) = Crawl(seeds, parse=onward, accepts=onward.accepts, key=url_key, **options)
        assert ("skipped", 0) == (outcome.verdict, other.hits)
