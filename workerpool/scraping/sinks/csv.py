"""CSV for spreadsheets: a fixed set of columns, and no cell that is a formula."""

import csv
import gzip
import io
import json
import os
from collections.abc import Iterable
from typing import Any

from ..errors import SinkError
from ..outcome import Outcome
from ..rows import checked_columns, outcome_row, picked
from .base import Position
from .files import Fsync, named
from .lines import LineSink
from .text import cell

__all__ = ["Csv"]


class Csv(LineSink):
    """Write a row for each outcome, under a head of column names, to a file, a `.gz` of them, or with None to stdout.

    `fields` are the columns, in their order; names that are no columns are those of extracted fields, and `extracted`
    puts some behind the usual ones. UTF-8, lines end with LF. A text that a spreadsheet would take for a formula gets
    an apostrophe before it (see `text.cell`), control characters are replaced, lists and mappings are JSON.
    """

    USUAL = (
        "index", "url", "verdict", "status", "reason", "why", "change", "bytes", "elapsed", "attempts", "final_url",
        "content_type", "error_type", "error_stage", "error_message",
    )  # fmt: skip

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        fields: Iterable[str] | None = None,
        extracted: Iterable[str] = (),
        fsync: Fsync = "flush",
    ) -> None:
        super().__init__(path, fsync=fsync)
        self._fields = checked_columns((*(self.USUAL if fields is None else fields), *extracted))
        self._body = "body" in self._fields

    def head(self) -> bytes:
        """Return the row of names."""
        return _row(map(cell, self._fields))

    def line(self, outcome: Outcome) -> bytes:
        """Return an outcome's row."""
        row = outcome_row(outcome, body=self._body)
        error = row["error"] or {}
        row |= {f"error_{part}": error.get(part) for part in ("type", "stage", "message")}
        return _row(_cell(value) for value in picked(row, self._fields).values())

    def open(self, position: Position | None) -> None:
        """Begin anew, or go on from the position. Raises SinkError where the file has other columns."""
        super().open(position)
        if position is not None and self.committed(position):
            self._check_head()

    def _check_head(self) -> None:
        path = self._file.path
        assert path is not None
        with named(str(path)), gzip.open(path) if self._is_packed else path.open("rb") as file:
            found = file.readline(len(self.head()) + 1)
        if found != self.head():
            self.abandon()
            raise SinkError(f"{path} has other columns than {', '.join(self._fields)}; begin anew, or ask for its own")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return cell(value)
    return cell(json.dumps(value)) if isinstance(value, list | dict) else value


def _row(values: Iterable[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode("utf-8", "backslashreplace")
