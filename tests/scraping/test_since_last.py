"""Rounds: a complete run is gone through once more, and each row tells what has changed since."""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from shelf import LONG_AGO, Book, shelf
from warcio.archiveiterator import ArchiveIterator

from workerpool import InvalidRequest
from workerpool.scraping import Crawl, Item, StateError
from workerpool.scraping.sinks import folder_for, sink_for
from workerpool.scraping.sinks.folder import Folder


@pytest.fixture
def place():
    with shelf() as (books, url):
        yield books, url


def changes(urls, tmp_path, *, state="s.db", **options):
    """Go through a round, and return what it tells of each path, with the status."""
    crawl = Crawl(urls, state=tmp_path / state, since_last=True, **options)
    found = {each.url.rpartition("/")[2]: (each.change, each.response.status_code) for each in crawl}
    return found, crawl.summary


def test_each_outcome_tells_what_has_changed(place, tmp_path):
    """By the site's word (304), or by the digest of the body where the site gives none."""
    books, url = place
    books.books |= {
        "/etag": Book(b"a", etag='"1"'), "/weak": Book(b"a", etag='W/"1"'), "/date": Book(b"a", modified=LONG_AGO),
        "/plain": Book(b"a"), "/rewritten": Book(b"a", etag='"1"'), "/touched": Book(b"a", etag='"1"'),
        "/lost": Book(b"a"), "/never": Book(status=404), "/taken": Book(b"a"),
    }  # fmt: skip
    urls = [url + path for path in books.books]
    first, summary = changes(urls, tmp_path)
    assert first == dict.fromkeys(first, ("new", 200)) | {"never": (None, 404)}
    assert summary.changes == {"new": 8}
    books.books |= {
        "/rewritten": Book(b"b", etag='"2"'), "/touched": Book(b"a", etag='"2"'), "/lost": Book(status=410),
        "/fresh": Book(b"a"),
    }  # fmt: skip
    second, summary = changes([*urls[:-1], f"{url}/fresh"], tmp_path)
    assert second == {
        "etag": ("same", 304), "weak": ("same", 304), "date": ("same", 304), "plain": ("same", 200),
        "rewritten": ("changed", 200), "touched": ("same", 200), "lost": ("gone", 410), "never": (None, 404),
        "fresh": ("new", 200),
    }  # fmt: skip
    assert (summary.changes, summary.not_named) == ({"same": 5, "changed": 1, "gone": 1, "new": 1}, 1)
    books.books["/lost"] = Book(b"a")
    third, _ = changes(urls, tmp_path)
    assert (third["lost"], third["taken"], third["rewritten"]) == (("new", 200), ("same", 200), ("same", 304))


def test_a_failure_tells_nothing_and_forgets_nothing(place, tmp_path):
    """What was kept before it is what the next round asks by."""
    books, url = place
    books.books["/a"] = Book(b"a", etag='"1"')
    changes([f"{url}/a"], tmp_path)
    books.books["/a"].status = 500
    assert changes([f"{url}/a"], tmp_path, retry=None)[0] == {"a": (None, 500)}
    books.books["/a"].status = 200
    assert changes([f"{url}/a"], tmp_path)[0] == {"a": ("same", 304)}


def test_a_run_without_rounds_is_the_first_one(place, tmp_path):
    books, url = place
    books.books["/a"] = Book(b"a", etag='"1"')
    (outcome,) = Crawl([f"{url}/a"], state=tmp_path / "s.db")
    assert outcome.change is None
    assert changes([f"{url}/a"], tmp_path)[0] == {"a": ("same", 304)}


def test_numbers_stay_with_their_inputs(place, tmp_path):
    """Whatever comes before them now, and where one is given twice; new ones go on behind."""
    books, url = place
    books.books |= {path: Book(b"a") for path in ("/a", "/b", "/c")}
    list(Crawl([f"{url}/a", f"{url}/b", f"{url}/b"], state=tmp_path / "s.db"))
    again = Crawl([f"{url}/c", f"{url}/b", f"{url}/a", f"{url}/b"], state=tmp_path / "s.db", since_last=True)
    assert Counter((each.index, each.url[-1]) for each in again) == Counter([(0, "a"), (1, "b"), (2, "b"), (3, "c")])


