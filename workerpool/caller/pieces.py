"""Chunks of a body cut into what its reader asked for: pieces of one size, lines, or all of it.

A cutter is fed with chunks and gives out what is complete. It never waits and can give back, at any time, what it has
not handed out: so whoever stops reading, or is cancelled, leaves the rest to the next reader, however that reads.
"""

import asyncio
import codecs
import io
from collections import deque
from collections.abc import Callable
from operator import index
from typing import Any, Protocol

from ..errors import BodyTooLarge, WorkerPoolError

__all__ = ["HARMLESS", "Cutter", "Lines", "Loose", "Pieces", "RawBody", "Text", "Whole", "checked_longest"]

# What ends the reading of a body and loses none of it: a cancel comes at an await, a reader leaves at a yield.
HARMLESS = (WorkerPoolError, GeneratorExit, StopIteration, StopAsyncIteration, asyncio.CancelledError)
_UTF8 = (codecs.BOM_UTF8, "utf-8")
_UTF16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UTF32 = ((codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"))


class Cutter(Protocol):
    """Cut chunks into what was asked for."""

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk of the body."""

    def finish(self) -> None:
        """Note that nothing follows."""

    def take(self) -> Any:
        """Return what is next, None if there is nothing complete; may raise BodyTooLarge."""

    def rest(self) -> bytes:
        """Give back, and forget, what was not handed out."""


class Loose:
    """Any number of bytes at a time."""

    def __init__(self) -> None:
        self.size: int = 0
        self._chunks: deque[bytes] = deque()
        self._at = 0  # how much of the first chunk was handed out

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk of the body."""
        self._chunks.append(chunk)
        self.size += len(chunk)

    def finish(self) -> None:
        """Do nothing: what is here can be had."""

    def take(self, size: int | None = None) -> bytes | None:
        """Return so many bytes, or all and as many as there are; None for none."""
        left = self.size if size is None else min(size, self.size)
        self.size -= left
        found: list[bytes] = []
        while left and self._chunks:
            chunk = self._chunks[0]
            piece = chunk[self._at : self._at + left] if self._at or left < len(chunk) else chunk
            found.append(piece)
            left -= len(piece)
            self._at += len(piece)
            if self._at == len(chunk):
                self._chunks.popleft()
                self._at = 0
        return (found[0] if len(found) == 1 else b"".join(found)) or None

    def show(self) -> bytes:
        """Return what is left of the first chunk, and keep it."""
        return self._chunks[0][self._at :] if self._chunks else b""

    def rest(self) -> bytes:
        """Give back, and forget, what was not handed out."""
        return self.take() or b""


class Pieces(Loose):
    """Pieces of one size; the last one may be smaller."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._piece = size
        self._finished = False

    def finish(self) -> None:
        """Note that nothing follows."""
        self._finished = True

    def take(self, size: int | None = None) -> bytes | None:
        """Return the next piece, None if it is not there."""
        if self.size < self._piece and not self._finished:
            return None
        return super().take(self._piece)

    def rest(self) -> bytes:
        """Give back, and forget, what was not handed out."""
        return super().take(self.size) or b""


class Whole(Loose):
    """All of it, in the end."""

    def __init__(self) -> None:
        super().__init__()
        self._finished = False

    def finish(self) -> None:
        """Note that nothing follows."""
        self._finished = True

    def take(self, size: int | None = None) -> bytes | None:
        """Return all of it once nothing follows."""
        return super().take() if self._finished else None

    def rest(self) -> bytes:
        """Give back, and forget, what was not handed out."""
        return super().take() or b""


class _Marked:
    """Text that may begin with a byte order mark, which goes before the encoding when it `sniffs` (WHATWG, 6.1)."""

    def __init__(self, encoding: str, *, sniffs: bool) -> None:
        self.encoding: str = codecs.lookup(encoding).name  # as it turns out once `begun`
        self.begun: bool = False
        self._sniffs = sniffs
        self._head = b""  # what may become a mark

    def begin(self, data: bytes, *, final: bool = False) -> bytes:
        """Look at what comes first; returns what follows the mark, nothing while it may still become one."""
        data, self._head = self._head + data, b""
        marks = _marks(self.encoding, sniffs=self._sniffs)
        if not final and any(len(data) < len(mark) and mark.startswith(data) for mark, _ in marks):
            self._head = data
            return b""
        self.begun = True
        mark, encoding = next((each for each in marks if data.startswith(each[0])), (b"", self.encoding))
        # Without a mark little-endian, as browsers have it; Python's own decoder would raise.
        self.encoding = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}.get(encoding, encoding)
        return data[len(mark) :]


class Text(_Marked):
    """Text as it comes, or of pieces of one size; what is given back begins with the character that is not complete."""

    def __init__(self, encoding: str, size: int | None = None, *, sniffs: bool = True) -> None:
        super().__init__(encoding, sniffs=sniffs)
        self._pieces = Loose() if size is None else Pieces(size)
        self._decoder: Any = None
        self._finished = False

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk of the body."""
        self._pieces.feed(chunk)

    def finish(self) -> None:
        """Note that nothing follows."""
        self._pieces.finish()
        self._finished = True

    def take(self) -> str | None:
        """Return the text of what is next, None if there is nothing complete."""
        while (piece := self._pieces.take()) is not None:
            if text := self._decoded(piece):
                return text
        return (self._decoded(b"", final=True) or None) if self._finished else None

    def rest(self) -> bytes:
        """Give back, and forget, what was not handed out."""
        begun = b""
        if self._decoder is not None:
            begun, flags = self._decoder.getstate()
            self._decoder.setstate((b"", flags))
        rest, self._head = self._head + begun + self._pieces.rest(), b""
        return rest

    def _decoded(self, data: bytes, *, final: bool = False) -> str:
        data = data if self.begun else self.begin(data, final=final)
        if not self.begun:
            return ""
        self._decoder = self._decoder or codecs.getincrementaldecoder(self.encoding)(errors="replace")
        return str(self._decoder.decode(data, final))


def checked_longest(max_line: object) -> int:
    """Return the number of characters; raises ValueError for what is none."""
    if isinstance(max_line, bool) or not isinstance(max_line, int) or max_line < 1:
        raise ValueError("max_line must be a number of characters, at least 1")
    return max_line


class Lines(_Marked):
    """Lines of text, without their ends: LF, CR or CRLF.

    They are cut as bytes and decoded then, each by itself: so what is given back is what came.
    """

    def __init__(self, encoding: str, longest: int, *, sniffs: bool = True) -> None:
        super().__init__(encoding, sniffs=sniffs)
        self._longest = checked_longest(longest)
        self._ready: deque[bytes] = deque()  # complete, ends included
        self._tail: list[bytes] = []  # of a line that is not complete
        self._size = 0  # of the tail
        self._checked = longest  # bytes of the tail up to which it cannot be too long
        self._wide: Any = None  # decodes what has zeros in it, so that it can be cut as UTF-8

    def feed(self, chunk: bytes, *, final: bool = False) -> None:
        """Take the next chunk of the body."""
        if not self.begun:
            chunk = self.begin(chunk, final=final)
            if self.encoding.startswith(("utf-16-", "utf-32-")):
                self._wide = codecs.getincrementaldecoder(self.encoding)(errors="replace")
        self._cut(chunk if self._wide is None else self._wide.decode(chunk, final).encode())

    def finish(self) -> None:
        """Note that nothing follows: what is left is a line, too."""
        self.feed(b"", final=True)
        if self._tail:
            self._ready.append(b"".join(self._tail))
            self._keep(b"")

    def take(self) -> str | None:
        """Return the next line, None if there is none; raises BodyTooLarge for one that is too long."""
        if not self._ready:
            if self._size > self._checked:
                self._check_tail()
            return None
        line = self._decoded(self._ready[0].removesuffix(b"\n").removesuffix(b"\r"))
        self._check(len(line))
        self._ready.popleft()
        return line

    def rest(self) -> bytes:
        """Give back, and forget, what was not handed out."""
        rest = b"".join((*self._ready, *self._tail))
        if self._wide is not None:
            rest = rest.decode().encode(self.encoding) + self._wide.getstate()[0]
            self._wide.reset()
        rest, self._head = self._head + rest, b""
        self._ready.clear()
        self._keep(b"")
        return rest

    def _cut(self, data: bytes) -> None:
        if b"\n" not in data and b"\r" not in data and not (self._tail and self._tail[-1].endswith(b"\r")):
            if data:
                self._tail.append(data)
                self._size += len(data)
            return
        lines = b"".join((*self._tail, data)).splitlines(keepends=True)
        # The other half of a CRLF may be in the next chunk.
        self._keep(lines.pop() if lines and not lines[-1].endswith(b"\n") else b"")
        self._ready.extend(lines)

    def _keep(self, tail: bytes) -> None:
        self._tail, self._size, self._checked = [tail] if tail else [], len(tail), self._longest

    def _check_tail(self) -> None:
        """Look at the tail's length in characters, each of which has a byte at least, and as seldom as possible."""
        length = len(self._decoded(b"".join(self._tail).removesuffix(b"\r")))
        self._check(length)
        self._checked = self._size + self._longest - length

    def _check(self, length: int) -> None:
        if length > self._longest:
            raise BodyTooLarge(f"a line is longer than {self._longest} characters; raise max_line=")

    def _decoded(self, line: bytes) -> str:
        return line.decode("utf-8" if self._wide is not None else self.encoding, "replace")


def _marks(encoding: str, *, sniffs: bool) -> tuple[tuple[bytes, str], ...]:
    if encoding == "utf-8-sig":
        return (_UTF8,)
    if encoding in ("utf-16", "utf-32") or sniffs:
        wide = _UTF32 if encoding.startswith("utf-32") else ()
        return (*wide, _UTF8, *_UTF16) if sniffs else (*wide, *_UTF16)
    return ()


class RawBody(io.BufferedIOBase):
    """The decoded body of a streamed answer as a file; each read blocks for what it asks for.

    Errors of the body are raised where it is read. Closing it closes the response.
    """

    def __init__(
        self,
        next_chunk: Callable[[Loose], bytes | None],
        close: Callable[[], None],
        give_up: Callable[[], None],
    ) -> None:
        self._next_chunk = next_chunk
        self._give_up = give_up
        self._close = close
        self._held = Loose()

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return so many bytes, fewer only at the end; all without a size."""
        wanted = None if size is None or index(size) < 0 else index(size)
        return bytes(self._unbroken(self._read, wanted))

    def read1(self, size: int = -1, /) -> bytes:
        """Return what is there, so many bytes at the most; blocks only if there is nothing."""
        wanted = None if index(size) < 0 else index(size)
        return bytes(self._unbroken(self._read_one, wanted))

    def peek(self, size: int = 0, /) -> bytes:
        """Return what is there, without moving on; blocks only if there is nothing."""
        return bytes(self._unbroken(self._show, index(size)))

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer, less only at the end, and return how many bytes that were."""
        return int(self._unbroken(lambda view: _fill(view, self._read), memoryview(buffer).cast("B")))

    def readinto1(self, buffer: Any, /) -> int:
        """Put what is there into the buffer and return how many bytes that were."""
        return int(self._unbroken(lambda view: _fill(view, self._read_one), memoryview(buffer).cast("B")))

    def close(self) -> None:
        """Stop the download, unless it is complete. Repeatable."""
        if not self.closed:
            super().close()
            self._close()

    def __del__(self) -> None:
        """Do nothing: the response may be in use."""

    def _unbroken(self, read: Callable[[Any], Any], size: Any) -> Any:
        """Read; if that is broken off, by Ctrl-C for one, nothing more is read of the body."""
        if self.closed:
            raise ValueError("the body was closed")
        try:
            return read(size)
        except BaseException as exc:
            if not isinstance(exc, HARMLESS):
                self._held = Loose()
                self._give_up()
            raise

    def _read(self, size: int | None) -> bytes:
        while (size is None or self._held.size < size) and self._fetch():
            pass
        return self._held.take(size) or b""

    def _read_one(self, size: int | None) -> bytes:
        if size == 0 or (not self._held.size and not self._fetch()):
            return b""
        return self._held.take(size) or b""

    def _show(self, size: int | None) -> bytes:
        if size and not self._held.size:
            self._fetch()
        return self._held.show()

    def _fetch(self) -> bool:
        if (chunk := self._next_chunk(self._held)) is None:
            return False
        self._held.feed(chunk)
        return True


def _fill(view: memoryview, read: Callable[[int], bytes]) -> int:
    data = read(len(view))
    view[: len(data)] = data
    return len(data)
