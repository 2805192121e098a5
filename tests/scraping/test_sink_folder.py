"""Bodies as files: within the folder, unique, whole, removed where they were not committed."""

import json
import os
import shutil

import fsspec
import pytest
from outcomes import answer, failed, fetched, skipped

from workerpool import Request
from workerpool.scraping import SinkError
from workerpool.scraping.sinks import folder_for
from workerpool.scraping.sinks.claims import Claims
from workerpool.scraping.sinks.folder import Folder
from workerpool.scraping.sinks.names import safe_parts
from workerpool.scraping.sinks.remote import RemoteFolder


def files(folder):
    """Return what the folder holds, by path below it, but for the journal."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != ".files.jsonl":
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def named_file(index, name, body=None):
    return fetched(index, answer(f"http://example.com/{index}", body or b"body %d" % index), name=name)


def saved(folder, outcomes, **options):
    sink = Folder(folder, **options)
    sink.open(None)
    for outcome in outcomes:
        sink.write(outcome)
    sink.flush()
    sink.close()
    return files(folder)


HOSTILE = [
    "..", "../x", "../../etc/passwd", "/etc/passwd", "//host/share", "a/../../x", "./././x", "a/./b", "....//x", "..\\..\\x",
    "C:\\x", "C:x", "\\\\?\\C:\\x", "a\x00b", "\x00", "a\nb", "\x1b[31mred", "a\x7f", "\u202egnp.exe", "a\u200bb", "\udcff\ud800",
    "CON", "con.txt", "nul .txt", "COM1.", "lpt\u00b9", "CONIN$", "x" * 300 + ".jpg", "\u00e4" * 200, "x." + "y" * 300, "name.",
    "name...", "name ", " .", ".", "", " ", ".htaccess", "-rf", "~root", "a:b|c<d>e\"f?g*h", "\uff0e\uff0e\uff0f", "\u2024\u2024/x",
    "e\u0301", "\u00e9", ".files.jsonl", ".files.part", "a/" * 300 + "x", "/" * 300, "000001-x", "%2e%2e%2fx", "aux/x", "$(id)`id`",
]  # fmt: skip


def is_harmless(part):
    """Whether a part of a path can be on any system."""
    stem = part.partition(".")[0].rstrip().lower()
    return (
        part not in ("", ".", "..")
        and part[0] not in ".-~ "
        and part[-1] not in ". "
        and len(part.encode()) <= 255
        and part.isprintable()
        and not set('<>:"/\\|?*') & set(part)
        and stem not in ("con", "prn", "aux", "nul", "conin$", "conout$", "com1", "lpt\u00b9")
    )


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:30])
def test_each_hostile_name_stays_within_the_folder(tmp_path, name):
    """One file, below the folder, under a name that every system bears; nothing beside the folder."""
    found = saved(tmp_path / "in", [named_file(0, name)])
    assert [b"body 0"] == [*found.values()]
    assert all(is_harmless(part) for path in found for part in path.split("/"))
    assert ["in"] == os.listdir(tmp_path)


def test_hostile_names_do_not_meet(tmp_path):
    """All of them at once, twice each: as many files as bodies, also where case does not count."""
    outcomes = [named_file(index, name) for index, name in enumerate(HOSTILE * 2)]
    found = saved(tmp_path / "in", outcomes)
    assert sorted(outcome.response.content for outcome in outcomes) == sorted(found.values())
    assert len(found) == len({path.casefold() for path in found})


@pytest.mark.parametrize(
    "url",
    [
        "http://h/../../x", "http://h/%2e%2e%2fx", "http://h/a%00b", "http://h/CON", "http://h/", "http://h", "http://h/a/?q=/../x",
        "http://h/" + "x" * 400 + ".png", "http://h/%ff%fe", "http://h/.htaccess", "http://h/a%0d%0ab", "http://h/%E2%80%AEgnp.exe",
    ],
)  # fmt: skip
def test_names_of_urls_are_harmless(tmp_path, url):
    """Without a name of the item's, the number comes first."""
    [name] = saved(tmp_path / "in", [fetched(7, answer(url))])
    assert name.startswith("000007-")
    assert is_harmless(name)


@pytest.mark.parametrize(
    ("url", "kind", "name"),
    [
        ("http://h/a/logo.png?x=1", "image/png", "000000-logo.png"),
        ("http://h/a/logo", "image/png", "000000-logo.png"),
        ("http://h/photo.JPEG", "image/jpeg", "000000-photo.JPEG"),
        ("http://h/", "text/html; charset=utf-8", "000000-index.html"),
        ("http://h/page.php", "text/html", "000000-page.php.html"),
        ("http://h/data.bin", "application/octet-stream", "000000-data.bin"),
        ("http://h/data", "", "000000-data"),
        ("http://h/data", "no/such\x1btype", "000000-data"),
        ("http://h/caf%C3%A9", "text/plain", "000000-café.txt"),
    ],
)
def test_names_have_the_suffix_of_their_type(tmp_path, url, kind, name):
    """That of the URL stays where it is of the type."""
    assert [name] == [*saved(tmp_path, [fetched(0, answer(url, headers=[("Content-Type", kind)]))])]


