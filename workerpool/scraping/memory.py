"""What a run has learnt beside its items, such as the counts of traps: kept in its state, commit by commit."""

import sqlite3
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from .state import State

__all__ = ["Memory", "Remembers"]

_TABLE = "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"


@runtime_checkable
class Remembers(Protocol):
    """Whoever learns during a run, as `Following` does, and is to know it when the run goes on."""

    def changes(self) -> Iterable[tuple[str, str | None]]:
        """Return what is new since the last call, by its name; None for what is forgotten."""

    def recall(self, kept: Iterable[tuple[str, str]]) -> None:
        """Take back what was returned before the run was stopped."""


class Memory:
    """Keep what somebody learns in a state. Of the run's thread only.

    It is true with the commit of the outcomes from which it was learnt, so that nothing is counted twice. A run that
    begins at the beginning of its input, a new round too, has learnt nothing yet.
    """

    def __init__(self, state: State, learner: Remembers) -> None:
        self._state, self._learner = state, learner
        learner.recall(state.read(self._begun))

    def keep(self) -> None:
        """Write what is new; the state's next commit makes it true."""
        changes = list(self._learner.changes())
        if changes:
            self._state.read(lambda db: _write(db, changes))

    def _begun(self, db: sqlite3.Connection) -> list[tuple[str, str]]:
        db.execute(_TABLE)
        if self._state.input_mark is None:
            db.execute("DELETE FROM kept")
        return db.execute("SELECT name, value FROM kept").fetchall()


def _write(db: sqlite3.Connection, changes: Iterable[tuple[str, str | None]]) -> None:
    for name, value in changes:
        if value is None:
            db.execute("DELETE FROM kept WHERE name = ?", (name,))
        else:
            db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, value))
