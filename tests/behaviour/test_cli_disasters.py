"""Disks that are full, gone or read-only, states that are locked, damaged or of another version: by real commands.

Each is told with the file's name and the cure, exit 4; and once it is mended the same command goes on: nothing is lost,
nothing is there twice.
"""

import fcntl
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from commands import COMMAND, pages, rows, run
from disks import fill, small_disk

COUNT = 400
QUOTA = "import os, resource, sys; n = int(sys.argv[1]); resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)); "
QUOTA += "os.execv(sys.argv[2], sys.argv[2:])"


@pytest.fixture
def listed(tmp_path):
    """The name of a list of URLs, and the books of the site that serves them."""
    with pages() as (books, url):
        books.pages = {f"/{n}": (200, "page " * 400, {}) for n in range(COUNT)}
        (tmp_path / "urls").write_text("".join(f"{url}/{n}\n" for n in range(COUNT)))
        yield "urls", books


def fetch(folder, *arguments, **options):
    return run("fetch", "-q", "--per-host", 4, "-i", "urls", *arguments, folder=folder, **options)


def is_whole(found):
    """Whether each input has one row: lost 0, doubled 0."""
    return set(Counter(row["index"] for row in found).items()) == {(n, 1) for n in range(COUNT)}


def begun(folder, *arguments):
    """Have a run begin that is not at its end."""
    done = fetch(folder, *arguments, "--max-pages", 100)
    assert (3, "") == (done.returncode, done.stderr)


def told(done, *parts):
    """Whether it is an error of the machine's, in one line, with its place and its cure."""
    assert (4, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert done.stderr.startswith("workerpool: ")
    return all(part in done.stderr for part in parts)


@pytest.mark.parametrize(
    ("leave", "arguments", "place"),
    [
        (40_000, ["--state", "disk/s.db", "-o", "o.jsonl"], "disk/s.db"),
        (20_000, ["--state", "s.db", "-o", "disk/o.jsonl"], "disk/o.jsonl"),
        (90_000, ["--state", "disk/s.db", "-o", "disk/o.jsonl"], "disk/"),
        (20_000, ["--state", "s.db", "-o", "o.jsonl", "-o", "disk/o.warc.gz"], "disk/o."),  # or its index
        (20_000, ["--state", "s.db", "-o", "o.jsonl", "-o", "disk/o.parquet"], "disk/o.parquet"),
        (90_000, ["--state", "s.db", "-o", "o.jsonl", "--save", "disk/bodies"], "disk/bodies"),
    ],
    ids=["state", "lines", "both", "warc", "parquet", "bodies"],
)
def test_a_full_disk(listed, tmp_path, leave, arguments, place):
    """It says so; with room again the same command goes on."""
    with small_disk(tmp_path / "disk", 8192) as disk:
        fill(disk, leave=leave)
        assert told(fetch(tmp_path, *arguments), place, "free some")
        (disk / "ballast").unlink()
        done = fetch(tmp_path, *arguments)
        assert (0, "") == (done.returncode, done.stderr)
        output = tmp_path / next(each for each in arguments if each.endswith(".jsonl"))
        assert is_whole(rows(output))
        if "--save" in arguments:
            assert COUNT == len([each for each in (disk / "bodies").iterdir() if not each.name.startswith(".")])


@pytest.mark.parametrize("most", [30_000, 70_000], ids=["lines", "state"])
def test_a_limit_of_the_system(listed, tmp_path, most):
    """As a quota: no file may be larger. Without it the run goes on."""
    arguments = ["--state", "s.db", "-o", "o.jsonl", *(["-o", "/dev/null"] if most > 50_000 else [])]
    command = [
        sys.executable,
        "-c",
        QUOTA,
        str(most),
        *COMMAND,
        "fetch",
        "-q",
        "-i",
        "urls",
        "--per-host",
        "4",
        *arguments,
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=80, check=False, cwd=tmp_path, env=environment
    )
    assert told(done, "run the same again")
    done = fetch(tmp_path, *arguments)
    assert (0, "") == (done.returncode, done.stderr)
    assert is_whole(rows(tmp_path / "o.jsonl"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount")
@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["--state", "disk/s.db", "-o", "o.jsonl"], "disk/s.db.lock"),
        (["--state", "s.db", "-o", "disk/o.jsonl"], "disk/o.jsonl"),
        (["--state", "s.db", "-o", "o.jsonl", "--save", "disk/bodies"], "disk/bodies"),
    ],
    ids=["state", "lines", "bodies"],
)
def test_a_folder_that_has_become_read_only(listed, tmp_path, arguments, place):
    """Before anything is asked for; `why` still answers."""
    name, books = listed
    with small_disk(tmp_path / "disk", 8192) as disk:
        begun(tmp_path, *arguments)
        asked = len(books.asked())
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        first = (tmp_path / name).read_text().split()[0]
        assert told(fetch(tmp_path, *arguments), place, "Read-only file system", "give a")
        assert asked == len(books.asked())
        assert 0 == run("why", first, "--state", arguments[1], folder=tmp_path).returncode
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert 0 == fetch(tmp_path, *arguments).returncode
        assert is_whole(rows(tmp_path / next(each for each in arguments if each.endswith(".jsonl"))))


