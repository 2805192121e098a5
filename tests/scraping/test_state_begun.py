"""A state that is killed while it is made: the same run begins in it, and what reads it says so."""

import shutil
import sqlite3

import pytest

from workerpool.scraping import StateError, state
from workerpool.scraping.reading import standing

IDENTITY = {"outputs": "out.jsonl"}


@pytest.fixture(params=["journal", "log"])
def snapshots(request, tmp_path, monkeypatch):
    """Folders as they were before each statement with which a state is made, and after it."""
    monkeypatch.setattr(state, "_SAFE_LOG", (99,) if request.param == "journal" else (3,))
    home, taken = tmp_path / "home", []
    home.mkdir()

    class Connection(sqlite3.Connection):
        def execute(self, *arguments):
            return self._between(super().execute, *arguments)

        def executescript(self, *arguments):
            return self._between(super().executescript, *arguments)

        def _between(self, real, *arguments):
            self._copy()
            done = real(*arguments)
            self._copy()
            return done

        def _copy(self):
            taken.append(shutil.copytree(home, tmp_path / str(len(taken))))

    with monkeypatch.context() as patched:
        real = sqlite3.connect
        patched.setattr(
            sqlite3, "connect", lambda *arguments, **options: real(*arguments, factory=Connection, **options)
        )
        state.State(home / "state.db", identity=IDENTITY).close()
    assert len(taken) > 20
    return taken


@pytest.mark.parametrize("mode", ["continue", "restart"])
def test_the_same_run_begins_in_a_state_that_was_killed_while_it_was_made(snapshots, mode):
    """At each statement of its making; it is that run's then."""
    for folder in snapshots:
        state.State(folder / "state.db", identity=IDENTITY, mode=mode).close()
        with pytest.raises(StateError, match="belongs to another run"):
            state.State(folder / "state.db", identity={"outputs": "other.jsonl"})


def test_reading_a_state_that_is_not_made_yet_leaves_it_to_its_run(snapshots):
    """It is an error, or a run of which nothing is done; the run begins in it afterwards."""
    for folder in snapshots:
        try:
            found = standing(folder / "state.db")
        except StateError:
            pass
        else:
            assert (found.complete, found.waiting) == (False, 0)
        state.State(folder / "state.db", identity=IDENTITY).close()
