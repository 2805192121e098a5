"""Scraping at scale: runs that are polite, lose no URL, and explain themselves."""

from .errors import InputError, SinkError, StateError
from .item import Item
from .outcome import Attempt, Outcome
from .sinks.base import Position, Sink

__all__ = ["Attempt", "InputError", "Item", "Outcome", "Position", "Sink", "SinkError", "StateError"]
