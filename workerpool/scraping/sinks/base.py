"""What a sink is: a place for outcomes that can be taken back to where it was at a commit."""

from collections.abc import Mapping
from typing import Protocol, TypeAlias, runtime_checkable

from ..item import Item
from ..outcome import Outcome

__all__ = ["Keeper", "Position", "Sink"]

Position: TypeAlias = Mapping[str, int]  # how much of each file is committed, in bytes, by its name beside the output


@runtime_checkable
class Sink(Protocol):
    """Take outcomes and keep them. All calls come from the thread of the run, in the order of `open`, then
    `write` and `flush` in turn, then `close` or `abandon`.

    The run commits what `flush` has returned together with the outcomes written before it. After a crash `open` gets
    the last committed position back: whatever lies behind it was never committed, and is cut off, for those outcomes
    come again. An output that cannot be taken back (stdout, a pipe, a store) has an empty position, which is not None:
    it is gone on with, and what comes again is there twice, or overwrites itself. Errors of the system are raised as
    OSError whose `filename` names the place; after one `flush` may be tried again, or the sink abandoned.
    """

    def open(self, position: Position | None) -> None:
        """Begin anew, or with a position go on from there. Raises SinkError where what is there does not fit it."""

    def write(self, outcome: Outcome) -> None:
        """Take an outcome."""

    def flush(self) -> Position:
        """Hand what was written to the operating system; return the position that `open` can come back to."""

    def close(self) -> None:
        """Bring the output to its final form: the run is complete, and its last flush is committed.

        May be called again, after an error or, behind `open`, after a crash amid it. What is finished can be gone on
        with: `open` takes the last position, or an earlier one.
        """

    def abandon(self) -> None:
        """Let go of the output as it is: the run has stopped, and may be resumed from the last position.

        Whole outcomes only are left in it. May be called again; raises no OSError.
        """


@runtime_checkable
class Keeper(Protocol):
    """What a sink is, too, that still has what earlier runs have brought; asked before an item is."""

    def keeps(self, item: Item) -> bool:
        """Whether what came of the item's URL before is still here: it need not come again if nothing has changed."""

    def finds(self, item: Item) -> bool:
        """Whether there is something of the item's name, whoever has put it there."""
