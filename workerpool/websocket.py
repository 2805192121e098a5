"""WebSockets for threads: the connection is a worker's, messages travel through a queue each way."""

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from threading import TIMEOUT_MAX
from typing import Any, NamedTuple

from .channels import Closed, Messages
from .errors import ConnectionLost, InvalidRequest, ReadTimeout, RequestError
from .job import Job, Process, Work, check_may_block
from .redaction import redact

__all__ = ["GOODBYE", "Frame", "Link", "Opening", "WebSocket"]

_ROOM = 16  # messages on their way in each direction
_GOING_AWAY = 1001  # RFC 6455, 7.4.1
_NORMAL = frozenset({1000, _GOING_AWAY})
_NEVER_SENT = frozenset({1004, 1005, 1006})  # RFC 6455, 7.4.1
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_LONGEST_REASON = 123  # bytes; RFC 6455, 5.5
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
    timeout: float | None = None
    max_message: int = 4 * 2**20
    heartbeat: float | None = None
    compress: bool = True
    own_code: bool = False  # whether code of the user's takes part, which raises what it likes

    def __post_init__(self) -> None:
        """Refuse what would fail on the worker, and bound the times; raises InvalidRequest."""
        try:
            object.__setattr__(self, "timeout", _checked_timeout(self.timeout))
            object.__setattr__(self, "heartbeat", _checked_timeout(self.heartbeat, "heartbeat"))
            _check_size(self.max_message)
            object.__setattr__(self, "protocols", _checked_protocols(self.protocols))
        except (TypeError, ValueError) as exc:
            where = redact(self.url)
            raise InvalidRequest(f"WebSocket {where}: {exc}", url=where, method="GET", stage="queued") from None


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
            self.outgoing.put(Frame("close", b"", _GOING_AWAY), 0)
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

    def __init__(self, url: str, link: Link, job: Job[None], protocol: str | None) -> None:
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

        Raises ReadTimeout after `timeout` seconds, ConnectionLost on a closed WebSocket, and ValueError for text that
        UTF-8 does not encode.
        """
        if isinstance(data, str):
            self._put(Frame("text", _encoded(data, "a text message")), timeout)
        elif isinstance(data, bytes | bytearray | memoryview):
            self._put(Frame("bytes", bytes(data)), timeout)
        else:
            raise TypeError(f"a message is str or bytes, not {type(data).__name__}")

    def ping(self, data: bytes = b"") -> None:
        """Send a ping, of at most 125 bytes; blocks as `send` does."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"a ping carries bytes, not {type(data).__name__}")
        data = bytes(data)
        if len(data) > 125:
            raise ValueError(f"a ping carries at most 125 bytes (RFC 6455, 5.5), not {len(data)}")
        self._put(Frame("ping", data), None)

    def recv(self, timeout: float | None = None) -> str | bytes:
        """Block for the next message: str of a text one, bytes of a binary one.

        Raises ReadTimeout after `timeout` seconds, ConnectionLost once the WebSocket is closed, and what ended it.
        """
        self._check("recv()")
        patience = _checked_timeout(timeout)
        try:
            return self._link.incoming.get(patience)
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
        """Close in order; blocks until the other side agrees, for a few seconds at the most. Repeatable.

        Raises ValueError for a code that nobody may send, and for a reason of more than 123 bytes.
        """
        frame = _close_frame(code, reason)
        with suppress(Closed, TimeoutError):
            self._link.outgoing.put(frame, GOODBYE)
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
        patience = _checked_timeout(timeout)
        try:
            self._link.outgoing.put(frame, patience)
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


def _encoded(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        # The error itself would show the text.
        raise ValueError(f"{what} must be Unicode that UTF-8 encodes; character {exc.start} is half a pair") from None


def _checked_timeout(timeout: float | None, name: str = "timeout") -> float | None:
    """Return the seconds that a thread can wait; as good as for ever is as long as it can."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"{name} must be a number of seconds or None, not {type(timeout).__name__}")
    if not timeout >= 0:
        raise ValueError(f"{name} must be 0 or more, not {timeout}")
    return min(timeout, TIMEOUT_MAX)


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


def _close_frame(code: int, reason: str) -> Frame:
    if isinstance(code, bool) or not isinstance(code, int):
        raise TypeError(f"a code is an int, not {type(code).__name__}")
    if not (1000 <= code <= 1014 or 3000 <= code <= 4999) or code in _NEVER_SENT:
        raise ValueError(f"a code is 1000 to 1014, but for 1004 to 1006, or 3000 to 4999 (RFC 6455, 7.4), not {code}")
    if not isinstance(reason, str):
        raise TypeError(f"a reason is a str, not {type(reason).__name__}")
    said = _encoded(reason, "a reason")
    if len(said) > _LONGEST_REASON:
        raise ValueError(f"a reason has at most {_LONGEST_REASON} bytes as UTF-8 (RFC 6455, 5.5), not {len(said)}")
    return Frame("close", said, code)
