"""A client's connection: as uvicorn has it, with an end for whoever takes too long, and problems for garbage."""

import asyncio
import json
import sys
from http import HTTPStatus
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Connection", "allow_connections"]

_KEPT = 800  # connections that stay open behind an answer; whoever comes beyond them is answered once
_OTHERS = 200  # descriptors that are for others: files, and what is fetched
_ENOUGH = 16_384  # descriptors
_HEAD = 15.0  # seconds that the head of a request may take
_READING = 60.0  # seconds that a client may leave unread what waits for it
_REST = 5.0  # seconds for the rest of a body that nobody wants any more


def allow_connections() -> None:
    """Let the process have as many descriptors as it may: many systems give 1,024 and let it ask for more."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    most = _ENOUGH if hard == RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != RLIM_INFINITY and soft < most:
        setrlimit(RLIMIT_NOFILE, (most, hard))


def _most_connections() -> int:
    soft, _ = getrlimit(RLIMIT_NOFILE)
    return max(_ENOUGH if soft == RLIM_INFINITY else soft - _OTHERS, 1)


def _once(app: Any) -> Any:
    """Return the application as it is for a connection that ends with the first answer."""

    async def closing(scope: Any, receive: Any, send: Any) -> None:
        async def last(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [each for each in message.get("headers", ()) if each[0].lower() != b"connection"]
                message = {**message, "headers": [*kept, (b"connection", b"close")]}
            await send(message)

        await app(scope, receive, last)

    return closing


class Connection(H11Protocol):
    """Serve HTTP/1 on one connection. Of the service's loop."""

    _patience: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a head, but not for ever."""
        super().connection_made(transport)
        if len(self.connections) > _most_connections():
            transport.abort()
            return
        if len(self.connections) > _KEPT:
            self.app: Any = _once(self.app)
        self._wait(_HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._note_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes; a head that is begun has to come whole in time, however many bytes come meanwhile."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_waiting()
        elif self._patience is None and not self.transport.is_closing():
            self._wait(_HEAD)

    def pause_writing(self) -> None:
        """Have the answer wait, since the client doesn't read; but not for ever."""
        super().pause_writing()
        self._unread = self.loop.call_later(_READING, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client reads."""
        super().resume_writing()
        self._note_read()

    def on_response_complete(self) -> None:
        """Give the rest of a body a moment: it is read so that the client sees the answer."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and self._patience is None:
            self._wait(_REST)

    def send_400_response(self, msg: str) -> None:
        """Answer garbage with a problem, if there is no answer on its way, and close."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        exc = sys.exc_info()[1]
        status = HTTPStatus(getattr(exc, "error_status_hint", 400))
        self._write(status, "the head is too long" if status == 431 else "that is no HTTP request")
        self.transport.close()

    def _write(self, status: HTTPStatus, detail: str) -> None:
        problem: dict[str, Any] = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
        body = json.dumps(problem).encode()
        headers = [
            ("Content-Type", "application/problem+json"), ("Content-Length", str(len(body))), ("Connection", "close"),
            ("X-Content-Type-Options", "nosniff"),
        ]  # fmt: skip
        for event in (
            h11.Response(status_code=status, headers=headers, reason=status.phrase),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")

    def _wait(self, seconds: float) -> None:
        self._patience = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _note_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _give_up(self) -> None:
        self._patience = None
        if self.conn.our_state is h11.IDLE and self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._write(HTTPStatus.REQUEST_TIMEOUT, "the head took too long")
            self.transport.close()
        else:
            self.transport.abort()
