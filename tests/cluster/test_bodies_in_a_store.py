"""Bodies that workers put into a store: whole, once, where the receipt says; and what becomes of a store that refuses."""

import json
import pickle
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from clusters import module_cluster, running  # noqa: F401  fixtures

from workerpool import InvalidRequest, Request, Response
from workerpool.cluster import ClusterError, DaskPool, NotPicklable, Receipt, Store, StoredResponse, StoreError
from workerpool.cluster.wire import as_answer
from workerpool.scraping import Crawl, JsonLines, Politeness

_PATIENCE = 60  # seconds after which something hangs


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "bodies"


def bodies(folder):
    """Return the files of bodies; an empty one tells that the store can be written to."""
    return [each for each in folder.rglob("*") if each.is_file() and each.stat().st_size]


def file_of(receipt):
    return Path(urlsplit(receipt.url).path)


def test_large_bodies_are_in_the_store_and_small_ones_come(cluster, site, folder):
    """Each whole, under its SHA-256; the answer is as any other, and is read when asked for."""
    sizes = [1, 64, 65, 300]  # KiB
    with DaskPool(cluster.address, store=str(folder)) as pool:
        found = [pool.get(site.url_for(f"/large/{size}")) for size in sizes]
        again = pool.get(site.url_for("/large/300"))
        plain = pool.submit(_length, site.url_for("/large/300")).result(_PATIENCE)
    assert [Response, Response, StoredResponse, StoredResponse] == [type(answer) for answer in found]
    for size, answer in zip(sizes[2:], found[2:], strict=True):
        receipt = answer.receipt
        content = file_of(receipt).read_bytes()
        assert (
            (size * 1024, sha256(content).hexdigest())
            == (len(content), receipt.sha256)
            == (receipt.size, receipt.sha256)
        )
        assert file_of(receipt).is_relative_to(folder)
        assert "at a store" in repr(answer)
        assert content == answer.content == b"".join(answer.iter_bytes()) == answer.raw.read()
        assert content.decode() == answer.text
        assert (200, 1, True) == (answer.status_code, answer.attempts, answer.ok)
    assert again.receipt == found[-1].receipt
    assert 2 == len(bodies(folder))
    assert 300 * 1024 == plain  # what a function returns is the user's own, and travels


async def _length(session, url):
    async with session.get(url) as answer:
        return len(await answer.read())


def test_each_input_of_many_has_its_own_body(cluster, site, folder):
    """With everything in the store, also the empty ones that are not worth it."""
    texts = [str(number) * 50 for number in range(300)]
    with DaskPool(cluster.address, store=Store(str(folder), over=0)) as pool:
        requests = [Request("POST", site.url_for("/echo"), data=text) for text in texts]
        results = list(pool.fetch_many(requests, ordered=True))
        nothing = pool.get(site.url_for("/status/204"))
    assert all(isinstance(result.response, StoredResponse) for result in results)
    assert [(True, text) for text in texts] == [(result.ok, result.response.json()["body"]) for result in results]
    assert (Response, b"") == (type(nothing), nothing.content)


def test_an_answer_travels_without_its_body(cluster, site, folder):
    """As a pickle it holds the receipt."""
    with DaskPool(cluster.address, store=str(folder)) as pool:
        answer = pool.get(site.url_for("/large/500"))
    data = pickle.dumps(answer)
    assert len(data) < 10_000
    copied = pickle.loads(data)
    assert (answer.receipt, answer.content, answer.headers) == (copied.receipt, copied.content, copied.headers)


def test_what_is_not_there_any_more_is_told(cluster, site, folder):
    with DaskPool(cluster.address, store=str(folder)) as pool:
        gone, changed = (pool.get(site.url_for(f"/large/{size}")) for size in (100, 200))
    file_of(gone.receipt).unlink()
    file_of(changed.receipt).write_bytes(b"y" * 200 * 1024)
    with pytest.raises(StoreError, match=f"the store .*{gone.receipt.sha256}: No such file"):
        gone.content  # noqa: B018
    with pytest.raises(StoreError, match="another body than was put there; was it written to since"):
        changed.json()
    assert 200 == gone.status_code


def test_what_a_killed_writer_has_left_is_written_anew(cluster, site, folder):
    """A part of a body under its name is not taken for the whole."""
    with DaskPool(cluster.address, store=str(folder)) as pool:
        receipt = pool.get(site.url_for("/large/100")).receipt
        file_of(receipt).write_bytes(b"x" * 100)
        assert 100 * 1024 == len(pool.get(site.url_for("/large/100")).content)


