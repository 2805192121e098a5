"""Answers whose body travels while it is read: chunks through a bounded channel."""

import threading
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

from .channels import Chunks, Closed
from .errors import (
    BodyTooLarge,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    ReadTimeout,
)
from .events import EventStream, ServerSentEvent
from .job import Process, check_may_block
from .messages.response import Response, checked_chunk_size
from .redaction import redact

__all__ = ["MAX_LINE", "StreamedResponse"]

MAX_LINE = 2**20  # characters that a line may have before it is refused
_TRIES = 10  # to reconnect an event stream, in a row


class StreamedResponse(Response):
    """Hold an answer whose body is still on its way; use it in a `with` block.

    Status and headers are there at once. The body is read once, by one thread: with `iter_bytes`,
    `iter_lines` or `read`. A slow reader slows the download; memory stays flat. Errors of the body
    are raised where it is read. Leaving the `with` block early closes the connection.
    """

    __slots__ = ("_abort", "_again", "_chunks", "_following", "_left", "_process", "_whole")

    def __init__(self, head: Response, chunks: Chunks, abort: Callable[[], None]) -> None:
        for name in Response.__slots__:
            setattr(self, name, getattr(head, name))
        self._chunks = chunks
        self._abort = abort
        self._whole: bytes | None = None
        self._process = Process()
        self._again: Callable[[str], StreamedResponse] | None = None
        self._following: StreamedResponse | None = None  # of an event stream that was asked for anew
        self._left = threading.Event()

    def may_ask_again(self, again: "Callable[[str], StreamedResponse]") -> None:
        """Say how an event stream goes on after its end: by a request with this Last-Event-ID."""
        self._again = again

    @property
    def content(self) -> bytes:
        """The rest of the body, read when first asked for; blocks."""
        return self.read()

    @property
    def text(self) -> str:
        """The rest of the body as text; blocks."""
        self._content = self.read()
        return super().text

    def json(self, **options: Any) -> Any:
        """Read the rest of the body and parse it as JSON; blocks."""
        self._content = self.read()
        return super().json(**options)

    def read(self) -> bytes:
        """Block until the body is complete and return the rest of it."""
        if self._whole is None:
            self._whole = b"".join(self.iter_bytes())
        return self._whole

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Yield the decoded body as it comes, or in pieces of `chunk_size` bytes; each step blocks."""
        chunks = self._iter_chunks()
        return chunks if chunk_size is None else _regrouped(chunks, checked_chunk_size(chunk_size))

    def iter_lines(self, *, max_line: int = MAX_LINE) -> Iterator[str]:
        """Yield the body line by line as text, without line ends; raises BodyTooLarge for a longer line."""
        return _lines(self._iter_chunks(), self.encoding, max_line)

    def iter_events(self, *, reconnect: bool = True, max_line: int = MAX_LINE) -> Iterator[ServerSentEvent]:
        """Yield server-sent events as they come; each step blocks. The stream's `timeout` counts; None suits most.

        When the stream ends, it is asked for anew after the pause that the server has named (3 s), with the id of the
        last event, until the server answers 204, this response is closed, or ten tries in a row have failed: then their
        error is raised. Without `reconnect` the end is the end. Raises ProtocolError for what is no event stream.
        """
        stream = EventStream(max_line)
        response: StreamedResponse | None = self
        while response is not None:
            response._check_events()
            try:
                yield from stream.events(_lines(response._iter_chunks(), "utf-8-sig", max_line))
            except (ConnectionLost, ReadTimeout):
                if self._left.is_set():
                    return
                if not reconnect:
                    raise
            response = self._next_connection(stream) if reconnect else None

    def close(self) -> None:
        """Stop the download and close its connection, unless it is complete. Repeatable."""
        self._left.set()
        self._chunks.close()
        self._abort()
        if self._following is not None:
            self._following.close()

    def __enter__(self) -> "StreamedResponse":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return super().__repr__().rpartition(",")[0] + ", streamed>"

    def __reduce__(self) -> str:
        raise TypeError("a StreamedResponse holds a live download; read it and keep the bytes instead")

    def _check_events(self) -> None:
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if self.status_code != 200 or kind != "text/event-stream":
            self.raise_for_status()
            raise ProtocolError(
                f"{self.request.method} {redact(self.url)}: no event stream, but {self.status_code} with {kind!a}",
                url=redact(self.url),
                method=self.request.method,
                attempts=self.attempts,
                stage="headers",
            )

    def _next_connection(self, stream: EventStream) -> "StreamedResponse | None":
        """Ask for the stream anew, after pauses that grow; None if it is over."""
        failures = 0
        while self._again is not None and not self._left.wait(stream.pause * 2 ** min(failures, 4)):
            try:
                response = self._following = self._again(stream.last_id)
            except (ConnectError, ConnectionLost, DeadlineExceeded):
                failures += 1
                if failures == _TRIES:
                    raise
                continue
            if response.status_code != 204:
                return response
            response.close()
            return None
        return None

    def _iter_chunks(self) -> Iterator[bytes]:
        while True:
            check_may_block("reading a streamed body")
            self._process.check("the streamed response")
            try:
                chunk = self._chunks.get()
            except Closed:
                break
            yield chunk
        if self._chunks.given_up:
            raise ConnectionLost(
                f"{self.request.method} {redact(self.url)}: the stream was closed before its body had come to the end",
                url=redact(self.url),
                method=self.request.method,
                attempts=self.attempts,
                stage="body",
            )


def _lines(chunks: Iterable[bytes], encoding: str, max_line: int) -> Iterator[str]:
    decoder = getincrementaldecoder(encoding)(errors="replace")
    rest = ""
    for chunk in chunks:
        *lines, rest = _split(rest + decoder.decode(chunk))
        yield from lines
        if len(rest) > max_line:
            raise BodyTooLarge(f"a line is longer than {max_line} characters; raise max_line=")
    *lines, rest = _split(rest + decoder.decode(b"", final=True), final=True)
    yield from lines
    if rest:
        yield rest


def _regrouped(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)


def _split(text: str, *, final: bool = False) -> list[str]:
    """Split at line ends; the last item is what has no end yet."""
    # The other half of a CRLF may be in the next chunk.
    held = "\r" if text.endswith("\r") and not final else ""
    *lines, rest = text.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [*lines, rest + held]
