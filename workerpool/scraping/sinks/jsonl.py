"""JSON Lines: an object for each outcome."""

import json
import os
from collections.abc import Iterable

from ..outcome import Outcome
from ..rows import checked_columns, outcome_row, picked
from .files import Fsync
from .lines import LineSink

__all__ = ["JsonLines"]


class JsonLines(LineSink):
    """Write a line of ASCII JSON for each outcome, to a file, a `.gz` of them, or with None to stdout.

    `fields` are the columns to keep, in their order: those of `rows.COLUMNS`, `body`, and names of extracted fields;
    `body` adds the text of the body. Whatever a server sends is escaped, so no line holds a control character but
    DEL. What goes to stdout cannot be taken back: after a crash the lines since the last commit come once more.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        body: bool = False,
        fields: Iterable[str] | None = None,
        fsync: Fsync = "flush",
    ) -> None:
        super().__init__(path, fsync=fsync)
        self._fields = None if fields is None else checked_columns(fields)
        self._body = body or (self._fields is not None and "body" in self._fields)

    def line(self, outcome: Outcome) -> bytes:
        """Return an outcome's line, with its end."""
        row = outcome_row(outcome, body=self._body)
        if self._fields is not None:
            row = picked(row, self._fields)
        return json.dumps(row).encode("ascii") + b"\n"
