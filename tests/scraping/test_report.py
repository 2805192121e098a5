"""The report of a run: what it counts, in how much memory, and the page as a browser sees it."""

import itertools
import json
import os
import re
from dataclasses import replace

import pytest
from browser import CHROMIUM, opened
from outcomes import STARTED, answer, failed, fetched, mixed, skipped

from workerpool.scraping import Crawl, Outcome, Politeness, Progress, Report, StateError
from workerpool.scraping.outcome import Attempt
from workerpool.scraping.past import Past
from workerpool.scraping.report.figures import Figures
from workerpool.scraping.report.histogram import Histogram
from workerpool.scraping.report.hosts import HostTable
from workerpool.scraping.report.timeline import Timeline

HOSTILE = '</script><script>document.title="owned"</script><img src="http://elsewhere.example/x.png"> \x1b[31m \u202e'


def past(index=0, host="a.example:443", verdict="fetched", status=200, reason=None, ended=STARTED, took=0.1, **more):
    attempts = (Attempt(started=ended - took, took=took, status=status),)
    return Past(index, f"https://{host}/{index}", host, verdict, status, reason, ended, attempts, **more)


def told(outcomes):
    report = Report()
    for outcome in outcomes:
        report.outcome(outcome)
    return report


def hostile():
    """A report in which whatever comes from elsewhere is hostile."""
    report = told(mixed(60))
    for family in ("dns", HOSTILE, "trap:endless-dates"):
        report.figures.add(past(1, HOSTILE, "failed", None, family, message=f"DNSError: {HOSTILE}"))
        report.figures.add(past(2, HOSTILE, "skipped", None, family))
    report.look(Progress(at=1.0, in_flight=3, causes={"crawl-delay": 2, HOSTILE: 1}))
    report.look(Progress(at=2.0, in_flight=3, causes={"crawl-delay": 2, HOSTILE: 1}))
    return report


def test_percentiles_are_right_within_six_percent():
    found = Histogram()
    for number in range(1, 10_001):
        found.add(number / 1000)
    for part in (0.5, 0.9, 0.99):
        assert found.percentile(part) == pytest.approx(10 * part, rel=0.06)
    assert 10.0 == found.percentile(1.0)
    assert (10_000, 10.0) == (found.count, found.most)
    assert sum(found.decades()[2]) == 10_000


def test_times_without_an_end_are_counted():
    found = Histogram()
    for seconds in (0.0, -1.0, 1e-9, 1e9):
        found.add(seconds)
    assert 4 == found.count == sum(found.decades()[2])


def test_a_timeline_is_halved_and_loses_nothing():
    line = Timeline(most=100)
    for number in range(10_000):
        line.at(STARTED + number).fetched += 1
    assert len(line) <= 100
    width, points = line.points(60)
    assert len(points) <= 60
    assert 10_000 == sum(moment.fetched for _, moment in points)
    assert width >= 10_000 / 60


def test_a_time_without_a_run_is_a_gap():
    line = Timeline()
    for number in (*range(100), *range(5000, 5100)):
        line.at(STARTED + number).fetched += 9
    points = line.points(600)[1]
    assert [None] == [moment for _, moment in points if moment is None]
    assert 200 == pytest.approx(line.under_way, abs=4)
    assert 1800 == sum(moment.fetched for _, moment in points if moment is not None)


def test_hosts_are_bounded_and_the_busiest_stay():
    table = HostTable(most=100)
    for number in range(5000):
        table.add(past(host=f"{number}.example:443"))
        table.add(past(host="busy.example:443"))
    assert len(table) <= 100
    assert ("busy.example:443", 5000) == (table.busiest(1)[0].host, table.busiest(1)[0].count)
    assert 5001 == pytest.approx(table.known, rel=0.02)
    assert 10_000 == table.others + sum(each.count for each in table.busiest(100))


def test_examples_are_few_and_of_different_hosts():
    figures = Figures()
    for number in range(1000):
        figures.add(past(number, f"{number // 300}.example:80", "failed", None, "dns", message="DNSError: gone"))
    family = figures.failed["dns"]
    assert (1000, 5) == (family.count, len(family.examples))
    assert {"0.example:80", "1.example:80", "2.example:80", "3.example:80"} == {each.host for each in family.examples}


