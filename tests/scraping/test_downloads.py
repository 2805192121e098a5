"""Large files: they go to the disk as they come, go on where they were cut, and are never made of two files."""

import gzip
import hashlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from servers import Listening, read_request
from shelf import LONG_AGO, Book, shelf

from workerpool import Retry
from workerpool.scraping import Crawl, Item, Politeness
from workerpool.scraping.parts import Note, Part
from workerpool.scraping.sinks.folder import Folder

QUICK = Retry(attempts=3, wait_initial=0.01, wait_max=0.02)
MIB = 2**20


def made(name: str, size: int = 3 * MIB) -> bytes:
    """Return bytes of which no two places are alike, and no two names."""
    return b"".join(hashlib.blake2b(f"{name} {n}".encode()).digest() for n in range(size // 64))


OLD, NEW = made("old"), made("new")


@pytest.fixture
def place():
    with shelf() as (books, url):
        yield books, url


def saved(urls, folder, **options):
    """Run, and return the outcomes and the file of the name `file`."""
    items = [Item(url=url, name="file") for url in urls]
    sink = Folder(folder, stream=True, held=MIB, largest=options.pop("largest", None))
    outcomes = list(Crawl(items, sinks=[sink], retry=QUICK, **options))
    path = folder / "file"
    return outcomes, path.read_bytes() if path.exists() else None


def asked(books):
    """Return what was asked for once it was known that the file is large."""
    return [
        (headers.get("range"), headers.get("if-range"), status)
        for _, headers, status in books.log
        if headers.get("accept-encoding") == "identity"
    ]


def parts(folder):
    return sorted(path.name for path in (folder / ".parts").glob("*")) if (folder / ".parts").exists() else []


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 64, 3 * MIB])
def test_a_file_of_any_size_is_whole(place, tmp_path, size):
    """Large ones are in no response; small ones are, as ever."""
    books, url = place
    body = made("x", size) if size > 1 else b"x" * size
    books.books["/f"] = Book(body, etag='"1"')
    (outcome,), found = saved([f"{url}/f"], tmp_path)
    assert found == body
    assert (outcome.size, outcome.saved is not None) == (size, size > MIB)
    assert parts(tmp_path) == []