def test_the_same_url_asked_otherwise_is_another_input(place, tmp_path):
    """Its own method, headers and body count; a POST is compared by its body, and never asked conditionally."""
    books, url = place
    books.books["/a"] = Book(b"a", etag='"1"')
    inputs = [Item(url=f"{url}/a", method="POST", body=b"x"), Item(url=f"{url}/a", headers=(("X", "1"),))]
    inputs += [Item(url=f"{url}/a", method="HEAD"), Item(url=f"{url}/a", headers=(("If-None-Match", '"0"'),))]
    list(Crawl(inputs, state=tmp_path / "s.db"))
    books.log.clear()
    found = list(Crawl([*inputs, f"{url}/a"], state=tmp_path / "s.db", since_last=True))
    told = {(each.item.method, each.item.headers): (each.change, each.response.status_code) for each in found}
    assert told == {
        ("POST", ()): ("same", 200), ("GET", (("X", "1"),)): ("same", 304), ("HEAD", ()): ("same", 200),
        ("GET", (("If-None-Match", '"0"'),)): ("same", 200), ("GET", ()): ("new", 200),
    }  # fmt: skip


def test_validators_go_to_the_url_that_gave_them_alone(place, tmp_path):
    """Where a redirect leads elsewhere now, its target is asked for in full."""
    books, url = place
    books.books |= {"/old": Book(b"a", etag='"1"'), "/new": Book(b"b", etag='"1"')}
    books.books["/go"] = Book(status=302, headers={"Location": "/old"})
    assert changes([f"{url}/go"], tmp_path)[0] == {"go": ("new", 200)}
    assert changes([f"{url}/go"], tmp_path)[0] == {"go": ("same", 304)}
    books.books["/go"].headers = {"Location": "/new"}
    assert changes([f"{url}/go"], tmp_path)[0] == {"go": ("changed", 200)}
    asked = [(path, headers.get("if-none-match")) for path, headers, _ in books.log]
    assert asked == [("/go", None), ("/old", None), ("/go", None), ("/old", '"1"'), ("/go", None), ("/new", None)]


def test_a_site_that_says_304_unasked_is_not_believed(place, tmp_path):
    books, url = place
    books.books["/a"] = Book(b"a")
    changes([f"{url}/a"], tmp_path)
    books.books["/a"].status = 304
    assert changes([f"{url}/a"], tmp_path)[0] == {"a": (None, 304)}


def test_what_has_not_changed_is_not_parsed(place, tmp_path):
    """There is no body; what could not be parsed is asked for in full by the next round."""
    books, url = place
    books.books["/a"] = Book(b"a", etag='"1"')
    seen, options = [], {"state": tmp_path / "s.db", "since_last": True}

    def parse(outcome):
        seen.append(outcome.response.status_code)
        if len(seen) == 1:
            raise ValueError("mine")

    assert [(each.verdict, each.change) for each in Crawl([f"{url}/a"], parse=parse, **options)] == [("failed", None)]
    assert [each.change for each in Crawl([f"{url}/a"], parse=parse, **options)] == ["new"]
    assert [each.change for each in Crawl([f"{url}/a"], parse=parse, **options)] == ["same"]
    assert seen == [200, 200]


def test_a_crawl_asks_again_for_what_an_unchanged_page_leads_to(place, tmp_path):
    """A page that has not changed is not read for links, and what it links to may have."""
    books, url = place
    books.books |= {"/": Book(b"/a", etag='"1"'), "/a": Book(b"/b", etag='"1"'), "/b": Book(b"", etag='"1"')}

    def parse(outcome):
        yield from outcome.response.text.split()

    options = {"parse": parse, "key": str.encode}
    assert Counter(each for each, _ in changes([f"{url}/"], tmp_path, **options)[0].values()) == {"new": 3}
    books.books["/b"] = Book(b"/c /a", etag='"2"')
    books.books["/c"] = Book(b"")
    found, summary = changes([f"{url}/"], tmp_path, **options)
    assert {path: change for path, (change, _) in found.items()} == {
        "": "same",
        "a": "same",
        "b": "changed",
        "c": "new",
    }
    assert summary.not_named == 0


@pytest.mark.parametrize("times", [1, 2])
def test_a_round_that_was_stopped_goes_on_as_the_same_one(place, tmp_path, times):
    """Each input has one row in it, and tells what has changed since the round before, whatever was stopped."""
    books, url = place
    books.books |= {f"/{n}": Book(b"a", etag='"1"') for n in range(40)}
    urls = [url + path for path in books.books]
    changes(urls, tmp_path)
    books.books |= {f"/{n}": Book(b"b", etag='"2"') for n in range(0, 40, 4)}
    for number in range(times):
        rows, told = tmp_path / f"{number}.jsonl", Counter()
        while True:
            pages = None if told else 15
            options = {"sinks": [sink_for(rows)], "identity": {"outputs": str(rows)}, "max_pages": pages}
            crawl = Crawl(urls, state=tmp_path / "s.db", since_last=True, **options)
            told.update(each.change for each in crawl)
            if crawl.summary.complete:
                break
        found = [json.loads(line) for line in rows.read_text().splitlines()]
        assert sorted(row["index"] for row in found) == list(range(40))
        wanted = {"same": 30, "changed": 10} if number == 0 else {"same": 40}
        assert Counter(row["change"] for row in found) == told == wanted


