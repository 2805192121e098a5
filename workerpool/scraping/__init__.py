"""Scraping at scale: runs that are polite, lose no URL, and explain themselves."""

from .crawl import Crawl
from .errors import InputError, SinkError, StateError
from .item import Item
from .outcome import Attempt, Outcome
from .politeness import Politeness
from .progress import Progress
from .report import Report
from .sinks.base import Position, Sink
from .summary import Summary
from .watching import Watcher

__all__ = [
    "Attempt",
    "Crawl",
    "InputError",
    "Item",
    "Outcome",
    "Politeness",
    "Position",
    "Progress",
    "Report",
    "Sink",
    "SinkError",
    "StateError",
    "Summary",
    "Watcher",
]
