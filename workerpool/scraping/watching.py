"""Watching a run: what is told to whoever looks on, and keeps nothing that the run depends on."""

from typing import Protocol, runtime_checkable

from .outcome import Outcome
from .progress import Progress
from .state import State
from .summary import Summary

__all__ = ["Watcher"]


@runtime_checkable
class Watcher(Protocol):
    """Look on at a run; all calls come from its thread: `begin`, then `outcome` and `look` in turn, then `end`.

    Unlike a sink it takes no part in commits: it may be there in one part of a run and not in the next. What of the
    run lies before it is in the state. What it raises ends the run.
    """

    def begin(self, state: State | None) -> None:
        """Begin to look on; the state, where there is one, holds what was before."""

    def outcome(self, outcome: Outcome) -> None:
        """See an outcome, once it is written out and noted."""

    def look(self, progress: Progress) -> None:
        """See how the run stands, a few times a second."""

    def end(self, summary: Summary, state: State | None) -> None:
        """See the end: of the run, or of this part of it, whatever has ended it."""
