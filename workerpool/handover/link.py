"""The two ends of a WebSocket: what the thread's side and the worker's share."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import field
from threading import TIMEOUT_MAX
from typing import Any, NamedTuple

from ..errors import Facts, InvalidRequest
from ..redaction import redact
from ..values import dataclass
from .channel import Channel, Closed

__all__ = ["GOING_AWAY", "GOODBYE", "Frame", "Link", "Opening", "checked_timeout"]

_ROOM = 16  # messages on their way in each direction
GOING_AWAY = 1001  # RFC 6455, 7.4.1
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
MAX_MESSAGE = 2**32 - 1  # bytes; aiohttp's reader counts with 32 bits
GOODBYE = 3.0  # seconds that the other side gets to answer a close


class Frame(NamedTuple):
    """What a thread asks the worker to send."""

    kind: str  # "text", "bytes", "ping" or "close"
    data: bytes = b""
    code: int = 1000


@dataclass(frozen=True, slots=True)
class Opening:
    """How a WebSocket is opened. Sizes in bytes, times in seconds."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    protocols: Iterable[str] = ()  # a tuple, once it is checked
    max_message: int = 4 * 2**20
    heartbeat: float | None = None
    compress: bool = True

    def __post_init__(self) -> None:
        """Refuse what would fail on the worker, and bound the time; raises InvalidRequest."""
        try:
            object.__setattr__(self, "heartbeat", _checked_heartbeat(self.heartbeat))
            _check_flag(self.compress)
            _check_size(self.max_message)
            object.__setattr__(self, "protocols", _checked_protocols(self.protocols))
        except (TypeError, ValueError) as exc:
            facts = Facts(redact(self.url), "GET", stage="queued")
            raise InvalidRequest.about(facts, f"a WebSocket's {exc}") from None


@dataclass(slots=True, eq=False, weakref_slot=True)
class Link:
    """What the thread's side and the worker's share."""

    incoming: "Channel[str | bytes]" = field(default_factory=lambda: Channel(_ROOM))
    outgoing: "Channel[Frame]" = field(default_factory=lambda: Channel(_ROOM))
    over: "Channel[None]" = field(default_factory=Channel)  # nothing is sent through it; it ends with all the rest
    close_code: int | None = None

    @property
    def error(self) -> BaseException | None:
        """Why it ended, unless in order."""
        return self.incoming.error

    def end(self) -> None:
        """Release whoever waits on either side; the last thing that happens. From any thread, repeatable."""
        self.incoming.end()
        self.outgoing.close()
        self.over.end()

    def wait_for_end(self, timeout: float) -> bool:
        """Block until it has ended, for so many seconds at most; returns whether it has."""
        try:
            self.over.get(timeout)
        except Closed:
            return True
        except TimeoutError:
            return False
        return True

    def go_away(self) -> None:
        """Close in order, since the pool ends; never blocks. From any thread."""
        with suppress(Closed, TimeoutError):
            self.outgoing.put(Frame("close", b"", GOING_AWAY), 0)
        self.outgoing.end()


def checked_timeout(timeout: float | None, name: str = "timeout") -> float | None:
    """Return the seconds that a thread can wait; as good as for ever is as long as it can."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"{name} must be a number of seconds or None, not {type(timeout).__name__}")
    if not timeout >= 0:
        raise ValueError(f"{name} must be 0 or more, not {timeout}")
    return min(timeout, TIMEOUT_MAX)


def _checked_heartbeat(seconds: float | None) -> float | None:
    if seconds == 0:  # aiohttp would take no answer in no time for a lost peer
        raise ValueError("heartbeat must be more than 0 seconds, or None for none")
    return checked_timeout(seconds, "heartbeat")


def _check_flag(compress: object) -> None:
    if not isinstance(compress, bool):
        raise TypeError(f"compress must be True or False, not {type(compress).__name__}")


def _check_size(size: object) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError("max_message must be a number of bytes, at least 1")
    if size > MAX_MESSAGE:  # aiohttp would give up with the connection open
        raise ValueError(f"max_message must be at most {MAX_MESSAGE} bytes")


def _checked_protocols(protocols: object) -> tuple[str, ...]:
    if isinstance(protocols, str | bytes) or not isinstance(protocols, Iterable):
        raise TypeError(f"protocols must be a list of names such as ['chat'], not {type(protocols).__name__}")
    try:
        found: tuple[Any, ...] = tuple(protocols)
    except Exception as exc:
        raise TypeError(f"protocols cannot be read: {type(exc).__name__}") from exc
    if not all(isinstance(name, str) and _TOKEN.fullmatch(name) for name in found):
        raise ValueError("protocols must be HTTP tokens such as 'chat'")
    return found
