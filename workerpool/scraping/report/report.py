"""A report that looks on at a run."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from time import time
from typing import Self

from ..errors import StateError
from ..outcome import Outcome
from ..past import past_of
from ..progress import Progress
from ..sinks.files import named, publish
from ..state import State
from ..summary import Summary
from .figures import Figures
from .page import page
from .plot import plot

__all__ = ["Report"]


class Report:
    """Look on at a run, and write one page of HTML about it when it ends: `crawl.watch(Report("out.html"))`.

    The page needs nothing else, shows no secrets of URLs, and stays under 1 MB; the memory for it stays small, too,
    whatever the size of the run. It is written when the run ends or is stopped. After a crash `Report.of_state` makes
    one of the state; where a run is resumed the report tells of all its parts. Without a path nothing is written.
    Raises OSError.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, title: str = "") -> None:
        self.figures: Figures = Figures()
        self.summary: Summary | None = None
        self._path = None if path is None else Path(path)
        self._title = title

    @classmethod
    def of_state(
        cls, state: str | os.PathLike[str], path: str | os.PathLike[str] | None = None, *, title: str = ""
    ) -> Self:
        """Return the report of a run whose state is there, without the run: neither is changed. Raises StateError."""
        report = cls(path, title=title)
        place = Path(state).absolute()
        if not place.exists():
            raise StateError(f"{place}: there is no such state")
        try:
            # Not read-only: SQLite has to clear away first what a crash has left half written.
            with closing(sqlite3.connect(f"{place.as_uri()}?mode=rw", uri=True)) as db:
                report.figures.read(db)
                report.figures.read_skipped(db)
        except sqlite3.Error as exc:
            raise StateError(f"{place}: no state of a run that can be read ({exc})") from exc
        return report

    def begin(self, state: State | None) -> None:
        """See that the page can be written, before the run; count what came before."""
        if self._path is not None:
            with named(str(self._path)), self._part.open("w"):
                pass
        if state is not None:
            state.read(self.figures.read)

    def outcome(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.figures.add(past_of(outcome, time()))

    def look(self, progress: Progress) -> None:
        """Count how the run stands."""
        self.figures.look(progress)

    def end(self, summary: Summary, state: State | None) -> None:
        """Write the page."""
        self.summary = summary
        if state is not None:
            state.read(self.figures.read_skipped)
        self.write()

    def write(self) -> None:
        """Write the page, at once as a whole."""
        if self._path is None:
            return
        with named(str(self._path)):
            self._part.write_text(self.html(), encoding="utf-8", newline="\n")
            publish(self._part, self._path)

    def html(self) -> str:
        """Return the page."""
        return page(self.figures, title=self._title, complete=None if self.summary is None else self.summary.complete)

    def plot(self, width: int = 80, *, plain: bool = False) -> str:
        """Return a plot for a terminal: the rate over time, and how long answers took; `plain` is without blocks."""
        return plot(self.figures, width, plain=plain)

    @property
    def _part(self) -> Path:
        assert self._path is not None
        return self._path.with_name(f"{self._path.name}.part")
