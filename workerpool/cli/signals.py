"""Ctrl-C and TERM for a run that can be resumed: drained once, ended the second time, and never in the midst."""

import os
import signal
import threading
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from ..scraping.crawl import Crawl

__all__ = ["Stops"]

_HELP = b"\nstopping: what is under way is waited for; once more ends at once\n"


class Stops:
    """Stop a run by signals, for a `with` block: `gently` where it keeps a state, else they end it as they always do.

    Ctrl-C has it begin nothing more, a second one ends it at once, and a third one is Python's own. TERM ends it at
    once: whoever sends it does not wait long, and what is under way is asked again.
    """

    def __init__(self, *, gently: bool, quiet: bool = False) -> None:
        self._quiet = quiet
        self._crawl: Crawl | None = None
        self._gently = gently and threading.current_thread() is threading.main_thread()
        self._before: dict[int, Any] = {}
        self._count = 0
        self.exit_code: int | None = None

    def of(self, crawl: Crawl) -> Self:
        """Say which run it is that they stop."""
        self._crawl = crawl
        return self

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM) if self._gently else ():
            if signal.getsignal(number) is not signal.SIG_IGN:  # as shells have it for what runs in the background
                self._before[number] = signal.signal(number, self._strike)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _strike(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self.exit_code = 128 + number
        if self._crawl is not None:
            self._crawl.stop()
        if number == signal.SIGTERM and self._crawl is not None:
            self._crawl.stop()
        elif self._count > 1:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        elif not self._quiet:
            self._tell()

    def _tell(self) -> None:
        with suppress(OSError):
            os.write(2, _HELP)  # no file object: the signal may have come amid one's own write
