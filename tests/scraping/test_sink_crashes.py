"""Every sink, killed at any moment and gone on with from what was committed: nothing lost, doubled or broken."""

import csv
import gzip
import io
import json
import os
import random
import shutil
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from disks import fill, small_disk
from fastwarc.warc import ArchiveIterator as FastIterator
from outcomes import mixed
from warcio.archiveiterator import ArchiveIterator

from workerpool.scraping import Sink
from workerpool.scraping.sinks import cdxj, files, folder_for, parquet, sink_for

KINDS = ("o.jsonl", "o.jsonl.gz", "o.csv", "o.csv.gz", "o.parquet", "o.warc", "o.warc.gz", "o.wacz", "bodies/")
COUNT = 60
OUTCOMES = mixed(COUNT)


def made(kind, home):
    """Return a sink of the kind in a home of its own."""
    if kind.endswith("/"):
        return folder_for(home / kind.rstrip("/"))
    options = {"extracted": ["title", "price"]} if ".csv" in kind else {}
    if kind.endswith((".jsonl", ".jsonl.gz", ".parquet")):
        options["body"] = True
    return sink_for(home / kind, fsync="close", **options)


def archive(data):
    """Return the records of an archive without names and offsets; all digests are right for two readers."""
    found = []
    for record in ArchiveIterator(data, check_digests="raise"):
        head = dict(record.rec_headers.headers)
        told = [
            head.get(name) for name in ("WARC-Date", "WARC-Target-URI", "WARC-Payload-Digest", "WARC-Refers-To-Date")
        ]
        http = record.http_headers and (record.http_headers.statusline, record.http_headers.headers)
        content = record.raw_stream.read()
        found.append((record.rec_type, *([content, http, *told] if record.rec_type != "warcinfo" else [])))
    data.seek(0)
    assert len(found) == sum(record.verify_block_digest() for record in FastIterator(data, parse_http=False))
    return found


def index(lines, data):
    """Return the index without offsets; each record lies where it says."""
    found = []
    for line in lines:
        key, stamp, text = line.decode().split(" ", 2)
        facts = json.loads(text)
        data.seek(int(facts["offset"]))
        record = data.read(int(facts["length"]))
        record = gzip.decompress(record) if record.startswith(b"\x1f\x8b") else record
        assert record.startswith(b"WARC/1.1\r\n")
        assert record.endswith(b"\r\n\r\n")
        assert facts["url"].encode() in record
        found.append((key, stamp, facts["url"], facts["mime"], facts["digest"], facts["status"]))
    data.seek(0)
    assert found == sorted(found, key=lambda each: each[:2])
    return sorted(found)


