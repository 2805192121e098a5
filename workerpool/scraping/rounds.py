"""Rounds: a complete run is gone through once more over the same inputs, to see what has changed since."""

import json
import sqlite3
from collections.abc import Iterable, Mapping

from .errors import OtherRun
from .item import Item

__all__ = ["begin_round", "check_outputs", "check_round", "output_names", "returned"]

# What may differ from round to round: which of the inputs are there, and what is kept of them.
_FREE = {"URLs", "input", "outputs", "--body", "--extract", "--respect", "--retry", "--robots", "--save", "--since"}
_BEGIN = """
    UPDATE item SET stage = 5, status = NULL, reason = NULL, final = NULL, ended = NULL;
    DELETE FROM attempt;
    CREATE INDEX IF NOT EXISTS before ON item (url) WHERE stage = 5
"""


def check_round(place: object, before: Mapping[str, str], identity: Mapping[str, str]) -> None:
    """Raise OtherRun where a round is not over the same: its validators would be of other answers."""
    for name in sorted({*before, *identity} - _FREE, key=lambda name: (name != "command", name)):
        if before.get(name) != identity.get(name):
            was, now = before.get(name, "not there"), identity.get(name, "not there")
            raise OtherRun(
                f"{place} is of a run whose {name} was {was}, now it is {now}: what has changed since cannot be told;"
                " give what it was, or another state file"
            )


def check_outputs(earlier: Iterable[str], identity: Mapping[str, str], option: str) -> None:
    """Raise OtherRun where an output has rows of before, which are to stay as they are."""
    taken = sorted(output_names(earlier) & output_names([identity.get("outputs", "")]) - {"-", ""})
    if taken:
        raise OtherRun(
            f"{taken[0]} has the rows of the run before, one for each input; give {option} an output of its own"
        )


def output_names(outputs: Iterable[str]) -> set[str]:
    """Return the names that texts of an identity list."""
    return {name for each in outputs for name in each.split(", ")}


def begin_round(db: sqlite3.Connection) -> None:
    """Have every item wait for the inputs to name it again; within the transaction that is open."""
    for statement in _BEGIN.split(";"):
        db.execute(statement)


def returned(db: sqlite3.Connection, item: Item, key: bytes | None) -> int | None:
    """Return the number of an item of the round before that is the same, by its key or its request."""
    if key is not None:
        row = db.execute("SELECT id FROM item WHERE key = ? AND stage = 5", (key,)).fetchone()
        return None if row is None else int(row[0])
    asked = (item.method, item.headers, item.body)
    for number, more in db.execute("SELECT id, more FROM item WHERE stage = 5 AND url = ? ORDER BY id", (item.url,)):
        was = Item.from_dict(item.url, json.loads(more)) if more else Item(url=item.url)
        if (was.method, was.headers, was.body) == asked:
            return int(number)
    return None
