"""A stream of bytes that may be packed with gzip, unpacked in bounded steps."""

import zlib
from collections.abc import Iterable, Iterator

__all__ = ["TooMuch", "unpacked"]

_STEP = 2**16  # bytes unpacked at once
_FREE = 2**20  # bytes that any ratio is allowed for
_MOST_EMPTY = 1000  # members that unpack to nothing


class TooMuch(Exception):
    """What is unpacked is broken, or larger than it may be; the message says by how much."""


def unpacked(pieces: Iterable[bytes], *, most: int, ratio: int) -> Iterator[bytes]:
    """Yield the bytes, unpacked if they begin as gzip does; raises TooMuch behind what could be read."""
    total = 0
    for piece in _opened(pieces, ratio):
        total += len(piece)
        if total > most:
            yield piece[: len(piece) - (total - most)]
            raise TooMuch(f"it is larger than {most} bytes")
        yield piece


def _opened(pieces: Iterable[bytes], ratio: int) -> Iterator[bytes]:
    source = iter(pieces)
    head = b""
    while len(head) < 2 and (piece := next(source, None)) is not None:
        head += piece
    if not head.startswith(b"\x1f\x8b"):
        yield head
        yield from source
        return
    gunzip = _Gunzip(ratio)
    yield from gunzip.feed(head)
    for piece in source:
        yield from gunzip.feed(piece)
    gunzip.end()


class _Gunzip:
    """Unpack members of gzip, one behind the other."""

    def __init__(self, ratio: int) -> None:
        self._ratio = ratio
        self._taken = self._given = self._empty = 0
        self._member = zlib.decompressobj(wbits=31)
        self._is_fresh = True
        self._left = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the bytes unpack to."""
        self._taken += len(data)
        data = self._left + data
        while len(data) >= 2 or (data and not self._is_fresh):
            if self._is_fresh and not data.startswith(b"\x1f\x8b"):
                data = b""  # behind a member stands what is none: padding, mostly
                break
            self._is_fresh = False
            piece = self._unpack(data)
            yield piece
            data = self._member.unconsumed_tail
            if self._member.eof:
                data = self._begin_another(empty=not piece)
        self._left = data

    def _unpack(self, data: bytes) -> bytes:
        try:
            piece = self._member.decompress(data, _STEP)
        except zlib.error as exc:
            raise TooMuch(f"its gzip is broken: {exc}") from exc
        self._given += len(piece)
        if self._given > max(_FREE, self._ratio * self._taken):
            raise TooMuch(f"it is packed more than {self._ratio} to one")
        return piece

    def end(self) -> None:
        """Raise TooMuch if the end of a member is missing."""
        if not self._is_fresh:
            raise TooMuch("its gzip is cut")

    def _begin_another(self, *, empty: bool) -> bytes:
        self._empty += empty
        if self._empty > _MOST_EMPTY:
            raise TooMuch("its gzip has too many empty members")
        rest = self._member.unused_data
        self._member = zlib.decompressobj(wbits=31)
        self._is_fresh = True
        return rest
