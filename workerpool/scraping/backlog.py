"""The backlog: what is not in the frontier yet, in the input or in the state."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ..messages.request import Request
from .entry import Entry
from .frontier import Frontier
from .item import Item
from .outcome import Outcome
from .record import Record
from .state import State

__all__ = ["Accepts", "Ask", "Asks", "Backlog", "Given", "Source"]

Given: TypeAlias = str | Item | Request
Accepts: TypeAlias = Callable[[Item], str | None]
Ask: TypeAlias = Callable[[Item, Callable[[Outcome], object]], object]
_AHEAD = 10_000  # items that are taken from the input before they are asked for
_HOSTS = 2_000  # hosts that have their turns at once
_BATCH = 500
_AT_HAND, _FEWEST = 1000, 100  # entries of open hosts that are in memory, in all, and of each of very many hosts


@runtime_checkable
class Source(Protocol):
    """An input that can be gone on with: each item comes with a mark, ready for JSON, from which to read on."""

    def read(self, mark: Any = None) -> Iterator[tuple[Item, Any] | None]:
        """Yield items from the mark on, from the beginning where there is none; None where none is there yet."""


@runtime_checkable
class Asks(Protocol):
    """A Source that has to ask for something itself, a list for one: it is asked for as all items are."""

    def ask_by(self, ask: Ask) -> None:
        """Take what asks for an item, and hands the outcome over once it is there. Before the first `read`."""


class Backlog:
    """Take items from the input and from what was found, each once where `key` tells them; fill the frontier up.

    `accepts` returns the rule by which an item that was found is not asked for, or None. Of the run's thread only.
    """

    def __init__(
        self,
        inputs: Iterable[Given] | Source,
        record: Record,
        accepts: Accepts | None = None,
        key: Callable[[str], bytes] | None = None,
    ) -> None:
        self._record = record
        self._accepts = accepts
        self._key = key
        self.left_out: Counter[str] = Counter()  # what was found and is not asked for, by the rule
        self._known: set[bytes] = set()  # where no state holds them
        self._ways: dict[bytes, int] = {}  # where redirects have led to, and whose
        self._inputs: Iterator[tuple[Item, Any] | None]
        self._asks = inputs if isinstance(inputs, Asks) else None
        self._inputs = iter(()) if record.input_ended else _marked(inputs, record.mark)
        self._fresh: set[str] = set()
        self._after = ""
        self._has_recalled = False
        self._share = _AT_HAND  # entries of a host that are taken out of the state at once
        self._scans = record.state is not None  # whether the state may hold hosts that have no turns yet
        self._missed = False  # whether there were more of them than are remembered, since the scan began

    def ask_by(self, ask: Ask) -> None:
        """Have an input that asks for something itself do so by this."""
        if self._asks is not None:
            self._asks.ask_by(ask)

    def fill(self, frontier: Frontier) -> None:
        """Bring what there is room for into the frontier."""
        state = self._record.state
        while not self._record.input_ended and (len(frontier) if state is None else state.waiting) < _AHEAD:
            batch = self._batch()
            self._add([item for item, _ in batch], frontier)
            if batch:
                self._record.mark = batch[-1][1]
            if len(batch) < _BATCH:
                break
        if state is not None and self._record.input_ended and not self._has_recalled:
            # Links lead there, and a page that has not changed is not read for them.
            self._has_recalled = True
            self._scans |= self._key is not None and bool(state.recall())
        if state is not None:
            self._open_hosts(state, frontier)

    def _batch(self) -> list[tuple[Item, Any]]:
        """Take the next items of the input: fewer where it ends, or where no more are there yet."""
        batch: list[tuple[Item, Any]] = []
        for each in self._inputs:
            if each is None:
                return batch
            batch.append(each)
            if len(batch) == _BATCH:
                return batch
        self._record.input_ended = True
        return batch

    def more(self, host: str) -> Iterable[Entry]:
        """Return further entries of a host, out of the state."""
        state = self._record.state
        return () if state is None else state.waiting_of(host, self._share)

    def found(self, items: Iterable[Item], frontier: Frontier) -> None:
        """Take what was found in an answer."""
        self._add(list(items), frontier)

    def reason_against(self, item: Item, entry: Entry) -> str | None:
        """Return the rule by which a redirect is not followed, or None; its target counts as known from then on.

        A target that is known is asked for by itself, or was.
        """
        if self._accepts is None and self._key is None:
            return None
        target = Entry(0, replace(item, parent=entry.given.url))
        key, own = self._key_of(target), self._key_of(entry)
        if key is None or key == own:
            return self._reason(target)
        if self._knows(key):
            return None if self._has_led(entry, key) else "duplicate"
        reason = self._reason(target)
        if reason is None:
            self._note_way(entry, target, key)
        return reason

    def waiting(self, frontier: Frontier) -> int:
        """Return how many of the known items wait to be asked for."""
        return len(frontier) if self._record.state is None else self._record.state.waiting

    @property
    def is_empty(self) -> bool:
        """Whether everything is in the frontier, or was."""
        state = self._record.state
        return self._record.input_ended and (state is None or not state.waiting)

    def _add(self, items: list[Item], frontier: Frontier) -> None:
        entries = [entry for item in items if self._is_new(entry := Entry(0, item))]
        if self._record.state is None:
            entries = [entry for entry in entries if self._counted_reason(entry) is None]
            indices = self._record.add([(entry.item, entry.host, None, None) for entry in entries])
            for entry, index in zip(entries, indices, strict=True):
                entry.index = index
                frontier.add(entry)
            return
        self._record.add(
            (entry.item, entry.host, self._key_of(entry), self._counted_reason(entry)) for entry in entries
        )
        self._fresh.update(entry.host for entry in entries if entry.host not in frontier)

    def _reason(self, entry: Entry) -> str | None:
        return None if self._accepts is None or entry.problem else self._accepts(entry.item)

    def _counted_reason(self, entry: Entry) -> str | None:
        reason = self._reason(entry)
        if reason is not None:
            self.left_out[reason] += 1
        return reason

    def _key_of(self, entry: Entry) -> bytes | None:
        return None if self._key is None or entry.problem else self._key(entry.item.url)

    def _is_new(self, entry: Entry) -> bool:
        key = self._key_of(entry)
        if key is None:
            return True
        if self._record.state is None:
            known = key in self._known
            self._known.add(key)
            return not known
        return not self._record.state.knows(key)

    def _knows(self, key: bytes) -> bool:
        return key in self._known if self._record.state is None else self._record.state.knows(key)

    def _has_led(self, entry: Entry, key: bytes) -> bool:
        """Whether the item's own redirect has made the target known; also before the run was stopped."""
        state = self._record.state
        return self._ways.get(key) == entry.index if state is None else state.way_from(key) == entry.given.url

    def _note_way(self, entry: Entry, target: Entry, key: bytes) -> None:
        if self._record.state is None:
            self._known.add(key)
            self._ways[key] = entry.index
        else:
            self._record.add([(target.item, target.host, key, "duplicate")])

    def _open_hosts(self, state: State, frontier: Frontier) -> None:
        if len(self._fresh) > _HOSTS:
            self._fresh.clear()
            self._missed = True
        while self._fresh and frontier.hosts < _HOSTS:
            frontier.open(self._fresh.pop())
        self._share = max(_FEWEST, _AT_HAND // max(1, frontier.hosts))
        room = _HOSTS - frontier.hosts
        if not (self._scans or self._missed) or self._fresh or room <= 0:
            return
        hosts = state.hosts(self._after, room)
        for host in hosts:
            frontier.open(host)
        if len(hosts) == room:
            self._scans, self._after = True, hosts[-1]
        else:  # these were all; what comes is fresh, unless there was no room to remember it
            self._scans, self._missed, self._after = self._missed and bool(self._after), False, ""


def _marked(inputs: Iterable[Given] | Source, mark: Any) -> Iterator[tuple[Item, Any] | None]:
    """Yield items with their marks; of a plain iterable the mark is how many were taken."""
    if isinstance(inputs, Source):
        yield from inputs.read(mark)
        return
    done = mark or 0
    for number, given in enumerate(islice(inputs, done, None), done + 1):
        yield Item.of(given), number
