"""WARC, CDXJ and WACZ, read back by warcio and by FastWARC."""

import base64
import gzip
import hashlib
import io
import json
import zipfile
from types import SimpleNamespace

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from outcomes import answer, failed, fetched, mixed, skipped
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from workerpool import Request
from workerpool.scraping import SinkError
from workerpool.scraping.sinks import cdxj
from workerpool.scraping.sinks.cdxj import surt
from workerpool.scraping.sinks.wacz import Wacz
from workerpool.scraping.sinks.warc import Warc
from workerpool.testing import FakePool

BODY = b"the same for all " * 20


def archived(path, outcomes, **options):
    """Write an archive at once, and return its records as warcio reads them."""
    sink = Warc(path, **options)
    sink.open(None)
    for outcome in outcomes:
        sink.write(outcome)
    sink.flush()
    sink.close()
    return records(path)


def records(path):
    """Return (type, headers, HTTP head, content) of each record; every digest is right, for both readers."""
    found = []
    with path.open("rb") as file:
        for record in ArchiveIterator(file, check_digests="raise"):
            content = record.raw_stream.read()
            found.append((record.rec_type, dict(record.rec_headers.headers), record.http_headers, content))
    assert whole(path) == [(kind, head["WARC-Record-ID"], content) for kind, head, _, content in found]
    return found


def whole(path):
    """Return what FastWARC finds, with all digests checked."""
    found = []
    with path.open("rb") as file:
        for record in FastIterator(file, parse_http=False):
            kind = record.headers["WARC-Type"]
            assert record.verify_block_digest(), (kind, record.headers)
            record.parse_http()
            if record.headers.get("WARC-Payload-Digest") and kind != "revisit":
                assert record.verify_payload_digest(), (kind, record.headers)
            found.append((kind, record.headers.get("WARC-Record-ID"), record.reader.read()))
    return found


def asked(http):
    """Return the first line of a request, which warcio takes apart."""
    return f"{http.protocol} {http.statusline}"


def of(kind, found):
    return [record for record in found if record[0] == kind]


@pytest.mark.parametrize("name", ["x.warc", "x.warc.gz"])
def test_an_archive_has_requests_and_answers(tmp_path, name):
    """A first record that says what it is; then of each answer a response, and the request that belongs to it."""
    found = archived(tmp_path / name, [fetched(0), failed(1), skipped(2), fetched(3)], info={"operator": "me"})
    assert ["warcinfo", "response", "request", "response", "request"] == [record[0] for record in found]
    assert b"operator: me\r\n" in found[0][3]
    assert name == found[0][1]["WARC-Filename"]
    _, head, http, content = found[1]
    assert ("http://example.com/page/0", "200 OK", b"page 0 " * 20) == (
        head["WARC-Target-URI"], http.statusline, content,
    )  # fmt: skip
    assert "2026-09-21T14:13:20Z" == head["WARC-Date"]
    assert head["WARC-Record-ID"] == found[2][1]["WARC-Concurrent-To"]
    assert ("GET /page/0 HTTP/1.1", "example.com") == (asked(found[2][2]), found[2][2].get_header("Host"))


def test_warcio_finds_no_fault(tmp_path):
    """Its own checker goes through the archive."""
    archived(tmp_path / "x.warc.gz", mixed(40))

    checker = Checker(SimpleNamespace(inputs=[str(tmp_path / "x.warc.gz")], verbose=True))
    checker.process_all()
    assert 0 == checker.exit_value


def test_each_record_is_a_member_of_gzip(tmp_path):
    """So one can be read from its offset in the index alone."""
    archived(tmp_path / "x.warc.gz", mixed(20))
    data = (tmp_path / "x.warc.gz").read_bytes()
    for line in (tmp_path / "x.cdxj").read_text().splitlines():
        facts = json.loads(line.split(" ", 2)[2])
        start, length = int(facts["offset"]), int(facts["length"])
        text = gzip.decompress(data[start : start + length])
        assert text.startswith(b"WARC/1.1\r\nWARC-Type: re")
        assert facts["url"].encode() in text
        assert facts["digest"].encode() in text


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ([("Content-Encoding", "gzip"), ("Content-Length", "7")], {"X-Archive-Orig-Content-Encoding": "gzip"}),
        ([("Transfer-Encoding", "chunked")], {"X-Archive-Orig-Transfer-Encoding": "chunked"}),
        ([("Content-Length", "7"), ("Content-Length", "7")], {"X-Archive-Orig-Content-Length": "7"}),
        ([], {}),
    ],
    ids=["coded", "chunked", "two-lengths", "until-close"],
)
def test_the_head_fits_the_body_that_is_stored(tmp_path, headers, kept):
    """What the server said of a body that is stored otherwise has another name; so the payload's digest is right."""
    [*_, response, _] = archived(tmp_path / "x.warc.gz", [fetched(0, answer(content=BODY, headers=headers))])
    _, head, http, content = response
    assert BODY == content
    assert str(len(BODY)) == http.get_header("Content-Length")
    assert head["WARC-Payload-Digest"] == "sha1:" + base64.b32encode(hashlib.sha1(BODY).digest()).decode()
    assert {"Transfer-Encoding", "Content-Encoding"}.isdisjoint(name for name, _ in http.headers)
    assert kept.items() <= dict(http.headers).items()