def test_a_store_that_refuses_loses_no_body(cluster, site, folder, tmp_path):
    """It travels then."""
    with DaskPool(cluster.address, store=str(folder)) as pool:
        assert isinstance(pool.get(site.url_for("/large/100")), StoredResponse)
        folder.rename(tmp_path / "elsewhere")
        folder.write_text("a file")
        answer = pool.get(site.url_for("/large/100"))
    assert (Response, 100 * 1024) == (type(answer), len(answer.content))


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (5, InvalidRequest, "store= must be a folder, a URL such as 's3://bucket/pages' or a Store, not int"),
        (Store, InvalidRequest, "or a Store, not the class Store"),
        (b"x", InvalidRequest, "or a Store, not bytes"),
        ("", InvalidRequest, "a Store is a folder or a URL such as 's3://bucket/pages', not ''"),
        ("nosuch://bucket", ClusterError, r"StoreError: the store nosuch://bucket: .*[Pp]rotocol not known: nosuch"),
        ("/dev/null/pages", ClusterError, r"StoreError: the store /dev/null/pages: Not a directory"),
        (
            "http://user:secret@127.0.0.1:1/pages",
            ClusterError,
            r"StoreError: the store http://\*\*\*@127.0.0.1:1/pages: ",
        ),
    ],
)
def test_a_store_that_cannot_be_is_refused_at_once(cluster, given, error, text):
    """By the client, or by a worker that tells why; a password is not told."""
    with pytest.raises(error, match=text) as caught:
        DaskPool(cluster.address, store=given)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"url": None}, "not NoneType"),
        ({"url": "x", "over": -1}, "over= must be a number of bytes, 0 or more, not -1"),
        ({"url": "x", "over": True}, "not True"),
        ({"url": "x", "over": "1"}, "not '1'"),
        ({"url": "x", "storage": 5}, "storage= must be a mapping, not int"),
    ],
)
def test_wrong_arguments_are_named(options, text):
    assert Store("x") == Store(Path("x"))
    with pytest.raises(InvalidRequest, match=text):
        Store(**options)


def test_no_worker_chooses_what_the_client_reads(folder):
    """It tells a digest; the place follows from that."""
    store = Store(str(folder), storage={"auto_mkdir": True})
    assert "auto_mkdir" not in repr(store)
    plain = (200, "OK", (), (5, "../../etc/passwd"), "http://host/", "1.1", 0.1, 1, ())
    with pytest.raises(StoreError, match="a receipt that is none"):
        as_answer(plain, Request("http://host/"), "default", store=store).content  # noqa: B018
    plain = (200, "OK", (), (5, "a" * 64), "http://host/", "1.1", 0.1, 1, ())
    answer = as_answer(plain, Request("http://host/"), "default", store=store)
    assert answer.receipt == Receipt(f"file://{folder}/aa/{'a' * 64}", 5, "a" * 64)


def test_a_crawl_saves_bodies_from_the_store(cluster, site, folder, tmp_path):
    """Sinks do not know of it; nor does a state."""
    urls = [site.url_for(f"/large/{size}") for size in range(60, 90)]
    with DaskPool(cluster.address, store=str(folder)) as pool:
        sinks = [JsonLines(tmp_path / "rows.jsonl", body=True)]
        crawl = Crawl(urls, state=tmp_path / "state", pool=pool, sinks=sinks, politeness=Politeness(per_host=0))
        assert ["fetched"] * 30 == [outcome.verdict for outcome in crawl]
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert {size * 1024 for size in range(60, 90)} == {len(row["body"]) for row in rows}
    assert 25 == len(bodies(folder))


def test_a_worker_that_is_killed_loses_no_body(site, folder):
    """What it had is done by another; each input has one Result, and its body."""
    with running(2) as cluster, DaskPool(cluster.address, store=Store(str(folder), over=0)) as pool:
        urls = [site.url_for(f"/slow/{number}?delay=0.02") for number in range(300)]
        found = []
        for result in pool.fetch_many(urls, buffersize=100):
            found.append((result.index, result.response.content))
            if len(found) == 50:
                cluster.kill(cluster.workers[0])
    assert list(range(300)) == sorted(index for index, _ in found)
    assert all(content for _, content in found)


def test_no_pickle_of_a_store_is_admitted_from_a_worker():
    """Only plain values come back."""
    from workerpool.cluster.wire import loads, pack

    with pytest.raises(NotPicklable):
        loads(pack(Store("x")))


class _Sulky:
    """A store of somebody's, which refuses some bodies by an error of its own, and looks for trouble."""

    answers, size, pause = 3, 2**20, 0.05

    def takes(self, answer):
        if b"7" in answer.content:
            raise ZeroDivisionError
        return True

    def check(self):
        pass

    def put(self, answers):
        if any(b"5" in answer.content for answer in answers):
            raise RuntimeError("no fives here")
        return [(len(answer.content), answer.content.decode()) for answer in answers]

    def receipt(self, plain):
        return Receipt(f"own:{plain[1]}", plain[0], "")

    def read(self, receipt):
        return receipt.url.removeprefix("own:").encode()


def test_a_store_of_ones_own(cluster, site):
    """Whatever it raises: each answer is there, and whole."""
    with DaskPool(cluster.address, store=_Sulky()) as pool:
        urls = [site.url_for(f"/slow/{number}?delay=0.01") for number in range(60)]
        results = list(pool.fetch_many(urls, ordered=True))
        plain = [pool.get(url) for url in urls[:8]]
    assert [answer.content for answer in plain] == [result.response.content for result in results[:8]]
    assert {Response, StoredResponse} == {type(result.response) for result in results}