def content(kind, home):
    """Return what the finished output says, without what differs from run to run; there is nothing else beside it."""
    path = home / kind.rstrip("/")
    beside = [path.name, "o.cdxj"] if ".warc" in kind else [path.name]
    assert sorted(beside) == sorted(os.listdir(home))
    if kind.endswith("/"):
        assert not (path / ".files.part").exists()
        return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}
    if kind == "o.parquet":
        return pq.read_table(io.BytesIO(path.read_bytes())).to_pylist()  # Arrow's threads may hold a file for a while
    if ".warc" in kind:
        with path.open("rb") as data:
            return archive(data), index((home / "o.cdxj").read_bytes().splitlines(), data)
    if kind == "o.wacz":
        with zipfile.ZipFile(path) as packed:
            pages = [json.loads(line) | {"id": ""} for line in packed.read("pages/pages.jsonl").splitlines()]
            with packed.open("archive/data.warc.gz") as data:
                found = archive(data)
                return found, pages, index(packed.read("indexes/index.cdxj").splitlines(), data)
    text = (gzip.decompress(path.read_bytes()) if kind.endswith(".gz") else path.read_bytes()).decode()
    return [*csv.reader(text.splitlines())] if ".csv" in kind else [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """What one run without a crash says, of each kind."""
    found = {}
    for kind in KINDS:
        home = tmp_path_factory.mktemp("clean")
        sink = made(kind, home)
        assert isinstance(sink, Sink)
        sink.open(None)
        for outcome in OUTCOMES:
            sink.write(outcome)
        sink.flush()
        sink.close()
        found[kind] = content(kind, home)
    return found


class Snapshots:
    """Copies of a home, made at the moments when the system is asked for something."""

    def __init__(self, monkeypatch, home, place):
        self.home, self.place, self.taken = home, place, []
        for name in ("replace", "fsync", "unlink", "rmdir"):
            monkeypatch.setattr(os, name, self._around(getattr(os, name)))
        monkeypatch.setattr(Path, "unlink", self._around(Path.unlink))
        monkeypatch.setattr(shutil, "rmtree", self._around(shutil.rmtree))

    def _around(self, real):
        def called(*args, **options):
            self.take()
            return real(*args, **options)

        return called

    def take(self):
        copy = self.place / f"copy {len(self.taken)}"
        self.taken.append(copy)  # first: copying may ask the system, too
        if len(self.taken) < 40:
            shutil.copytree(self.home, copy, symlinks=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_kills_while_it_is_written(kind, seed, clean, tmp_path, monkeypatch):
    """At random moments, with any number of bytes behind the commit, a few times in a row; the state may lag behind."""
    chance = random.Random(f"{kind} {seed}")
    monkeypatch.setattr(files, "_ROOM", chance.choice([1, 50, 500, 2**20]))
    monkeypatch.setattr(cdxj, "_RUN", chance.choice([600, 2**20]))
    monkeypatch.setattr(parquet, "_GROUP", chance.choice([5000, 2**25]))
    home = tmp_path / "0"
    home.mkdir()
    commits = [(None, 0)]
    for life in range(1, 6):
        position, done = commits[-1]
        sink = made(kind, home)
        sink.open(position)
        for outcome in OUTCOMES[done : done + chance.randrange(COUNT // 3)]:
            sink.write(outcome)
            done += 1
            if chance.random() < 0.2:
                commits.append((sink.flush(), done))
        if chance.random() < 0.3:
            sink.flush()  # and the state has not heard of it
        if chance.random() < 0.3 and len(commits) > 1:
            commits.pop()
        dead, home = home, tmp_path / str(life)
        shutil.copytree(dead, home)
        tear(kind, home, commits[-1][0], chance)
        sink.abandon()
    position, done = commits[-1]
    sink = made(kind, home)
    sink.open(position)
    for outcome in OUTCOMES[done:]:
        sink.write(outcome)
    sink.flush()
    sink.close()
    assert clean[kind] == content(kind, home)


def tear(kind, home, position, chance):
    """Cut files anywhere behind what is committed, or put rubbish behind it, as a loss of power may."""
    for name, size in (position or {}).items():
        for path in home.rglob(name):
            if kind.endswith("/"):
                continue  # of a folder's journal each line tells of a file
            if chance.random() < 0.5:
                os.truncate(path, chance.randint(size, path.stat().st_size))
            if chance.random() < 0.3:
                with path.open("ab") as file:
                    file.write(bytes(chance.randrange(30)))


@pytest.mark.parametrize("kind", KINDS)
def test_kills_while_it_is_closed(kind, clean, tmp_path, monkeypatch):
    """Before each step that the system is asked for, and after the last: closing again brings the same."""
    home = tmp_path / "home"
    home.mkdir()
    sink = made(kind, home)
    sink.open(None)
    for outcome in OUTCOMES:
        sink.write(outcome)
    position = sink.flush()
    with monkeypatch.context() as patched:
        snapshots = Snapshots(patched, home, tmp_path)
        sink.close()
        snapshots.take()
    for copy in snapshots.taken:
        for _ in range(2):
            again = made(kind, copy)
            again.open(position)
            again.close()
        assert clean[kind] == content(kind, copy)
    assert clean[kind] == content(kind, home)


@pytest.mark.parametrize("kind", KINDS)
def test_finished_outputs_are_gone_on_with(kind, clean, tmp_path, monkeypatch):
    """Closed after a part and opened again: killed at each step of that, it comes to the same."""
    home = tmp_path / "home"
    home.mkdir()
    sink = made(kind, home)
    sink.open(None)
    for outcome in OUTCOMES[:20]:
        sink.write(outcome)
    earlier = sink.flush()
    for outcome in OUTCOMES[20:40]:
        sink.write(outcome)
    position = sink.flush()
    sink.close()
    sink = made(kind, home)
    with monkeypatch.context() as patched:
        snapshots = Snapshots(patched, home, tmp_path)
        sink.open(position)
        sink.write(OUTCOMES[40])
        sink.flush()
        snapshots.take()
    sink.abandon()
    for copy in [*snapshots.taken, home]:
        for start, done in ((position, 40), (earlier, 20)):
            again = made(kind, copy)
            again.open(start)
            for outcome in OUTCOMES[done:]:
                again.write(outcome)
            again.flush()
            again.close()
            assert clean[kind] == content(kind, copy)


@pytest.mark.parametrize("kind", KINDS)
def test_runs_without_outcomes(kind, tmp_path):
    """Opened and closed, there is a whole output."""
    sink = made(kind, tmp_path)
    sink.open(None)
    position = sink.flush()
    sink.close()
    content(kind, tmp_path)
    sink = made(kind, tmp_path)
    sink.open(position)
    sink.abandon()
    sink.abandon()


def write_on(sink, committed):
    """Write the outcomes, and more of them than the disk takes; of the first ones each is committed."""
    for number, outcome in enumerate(OUTCOMES * 9, 1):
        sink.write(outcome)
        position = sink.flush()
        if number <= COUNT:
            committed.append((position, number))


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_while_it_is_written(kind, clean, tmp_path):
    """The error names a place on the disk; with room again the run goes on from what was committed."""
    with small_disk(tmp_path / "disk", 4096) as disk:
        home = disk / "home"
        home.mkdir()
        sink = made(kind, home)
        sink.open(None)
        fill(disk, leave=8192)
        committed = [(None, 0)]
        with pytest.raises(OSError, match="No space left") as caught:
            write_on(sink, committed)
        position, done = committed[-1]
        assert str(caught.value.filename).startswith(str(disk))
        sink.abandon()
        (disk / "ballast").unlink()
        sink = made(kind, home)
        sink.open(position)
        for outcome in OUTCOMES[done:]:
            sink.write(outcome)
        sink.flush()
        sink.close()
        assert clean[kind] == content(kind, home)


@pytest.mark.parametrize("kind", ["o.parquet", "o.warc.gz", "o.wacz"])
def test_a_full_disk_while_it_is_closed(kind, clean, tmp_path):
    """What could not be made is not there in part; closing again makes it, in the same process or another."""
    with small_disk(tmp_path / "disk", 4096) as disk:
        home = disk / "home"
        home.mkdir()
        sink = made(kind, home)
        sink.open(None)
        for outcome in OUTCOMES:
            sink.write(outcome)
        position = sink.flush()
        fill(disk, leave=0)
        with pytest.raises(OSError, match="No space left") as caught:
            sink.close()
        assert str(caught.value.filename).startswith(str(disk))
        assert not [*home.rglob("*.part")]
        shutil.copytree(home, tmp_path / "copy")
        (disk / "ballast").unlink()
        sink.close()
        sink.close()
        assert clean[kind] == content(kind, home)
    again = made(kind, tmp_path / "copy")
    again.open(position)
    again.close()
    assert clean[kind] == content(kind, tmp_path / "copy")
