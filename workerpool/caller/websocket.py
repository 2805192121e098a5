"""WebSockets for threads: the connection is a worker's, messages travel through a queue each way."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

from ..errors import ConnectionLost, Facts, ReadTimeout, RequestError, Stage
from ..handover.channel import Closed
from ..handover.job import Process, check_may_block, on_worker_thread
from ..handover.link import GOING_AWAY, GOODBYE, Frame, Link, checked_timeout
from ..redaction import redact

__all__ = ["WebSocket", "as_http"]

_NORMAL = frozenset({1000, GOING_AWAY})
_NEVER_SENT = frozenset({1004, 1005, 1006})  # RFC 6455, 7.4.1
_LONGEST_REASON = 123  # bytes; RFC 6455, 5.5


class WebSocket:
    """An open WebSocket; for a `with` block. One thread may receive while others send.

    Pings are answered by the worker, as long as messages are received: a reader that stops, stops the other side, too.
    """

    def __init__(self, url: str, lane: str, link: Link, protocol: str | None, abort: Callable[[], None]) -> None:
        self.url: str = redact(url)
        self._lane = lane
        self.protocol = protocol
        self._link = link
        self._abort = abort
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
        patience = checked_timeout(timeout)
        try:
            return self._link.incoming.get(patience)
        except Exception as exc:  # noqa: BLE001  it may be what code of the user's has raised
            if isinstance(exc, TimeoutError) and exc is not self._link.error:
                raise ReadTimeout.about(self._facts("body"), f"no message within {timeout:g} s") from None
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

        On a worker's own thread it waits for nothing: the goodbye goes on without it. In a forked child it does
        nothing, as the connection is the parent's. Raises ValueError for a code that nobody may send, and for a reason
        of more than 123 bytes.
        """
        frame = _close_frame(code, reason)
        if self._process.has_forked:
            return
        if on_worker_thread():
            self._begin_close(frame)
            return
        with suppress(Closed, TimeoutError):
            self._link.outgoing.put(frame, GOODBYE)
        self._link.outgoing.end()
        self._link.incoming.close()
        if not self._link.wait_for_end(2 * GOODBYE):
            self._abort()

    def _begin_close(self, frame: Frame) -> None:
        """Close in order without waiting; given up where the goodbye cannot be said, or takes too long."""
        try:
            self._link.outgoing.put(frame, 0)
            asyncio.get_running_loop().call_later(2 * GOODBYE, self._abort)
        except Closed:
            return  # it is closed, or about to be
        except (TimeoutError, RuntimeError):  # no room; or no loop, where a collection closes it between two of them
            self._abort()
        self._link.outgoing.end()
        self._link.incoming.close()

    def __enter__(self) -> "WebSocket":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "open" if self.close_code is None else f"closed with {self.close_code}"
        return f"<WebSocket {self.url}, {state}>"

    def _put(self, frame: Frame, timeout: float | None) -> None:
        self._check("send()")
        patience = checked_timeout(timeout)
        try:
            self._link.outgoing.put(frame, patience)
        except TimeoutError:
            raise ReadTimeout.about(self._facts("send"), f"not sent within {timeout:g} s") from None
        except Closed:
            raise self._ending() from None

    def _check(self, what: str) -> None:
        check_may_block(f"WebSocket.{what}")
        self._process.check("the WebSocket")

    def _ending(self) -> RequestError:
        """Return a new error each time: one that is raised twice would collect the tracebacks of all who raised it."""
        why = self._link.error
        if isinstance(why, RequestError):
            return type(why)(str(why)).completed(self._facts("body"))
        error = ConnectionLost.about(self._facts("body"), f"the WebSocket is closed ({self.close_code})")
        error.__cause__ = why
        return error

    def _facts(self, stage: Stage) -> Facts:
        return Facts(self.url, "GET", stage=stage, lane=self._lane)


def _encoded(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        # The error itself would show the text.
        raise ValueError(f"{what} must be Unicode that UTF-8 encodes; character {exc.start} is half a pair") from None


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


def as_http(url: str) -> str:
    """Return the URL of the request that opens a WebSocket (RFC 6455, 3)."""
    scheme, colon, rest = url.partition(":") if isinstance(url, str) else ("", "", "")
    return {"ws": "http", "wss": "https"}.get(scheme.lower(), scheme) + colon + rest if colon else url