def test_another_round_cannot_begin_amid_one(place, tmp_path):
    books, url = place
    books.books |= {f"/{n}": Book(b"a") for n in range(5)}
    urls = [url + path for path in books.books]
    list(Crawl(urls, state=tmp_path / "s.db", identity={"outputs": "a"}, max_pages=2))
    with pytest.raises(StateError, match="has not come to its end; go on with that"):
        Crawl(urls, state=tmp_path / "s.db", identity={"outputs": "b"}, since_last=True)


def test_a_round_takes_no_output_of_before(place, tmp_path):
    """Its rows would be lost; stdout is never one."""
    books, url = place
    books.books["/a"] = Book(b"a")
    for outputs in ("-, a.jsonl", "-, b.jsonl"):
        list(Crawl([f"{url}/a"], state=tmp_path / "s.db", identity={"outputs": outputs}, since_last=True))
    for name in ("a.jsonl", "b.jsonl"):
        with pytest.raises(StateError, match=f"{name} has the rows of the run before"):
            Crawl([f"{url}/a"], state=tmp_path / "s.db", identity={"outputs": f"-, {name}"}, since_last=True)
    with pytest.raises(StateError, match="whose --header was not there, now it is x"):
        Crawl([f"{url}/a"], state=tmp_path / "s.db", identity={"outputs": "-", "--header": "x"}, since_last=True)


def test_rounds_need_a_state():
    with pytest.raises(InvalidRequest, match="since_last must be given with a state"):
        Crawl(["http://h/"], since_last=True)


def test_files_are_those_of_the_last_change(place, tmp_path):
    """One that was removed is asked for in full; what has not changed is left as it is."""
    books, url = place
    books.books |= {path: Book(b"a", etag='"1"') for path in ("/same", "/new", "/gone", "/removed")}
    books.books["/plain"] = Book(b"a")
    inputs = [Item(url=url + path, name=path) for path in books.books]
    folder = tmp_path / "files"
    changes(inputs, tmp_path, sinks=[Folder(folder, keep=True)])
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("[a-z]*")}
    (folder / "removed").unlink()
    books.books["/new"] = Book(b"b", etag='"2"')
    books.books["/gone"] = Book(status=404)
    found, _ = changes(reversed(inputs), tmp_path, sinks=[Folder(folder, keep=True)])
    assert (found["same"], found["removed"], found["new"]) == (("same", 304), ("same", 200), ("changed", 200))
    assert {path.name: path.read_bytes() for path in folder.glob("[a-z]*")} == {
        "same": b"a", "new": b"b", "gone": b"a", "removed": b"a", "plain": b"a",
    }  # fmt: skip
    assert all((folder / name).stat().st_mtime_ns == before[name] for name in ("same", "plain", "gone"))


def test_what_is_unchanged_is_a_revisit_in_the_archive(place, tmp_path):
    """Of the profile server-not-modified, with the digest and the date of the record that has the body."""
    books, url = place
    books.books |= {"/a": Book(b"payload", etag='"1"', headers={"Content-Type": "text/plain"}), "/b": Book(b"b")}
    for name in ("1", "2"):
        list(
            Crawl([f"{url}/a", f"{url}/b"], state=tmp_path / "s.db", since_last=True, identity={"outputs": name},
                  sinks=[sink_for(tmp_path / f"{name}.warc.gz")])
        )  # fmt: skip
    (full,) = [each for each in records(tmp_path / "1.warc.gz", "response") if each["WARC-Target-URI"] == f"{url}/a"]
    (revisit,) = records(tmp_path / "2.warc.gz", "revisit")
    assert revisit["WARC-Profile"] == "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
    assert revisit["WARC-Refers-To-Target-URI"] == revisit["WARC-Target-URI"] == f"{url}/a"
    assert revisit["WARC-Refers-To-Date"] == full["WARC-Date"]
    assert revisit["WARC-Payload-Digest"] == full["WARC-Payload-Digest"]
    assert "If-None-Match" in requests(tmp_path / "2.warc.gz", f"{url}/a")
    with (tmp_path / "2.warc.gz").open("rb") as file:
        fast = [each for each in FastIterator(file) if each.headers["WARC-Type"] == "revisit"]
    assert len(fast) == 1
    lines = [line.split(" ", 2) for line in (tmp_path / "2.cdxj").read_text().splitlines()]
    index = {facts["url"]: (stamp, facts) for _, stamp, facts in ((key, at, json.loads(x)) for key, at, x in lines)}
    stamp, facts = index[f"{url}/a"]
    assert (facts["mime"], facts["status"]) == ("warc/revisit", "304")
    assert facts["digest"] == full["WARC-Payload-Digest"]
    assert datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC).strftime("%FT%TZ") == revisit["WARC-Date"]
    with (tmp_path / "2.warc.gz").open("rb") as file:
        file.seek(int(facts["offset"]))
        record = next(iter(ArchiveIterator(file, check_digests="raise")))
        assert (record.rec_type, record.http_headers.get_statuscode()) == ("revisit", "304")
        assert record.http_headers.get_header("ETag") == '"1"'
        assert record.content_stream().read() == b""