def test_a_name_that_is_taken_gets_the_number(tmp_path):
    """Also by one in other case; a folder or a file in the way is gone around."""
    names = ["a.txt", "A.TXT", "a.txt", "a.txt/x", "d/x", "d", "a-2.txt", "\u00e9", "e\u0301"]
    found = saved(tmp_path, [named_file(*each) for each in enumerate(names)])
    assert {
        "a.txt": b"body 0", "A-1.TXT": b"body 1", "a-2.txt": b"body 2", "a.txt_x": b"body 3", "d/x": b"body 4", "d-5": b"body 5",
        "a-2-6.txt": b"body 6", "\u00e9": b"body 7", "\u00e9-8": b"body 8",
    } == found  # fmt: skip


def test_links_in_the_way_are_not_followed(tmp_path):
    """Neither as a folder, nor as a file, nor as the part that is written first."""
    outside, folder = tmp_path / "outside", tmp_path / "in"
    outside.mkdir()
    folder.mkdir()
    (outside / "f").write_bytes(b"mine")
    (folder / "d").symlink_to(outside)
    (folder / "f").symlink_to(outside / "f")
    (folder / ".files.part").symlink_to(outside / "f")
    sink = Folder(folder)
    sink.open(None)
    for index, name in enumerate(["d/x", "f"]):
        (folder / ".files.part").unlink(missing_ok=True)
        (folder / ".files.part").symlink_to(outside / "f")
        sink.write(named_file(index, name))
    sink.close()
    assert ({"f": b"mine"}, b"body 0", b"body 1") == (
        files(outside),
        (folder / "d_x").read_bytes(),
        (folder / "f").read_bytes(),
    )
    assert not (folder / "f").is_symlink()


def test_a_journal_that_was_tampered_with_removes_nothing_outside(tmp_path):
    """What it names is below the folder, and not behind a link."""
    outside, folder = tmp_path / "outside", tmp_path / "in"
    outside.mkdir()
    (outside / "f").write_bytes(b"mine")
    saved(folder, [])
    (folder / "d").symlink_to(outside)
    lines = [{"name": name} for name in ("../outside/f", str(outside / "f"), "d/f", "", "..", ".files.jsonl")]
    (folder / ".files.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "[]\n\x00\n")
    sink = Folder(folder)
    sink.open({".files.jsonl": 0})
    sink.close()
    assert {"f": b"mine"} == files(outside)


def test_only_good_answers_are_saved_unless_told(tmp_path):
    """Errors, skipped ones and other statuses have no file; what has no body never has one."""
    outcomes = [fetched(0), failed(1), skipped(2), fetched(3, answer(status=404, content=b"none"))]
    outcomes += [fetched(4, answer(status=304)), fetched(5, answer(request=Request("HEAD", "http://example.com/")))]
    assert 1 == len(saved(tmp_path / "a", outcomes))
    assert 2 == len(saved(tmp_path / "b", outcomes, errors=True))


def test_what_was_not_committed_is_removed(tmp_path):
    """After a crash the files since the last commit go, and the part; those outcomes come again."""
    sink = Folder(tmp_path / "in")
    sink.open(None)
    sink.write(named_file(0, "a"))
    position = sink.flush()
    sink.write(named_file(1, "d/b"))
    sink.write(fetched(2))
    shutil.copytree(tmp_path / "in", tmp_path / "crashed")
    sink.abandon()
    assert {"a": b"body 0"} == files(tmp_path / "in")
    (tmp_path / "crashed" / ".files.part").write_bytes(b"hal")
    again = Folder(tmp_path / "crashed")
    again.open(position)
    assert {"a": b"body 0"} == files(tmp_path / "crashed")
    again.write(named_file(3, "A"))
    again.close()
    assert {"a": b"body 0", "A-3": b"body 3"} == files(tmp_path / "crashed")


def test_a_new_run_leaves_the_files_of_others(tmp_path):
    """Those of an earlier run too, but for what has the name of a new one."""
    (tmp_path / "mine").write_bytes(b"mine")
    saved(tmp_path, [named_file(0, "a"), named_file(1, "b")])
    saved(tmp_path, [named_file(2, "a")])
    assert {"mine": b"mine", "a": b"body 2", "b": b"body 1"} == files(tmp_path)


def test_an_outcome_that_comes_again_overwrites_its_own_file(tmp_path):
    """Within a run, and over a resume; another one's stays."""
    sink = Folder(tmp_path)
    sink.open(None)
    sink.write(named_file(0, "a"))
    sink.write(named_file(0, "a", b"newer"))
    position = sink.flush()
    sink.close()
    assert {"a": b"newer"} == files(tmp_path)
    sink.open(position)
    sink.write(named_file(0, "a", b"newest"))
    sink.close()
    assert {"a": b"newest"} == files(tmp_path)


def test_the_journal_says_which_file_is_whose(tmp_path):
    """A line of JSON for each file."""
    saved(tmp_path, [named_file(4, "d/a")])
    [line] = (tmp_path / ".files.jsonl").read_text().splitlines()
    assert {"index": 4, "url": "http://example.com/4", "name": "d/a", "given": True, "bytes": 6} == json.loads(line)


def test_a_place_that_is_no_folder_is_refused(tmp_path):
    """And a folder that vanishes is an error of the system that names a place."""
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(SinkError, match="is no folder"):
        Folder(tmp_path / "f").open(None)
    sink = Folder(tmp_path / "in")
    sink.open(None)
    shutil.rmtree(tmp_path / "in")
    with pytest.raises(OSError, match="in") as caught:
        sink.write(fetched(0))
    assert caught.value.filename.startswith(str(tmp_path / "in"))
    with pytest.raises(SinkError, match="was removed"):
        sink.flush()
    sink.abandon()


@pytest.mark.parametrize(("policy", "synced"), [("flush", 1), ("close", 0)])
def test_bodies_are_on_the_disk_before_their_name_if_wanted(tmp_path, monkeypatch, policy, synced):
    """With fsync="flush"; else the system has them, and all is synced at the end."""
    calls = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda number: (calls.append(os.readlink(f"/proc/self/fd/{number}")), real(number))
    )
    monkeypatch.setattr(os, "sync", lambda: calls.append("all"))
    saved(tmp_path, [fetched(0)], fsync=policy)
    assert synced == sum(call.endswith(".files.part") for call in calls)
    assert (policy == "close") == ("all" in calls)


