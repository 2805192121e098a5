"""Archives that workers write: whole, each answer once, read back by warcio, and by the receipts."""

from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from clusters import module_cluster, running  # noqa: F401  fixtures
from warcio.archiveiterator import ArchiveIterator

from workerpool import Request
from workerpool.cluster import ClusterError, DaskPool, StoredResponse
from workerpool.cluster.wire import as_answer
from workerpool.scraping import SinkError, WarcShards

_PATIENCE = 60  # seconds after which something hangs


def archived(folder):
    """Return (type, URL, body) of each record of all shards, as warcio reads them."""
    found = []
    for shard in sorted(folder.glob("*.warc.gz")):
        with shard.open("rb") as file:
            found += [
                (record.rec_type, record.rec_headers["WARC-Target-URI"], record.content_stream().read())
                for record in ArchiveIterator(file, check_digests="raise")
            ]
    return found


def test_each_answer_is_archived_and_read_by_its_receipt(cluster, site, tmp_path):
    """Redirects and requests, too; the body is as it was."""
    urls = [site.url_for(f"/fast/{number}") for number in range(200)]
    urls += [site.url_for(path) for path in ("/redirect/2", "/gzip/1", "/large/300", "/status/404", "/status/204")]
    with DaskPool(cluster.address, store=WarcShards(str(tmp_path), answers=40)) as pool:
        results = list(pool.fetch_many(urls, ordered=True))
        assert all(type(result.response) is StoredResponse for result in results)
        bodies = {result.response.url: result.response.content for result in results}
    records = archived(tmp_path)
    answers = {url: body for kind, url, body in records if kind == "response" and url in bodies}
    assert bodies == answers
    assert Counter({"response": 208, "request": 208}) == Counter(kind for kind, _, _ in records if kind != "warcinfo")
    assert 5 <= len(list(tmp_path.glob("*.warc.gz"))) <= 40
    receipt = results[202].response.receipt
    assert (300 * 1024, True) == (receipt.size, Path(urlsplit(receipt.url).path).parent == tmp_path)


def test_answers_do_not_wait_for_what_does_not_come(cluster, site, tmp_path):
    """One alone, the last ones, and those whose client sends no more before it has heard of them: nobody waits an hour."""
    with DaskPool(cluster.address, store=WarcShards(tmp_path, pause=3600), connections=10) as pool:
        assert 1024 == len(pool.get(site.url_for("/fast/1")).content)
        assert 100 == sum(result.ok for result in pool.fetch_many(site.url_for(f"/fast/{n}") for n in range(100)))


def test_a_slow_answer_holds_others_up_for_the_pause_only(cluster, site, tmp_path):
    """They are told while it is still under way."""
    with DaskPool(cluster.address, store=WarcShards(tmp_path, pause=0.05)) as pool:
        held = [pool.submit(site.url_for(f"/hold/{number}")) for number in range(10)]
        site.wait_in_flight(10)
        assert 1024 == len(pool.get(site.url_for("/fast/1")).content)
        assert not any(job.done() for job in held)
        site.release()
        assert all(job.result(_PATIENCE).ok for job in held)


def test_a_killed_worker_leaves_no_broken_shard(site, tmp_path):
    """What it had is fetched again: each input has one Result, whose record is there."""
    with running(2) as cluster, DaskPool(cluster.address, store=WarcShards(str(tmp_path), answers=20)) as pool:
        urls = [site.url_for(f"/slow/{number}?delay=0.02") for number in range(300)]
        found = []
        for result in pool.fetch_many(urls, buffersize=100):
            found.append((result.index, bool(result.response.content)))
            if len(found) == 60:
                cluster.kill(cluster.workers[0])
    assert [(number, True) for number in range(300)] == sorted(found)
    assert set(urls) <= {url for kind, url, _ in archived(tmp_path) if kind == "response"}


def test_a_record_that_has_changed_is_told(cluster, site, tmp_path):
    with DaskPool(cluster.address, store=WarcShards(str(tmp_path), answers=1)) as pool:
        gone, changed = (pool.get(site.url_for(f"/fast/{number}")) for number in (1, 2))
    Path(urlsplit(gone.receipt.url).path).unlink()
    Path(urlsplit(changed.receipt.url).path).write_bytes(b"x" * 5000)
    with pytest.raises(SinkError, match="No such file"):
        gone.content  # noqa: B018
    with pytest.raises(SinkError, match="another record than was put there"):
        changed.text  # noqa: B018


def test_a_place_that_cannot_be_is_refused_at_once(cluster):
    with pytest.raises(ClusterError, match="SinkError: the shards at /dev/null/crawl: Not a directory"):
        DaskPool(cluster.address, store=WarcShards("/dev/null/crawl"))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"url": ""}, "shards are below a folder or a URL such as 's3://bucket/pages', not ''"),
        ({"url": 5}, "a folder or a URL such as 's3://bucket/pages', not int"),
        ({"url": "x", "answers": 0}, "answers= of shards must be a whole number, more than 0, not 0"),
        ({"url": "x", "answers": 1.5}, "not 1.5"),
        ({"url": "x", "answers": True}, "not True"),
        ({"url": "x", "storage": 5}, "storage= of shards must be a mapping, not int"),
        ({"url": "x", "size": "1"}, "size= of shards"),
        ({"url": "x", "pause": float("nan")}, "pause= of shards"),
    ],
)
def test_wrong_arguments_are_named(options, text):
    assert WarcShards("x") == WarcShards(Path("x"))
    with pytest.raises(SinkError, match=text):
        WarcShards(**options)


@pytest.mark.parametrize(
    "receipt", [("../x.warc.gz", 0, 1, 1, "a"), ("20260101000000-" + "a" * 32 + ".warc.gz", -1, 1, 1, "a")]
)
def test_no_worker_chooses_what_the_client_reads(tmp_path, receipt):
    plain = (200, "OK", (), receipt, "http://host/", "1.1", 0.1, 1, ())
    with pytest.raises(SinkError, match="a receipt that is none"):
        as_answer(plain, Request("http://host/"), "default", store=WarcShards(str(tmp_path))).content  # noqa: B018
