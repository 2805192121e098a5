"""Files that only grow: cut back, refused, full, read-only, gone."""

import os
import resource
import shutil
import subprocess
import sys
import threading

import pytest
from disks import fill, small_disk

from workerpool.scraping import SinkError
from workerpool.scraping.sinks import files
from workerpool.scraping.sinks.files import AppendFile


def test_what_was_not_committed_is_cut_off(tmp_path):
    """A file that is opened with an offset has that many bytes, and goes on there."""
    file = AppendFile(tmp_path / "f")
    file.open(None)
    file.write(b"committed")
    assert 9 == file.flush()
    file.write(b" and lost")
    file.hand_over()
    shutil.copy(tmp_path / "f", tmp_path / "g")
    file.abandon()
    again = AppendFile(tmp_path / "g")
    again.open(9)
    again.write(b", then more")
    assert 20 == again.offset == again.flush()
    again.close()
    again.close()
    assert b"committed, then more" == (tmp_path / "g").read_bytes()


def test_a_new_run_begins_anew(tmp_path):
    """Without an offset, and with 0, the old content goes."""
    (tmp_path / "f").write_bytes(b"old")
    for committed in (None, 0):
        file = AppendFile(tmp_path / "f")
        file.open(committed)
        file.close()
        assert b"" == (tmp_path / "f").read_bytes()
        (tmp_path / "f").write_bytes(b"old")


def test_abandoned_files_end_at_the_last_flush(tmp_path):
    """Whoever reads the file meanwhile sees no half of a line."""
    file = AppendFile(tmp_path / "f")
    file.open(None)
    file.write(b"whole\n")
    file.flush()
    file.write(b"hal")
    file.hand_over()
    file.abandon()
    file.abandon()
    assert b"whole\n" == (tmp_path / "f").read_bytes()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "is gone, and the state says that 5"),
        (lambda path: path.write_bytes(b"abc"), "has 3 bytes where the state says 5"),
        (lambda path: path.mkdir(), "is a folder"),
    ],
    ids=["missing", "shorter", "folder"],
)
def test_what_does_not_fit_the_state_is_refused(tmp_path, make, words):
    """By path, with the cure; what is there is left as it is."""
    path = tmp_path / "out"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(SinkError, match=words) as caught:
        AppendFile(path).open(5)
    assert str(path) in str(caught.value)
    assert before == (path.read_bytes() if path.is_file() else None)


def test_the_policy_is_one_of_two():
    """A misspelt one is told at once."""
    with pytest.raises(SinkError, match="'flush' or 'close', not 'always'"):
        AppendFile("f", fsync="always")


@pytest.mark.parametrize(("policy", "synced"), [("flush", 2), ("close", 1)])
def test_the_policy_says_when_the_disk_has_it(tmp_path, monkeypatch, policy, synced):
    """At each flush, or at the end only."""
    seen = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (seen.append(os.readlink(f"/proc/self/fd/{number}")), real(number)))
    file = AppendFile(tmp_path / "f", fsync=policy)
    file.open(None)
    file.write(b"x")
    file.flush()
    file.close()
    assert synced == seen.count(str(tmp_path / "f"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "was removed"),
        (lambda path: (path.rename(path.with_name("moved")), path.write_bytes(b"0123456789")), "was replaced"),
        (lambda path: os.truncate(path, 3), "was changed by others"),
    ],
    ids=["removed", "replaced", "truncated"],
)
def test_an_output_that_vanishes_is_noticed_before_the_commit(tmp_path, spoil, words):
    """A flush never returns an offset of bytes that are not in the named file."""
    file = AppendFile(tmp_path / "f")
    file.open(None)
    file.write(b"0123456789")
    file.flush()
    spoil(tmp_path / "f")
    file.write(b"x")
    with pytest.raises(SinkError, match=words):
        file.flush()
    file.abandon()


FULL = """
import errno, resource, signal, sys
from workerpool.scraping.sinks.files import AppendFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = AppendFile(sys.argv[1])
file.open(None)
file.write(b"a" * 3000)
print(file.flush())
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
file.write(b"b" * 3000)
try:
    file.flush()
except OSError as exc:
    print(exc.errno == errno.EFBIG, exc.filename == sys.argv[1], file.offset)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(file.flush())
"""


def test_a_write_that_is_refused_loses_nothing(tmp_path):
    """An OSError that names the file; with room again the same flush goes on where it was."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "f"], capture_output=True, text=True, timeout=80, check=False
    )
    assert (["3000", "True True 6000", "6000"], "") == (done.stdout.splitlines(), done.stderr)
    assert b"a" * 3000 + b"b" * 3000 == (tmp_path / "f").read_bytes()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY


def test_a_full_disk_leaves_what_is_committed(tmp_path):
    """ENOSPC names the file; abandoned, it ends at the last flush, and can be gone on with when there is room."""
    with small_disk(tmp_path / "small", 64) as disk:
        fill(disk, leave=20_000)
        file = AppendFile(disk / "f")
        file.open(None)
        file.write(b"committed\n")
        offset = file.flush()
        file.write(b"y" * 60_000)
        with pytest.raises(OSError, match="No space left") as caught:
            file.flush()
        assert str(disk / "f") == caught.value.filename
        file.abandon()
        assert b"committed\n" == (disk / "f").read_bytes()
        (disk / "ballast").unlink()
        file.open(offset)
        file.write(b"more\n")
        file.close()
        assert b"committed\nmore\n" == (disk / "f").read_bytes()


READ_ONLY = """
import os, sys
from workerpool.scraping.sinks import sink_for
sinks = [sink_for(os.path.join(sys.argv[1], name)) for name in ("f.jsonl", "f.warc.gz", "f.parquet", "f.wacz")]
os.setgid(65534), os.setuid(65534)
for sink in sinks:
    try:
        sink.open(None)
    except PermissionError as exc:
        print(os.path.basename(exc.filename))
"""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs to give rights up")
def test_a_folder_that_may_not_be_written_to_is_named():
    """PermissionError with the file that could not be made."""
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, "/"], capture_output=True, text=True, timeout=80, check=False
    )
    assert (["f.jsonl", "f.warc.gz", "f.parquet.spool", "f.wacz.parts"], "") == (done.stdout.split(), done.stderr)


def test_pipes_are_written_to_and_never_cut(tmp_path):
    """What is no regular file has no offset."""
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    file = AppendFile(tmp_path / "pipe")
    file.open(None)
    file.write(b"through")
    assert file.flush() is None
    file.close()
    reader.join(30)
    assert [b"through"] == read


def test_much_is_handed_over_before_the_flush(tmp_path, monkeypatch):
    """What is collected in memory is bounded."""
    monkeypatch.setattr(files, "_ROOM", 1000)
    file = AppendFile(tmp_path / "f")
    file.open(None)
    file.write(b"x" * 2500)
    assert 2500 == (tmp_path / "f").stat().st_size == file.offset
    file.close()