def test_bytes_as_received_are_stored_so(tmp_path):
    """An answer that was not decoded keeps its Content-Encoding."""
    request = Request.prepared("GET", "http://example.com/", [("Accept-Encoding", "gzip")], None)
    raw = gzip.compress(BODY)
    response = answer(
        content=raw, headers=[("Content-Encoding", "gzip"), ("Content-Length", str(len(raw)))], request=request
    )
    [_, (_, head, http, content), _] = archived(tmp_path / "x.warc.gz", [fetched(0, response)])
    assert (raw, "gzip") == (content, http.get_header("Content-Encoding"))
    assert "sha1:" + base64.b32encode(hashlib.sha1(raw).digest()).decode() == head["WARC-Payload-Digest"]
    with (tmp_path / "x.warc.gz").open("rb") as file:
        found = next(
            record.content_stream().read() for record in ArchiveIterator(file) if record.rec_type == "response"
        )
    assert BODY == found


def test_a_body_that_was_seen_is_not_stored_again(tmp_path):
    """A revisit names the first one by URL and date; empty bodies are no copies of each other."""
    pages = [fetched(n, answer(f"http://example.com/{n}", BODY)) for n in range(3)]
    found = archived(tmp_path / "x.warc.gz", [*pages, fetched(3, answer(content=b"")), fetched(4, answer(content=b""))])
    first, *_ = of("response", found)
    assert 3 == len(of("response", found))
    for kind, head, http, content in of("revisit", found):
        assert ("revisit", b"", "200 OK") == (kind, content, http.statusline)
        assert "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest" == head["WARC-Profile"]
        assert first[1]["WARC-Target-URI"] == head["WARC-Refers-To-Target-URI"] == "http://example.com/0"
        assert first[1]["WARC-Date"] == head["WARC-Refers-To-Date"]
        assert first[1]["WARC-Payload-Digest"] == head["WARC-Payload-Digest"]
    assert 2 == len(of("revisit", found))


def test_bodies_are_remembered_over_a_resume(tmp_path):
    """The last ones, from the index; one that was cut off is not referred to."""
    path = tmp_path / "x.warc.gz"
    sink = Warc(path, remembered=2)
    sink.open(None)
    for n in range(4):
        sink.write(fetched(n, answer(f"http://example.com/{n}", b"body %d" % n)))
    position = sink.flush()
    sink.write(fetched(4, answer("http://example.com/4", b"lost")))
    sink.flush()
    sink.abandon()
    again = Warc(path, remembered=2)
    again.open(position)
    for n, body in enumerate([b"body 3", b"lost", b"body 0"], 10):
        again.write(fetched(n, answer(f"http://example.com/{n}", body)))
    again.close()
    found = records(path)
    assert ["http://example.com/10"] == [head["WARC-Target-URI"] for _, head, _, _ in of("revisit", found)]
    assert 6 == len(of("response", found))


def test_an_archive_that_begins_anew_remembers_nothing(tmp_path):
    """Opened again, the same sink refers to no record of before."""
    sink = Warc(tmp_path / "x.warc")
    for _ in range(2):
        sink.open(None)
        sink.write(fetched(0))
        sink.flush()
        sink.abandon()
    sink.open(None)
    sink.write(fetched(0))
    sink.close()
    assert ["warcinfo", "response", "request"] == [record[0] for record in records(tmp_path / "x.warc")]