def test_claims_grow_and_keep_apart():
    """Thousands of names, each its owner's; case does not count."""
    claims = Claims()
    for number in range(5000):
        claims.claim(f"Name {number}", number)
    claims.claim("name 7", 70)
    assert (70, 4999, None) == (claims.owner("NAME 7"), claims.owner("name 4999"), claims.owner("name 5000"))
    assert [*range(5000)][8:] == [claims.owner(f"name {number}") for number in range(8, 5000)]


@pytest.fixture
def store():
    """The memory file system of fsspec, empty."""
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/", recursive=True)


def test_bodies_go_to_any_url_of_fsspec(store):
    """Each outcome has a name that only it has, so that coming again it overwrites its own."""
    sink = folder_for("memory://bucket/some/")
    for _ in range(2):
        sink.open(None)
        for outcome in (
            fetched(0),
            named_file(1, "d/a.txt"),
            named_file(2, "d/a.txt"),
            named_file(3, "../../x"),
            failed(4),
        ):
            sink.write(outcome)
        assert {} == sink.flush()
        sink.close()
    names = ["/bucket/some/000000-0.txt", "/bucket/some/d/a-1.txt", "/bucket/some/d/a-2.txt", "/bucket/some/x-3"]
    assert names == sorted(store.find("/"))
    assert b"body 2" == store.cat("/bucket/some/d/a-2.txt")


def test_a_store_that_refuses_is_named_without_its_password(store, monkeypatch):
    """Errors of the system tell the URL; others are a SinkError."""
    sink = RemoteFolder("memory://me:secret@bucket")
    sink.open(None)
    for error, kind in ((PermissionError(13, "no"), OSError), (ValueError("odd"), SinkError)):
        with monkeypatch.context() as patched:
            patched.setattr(type(store), "pipe_file", lambda *_, error=error, **__: (_ for _ in ()).throw(error))
            with pytest.raises(kind) as caught:
                sink.write(fetched(0))
        assert "memory://bucket" in f"{caught.value} {getattr(caught.value, 'filename', '')}"
        assert "secret" not in str(caught.value)


def test_a_kind_of_store_that_is_unknown_is_told():
    """By its name."""
    with pytest.raises(SinkError, match="nosuch"):
        folder_for("nosuch://bucket").open(None)


def test_folders_may_be_given_as_urls(tmp_path):
    """file:// is a folder like any other."""
    sink = folder_for(f"file://{tmp_path}")
    assert (Folder, tmp_path) == (type(sink), sink.path)


def test_parts_of_safe_names_are_kept():
    """What needs no change is not changed, so that a name can be found again."""
    assert ("a", "b c", "grüße 世界.tar.gz") == safe_parts("a/b c/grüße 世界.tar.gz")
