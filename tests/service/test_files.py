"""Databases that cannot be used: refused, or told of, by name and with the cure; of the home in a file."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from served import served

from workerpool.service.sqlite.schema import VERSION


def refusal(database, **options):
    """Return the exit code and what the command says."""
    command = [sys.executable, "-m", "workerpool", "serve", "--port", "0", "--database", str(database)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)
    return done.returncode, done.stderr


@pytest.fixture
def database(tmp_path):
    """A file, whatever other tests have."""
    return str(tmp_path / "service.sqlite")


@pytest.fixture
def made(database, tmp_path):
    """A database that a service has made."""
    with served(database, tmp_path) as service:
        service.stop()
    return Path(database)


def test_two_services_do_not_share_a_file(service):
    """The second one says whose it is."""
    code, text = refusal(service.database)
    assert code == 4
    assert f"{service.database} is in use by another service" in text


@pytest.mark.parametrize(
    "database",
    ["mysql://user:secret@127.0.0.1/jobs", "sqlite:///jobs.sqlite?secret", "postgresql+psycopg://u:secret@h/d"],
)
def test_a_database_of_another_kind_is_refused(database):
    """In words that tell no password; no file of that name is made."""
    code, text = refusal(database)
    assert code == 4
    assert "--database" in text
    assert "secret" not in text
    assert "Traceback" not in text


def test_a_newer_file_is_refused(made):
    """By its version; nothing is changed."""
    db = sqlite3.connect(made)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    before = made.read_bytes()
    code, text = refusal(made)
    assert code == 4
    assert f"{made} was written by a newer version" in text
    assert made.read_bytes() == before


def test_what_is_no_database_is_refused(tmp_path):
    """As is one of another program."""
    place = tmp_path / "text.sqlite"
    place.write_text("no database, but more than a head of one\n" * 100)
    other = tmp_path / "other.sqlite"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE mine (a)")
    db.close()
    for path, words in ((place, "it is damaged, or no database"), (other, "none of the service's")):
        code, text = refusal(path)
        assert code == 4
        assert str(path) in text
        assert words in text
        assert "--database" in text
    assert place.read_text().startswith("no database")


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    """By name."""
    code, text = refusal(tmp_path / "none" / "x.sqlite")
    assert code == 4
    assert "cannot be written" in text


def test_a_port_that_is_taken_is_told(service):
    """With the cure."""
    port = service.url.rpartition(":")[2]
    command = [sys.executable, "-m", "workerpool", "serve", "--port", port, "--database"]
    command.append(str(Path(service.folder, "other.sqlite")))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
