"""The body of an answer as http.client has it, for urllib3 and for those who look inside of its response."""

import io
from collections.abc import Callable, Iterator
from typing import Any

from ...errors import WorkerPoolError
from ...messages.response import Response
from .errors import as_urllib3

__all__ = ["RawBody", "as_latin1"]


class RawBody(io.BufferedIOBase):
    """The bytes that come on the wire, without the framing; each read blocks for what comes next.

    `fp`, None at the end, `chunked`, `chunk_left`, `length`, `version` and `isclosed` are as http.client's response has
    them, since programs look there for the end and for the size of what is here. A chunk is what has come at once.
    """

    def __init__(self, answer: Response, pieces: Iterator[bytes], leave: Callable[[], object] | None = None) -> None:
        self._answer = answer
        self._pieces = pieces
        self._leave = leave
        self._piece = memoryview(b"")
        self._ended = False
        self._left = False  # closed before the end
        self._error: WorkerPoolError | None = None
        self._line_due = False  # what was announced by a chunk's line has been read, and its end of line has not
        self.chunked: bool = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
        self.version = 10 if answer.http_version == "1.0" else 11
        self.length = _length(answer)  # bytes that are to come; None: nobody knows

    @property
    def fp(self) -> "_Framed | None":
        """What would be the file of the connection; None when the body has come to its end, or was left."""
        return None if self._ended else _Framed(self)

    @property
    def chunk_left(self) -> int | None:
        """How many bytes can be read without waiting; None at a chunk's end."""
        return len(self._piece) or None

    def isclosed(self) -> bool:
        """Whether nothing more is to be read."""
        return self._ended

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def read(self, amt: int | None = None, /) -> bytes:
        """Block for so many bytes, or for all; less at the end. Raises urllib3's errors."""
        if amt is None or amt < 0:
            return self._read_all()
        if amt and not self._piece:
            self._fetch()
        if amt <= len(self._piece):
            return self._take(amt)
        parts = [self._take(amt)]
        missing = amt - len(parts[0])
        while missing and self._fetch():
            parts.append(self._take(missing))
            missing -= len(parts[-1])
        return b"".join(parts)

    def read1(self, amt: int | None = -1, /) -> bytes:
        """Block until something is here, and return that."""
        if not self._piece and amt != 0:
            self._fetch()
        return self._take(len(self._piece) if amt is None or amt < 0 else amt)

    def readinto(self, buffer: Any, /) -> int:
        """Read as many bytes as the buffer holds; less at the end."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readinto1(self, buffer: Any, /) -> int:
        """Read what is here into the buffer."""
        data = self.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Stop the download. Repeatable."""
        if not self._ended:
            self._left = True
            self._end()
            if self._leave is not None:
                self._leave()
        super().close()

    def _safe_read(self, amt: int) -> bytes:
        """Read what a chunk's line has announced, and then its end of line."""
        if self._line_due:
            self._line_due = False
            return b"\r\n"
        data = self.read(amt)
        self._line_due = not self._piece
        return data

    def _next_line(self) -> bytes:
        """Return the line before a chunk, or the last ones."""
        if self._line_due:  # the last: the end has been told
            self._line_due = False
            self._end()
            return b"\r\n"
        if self._piece or self._fetch(ending=False):
            return b"%x\r\n" % len(self._piece)
        self._line_due = True
        return b"0\r\n"

    def _take(self, amt: int) -> bytes:
        data = bytes(self._piece[:amt])
        self._piece = self._piece[amt:]
        if self.length is not None and data:
            self.length -= len(data)
            if not self.length:
                self._fetch()  # the pool's word that this was all
        return data

    def _read_all(self) -> bytes:
        parts = [self._take(len(self._piece))]
        while self._fetch():
            parts.append(self._take(len(self._piece)))
        return b"".join(parts)

    def _fetch(self, *, ending: bool = True) -> bool:
        """Block for the next piece; False at the end. What has failed fails again: its end is none."""
        if self._ended and not self._left:
            return False
        try:
            if self._error is not None:
                raise self._error
            self._piece = memoryview(next(self._pieces, b""))
        except WorkerPoolError as exc:
            self._error = exc
            raise as_urllib3(exc, self._answer.request.url) from exc
        if not self._piece and ending:
            self._end()
        return bool(self._piece)

    def _end(self) -> None:
        self._ended = True
        self._piece = memoryview(b"")


class _Framed:
    """The file below a chunked body, in which urllib3 reads the lines between the chunks."""

    def __init__(self, raw_body: RawBody) -> None:
        self._raw_body = raw_body
        self.raw: _NoSocket = _NoSocket()

    def readline(self, limit: int = -1, /) -> bytes:
        """Return the next line between two chunks."""
        return self._raw_body._next_line()


class _NoSocket:
    """Where the socket would be, which is another thread's and has no such methods."""

    _sock = None


def as_latin1(value: str) -> str:
    """Return a header's value as http.client decodes it; aiohttp takes it for UTF-8."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")


def _length(answer: Response) -> int | None:
    if answer.request.method == "HEAD" or answer.status_code in (204, 304):
        return 0
    given = answer.headers.get("Content-Length", "")
    return int(given) if given.isdecimal() and "Transfer-Encoding" not in answer.headers else None
