"""A view of a run on stderr: painted in place on a terminal, plain lines elsewhere."""

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from logging import Handler, Logger, StreamHandler, root
from time import monotonic, process_time, thread_time
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from ..scraping.progress import Progress
from ..scraping.report import Report
from .estimate import Estimate
from .picture import line, picture

__all__ = ["LiveView", "Run", "show_plot"]

_FRAME = 0.25  # seconds between two pictures
_SELDOM = 3.0  # and at most, where a run does so little that pictures would be much of it
_SHARE = 0.015  # of the CPU of the process, that pictures may take
_PLOT = 100  # columns of a plot at most
_LINE = 5.0  # seconds between two plain lines


class Run(Protocol):
    """What can be looked at: a Crawl."""

    @property
    def progress(self) -> Progress:
        """How it stands."""


class LiveView:
    """Show how a run stands while the `with` block lasts; from a thread of its own, which only looks at `run.progress`.

    What is logged or printed on stderr meanwhile appears above. With `quiet` nothing is shown; with `shared_screen`,
    that is where data goes to the same terminal, nothing either, for data lines would tear the picture. `total` is
    how many inputs there are, where that is known before they were read.
    """

    def __init__(
        self, run: Run, *, total: int | None = None, quiet: bool = False, shared_screen: bool = False,
        console: Console | None = None,
    ) -> None:  # fmt: skip
        self.seconds: float = 0.0  # of CPU that the view has taken; written by its thread only
        self._run = run
        self._is_shown = not quiet and not shared_screen and sys.stderr is not None
        self._console = console or Console(stderr=True, highlight=False)
        self._estimate = Estimate(total)
        self._is_screen = self._console.is_terminal and not self._console.is_dumb_terminal
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show_on, name="workerpool-view", daemon=True)
        self._began = 0.0

    def __enter__(self) -> Self:
        if self._is_shown:
            self._began = process_time()
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._is_shown:
            self._thread.join()

    def _show_on(self) -> None:
        if not self._is_screen:
            self._tell_on()
            return
        with suppress(OSError), _Painter(self._console) as painter:  # the terminal has gone; the work goes on
            last = 0.0
            while not self._ended.wait(_FRAME):
                if monotonic() - last >= _SELDOM or self._is_cheap:
                    painter.paint(picture(self._look(), painter.width, plain=painter.is_plain))
                    last = monotonic()
                self.seconds = thread_time()

    def _tell_on(self) -> None:
        """Say how it stands from time to time; looked at is it more often, so that the first line knows a rate."""
        last = monotonic()
        while not self._ended.wait(min(_LINE, 1.0)):
            seen = self._look()
            if monotonic() - last >= _LINE:
                _say(line(seen))
                last = monotonic()
            self.seconds = thread_time()

    def _look(self) -> Estimate:
        self._estimate.see(self._run.progress)
        return self._estimate

    @property
    def _is_cheap(self) -> bool:
        return self.seconds <= _SHARE * (process_time() - self._began)


class _Painter:
    """Paint lines in place, below whatever else comes on stderr. Of the view's thread only."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            console=console,
            auto_refresh=False,  # the view's own thread does it
            redirect_stdout=False,  # stdout is for data
            transient=True,  # a summary takes its place
            vertical_overflow="crop",
        )
        self._stack = ExitStack()
        self._lines: list[Text] = []
        self._painted = 0

    @property
    def width(self) -> int:
        """Columns that may be written to; one is left, since some terminals begin a new line behind the last."""
        return max(self._console.width - 1, 10)

    @property
    def is_plain(self) -> bool:
        """Whether the terminal takes ASCII only."""
        return not self._console.encoding.startswith("utf")

    def __enter__(self) -> Self:
        self._stack.enter_context(self._live)
        self._stack.enter_context(_handlers_follow())
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._stack.close()

    def paint(self, lines: list[Text]) -> None:
        """Show these lines in place of those before."""
        width = self._console.width
        if self._painted and width < self._painted:
            self._take_away_wrapped(width)
        self._painted, self._lines = width, lines
        self._live.update(Text("\n").join(lines), refresh=True)

    def _take_away_wrapped(self, width: int) -> None:
        """Erase the rows that lines take since the terminal got narrower: the next picture knows nothing of them."""
        rows = sum((max(each.cell_len, 1) - 1) // width for each in self._lines)
        codes: list[Any] = [ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)]
        self._console.control(Control(*codes, *[(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)] * rows))


@contextmanager
def _handlers_follow() -> Iterator[None]:
    """Have handlers of logging that hold the real stderr write where the picture makes room for them."""
    held = [each for each in _handlers() if isinstance(each, StreamHandler) and each.stream in (sys.__stderr__,)]
    before = [(each, each.setStream(sys.stderr)) for each in held]
    try:
        yield
    finally:
        for handler, stream in before:
            if stream is not None:
                handler.setStream(stream)


def _handlers() -> set[Handler]:
    loggers = [root, *(each for each in root.manager.loggerDict.values() if isinstance(each, Logger))]
    return {handler for each in loggers for handler in each.handlers}


def show_plot(report: Report) -> None:
    """Print a report's plots on stderr, as wide as there is room; in ASCII where nothing else can be written."""
    console = Console(stderr=True)
    if sys.stderr is not None:
        _say(report.plot(min(console.width - 1, _PLOT), plain=not console.encoding.startswith("utf")))


def _say(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads stderr any more; the work goes on
        print(text, file=sys.stderr, flush=True)
