"""Lines of a file in flat memory: bounded, unpacked where it is packed, numbered, and with their place in it."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any, NamedTuple

from .errors import InputError

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        from backports import zstd  # type: ignore[no-redef,unused-ignore]
    except ImportError:
        zstd = None

__all__ = ["MAX_LINE", "Line", "Lines"]

MAX_LINE = 2**20  # bytes of a line, its end included; a longer one is passed over, and never held
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BOM = b"\xef\xbb\xbf"
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")  # UTF-16 and UTF-32
_PIECE = 2**18  # bytes read at once; a guess
_BROKEN = [OSError, EOFError, zlib.error, *([zstd.ZstdError] if zstd is not None else [])]


class Line(NamedTuple):
    """A line: its number from 1, its bytes without their end, and the offset behind it; None if it was too long."""

    number: int
    data: bytes | None
    end: int


class Lines:
    """Iterate over the lines of a binary stream; what is packed with gzip or zstd, by its first bytes, is unpacked.

    Offsets count what is unpacked. `is_packed` says whether they are places in the file, too.
    """

    def __init__(self, stream: IO[bytes], name: str, *, most: int = MAX_LINE) -> None:
        self._name = name
        self._most = most
        self._number = 0
        self._offset = 0
        self._source = stream
        self._closing = ExitStack()
        head = _head(stream)
        self.is_packed: bool = head.startswith((_GZIP, _ZSTD))
        self._file = self._opened(head)

    def _opened(self, head: bytes) -> IO[bytes]:
        """Return the stream from its beginning, unpacked; what is of Unicode, but not UTF-8, is refused."""
        if head.startswith(_OTHER_MARKS):
            raise InputError(f"{self._name!a} is in UTF-16 or UTF-32; make it UTF-8 first: iconv -t UTF-8")
        whole: Any = io.BufferedReader(_Whole(head, self._source), _PIECE)
        if head.startswith(_GZIP):
            return io.BufferedReader(self._closing.enter_context(gzip.GzipFile(fileobj=whole, mode="rb")), _PIECE)  # type: ignore[arg-type,unused-ignore]
        if head.startswith(_ZSTD):
            if zstd is None:
                raise InputError(
                    f"{self._name!a} is packed with zstd, which needs an extra: pip install 'aiohttp-workerpool[speed]'"
                )
            return io.BufferedReader(self._closing.enter_context(zstd.ZstdFile(whole)), _PIECE)
        return whole  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        data = self._read()
        if not data:
            raise StopIteration
        self._number += 1
        if self._number == 1:
            data = data.removeprefix(_BOM)
        if len(data) > self._most:
            while data and not data.endswith(b"\n"):
                data = self._read()
            return Line(self._number, None, self._offset)
        return Line(self._number, data.removesuffix(b"\n").removesuffix(b"\r"), self._offset)

    def skip_to(self, number: int, offset: int | None) -> None:
        """Go on behind the line with this number; with an offset without reading what is before it."""
        if offset is None:
            while self._number < number and next(self, None) is not None:
                pass
            return
        if number:
            self._source.seek(offset - 1)
            self._file = io.BufferedReader(_Whole(b"", self._source), _PIECE)  # type: ignore[assignment,arg-type,unused-ignore]
            self._number, self._offset = number, offset - 1
            self._read()  # the end of the line; if that had none and the file has grown since, what is its end now

    def close(self) -> None:
        """Give up what unpacks; the stream itself stays open."""
        self._closing.close()

    def _read(self) -> bytes:
        try:
            data = self._file.readline(self._most + 1)
        except tuple(_BROKEN) as exc:
            if isinstance(exc, OSError) and exc.errno is not None:
                exc.filename = exc.filename or self._name
                raise
            raise InputError(
                f"{self._name!a} cannot be unpacked behind line {self._number}: {exc}; is it complete?"
            ) from exc
        self._offset += len(data)
        return data


class _Whole(io.RawIOBase):
    """Read what was read ahead, then the rest of a stream."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._read_rest = getattr(rest, "read1", rest.read)

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes; 0 at the end."""
        data = self._head[: len(buffer)] or self._read_rest(len(buffer)) or b""
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def _head(stream: IO[bytes]) -> bytes:
    """Return the first four bytes, or what there is: a pipe may give them one by one."""
    head = b""
    while len(head) < 4 and (more := stream.read(4 - len(head))):
        head += more
    return head
