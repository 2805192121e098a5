"""What is to be done, as values: a request, whose answer is handed out whole or streamed; a function; a WebSocket.

Never changed once they are made. They are not frozen, which would make each of them cost twice as much.
"""

from collections.abc import Callable
from dataclasses import field
from typing import Any, TypeAlias

from yarl import URL

from ..messages.request import Request
from ..messages.response import Response
from ..redaction import redact
from ..values import dataclass
from .channel import Chunks
from .link import Link, Opening

__all__ = ["Call", "Dial", "Errand", "Fetch", "Opened", "Stream"]

# Makes what a streamed answer is handed out as: of the head, the chunks, what stops the download, and the same without
# a lock.
Opened: TypeAlias = Callable[[Response, Chunks, Callable[[], None], Callable[[], None]], Any]


@dataclass(slots=True, eq=False)
class Fetch:
    """Send a request, and hand out the complete answer. `target` is its URL, made absolute."""

    request: Request
    target: URL

    @property
    def method(self) -> str:
        """What messages name the errand by."""
        return self.request.method

    @property
    def url(self) -> str:
        """Where it leads, without secrets."""
        return redact(self.target)


@dataclass(slots=True, eq=False)
class Stream(Fetch):
    """Send a request, and hand out its answer with the head: the body follows through a channel."""

    opened: Opened


@dataclass(slots=True, eq=False)
class Call:
    """Run an async function with its arguments; the session goes before them."""

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """What messages name the errand by."""
        return str(getattr(self.fn, "__qualname__", "call"))

    @property
    def url(self) -> str:
        """Nowhere."""
        return ""

    @property
    def request(self) -> None:
        """Nothing is sent by the pool."""


@dataclass(slots=True, eq=False)
class Dial:
    """Open a WebSocket, and carry its messages until it is closed."""

    request: Request
    opening: Opening
    link: Link

    @property
    def method(self) -> str:
        """What messages name the errand by."""
        return "GET"

    @property
    def url(self) -> str:
        """Where it leads, without secrets."""
        return redact(self.opening.url)


Errand: TypeAlias = Fetch | Call | Dial