def test_families_without_end_are_put_together():
    figures = Figures()
    for number in range(1000):
        figures.add(past(number, "a.example:80", "skipped", None, f"mine-{number}"))
    assert len(figures.skipped) <= 201
    assert 1000 == sum(each.count for each in figures.skipped.values())


def test_the_page_of_a_run_of_many_hosts_and_errors_is_small():
    report = Report()
    for number in range(20_000):
        host = f"{number % 7000}{'.long-name' * 20}.example:443"
        report.figures.add(
            past(number, host, "failed", None, f"mine-{number % 500}", STARTED + number, message="m" * 999)
        )
        report.figures.look(Progress(at=float(number), causes={"rate": 1, "crawl-delay": 2}), STARTED + number)
    assert len(report.html().encode()) < 1_000_000


@pytest.mark.parametrize(
    "outcomes", [[], [fetched()], [failed()], [skipped()]], ids=["none", "fetched", "failed", "skipped"]
)
def test_small_runs_have_a_report(outcomes):
    report = told(outcomes)
    assert "</html>" in report.html()
    assert "outcomes a second" in report.plot()


def test_what_comes_from_elsewhere_is_escaped():
    page = hostile().html()
    assert page.count("<script") == 3
    assert "<img" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "\\u001b[31m" in page


def test_secrets_of_urls_are_left_out():
    url = "http://user:hunter2@a.example/x?token=hunter2#hunter2"
    assert "hunter2" not in told([fetched(0, answer(url, status=404), reason="4xx")]).html()


def test_the_page_is_written_at_the_end(site, tmp_path):
    """Each outcome is in it, and the part file is gone."""
    path = tmp_path / "out.html"
    report = Report(path, title="mine")
    crawl = Crawl([site.url_for(f"/fast/{n}") for n in range(50)] + [site.url_for("/status/404"), "nonsense"])
    crawl.watch(report)
    assert crawl.run().complete
    assert (51, 1) == (report.figures.verdicts["fetched"], report.figures.verdicts["failed"])
    assert {"4xx": 1, "invalid": 1} == {name: each.count for name, each in report.figures.failed.items()}
    assert "<h1>mine</h1>" in path.read_text()
    assert [path] == list(tmp_path.iterdir())


def test_a_run_that_is_left_has_a_report(site, tmp_path):
    """Of what came: it says that this was not all."""
    crawl = Crawl([site.url_for(f"/fast/{n}") for n in range(50)])
    crawl.watch(Report(tmp_path / "out.html"))
    assert 10 == len(list(itertools.islice(crawl, 10)))
    crawl.stop()
    del crawl
    text = (tmp_path / "out.html").read_text()
    assert "stopped before its end" in text


def test_a_report_that_cannot_be_written_is_told_before_the_run(site, tmp_path):
    crawl = Crawl([site.url_for("/fast/0")])
    crawl.watch(Report(tmp_path / "missing" / "out.html"))
    with pytest.raises(OSError, match="missing"):
        crawl.run()
    assert 0 == crawl.summary.asked


def test_nobody_watches_from_the_middle(site):
    crawl = Crawl([site.url_for("/fast/0")])
    crawl.run()
    with pytest.raises(StateError, match="before"):
        crawl.watch(Report())


def test_a_resumed_run_is_told_as_a_whole(site, tmp_path):
    """The report of the second part counts the first, too, and what the rules left out."""
    state = tmp_path / "state.db"
    urls = [site.url_for(f"/fast/{n}") for n in range(40)] + [site.url_for("/status/404"), site.url_for("/left/out")]

    def part(**options):
        accepts = lambda item: "denied" if "left" in item.url else None  # noqa: E731
        crawl = Crawl(urls, state=state, accepts=accepts, politeness=Politeness(per_host=2), **options)
        report = Report(tmp_path / "out.html")
        crawl.watch(report)
        return crawl, report

    crawl, first = part(max_pages=15)
    assert not crawl.run().complete
    assert 15 == first.figures.verdicts["fetched"]
    crawl, second = part()
    assert crawl.run().complete
    alone = Report.of_state(state, tmp_path / "alone.html")
    alone.write()
    for report in (second, alone):
        assert {"fetched": 41, "skipped": 1} == dict(report.figures.verdicts)
        assert {200: 40, 404: 1} == dict(report.figures.statuses)
        assert {"denied": 1} == {name: each.count for name, each in report.figures.skipped.items()}
        assert 41 == report.figures.took.count
    assert second.figures.without_bytes == 15
    assert "without sizes" in (tmp_path / "out.html").read_text()
    assert "</html>" in (tmp_path / "alone.html").read_text()