def records(path, kind):
    """Return the heads of records of that type, all digests checked."""
    with path.open("rb") as file:
        found = [(each.rec_type, dict(each.rec_headers.headers), each.content_stream().read())
                 for each in ArchiveIterator(file, check_digests="raise")]  # fmt: skip
    return [head for found_kind, head, _ in found if found_kind == kind]


def requests(path, url):
    """Return the head of the request for a URL."""
    with path.open("rb") as file:
        for each in ArchiveIterator(file):
            if each.rec_type == "request" and each.rec_headers.get_header("WARC-Target-URI") == url:
                return str(each.http_headers)
    raise AssertionError(url)


def test_what_is_there_is_not_asked_for(place, tmp_path):
    """By its URL, in later runs over other lists, too; not what is gone, nor what has another URL."""
    books, url = place
    books.books |= {path: Book(path.encode()) for path in ("/a", "/b", "/c")}
    folder = tmp_path / "files"
    list(Crawl([f"{url}/a", f"{url}/b"], sinks=[folder_for(folder)]))
    (folder / "000001-b").unlink()
    books.log.clear()
    urls = [f"{url}/c", f"{url}/a", f"{url}/b"]
    found = list(Crawl(urls, sinks=[Folder(folder, keep=True)], skip_existing=True))
    assert {each.url[-1]: (each.verdict, each.reason) for each in found} == {
        "a": ("skipped", "exists"), "b": ("fetched", None), "c": ("fetched", None),
    }  # fmt: skip
    assert {path for path, _, _ in books.log} == {"/b", "/c"}
    assert sorted(path.read_bytes() for path in folder.glob("0*")) == [b"/a", b"/b", b"/c"]
    assert {each.reason for each in Crawl(urls, sinks=[Folder(folder, keep=True)], skip_existing=True)} == {"exists"}


def test_what_is_there_under_a_name_is_not_asked_for(place, tmp_path):
    """Whoever has put it there, unless the folder's own notes say that it is another URL's."""
    books, url = place
    books.books |= {"/a": Book(b"a"), "/b": Book(b"b")}
    folder = tmp_path / "files"
    list(Crawl([Item(url=f"{url}/a", name="one")], sinks=[folder_for(folder)]))
    (folder / "two").write_bytes(b"somebody's")
    (folder / "empty").touch()
    inputs = [Item(url=f"{url}/b", name="one"), Item(url=f"{url}/b", name="two"), Item(url=f"{url}/a", name="one")]
    found = list(Crawl(inputs, sinks=[Folder(folder, keep=True)], skip_existing=True))
    assert {each.index: each.reason for each in found} == {0: None, 1: "exists", 2: "exists"}
    assert {path.name: path.read_bytes() for path in folder.glob("[a-z]*")} == {
        "one": b"a", "one-0": b"b", "two": b"somebody's", "empty": b"",
    }  # fmt: skip


def test_names_that_are_made_of_urls_overwrite_nothing_of_earlier_runs(place, tmp_path):
    """The number of another list's item may be the same, and the end of its URL."""
    books, url = place
    books.books |= {"/x/logo": Book(b"x"), "/y/logo": Book(b"y")}
    for path in books.books:
        list(Crawl([url + path], sinks=[Folder(tmp_path, keep=True)], skip_existing=True))
    assert sorted(path.read_bytes() for path in tmp_path.glob("0*")) == [b"x", b"y"]


def test_to_skip_what_is_there_a_folder_is_needed():
    with pytest.raises(InvalidRequest, match="skip_existing must be given with a sink that keeps files"):
        Crawl(["http://h/"], skip_existing=True)
