"""What the library logs, on stderr: on one line each, and nothing in it that steers a terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..scraping.sinks.text import defused

__all__ = ["logs_on_stderr"]

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


@contextmanager
def logs_on_stderr(verbose: int, *, quiet: bool = False, formatter: logging.Formatter | None = None) -> Iterator[None]:
    """Show warnings, with `verbose` more; with `quiet` errors only."""
    logger = logging.getLogger("workerpool")
    before = logger.level, logger.propagate
    handler = logging.StreamHandler(sys.stderr) if sys.stderr is not None else logging.NullHandler()
    handler.setFormatter(formatter or _Lines("workerpool: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR if quiet else _LEVELS[min(verbose, len(_LEVELS) - 1)])
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return the record on one line, harmless."""
        return defused(super().format(record))
