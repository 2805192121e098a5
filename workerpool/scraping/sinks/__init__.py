"""Sinks: where outcomes go. Each kind is a module; `base` says what a sink promises."""

from .base import Position, Sink
from .choice import folder_for, sink_for

__all__ = ["Position", "Sink", "folder_for", "sink_for"]