def test_what_a_state_tells_is_what_an_outcome_tells(site, tmp_path):
    """Hosts, statuses and reasons are called the same."""
    state = tmp_path / "state.db"
    crawl = Crawl(
        [site.url_for("/fast/1"), site.url_for("/status/503"), "http://127.0.0.1:1/"], state=state, retry=None
    )
    report = Report()
    crawl.watch(report)
    crawl.run()
    alone = Report.of_state(state)
    for found in (report, alone):
        assert sorted(each.host for each in report.figures.hosts.busiest(9)) == sorted(
            each.host for each in found.figures.hosts.busiest(9)
        )
        assert {"5xx": 1, "connect": 1} == {name: each.count for name, each in found.figures.failed.items()}
        assert "ConnectError" in found.figures.failed["connect"].examples[0].message


@pytest.mark.parametrize("text", [None, "no database at all" * 100])
def test_what_is_no_state_has_no_report(tmp_path, text):
    if text is not None:
        (tmp_path / "state.db").write_text(text)
    with pytest.raises(StateError):
        Report.of_state(tmp_path / "state.db")
    assert text is not None or not (tmp_path / "state.db").exists()


def test_the_curves_have_one_value_for_each_time():
    report = hostile()
    data = json.loads(re.search(r'id="data">(.*?)</script>', report.html())[1])
    lengths = {len(line["values"]) for chart in data["charts"].values() for line in chart["lines"]}
    assert lengths == {len(data["times"])}


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("width", [20, 40, 80, 140])
def test_the_plot_keeps_to_its_width(width, plain):
    text = told(mixed(200)).plot(width, plain=plain)
    lines = text.splitlines()
    assert all(len(line) <= max(width, 40) for line in lines[:-1] if not line.startswith("seconds"))
    assert text.isascii() or not plain


def test_waits_are_counted_in_seconds_of_hosts():
    report = Report()
    for at in (0.0, 1.0, 3.0, 1000.0):
        report.look(Progress(at=at, causes={"rate": 2}))
    assert 2 * (1 + 2 + 5) == report.figures.causes["rate"]  # nobody knows what was in the long time


def test_an_outcome_stays_as_it_was():
    """Looking on changes nothing, and holds no body."""
    outcome = fetched()
    report = told([outcome])
    assert outcome == replace(outcome)
    assert isinstance(outcome, Outcome)
    assert report.figures.bytes == len(outcome.response.content)


@pytest.mark.skipif(CHROMIUM is None and not os.getenv("CI"), reason="needs Chromium")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_the_page_and_asks_nobody(tmp_path, width, dark):
    """No error in the console, no request but for the page, nothing wider than the screen, and the curves are drawn."""
    page = tmp_path / "out.html"
    page.write_text(hostile().html(), encoding="utf-8")
    script = """({
        title: document.title, wide: document.documentElement.scrollWidth,
        curves: document.querySelectorAll(".chart canvas").length, charts: document.querySelectorAll(".chart").length,
        paper: getComputedStyle(document.documentElement).backgroundColor,
    })"""
    seen = opened(page, width=width, dark=dark, script=script)
    assert [] == seen.errors
    assert [page.absolute().as_uri()] == seen.requests
    paper = "rgb(18, 23, 29)" if dark else "rgb(255, 255, 255)"
    assert {"title": "Report of a run", "wide": width, "curves": 4, "charts": 4, "paper": paper} == seen.value
