"""WebSockets for threads: the connection is a worker's, messages travel through a queue each way."""

from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from .channels import Closed, Messages
from .errors import ConnectionLost, ReadTimeout, RequestError
from .job import Job, Process, Work, check_may_block
from .redaction import redact

__all__ = ["GOODBYE", "Frame", "Link", "Opening", "WebSocket"]

_ROOM = 16  # messages on their way in each direction
_GOING_AWAY = 1001  # RFC 6455, 7.4.1
_NORMAL = frozenset({1000, _GOING_AWAY})
GOODBYE = 3.0  # seconds that the other side gets to answer a close


class Frame(NamedTuple):
    """What a thread asks the worker to send."""

    kind: str  # "text", "bytes", "ping" or "close"
    data: bytes | str = b""
    code: int = 1000


@dataclass(frozen=True, slots=True)
class Opening:
    """How a WebSocket is opened. Sizes in bytes, times in seconds."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    protocols: tuple[str, ...] = ()
    timeout: float | None = None
    max_message: int = 4 * 2**20
    heartbeat: float | None = None
    compress: bool = True


@dataclass(slots=True, eq=False)
class Link:
    """What the thread's side and the worker's share."""

    incoming: "Messages[str | bytes]" = field(default_factory=lambda: Messages(_ROOM))
    outgoing: "Messages[Frame]" = field(default_factory=lambda: Messages(_ROOM))
    opened: "Future[str | None]" = field(default_factory=Future)  # the protocol that was agreed on
    work: Work | None = None  # what carries the messages
    close_code: int | None = None
    error: BaseException | None = None  # why it ended, unless in order

    def end(self, _job: object = None) -> None:
        """Release whoever waits on either side; the last thing that happens. From any thread, repeatable."""
        with suppress(InvalidStateError):
            self.opened.set_exception(self.error or ConnectionLost("the WebSocket was given up", stage="connect"))
        self.incoming.end()
        self.outgoing.close()

    def go_away(self) -> None:
        """Close in order, since the pool ends; never blocks. From any thread."""
        with suppress(Closed, TimeoutError):
            self.outgoing.put(Frame("close", "", _GOING_AWAY), 0)
        self.outgoing.end()

    def settle(self, job: "Future[None]") -> None:
        """Note what became of the job that carries the messages."""
        if self.error is None:
            self.error = CancelledError() if job.cancelled() else job.exception()
        self.end()


class WebSocket:
    """An open WebSocket; for a `with` block. One thread may receive while others send.

    Pings are answered by the worker, as long as messages are received: a reader that stops, stops the other side, too.
    """

    def __init__(self, url: str, link: Link, job: Job, protocol: str | None) -> None:
        self.url = redact(url)
        self.protocol = protocol
        self._link = link
        self._job = job
        self._process = Process()

    @property
    def close_code(self) -> int | None:
        """The code that the connection was closed with (RFC 6455, 7.4), None while it is open; 1006: without one."""
        return self._link.close_code

    def send(self, data: str | bytes, timeout: float | None = None) -> None:
        """Send a message, text or binary; blocks while too much waits to be sent.

        Raises ReadTimeout after `timeout` seconds, and ConnectionLost on a closed WebSocket.
        """
        if not isinstance(data, str | bytes | bytearray | memoryview):
            raise TypeError(f"a message is str or bytes, not {type(data).__name__}")
        self._put(Frame("text", data) if isinstance(data, str) else Frame("bytes", bytes(data)), timeout)

    def ping(self, data: bytes = b"") -> None:
        """Send a ping, of at most 125 bytes; blocks as `send` does."""
        if len(data) > 125:
            raise ValueError(f"a ping carries at most 125 bytes (RFC 6455, 5.5), not {len(data)}")
        self._put(Frame("ping", data), None)

    def recv(self, timeout: float | None = None) -> str | bytes:
        """Block for the next message: str of a text one, bytes of a binary one.

        Raises ReadTimeout after `timeout` seconds, ConnectionLost once the WebSocket is closed, and what ended it.
        """
        self._check("recv()")
        try:
            return self._link.incoming.get(timeout)
        except TimeoutError:
            raise ReadTimeout(f"{self.url}: no message within {timeout:g} s", url=self.url, stage="body") from None
        except Closed:
            raise self._ending() from None

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield messages until the WebSocket is closed in order; raises what else ends it."""
        while True:
            try:
                message = self.recv()
            except ConnectionLost:
                if self._link.error is None and self._link.close_code in _NORMAL:
                    return
                raise
            yield message

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in order; blocks until the other side agrees, for a few seconds at the most. Repeatable."""
        with suppress(Closed, TimeoutError):
            self._link.outgoing.put(Frame("close", reason, code), GOODBYE)
        self._link.outgoing.end()
        self._link.incoming.close()
        try:
            self._job.exception(2 * GOODBYE)
        except (TimeoutError, CancelledError):
            self._job.cancel()

    def __enter__(self) -> "WebSocket":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "open" if self.close_code is None else f"closed with {self.close_code}"
        return f"<WebSocket {self.url}, {state}>"

    def _put(self, frame: Frame, timeout: float | None) -> None:
        self._check("send()")
        try:
            self._link.outgoing.put(frame, timeout)
        except TimeoutError:
            raise ReadTimeout(f"{self.url}: not sent within {timeout:g} s", url=self.url, stage="send") from None
        except Closed:
            raise self._ending() from None

    def _check(self, what: str) -> None:
        check_may_block(f"WebSocket.{what}")
        self._process.check("the WebSocket")

    def _ending(self) -> RequestError:
        """Return a new error each time: one that is raised twice would collect the tracebacks of all who raised it."""
        why = self._link.error
        if isinstance(why, RequestError):
            return type(why)(str(why), url=self.url, method="GET", stage="body")
        error = ConnectionLost(f"{self.url}: the WebSocket is closed ({self.close_code})", url=self.url, stage="body")
        error.__cause__ = why
        return error
