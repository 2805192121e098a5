"""A source that is read on a thread of its own, so that a run need not wait for what comes slowly."""

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import Any, TypeAlias

from .backlog import Source
from .item import Item

__all__ = ["Ahead"]

_AHEAD = 1000  # items that are read before they are asked for
_LOOK = 0.5  # seconds between two looks at whether anybody still takes them

_Found: TypeAlias = "tuple[Item, Any] | BaseException | None"  # an item, what has ended the reading, its end


class Ahead:
    """Read a source ahead; where nothing has come yet, None is yielded instead of waiting."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, mark: Any = None) -> Iterator[tuple[Item, Any] | None]:
        """Yield what has come, from the mark on. Raises what the source does."""
        found: Queue[_Found] = Queue(_AHEAD)
        left = threading.Event()
        # Not waited for: nothing ends a wait for a pipe.
        threading.Thread(target=self._fill, args=(mark, found, left), name="workerpool-input", daemon=True).start()
        try:
            while True:
                try:
                    each = found.get_nowait()
                except Empty:
                    yield None
                    continue
                if each is None:
                    return
                if isinstance(each, BaseException):
                    raise each
                yield each
        finally:
            left.set()

    def _fill(self, mark: Any, found: "Queue[_Found]", left: threading.Event) -> None:
        end: BaseException | None = None
        try:
            for each in self._source.read(mark):
                if each is not None and not _put(found, each, left):
                    return
        except BaseException as exc:  # noqa: BLE001  it is raised where the source is read
            end = exc
        _put(found, end, left)


def _put(found: "Queue[_Found]", each: _Found, left: threading.Event) -> bool:
    """Put it in when there is room; False if nobody takes it any more."""
    while not left.is_set():
        try:
            found.put(each, timeout=_LOOK)
        except Full:
            continue
        return True
    return False
