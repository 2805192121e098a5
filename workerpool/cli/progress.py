"""What a person sees while it runs, on stderr: a live bar, or plain lines where stderr is no terminal."""

import sys
from collections.abc import Iterable
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

__all__ = ["Meter", "show_table"]

_EVERY = 2.0  # seconds between plain lines


class Meter:
    """Count results and show them; for a `with` block, used by one thread."""

    def __init__(self, total: int | None, *, quiet: bool = False) -> None:
        self.done = 0
        self.failed = 0
        self._total = total
        self._quiet = quiet
        self._began = self._said = monotonic()
        self._bar = _bar(total) if sys.stderr.isatty() and not quiet else None
        self._task = None if self._bar is None else self._bar.add_task("", total=total, rate="", failed=0)

    def count(self, *, ok: bool) -> None:
        """Note one result."""
        self.done += 1
        self.failed += not ok
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.done, rate=f"{self._rate():.0f}/s", failed=self.failed)
        elif not self._quiet and monotonic() - self._said >= _EVERY:
            self._said = monotonic()
            self._say(f"{self.summary()}, under way")

    def summary(self) -> str:
        """Return the numbers in one line."""
        of = "" if self._total is None or self._total == self.done else f" of {self._total}"
        seconds = monotonic() - self._began
        return f"{self.done}{of} fetched, {self.failed} failed, {seconds:.1f} s, {self._rate():.0f}/s"

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if not self._quiet:
            self._say(self.summary())

    def _rate(self) -> float:
        return self.done / max(monotonic() - self._began, 1e-9)

    def _say(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def show_table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a small table on stdout."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _bar(total: int | None) -> Progress:
    return Progress(
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("[red]{task.fields[failed]} failed"),
        *([] if total is None else [TextColumn("ETA"), TimeRemainingColumn()]),
        console=Console(stderr=True),
    )