@pytest.mark.parametrize("left", [None, 100], ids=["gone", "cut"])
def test_an_output_that_has_vanished(listed, tmp_path, left):
    """It is not begun anew behind one's back; put back, it is gone on with."""
    arguments = ["--state", "s.db", "-o", "o.jsonl"]
    begun(tmp_path, *arguments)
    kept = (tmp_path / "o.jsonl").read_bytes()
    (tmp_path / "o.jsonl").unlink()
    if left is not None:
        (tmp_path / "o.jsonl").write_bytes(kept[:left])
    assert told(fetch(tmp_path, *arguments), "o.jsonl", "put it back as it was", "--restart")
    (tmp_path / "o.jsonl").write_bytes(kept)
    assert 0 == fetch(tmp_path, *arguments).returncode
    assert is_whole(rows(tmp_path / "o.jsonl"))


@pytest.mark.parametrize("name", ["o.jsonl", "s.db"])
def test_what_vanishes_amid_the_run(listed, tmp_path, name):
    """Output and state alike."""
    arguments = ["--state", "s.db", "-o", "o.jsonl"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)}
    command = [*COMMAND, "fetch", "-q", "-i", "urls", "--rate", "50", *arguments]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "o.jsonl").exists() or not (tmp_path / "o.jsonl").stat().st_size:
            assert process.poll() is None
        (tmp_path / name).rename(tmp_path / "aside")
        error = process.stderr.read()
    assert told(subprocess.CompletedProcess(command, process.returncode, "", error), name, "put it back", "--restart")
    (tmp_path / "aside").rename(tmp_path / name)
    assert 0 == fetch(tmp_path, *arguments).returncode
    assert is_whole(rows(tmp_path / "o.jsonl"))


def test_a_state_that_has_vanished_or_is_empty(listed, tmp_path):
    """What was written is not overwritten by a run that begins anew: that is wrong usage, exit 2."""
    arguments = ["--state", "s.db", "-o", "o.jsonl"]
    begun(tmp_path, *arguments)
    kept = (tmp_path / "o.jsonl").read_bytes()
    (tmp_path / "s.db").write_bytes(b"")
    for word in ("empty", "not"):
        done = fetch(tmp_path, *arguments)
        assert (2, True) == (done.returncode, f"the state 's.db' is {word}; give" in done.stderr)
        (tmp_path / "s.db").unlink(missing_ok=True)
    assert kept == (tmp_path / "o.jsonl").read_bytes()


def test_a_state_that_others_have_locked(listed, tmp_path):
    """Another run, or another program that writes to it."""
    arguments = ["--state", "s.db", "-o", "o.jsonl"]
    begun(tmp_path, *arguments)
    with (tmp_path / "s.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert told(fetch(tmp_path, *arguments), "s.db", "in use by another run", "wait for its end")
    with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        assert told(fetch(tmp_path, *arguments), "s.db", "another program keeps it locked; end that")
    assert 0 == fetch(tmp_path, *arguments).returncode
    assert is_whole(rows(tmp_path / "o.jsonl"))


def damage(path, how):
    if how in ("newer", "older"):
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE meta SET value = ? WHERE name = 'format'", ("99" if how == "newer" else "0",))
        return
    data = bytearray(path.read_bytes())
    if how == "head":
        data[:100] = b"\xff" * 100
    elif how == "pages":
        for begin in range(4096, len(data), 4096):
            data[begin : begin + 2000] = os.urandom(2000)
    else:
        data = data[: len(data) // 2]
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("how", "said", "cure"),
    [
        ("head", "no state of a run", "restore a copy, or remove it"),
        ("pages", "it is damaged", "restore a copy, or begin anew with --restart"),
        ("half", "it is damaged", "restore a copy, or begin anew with --restart"),
        ("newer", "of a newer version of workerpool", "--restart"),
        ("older", "of another version of workerpool", "--restart"),
    ],
)
def test_a_state_that_cannot_be_read(listed, tmp_path, how, said, cure):
    """It is left as it is, and so are the outputs; a copy is gone on with, and the cure that is told works."""
    arguments = ["--state", "s.db", "-o", "o.jsonl"]
    begun(tmp_path, *arguments)
    good, kept = (tmp_path / "s.db").read_bytes(), (tmp_path / "o.jsonl").read_bytes()
    damage(tmp_path / "s.db", how)
    bad = (tmp_path / "s.db").read_bytes()
    assert told(fetch(tmp_path, *arguments), "s.db", said, cure)
    assert (bad, kept) == ((tmp_path / "s.db").read_bytes(), (tmp_path / "o.jsonl").read_bytes())
    if "--restart" in cure:
        assert 0 == fetch(tmp_path, *arguments, "--restart").returncode
        assert is_whole(rows(tmp_path / "o.jsonl"))
    (tmp_path / "s.db").write_bytes(good)
    (tmp_path / "o.jsonl").write_bytes(kept)
    assert 0 == fetch(tmp_path, *arguments).returncode
    assert is_whole(rows(tmp_path / "o.jsonl"))


def test_a_state_is_for_its_owner_alone(listed, tmp_path):
    """Whatever the umask: bodies and headers of requests are in it."""
    done = fetch(tmp_path, "--state", "s.db", "-o", "o.jsonl", "-d", "secret", umask=0)
    assert 1 == done.returncode  # the site takes no POST
    assert 0o600 == (tmp_path / "s.db").stat().st_mode & 0o777
