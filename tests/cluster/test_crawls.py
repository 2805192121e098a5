"""Runs on a cluster: the library's and the commands'."""

import json
import subprocess
import sys

import pytest
from clusters import module_cluster, running  # noqa: F401  fixtures

from workerpool import InvalidRequest
from workerpool.cluster import DaskPool
from workerpool.scraping import Crawl, Politeness

_PATIENCE = 120  # seconds after which something hangs


def command(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "workerpool", *map(str, arguments)],
        capture_output=True, text=True, timeout=_PATIENCE, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_crawl_on_a_cluster_goes_on_where_it_was(cluster, site, tmp_path):
    """With another pool, and each item once."""
    urls = [site.url_for(f"/fast/{number}") for number in range(60)]
    seen = []
    for most in (25, None):
        with DaskPool(cluster.address) as pool:
            crawl = Crawl(urls, state=tmp_path / "state", pool=pool, max_pages=most, politeness=Politeness(per_host=0))
            seen += [outcome.index for outcome in crawl]
    assert list(range(60)) == sorted(seen)
    assert crawl.summary.complete


def test_items_of_a_lost_worker_are_asked_for_again(site, tmp_path):
    """By the run, at its own pace; each has one outcome."""
    with running(2) as cluster, DaskPool(cluster.address) as pool:
        urls = [site.url_for(f"/slow/{number}?delay=0.02") for number in range(150)]
        found = []
        for outcome in Crawl(urls, state=tmp_path / "state", pool=pool, politeness=Politeness(per_host=20)):
            found.append((outcome.index, outcome.verdict))
            if len(found) == 30:
                cluster.kill(cluster.workers[0])
        assert [(number, "fetched") for number in range(150)] == sorted(found)
        assert 1 == pool.stats().lost


def test_what_is_no_pool_is_refused():
    """The error names both kinds."""
    with pytest.raises(InvalidRequest, match="a WorkerPool, a DaskPool or None"):
        Crawl([], pool="tcp://127.0.0.1:1")


def test_fetch_with_processes(site, tmp_path):
    """A line for each URL, as without."""
    urls = tmp_path / "urls.txt"
    urls.write_text("".join(f"{site.url_for(f'/fast/{number}')}\n" for number in range(40)))
    code, said = command("fetch", "-i", urls, "--processes", 2, "-o", tmp_path / "out.jsonl")
    assert (0, 40) == (code, len({row["url"] for row in rows(tmp_path / "out.jsonl")})), said


def test_a_crawl_on_a_cluster_by_its_address(cluster, site, tmp_path):
    """With a state, and to its end."""
    options = ("--state", tmp_path / "state", "-o", tmp_path / "out.jsonl", "--dask", cluster.address)
    code, said = command("crawl", site.url_for("/page/0"), *options)
    assert (0, 31) == (code, len(rows(tmp_path / "out.jsonl"))), said


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--dask", "tcp://127.0.0.1:9", "--processes", "2"), "give one of them"),
        (("--dask", "nonsense://x"), "no Dask scheduler answers at 'nonsense://x'"),
    ],
)
def test_wrong_usage_of_the_command(options, text):
    """Is told at once, with the cure."""
    code, said = command("fetch", "http://127.0.0.1:1/", *options)
    assert 2 == code
    assert text in said