def test_redirects_have_records_of_their_own(tmp_path):
    """With the method that each hop had; a body that was too long to wait for is told to be cut."""
    request = Request("POST", "http://example.com/a", data=b"a=1", headers={"X-Own": "1"})
    hops = (
        answer("http://example.com/a", b"", 307, [("Location", "/b"), ("Content-Length", "99999")], reason="Go"),
        answer("http://example.com/b", b"moved", 303, [("Location", "/c")], reason="See"),
    )
    found = archived(
        tmp_path / "x.warc.gz", [fetched(0, answer("http://example.com/c", request=request, history=hops))]
    )
    assert ["307 Go", "303 See", "200 OK"] == [http.statusline for _, _, http, _ in of("response", found)]
    assert "length" == of("response", found)[0][1]["WARC-Truncated"]
    sent = [(asked(http), content) for _, _, http, content in of("request", found)]
    assert [("POST /a HTTP/1.1", b"a=1"), ("POST /b HTTP/1.1", b"a=1"), ("GET /c HTTP/1.1", b"")] == sent
    assert ["3", "3", None] == [http.get_header("Content-Length") for _, _, http, _ in of("request", found)]
    assert 3 == len((tmp_path / "x.cdxj").read_text().splitlines())


def test_what_stays_behind_is_not_in_the_request(tmp_path):
    """Of another origin the archive tells only the headers that the pool sends there."""
    request = Request("http://example.com/a", headers={"X-Own": "1", "Accept": "text/html"})
    hops = (
        answer("http://example.com/a", b"", 302, [("Location", "/b")]),
        answer("http://example.com:80/b", b"", 302, [("Location", "http://other.example/")]),
    )
    found = archived(tmp_path / "x.warc", [fetched(0, answer("http://other.example/", request=request, history=hops))])
    assert ["1", "1", None] == [http.get_header("X-Own") for _, _, http, _ in of("request", found)]
    assert ["text/html"] * 3 == [http.get_header("Accept") for _, _, http, _ in of("request", found)]


def test_no_credentials_are_archived(tmp_path):
    """Neither of the URL nor of the headers; what the lane adds is told by the user."""
    request = Request("http://me:secret@example.com/x#frag", headers={"Authorization": "secret", "Cookie": "a=secret"})
    response = answer("http://me:secret@example.com/x#frag", request=request)
    archived(tmp_path / "x.warc", [fetched(0, response)], headers=[("User-Agent", "tested")])
    data = (tmp_path / "x.warc").read_bytes()
    assert b"secret" not in data + (tmp_path / "x.cdxj").read_bytes()
    assert b"User-Agent: tested\r\n" in data
    assert b"WARC-Target-URI: http://example.com/x\r\n" in data


def test_no_answer_breaks_out_of_its_record(tmp_path):
    """Line ends, half characters and NUL in heads, URLs and reasons; a HEAD with a length; a body like a record."""
    url = "http://example.com/\r\nWARC-Type: evil"
    nasty = [
        ("X-\udcff", "a\r\nWARC/1.1\r\n\r\n"),
        ("Folded", "a\r\n b"),
        ("X", "\ud800"),
        ("Content-Type", "a b\r\nc"),
    ]
    evil = b"\r\n\r\nWARC/1.1\r\nWARC-Type: evil\r\n\r\n"
    head = answer(
        "http://example.com/h", b"", headers=[("Content-Length", "77")], request=Request("HEAD", "http://example.com/h")
    )
    response = answer(url, evil, headers=nasty, reason="O\r\nK\x00", request=Request("http://example.com/"))
    found = archived(tmp_path / "x.warc.gz", [fetched(0, response), fetched(1, head), fetched(2)])
    assert ["warcinfo", *["response", "request"] * 3] == [record[0] for record in found]
    assert evil == found[1][3]
    assert "77" == found[3][2].get_header("Content-Length")
    assert 3 == len((tmp_path / "x.cdxj").read_text().splitlines())


def test_answers_of_a_pool_are_archived(tmp_path):
    """As they come: chunked, gzip, redirected."""
    with FakePool() as pool:
        pool.reply("http://site.example/a", status=302, headers={"Location": "/b"})
        pool.reply(
            "http://site.example/b",
            body=gzip.compress(BODY),
            headers={"Content-Encoding": "gzip", "Content-Type": "text/x"},
        )
        response = pool.get("http://site.example/a")
    found = archived(tmp_path / "x.warc.gz", [fetched(0, response)])
    assert ["302 Found", "200 OK"] == [http.statusline for _, _, http, _ in of("response", found)]
    assert BODY == of("response", found)[1][3]
    assert "gzip" == of("response", found)[1][2].get_header("X-Archive-Orig-Content-Encoding")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://example.com", "com,example)/"),
        ("https://www.Example.com:443/Path/?b=2&A=1", "com,example)/path?a=1&b=2"),
        ("http://www2.example.com:8080/a/", "com,example:8080)/a"),
        ("http://127.0.0.1/", "1,0,0,127)/"),
        ("http://[::1]:81/x", "::1:81)/x"),
        ("http://example.com/a b?", "com,example)/a%20b"),
        ("http://example.com/%C3%A4", "com,example)/%c3%a4"),
        ("http://bücher.example/ä", "example,b%c3%bccher)/%c3%a4"),
        ("http://example.com./", "com,example)/"),
    ],
)
def test_keys_of_the_index(url, key):
    """As others make them, and without a space."""
    assert key == surt(url).lower()


