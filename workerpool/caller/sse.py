"""Server-sent events: what the lines of an event stream say (WHATWG HTML, 9.2)."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import BodyTooLarge

__all__ = ["LAST_ID", "EventStream", "ServerSentEvent"]

LAST_ID = "last-event-id"  # the header
_LONGEST_PAUSE = 300.0  # seconds; a server must not put its reader to sleep for a year
_SHORTEST_PAUSE = 0.5  # seconds; nor have itself asked a thousand times a second, as browsers see to, too
_ID = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{0,1000}")  # what Last-Event-ID can carry


class ServerSentEvent(NamedTuple):
    """One event: its data, its type ("message" unless named), and the id of the last event that had one."""

    data: str
    event: str = "message"
    id: str = ""


class EventStream:
    """Read events over one connection or several; keeps what the next one needs."""

    def __init__(self, longest: int, last_id: str = "") -> None:
        self.last_id: str = last_id  # of the last event that is complete, or of the caller's own request
        self.pause: float = 3.0  # seconds before the next connection; the server may name others
        self._longest = longest  # characters of one event
        self.begin()

    def events(self, lines: Iterable[str]) -> Iterator[ServerSentEvent]:
        """Yield the events of one connection; what has no blank line after it at the end is none."""
        self.begin()
        for line in lines:
            if (event := self.take(line)) is not None:
                yield event

    def begin(self) -> None:
        """Forget what the connection before has left unfinished."""
        self._data: list[str] = []
        self._kind, self._size, self._id = "", 0, self.last_id

    def take(self, line: str) -> ServerSentEvent | None:
        """Take the next line; returns the event that it ends, if it does."""
        if not line:
            data, kind, self.last_id = self._data, self._kind, self._id
            self.begin()
            return ServerSentEvent("\n".join(data), kind or "message", self.last_id) if data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._add(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and _ID.fullmatch(value):
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self._set_pause(value)
        return None

    def _add(self, value: str) -> None:
        self._size += len(value) + 1
        if self._size > self._longest:
            raise BodyTooLarge(f"an event is longer than {self._longest} characters; raise max_line=")
        self._data.append(value)

    def _set_pause(self, milliseconds: str) -> None:
        digits = milliseconds.lstrip("0")[:10] or "0"  # more of them make no longer pause, and int() refuses thousands
        self.pause = max(_SHORTEST_PAUSE, min(int(digits) / 1000, _LONGEST_PAUSE))
