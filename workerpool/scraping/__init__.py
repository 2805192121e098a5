"""Scraping at scale: runs that are polite, lose no URL, and explain themselves."""

from .crawl import Crawl, Summary
from .errors import InputError, SinkError, StateError
from .item import Item
from .outcome import Attempt, Outcome
from .politeness import Politeness
from .sinks.base import Position, Sink

__all__ = [
    "Attempt",
    "Crawl",
    "InputError",
    "Item",
    "Outcome",
    "Politeness",
    "Position",
    "Sink",
    "SinkError",
    "StateError",
    "Summary",
]