def test_the_index_is_sorted_in_bounded_memory(tmp_path, monkeypatch):
    """Runs that do not fit are put aside, and merged."""
    archived(tmp_path / "x.warc.gz", mixed(60))
    expected = (tmp_path / "x.cdxj").read_bytes()
    monkeypatch.setattr(cdxj, "_RUN", 700)
    archived(tmp_path / "y.warc.gz", mixed(60))
    keys = [b" ".join(line.split(b" ")[:2]) for line in (tmp_path / "y.cdxj").read_bytes().splitlines()]
    assert keys == sorted(keys) == [b" ".join(line.split(b" ")[:2]) for line in expected.splitlines()]
    assert ["x.cdxj", "x.warc.gz", "y.cdxj", "y.warc.gz"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_name_that_is_none_of_an_archive(tmp_path):
    """Other endings are refused when it is made."""
    for name in ("x.gz", "x.warc.zst", ".warc.gz"):
        with pytest.raises(SinkError, match=r"ends with \.warc\.gz or \.warc"):
            Warc(tmp_path / name)


def packed(path, outcomes):
    sink = Wacz(path, title="A test")
    sink.open(None)
    for outcome in outcomes:
        sink.write(outcome)
    position = sink.flush()
    sink.close()
    return position


def test_a_wacz_is_complete(tmp_path):
    """What its package tells is there, with the right digests; pages have titles; the archive is stored as it is."""
    packed(tmp_path / "x.wacz", mixed(40))
    assert ["x.wacz"] == [path.name for path in tmp_path.iterdir()]
    with zipfile.ZipFile(tmp_path / "x.wacz") as archive:
        assert archive.testzip() is None
        package = json.loads(archive.read("datapackage.json"))
        assert ("data-package", "1.1.1", "A test") == (package["profile"], package["wacz_version"], package["title"])
        for resource in package["resources"]:
            data = archive.read(resource["path"])
            assert (resource["bytes"], resource["hash"]) == (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")
        told = json.loads(archive.read("datapackage-digest.json"))
        assert told["hash"] == f"sha256:{hashlib.sha256(archive.read('datapackage.json')).hexdigest()}"
        assert zipfile.ZIP_STORED == archive.getinfo("archive/data.warc.gz").compress_type
        head, *pages = [json.loads(line) for line in archive.read("pages/pages.jsonl").splitlines()]
        assert "json-pages-1.0" == head["format"]
        assert "Page & 4" == pages[0]["title"]
        assert {"http://example.com/new"} == {page["url"] for page in pages}
        (tmp_path / "data.warc.gz").write_bytes(archive.read("archive/data.warc.gz"))
        index = archive.read("indexes/index.cdxj").splitlines()
    assert len(index) == sum(kind in ("response", "revisit") for kind, *_ in records(tmp_path / "data.warc.gz"))
    assert all(json.loads(line.split(b" ", 2)[2])["filename"] == "data.warc.gz" for line in index)


def test_a_finished_wacz_can_be_gone_on_with(tmp_path):
    """Opened at its end and closed it is untouched; with more outcomes it is taken apart and made anew."""
    path = tmp_path / "x.wacz"
    position = packed(path, mixed(10))
    before = path.read_bytes()
    sink = Wacz(path)
    sink.open(position)
    assert position == sink.flush()
    sink.close()
    assert before == path.read_bytes()
    sink.open(position)
    for outcome in mixed(20)[10:]:
        sink.write(outcome)
    sink.close()
    with zipfile.ZipFile(path) as archive, archive.open("archive/data.warc.gz") as file:
        count = sum(1 for _ in ArchiveIterator(io.BytesIO(file.read())))
    packed(tmp_path / "y.wacz", mixed(20))
    with zipfile.ZipFile(tmp_path / "y.wacz") as archive, archive.open("archive/data.warc.gz") as file:
        assert count == sum(1 for _ in ArchiveIterator(io.BytesIO(file.read())))
