"""Server-sent events: what the lines of an event stream say (WHATWG HTML, 9.2)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .errors import BodyTooLarge

__all__ = ["EventStream", "ServerSentEvent"]

_LONGEST_PAUSE = 300.0  # seconds; a server must not put its reader to sleep for a year


class ServerSentEvent(NamedTuple):
    """One event: its data, its type ("message" unless named), and the id of the last event that had one."""

    data: str
    event: str = "message"
    id: str = ""


class EventStream:
    """Read events over one connection or several; keeps what the next one needs."""

    def __init__(self, longest: int) -> None:
        self.last_id = ""
        self.pause = 3.0  # seconds before the next connection; the server may name others
        self._longest = longest  # characters of one event

    def events(self, lines: Iterable[str]) -> Iterator[ServerSentEvent]:
        """Yield the events of one connection; what has no blank line after it at the end is none."""
        data: list[str] = []
        kind, size = "", 0
        for line in lines:
            if not line:
                if data:
                    yield ServerSentEvent("\n".join(data), kind or "message", self.last_id)
                data, kind, size = [], "", 0
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                size += len(value) + 1
                if size > self._longest:
                    raise BodyTooLarge(f"an event is longer than {self._longest} characters; raise max_line=")
                data.append(value)
            elif name == "event":
                kind = value
            elif name == "id" and "\0" not in value:
                self.last_id = value
            elif name == "retry" and value.isascii() and value.isdigit():
                self.pause = min(int(value) / 1000, _LONGEST_PAUSE)
