"""What a person sees while it runs, on stderr: a live bar, or plain lines where stderr is no terminal."""

import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

__all__ = ["Meter", "show_table", "show_text"]

_FRAME = 0.1  # seconds between two pictures of the bar
_LINE = 2.0  # seconds between two plain lines


class Meter:
    """Count results and show them; for a `with` block.

    One thread counts, a second one shows: so it also moves while the first waits for a slow server. With
    `shared_screen` only the summary is shown, for data lines on the same terminal would tear the bar.
    """

    def __init__(self, total: int | None, *, quiet: bool = False, shared_screen: bool = False) -> None:
        self.done: int = 0  # these two: written by the counting thread only
        self.failed: int = 0
        self._total = total
        self._quiet = quiet or sys.stderr is None  # None: started with 2>&-
        self._live = not self._quiet and not shared_screen
        self._bar = _bar(total) if self._live and _is_screen() else None
        self._began = monotonic()
        self._ended = threading.Event()
        self._painter = threading.Thread(target=self._paint_on, name="workerpool-progress", daemon=True)

    def count(self, *, ok: bool) -> None:
        """Note one result."""
        self.done += 1
        self.failed += not ok

    def summary(self) -> str:
        """Return the numbers in one line."""
        of = "" if self._total is None or self._total == self.done else f" of {self._total}"
        seconds = monotonic() - self._began
        return f"{self.done}{of} fetched, {self.failed} failed, {seconds:.1f} s, {self._rate():.0f}/s"

    def __enter__(self) -> Self:
        self._began = monotonic()
        if self._bar is not None:
            self._bar.start()
        if self._live:
            self._painter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._live:
            self._painter.join()
        if self._bar is not None:
            self._bar.stop()
        if not self._quiet and not isinstance(error, OSError):  # the output has gone: what was fetched is nowhere
            _say(self.summary())

    def _paint_on(self) -> None:
        while not self._ended.wait(_LINE if self._bar is None else _FRAME):
            self._paint()

    def _paint(self) -> None:
        if self._bar is None:
            _say(f"{self.summary()}, under way")
            return
        failed = f"[red]{self.failed} failed[/]" if self.failed else "0 failed"
        with suppress(OSError):  # the terminal has gone; the work goes on
            self._bar.update(
                self._bar.task_ids[0], completed=self.done, rate=f"{self._rate():.0f}/s", failed=failed, refresh=True
            )

    def _rate(self) -> float:
        return self.done / max(monotonic() - self._began, 1e-9)


def show_table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a small table on stdout; where it does not fit, a line for each cell."""
    console, rows = Console(), list(rows)
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    boundless = console.options.update(max_width=10_000)
    if console.measure(table, options=boundless).maximum <= console.width:
        console.print(table)
        return
    show_text(title)
    for name, *cells in rows:
        show_text("")
        show_text(name)
        for column, cell in zip(columns[1:], cells, strict=True):
            show_text(f"  {column}: {cell}")


def show_text(text: str) -> None:
    """Print on stdout, broken between words where it is too long."""
    Console(highlight=False, markup=False).print(text)


def _say(line: str) -> None:
    with suppress(OSError):  # nobody reads stderr any more; the work goes on
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _is_screen() -> bool:
    """Return whether stderr is a terminal on which lines can be painted again."""
    console = Console(stderr=True)
    return console.is_terminal and not console.is_dumb_terminal


def _bar(total: int | None) -> Progress:
    bar = Progress(
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[failed]}"),
        *([] if total is None else [TextColumn("ETA"), TimeRemainingColumn()]),
        console=Console(stderr=True),
        auto_refresh=False,  # the Meter's own thread does it
        redirect_stdout=False,  # stdout is for data
        transient=True,  # the summary takes its place
    )
    bar.add_task("", total=total, rate="", failed="")
    return bar
