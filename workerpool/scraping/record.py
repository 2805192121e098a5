"""The record of a run: its state and its sinks, brought forward together."""

import os
from collections.abc import Iterable, Mapping
from time import monotonic
from types import TracebackType
from typing import Any, Self

from .entry import Entry
from .errors import StateError
from .item import Item
from .memory import Memory, Remembers
from .outcome import Outcome
from .sinks.base import Keeper, Sink
from .state import Mode, State

__all__ = ["Record"]

_EVERY = 1.0  # seconds between two commits at most, while outcomes come
_QUIET = 0.1  # and where the run waits anyway
_SHARE = 0.05  # of the time that commits may take where it only seems to wait, since more comes at once
_MUCH = 5000  # outcomes in one commit


class Record:
    """Write outcomes to the sinks and note them in the state; a commit makes both true.

    The order is what a crash may strike into: the outputs are written and flushed first, then the state says how far
    they are true. What lies behind that is cut off when the run goes on. Without a state the outputs alone are kept.
    """

    def __init__(
        self,
        sinks: list[Sink],
        path: str | os.PathLike[str] | None,
        mode: Mode,
        identity: Mapping[str, str],
        *,
        since_last: bool = False,
    ) -> None:
        self.state: State | None = (
            None if path is None else State(path, identity=identity, mode=mode, since_last=since_last)
        )
        self.tells_changes: bool = self.state is not None and self.state.tells_changes
        self.mark: Any = self.state.input_mark if self.state is not None else None
        self.input_ended: bool = self.state.input_ended if self.state is not None else False
        self.since: float = self.state.asked_again if self.state is not None else 0.0
        self._sinks = sinks
        self._keepers = [sink for sink in sinks if isinstance(sink, Keeper)]
        self._opened: list[Sink] = []
        self._is_open = False
        self._is_amid = False  # an outcome is in some of the outputs, and not in the state: by an interrupt, say
        self._memory: Memory | None = None
        self._begun: set[int] = set()  # what is asked for, by index
        self._news = 0
        self._last = monotonic()
        self._took = 0.0  # seconds that the last commit took
        self._number = 0

    def __enter__(self) -> Self:
        positions = self.state.positions() if self.state is not None else []
        if positions and len(positions) != len(self._sinks):
            self._close_state()
            raise StateError(f"the state is of a run with {len(positions)} outputs, not {len(self._sinks)}")
        try:
            for number, sink in enumerate(self._sinks):
                sink.open(positions[number] if positions else None)
                self._opened.append(sink)
        except BaseException:
            self._leave()
            raise
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what is known; a run that was broken off by an error of its own outputs keeps what was committed."""
        try:
            if self._is_open and not self._is_amid and not isinstance(error, OSError | StateError):
                self.commit()
        finally:
            self._leave()

    def keeps(self, item: Item) -> bool:
        """Whether the outputs still have what came of an item before."""
        return all(keeper.keeps(item) for keeper in self._keepers)

    def finds(self, item: Item) -> bool:
        """Whether the outputs have something of the item's name."""
        return bool(self._keepers) and all(keeper.finds(item) for keeper in self._keepers)

    @property
    def not_named(self) -> int:
        """How many of those that the round before has fetched nothing has named in this one."""
        return self.state.left() if self.state is not None and self.tells_changes else 0

    def remember(self, learner: object) -> None:
        """Have what somebody learns kept in the state, where it is one that does, and take back what is there."""
        if self.state is not None and isinstance(learner, Remembers):
            self._memory = Memory(self.state, learner)

    @property
    def known(self) -> int:
        """How many items are known."""
        return self._number if self.state is None else self.state.known

    def add(self, items: Iterable[tuple[Item, str, bytes | None, str | None]]) -> list[int]:
        """Note items; returns the indices of those that are new (see State.add)."""
        self._news += 1
        if self.state is not None:
            return self.state.add(items)
        new = [self._number + n for n, _ in enumerate(items)]
        self._number += len(new)
        return new

    def begin(self, entry: Entry) -> None:
        """Note that an item is asked for; for the same one once more where it is tried again."""
        if self.state is not None and entry.index not in self._begun:
            self._begun.add(entry.index)
            self._news += 1
            self.state.begin(entry.index)

    def put_back(self, entry: Entry) -> None:
        """Note that an item that was begun was not sent after all: it waits again."""
        if self.state is not None and entry.index in self._begun:
            self._begun.discard(entry.index)
            self._news += 1
            self.state.put_back(entry.index)

    def end(self, outcome: Outcome) -> None:
        """Write an outcome out and note it."""
        self._is_amid = True
        for sink in self._sinks:
            sink.write(outcome)
        self._news += 1
        if self.state is not None:
            self._begun.discard(outcome.index)
            self.state.end(outcome)
        self._is_amid = False

    def commit_when_due(self, *, idle: bool = False) -> None:
        """Commit where there is enough that is new, or, while the run waits, anything."""
        if not self._news:
            return
        pause = max(_QUIET, min(self._took / _SHARE, _EVERY)) if idle else _EVERY
        if self._news >= _MUCH or monotonic() - self._last >= pause:
            self.commit()

    def commit(self) -> None:
        """Hand what was written to the system, and make it true in the state."""
        began = monotonic()
        positions = [sink.flush() for sink in self._opened]
        if self.state is not None:
            if self._memory is not None:
                self._memory.keep()
            self.state.commit(positions, self.mark, input_ended=self.input_ended)
        self._news = 0
        self._last = monotonic()
        self._took = self._last - began

    def finish(self) -> None:
        """Bring the outputs to their final form: the run is complete."""
        self.commit()
        for sink in self._sinks:
            sink.close()
        self._opened, self._is_open = [], False
        if self.state is not None:
            self.state.finish()

    def _leave(self) -> None:
        try:
            for sink in self._opened:
                sink.abandon()
        finally:
            self._opened = []
            self._close_state()

    def _close_state(self) -> None:
        if self.state is not None:
            self.state.close()