@pytest.mark.parametrize("validators", [{"etag": '"1"'}, {"modified": LONG_AGO}, {"etag": '"1"', "modified": LONG_AGO}])
def test_a_file_that_was_cut_is_gone_on_with(place, tmp_path, validators):
    """Each cut costs one request, for the rest; and the last byte comes once more. One was to learn that it is large."""
    books, url = place
    books.books["/f"] = Book(OLD, cuts=[2 * MIB, MIB // 2], **validators)
    (outcome,), found = saved([f"{url}/f"], tmp_path, state=tmp_path / "s.db")
    assert found == OLD
    guard = validators.get("etag", LONG_AGO)
    assert [(None, None, 200), (guard, 206), (guard, 206)] == [
        asked(books)[0],
        *(each[1:] for each in asked(books)[1:]),
    ]
    starts = [int(each[0].removeprefix("bytes=").rstrip("-")) for each in asked(books)[1:]]
    assert MIB < starts[0] < 2 * MIB < starts[1] < len(OLD)
    assert (outcome.verdict, len(outcome.attempts), parts(tmp_path)) == ("fetched", 4, [])


@pytest.mark.parametrize(
    "book",
    [
        Book(OLD, etag='W/"1"'),
        Book(OLD),
        Book(OLD, modified="Thu, 01 Jan 2099 00:00:00 GMT"),
        Book(gzip.compress(OLD), etag='"1"', headers={"Content-Encoding": "gzip"}),
    ],
    ids=["weak", "nothing", "just changed", "encoded"],
)
def test_what_cannot_be_told_from_another_file_begins_anew(place, tmp_path, book):
    """A weak ETag, none, a date of just now, a packed answer: another request for the whole, not packed."""
    books, url = place
    books.books["/f"] = book
    book.cuts = [2 * MIB]
    _, found = saved([f"{url}/f"], tmp_path)
    assert found == OLD
    assert asked(books) == [(None, None, 200)] * 2
    assert parts(tmp_path) == []


@pytest.mark.parametrize("faults", [[], ["no-if-range"], ["no-range"], ["no-if-range", "silent"]], ids=str)
def test_a_file_that_changes_amid_is_the_new_one(place, tmp_path, faults):
    """Whatever of Range and If-Range the server heeds."""
    books, url = place
    new = Book(NEW, etag='"2"', faults=frozenset(faults))
    books.books["/f"] = Book(OLD, etag='"1"', cuts=[2 * MIB], then=new)
    _, found = saved([f"{url}/f"], tmp_path)
    assert found == NEW
    assert parts(tmp_path) == []


@pytest.mark.parametrize("fault", ["wrong-offset", "other-total", "silent", "no-range"])
def test_a_wrong_answer_to_a_range_makes_no_mixed_file(place, tmp_path, fault):
    """It is given up, and the whole asked for."""
    books, url = place
    books.books["/f"] = Book(OLD, etag='"1"', cuts=[2 * MIB], faults=frozenset({fault}))
    (outcome,), found = saved([f"{url}/f"], tmp_path)
    assert (found, outcome.response.status_code) == (OLD, 200)
    assert [status for _, _, status in asked(books)] == ([200, 200] if fault == "no-range" else [200, 206, 200])
    assert parts(tmp_path) == []


def test_a_file_that_has_shrunk_begins_anew(place, tmp_path):
    """The server knows no If-Range, and says 416."""
    books, url = place
    left(tmp_path, f"{url}/f", OLD)
    small = made("small", MIB + 64)
    books.books["/f"] = Book(small, etag='"1"', faults=frozenset({"no-if-range"}))
    (outcome,), found = saved([f"{url}/f"], tmp_path)
    assert (found, [status for _, _, status in asked(books)]) == (small, [416, 200])
    assert [attempt.status for attempt in outcome.attempts] == [416, 200]


def left(folder, url, data, total=None, place=None):
    """Leave a part as a run does that is killed."""
    folder.mkdir(exist_ok=True)
    part = Part.open(folder / ".parts", url, anew=True)
    headers = {"ETag": '"1"'} | ({} if total is None else {"Content-Length": str(total)})
    part.begin(Note.of(url, place or url, headers))
    part.write(data)
    part.leave()


@pytest.mark.parametrize("total", [None, len(OLD)])
def test_a_part_that_is_whole_costs_one_byte(place, tmp_path, total):
    """There is always one to ask for, so no server has to say 416, in which it cannot say whether the file has changed."""
    books, url = place
    left(tmp_path, f"{url}/f", OLD, total)
    books.books["/f"] = Book(OLD, etag='"1"')
    _, found = saved([f"{url}/f"], tmp_path)
    assert (found, asked(books)) == (OLD, [(f"bytes={len(OLD) - 1}-", '"1"', 206)])


def test_a_last_byte_that_differs_is_another_file(place, tmp_path):
    """Under the same ETag, as a server may have it that makes them badly."""
    books, url = place
    left(tmp_path, f"{url}/f", NEW[: 2 * MIB - 1] + bytes([OLD[2 * MIB - 1] ^ 1]))
    books.books["/f"] = Book(OLD, etag='"1"')
    _, found = saved([f"{url}/f"], tmp_path)
    assert (found, [status for _, _, status in asked(books)]) == (OLD, [206, 200])


@pytest.mark.parametrize("note", ["", "{}", "[]", '{"url": 5}', None])
def test_a_part_without_its_note_begins_anew(place, tmp_path, note):
    books, url = place
    left(tmp_path, f"{url}/f", NEW[: 2 * MIB])
    (path,) = (tmp_path / ".parts").glob("*.json")
    path.unlink() if note is None else path.write_text(note)
    books.books["/f"] = Book(OLD, etag='"1"')
    _, found = saved([f"{url}/f"], tmp_path)
    told = [(headers.get("range"), status) for _, headers, status in books.log]
    assert (found, told, parts(tmp_path)) == (OLD, [(None, 200)], [])


def test_after_a_start_of_the_system_only_what_was_synced_counts(tmp_path):
    """What was written last may be nothing but zeros on the disk."""
    left(tmp_path, "http://h/f", b"a" * 1000)
    (path,) = (tmp_path / ".parts").glob("*.json")
    note = json.loads(path.read_text())
    assert note["synced"] == 1000
    path.write_text(json.dumps(note | {"synced": 400, "boot": "another"}))
    part = Part.open(tmp_path / ".parts", "http://h/f", anew=False)
    assert part.size == 400
    part.leave()


def test_a_part_of_a_place_that_a_redirect_no_longer_leads_to_is_not_used(place, tmp_path):
    """The same ETag elsewhere is another file's; another query, as signed URLs have it, is the same place."""
    books, url = place
    left(tmp_path / "a", f"{url}/go", OLD[: 2 * MIB], place=f"{url}/f?signed=1")
    left(tmp_path / "b", f"{url}/go", NEW[: 2 * MIB], place=f"{url}/other")
    books.books["/f"] = Book(OLD, etag='"1"')
    books.books["/go"] = Book(status=302, headers={"Location": "/f"})
    assert saved([f"{url}/go"], tmp_path / "a")[1] == OLD
    assert books.log[-1][2] == 206
    assert saved([f"{url}/go"], tmp_path / "b")[1] == OLD
    assert [path for path, _, _ in books.log[-2:]] == ["/go", "/f"]


def test_the_same_url_twice_at_once_is_two_files(place, tmp_path):
    """Each in a part of its own."""
    books, url = place
    books.books["/f"] = Book(OLD, etag='"1"')
    found, _ = saved([f"{url}/f"] * 6, tmp_path)
    files = [path.read_bytes() for path in tmp_path.glob("f*")]
    assert (len(found), len(files), set(files) == {OLD}, parts(tmp_path)) == (6, 6, True, [])


def test_a_file_without_an_end_is_bounded(place, tmp_path):
    books, url = place
    books.books["/f"] = Book(OLD, etag='"1"', faults=frozenset({"chunked"}))
    (outcome,), found = saved([f"{url}/f"], tmp_path, largest=2 * MIB)
    assert (outcome.verdict, outcome.reason, found, parts(tmp_path)) == ("failed", "size", None, [])


def test_rounds_compare_large_files(place, tmp_path):
    """By their digest, where the server says nothing; one that is the same stays, and so does its time."""
    books, url = place
    books.books["/f"] = Book(OLD)
    times = []
    for body in (OLD, OLD, NEW):
        books.books["/f"].body = body
        sink = Folder(tmp_path / "files", keep=True, stream=True, held=MIB)
        item = Item(url=f"{url}/f", name="file")
        (outcome,) = Crawl([item], sinks=[sink], state=tmp_path / "s.db", since_last=True)
        times.append((outcome.change, (tmp_path / "files/file").read_bytes() == body))
        assert parts(tmp_path / "files") == []
    assert times == [("new", True), ("same", True), ("changed", True)]


def half(connection):
    """Send the first half of the file, and nothing more until the other side goes."""
    read_request(connection)
    head = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: %d\r\n\r\n' % len(OLD)
    connection.sendall(head + OLD[: 2 * MIB])
    HALF_SENT.set()
    connection.recv(1)


HALF_SENT = threading.Event()
CHILD = """
import sys
from workerpool.scraping import Crawl, Item
from workerpool.scraping.sinks.folder import Folder
MIB = 2**20
url, folder, state = sys.argv[1:]
Crawl([Item(url=url, name="file")], sinks=[Folder(folder, stream=True, held=MIB)], state=state).run()
"""


def test_a_kill_amid_a_file_costs_what_was_not_written(tmp_path):
    """The next run of the same command goes on in it, and it is whole then."""
    HALF_SENT.clear()
    with Listening(half) as server:
        url, folder, state = server.url + "f", tmp_path / "files", tmp_path / "s.db"
        command = [sys.executable, "-c", CHILD, url, str(folder), str(state)]
        child = subprocess.Popen(command)
        assert HALF_SENT.wait(60)
        while not any(path.stat().st_size > MIB for path in (folder / ".parts").glob("*.part")):
            assert child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.wait()
        port = server.port
    assert not (folder / "file").exists()
    (path,) = (folder / ".parts").glob("*.part")
    written = path.stat().st_size
    with shelf(f=Book(OLD, etag='"1"')) as (books, other):
        for each in (folder / ".parts").glob("*.json"):  # the same place, under another port
            each.write_text(each.read_text().replace(f":{port}/", f":{other.rpartition(':')[2]}/"))
        renamed(folder / ".parts", url, f"{other}/f")
        _, found = saved([f"{other}/f"], folder)
        assert found == OLD
        assert asked(books) == [(f"bytes={written - 1}-", '"1"', 206)]


def renamed(folder: Path, before: str, now: str) -> None:
    """Give a part the name that it has for another URL."""
    for path in list(folder.iterdir()):
        name = hashlib.blake2b(now.encode(), digest_size=16).hexdigest()
        path.rename(path.with_name(name + path.suffix))
    assert before != now


def test_a_stop_leaves_the_part(tmp_path):
    """Twice is at once; what has come is kept."""
    HALF_SENT.clear()
    with Listening(half) as server:
        crawl = Crawl([server.url + "f"], sinks=[Folder(tmp_path, stream=True, held=MIB)], state=tmp_path / "s.db")

        def stop():
            HALF_SENT.wait(60)
            while not any(path.stat().st_size > MIB for path in (tmp_path / ".parts").glob("*.part")):
                pass
            crawl.stop()
            crawl.stop()

        stopper = threading.Thread(target=stop)
        stopper.start()
        assert list(crawl) == []
        stopper.join()
    part = Part.open(tmp_path / ".parts", server.url + "f", anew=False)
    assert part.size > MIB
    part.leave()


def test_bodies_of_a_host_are_downloads_while_they_are_large(place, tmp_path):
    """The first one is given up at its head; small ones are asked for as ever, and memory is bounded by `held`."""
    books, url = place
    books.books |= {f"/{n}": Book(OLD) for n in range(4)} | {"/small": Book(b"a"), "/next": Book(b"a")}
    items = [url + path for path in books.books]
    outcomes = list(Crawl(items, sinks=[Folder(tmp_path, stream=True, held=MIB)], politeness=Politeness(per_host=1)))
    assert [len(each.attempts) for each in outcomes] == [2, 1, 1, 1, 1, 1]
    assert [each.saved is not None for each in outcomes] == [True] * 4 + [False] * 2
    assert {path.read_bytes() for path in tmp_path.glob("0*")} == {OLD, b"a"}
    assert [path for path, headers, _ in books.log if "identity" not in headers["accept-encoding"]][-1] == "/next"
