"""Content-Encoding, undone in bounded steps; a body that ends too early is an error.

aiohttp takes half a gzip for a whole one and unpacks without a bound; here each step takes at most `_SLICE` bytes and
gives out at most `STEP`, the sum is checked against the limit, and the end of the stream must have been seen.
"""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

from ..errors import DecodingError
from ..loading import loaded_once

try:  # brotlicffi, not Brotli: that one switches the GIL back on; aiohttp, too, has loaded it and zstd
    import brotlicffi
except ImportError:
    brotlicffi = None

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        from backports import zstd  # type: ignore[no-redef,unused-ignore]
    except ImportError:
        zstd = None

__all__ = ["ACCEPT_ENCODING", "STEP", "Decoder", "decoder_for", "load_inflater", "unpacked_at_once"]

STEP = 2**20  # bytes unpacked at a time; a body of less is not copied once more
_SLICE = 2**19  # bytes taken at a time; each end of a member copies what is left of them
_MAX_CODINGS = 4  # codings stacked on one body; more is an attack or an accident
_MAX_EMPTY = 1000  # members, of all codings together, that unpack to nothing, beyond those that do not
_ALLOWANCE = 2**20  # bytes that one coding may take without giving anything
_WORST = 64  # bytes taken for one that is given; members of a single byte are 10 (zstd) and 21 (gzip) bytes long

ACCEPT_ENCODING = ", ".join(
    [
        "gzip",
        "deflate",
        *(["br"] if brotlicffi is not None else []),
        *(["zstd"] if zstd is not None else []),
    ]
)

fast_zlib: Any = zlib  # as `load_inflater` leaves it


@loaded_once
def load_inflater() -> None:
    """Load the library that undoes gzip and deflate."""
    global fast_zlib
    with suppress(ImportError):  # several times faster, and as exact
        from isal import isal_zlib as fast_zlib


class _Coding(Protocol):
    """Undo one coding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data unpacks to, a piece of at most STEP bytes, or of none, for each step that was done."""

    def finish(self) -> None:
        """Raise DecodingError if the end of the stream was not seen."""


class _Emptiness:
    """Count the members that unpack to nothing, and cost as much as others; some formats have one beside each other."""

    def __init__(self) -> None:
        self._surplus = 0

    def note(self, given: int) -> None:
        """Note the end of a member that gave so many bytes; raises DecodingError for too many of none."""
        self._surplus += -1 if given else 1
        if self._surplus > _MAX_EMPTY:
            raise DecodingError(f"the body has more than {_MAX_EMPTY} compressed members that unpack to nothing")


class _Zlib:
    """gzip with any number of members (RFC 1952), and deflate with or without its zlib header."""

    def __init__(self, coding: str, emptiness: _Emptiness) -> None:
        self._coding = coding
        self._emptiness = emptiness
        self._stream: Any = None
        self._given = 0  # bytes, by this member
        self._complete = False
        self._over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self._over:
            if self._stream is None:
                if self._complete and not (self._coding == "gzip" and data.startswith(b"\x1f")):
                    self._over = True  # padding or garbage after the last member; gzip(1) ignores it too
                    return
                self._stream, self._given = self._open(data), 0
                self._complete = False
            yield from self._unpack(data)
            data = self._stream.unused_data
            if self._stream.eof:
                self._stream, self._complete = None, True
                self._emptiness.note(self._given)

    def finish(self) -> None:
        if not self._complete:
            raise DecodingError(f"the {self._coding} body ends before its end mark: it is truncated")

    def _open(self, data: bytes) -> Any:
        if self._coding == "gzip":
            return fast_zlib.decompressobj(wbits=31)
        # Servers send both forms of "deflate": a zlib header has 8 in its low bits and, with the next byte,
        # divides by 31 (RFC 1950, 2.2); a first byte alone must do.
        return fast_zlib.decompressobj(wbits=15 if data[0] & 0x0F == 8 else -15)

    def _unpack(self, data: bytes) -> Iterator[bytes]:
        is_full = False
        # A step that is full may have taken all, and hold more of what that unpacks to, the end mark with it.
        while (data or is_full) and not self._stream.eof:
            try:
                piece = self._stream.decompress(data, STEP)
            except (zlib.error, fast_zlib.error, EOFError, ValueError) as exc:
                raise DecodingError(f"the {self._coding} body is corrupt: {exc}") from None
            self._given += len(piece)
            yield piece
            data, is_full = self._stream.unconsumed_tail, len(piece) == STEP


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotlicffi.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or not self._stream.can_accept_more_data():
            try:
                piece = self._stream.process(data, output_buffer_limit=STEP)
            except brotlicffi.error as exc:
                raise DecodingError(f"the br body is corrupt: {exc}") from None
            data = b""
            yield piece
            if not piece and self._stream.can_accept_more_data():
                return

    def finish(self) -> None:
        if not self._stream.is_finished():
            raise DecodingError("the br body ends before its end mark: it is truncated")


class _Zstd:
    """zstd with any number of frames (RFC 8878)."""

    def __init__(self, emptiness: _Emptiness) -> None:
        self._emptiness = emptiness
        self._stream: Any = None
        self._given = 0  # bytes, by this frame
        self._complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream is None:
                self._stream, self._given = zstd.ZstdDecompressor(), 0
            yield from self._unpack(data)
            if not self._stream.eof:
                return
            data = self._stream.unused_data
            self._stream, self._complete = None, True
            self._emptiness.note(self._given)

    def finish(self) -> None:
        if self._stream is not None or not self._complete:
            raise DecodingError("the zstd body ends before its end mark: it is truncated")

    def _unpack(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = self._stream.decompress(data, STEP)
            except (zstd.ZstdError, EOFError) as exc:
                raise DecodingError(f"the zstd body is corrupt: {exc}") from None
            data = b""
            self._given += len(piece)
            yield piece
            if self._stream.eof or self._stream.needs_input:
                return


class Decoder:
    """Undo the codings of one body, one after the other."""

    def __init__(self, codings: list[_Coding]) -> None:
        self._codings = codings
        self._taken = [0] * (len(codings) + 1)  # bytes by each coding, and by the reader

    @property
    def taken(self) -> int:
        """How many bytes the coding that took most has taken."""
        return max(self._taken[:-1])

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data unpacks to, a piece of at most STEP bytes, or of none, for each step that was done.

        Steps are short, and there may be any number of them. Raises DecodingError.
        """
        return self._through(data, 0)

    def finish(self) -> None:
        """Raise DecodingError if the end of a stream was not seen."""
        for coding in self._codings:
            coding.finish()

    def _through(self, data: bytes, level: int) -> Iterator[bytes]:
        self._taken[level] += len(data)
        if level == len(self._codings) or not data:
            yield data
            return
        for start in range(0, len(data), _SLICE):
            for piece in self._codings[level].feed(data[start : start + _SLICE]):
                yield from self._through(piece, level + 1)
        taken, given = self._taken[level : level + 2]
        if taken > _ALLOWANCE + _WORST * given:
            raise DecodingError(f"the body unpacks to next to nothing: {given} bytes so far from {taken}")


def unpacked_at_once(body: bytes, coding: str) -> bytes | None:
    """Return what a gzip of one member unpacks to in one step; None for all else, and what a Decoder is to refuse."""
    if coding != "gzip" or len(body) > _SLICE:
        return None
    load_inflater()
    stream = fast_zlib.decompressobj(wbits=31)
    try:
        content: bytes = stream.decompress(body, STEP)
    except (zlib.error, fast_zlib.error, EOFError, ValueError):
        return None
    return content if stream.eof and not stream.unused_data else None


def decoder_for(content_encoding: str | None) -> Decoder | None:
    """Return what undoes the codings, or None where there are none that this machine knows."""
    if not content_encoding:
        return None
    load_inflater()
    names = [name.strip().lower() for name in content_encoding.split(",") if name.strip()]
    names = [name for name in names if name != "identity"]
    if len(names) > _MAX_CODINGS:
        raise DecodingError(f"the body has {len(names)} codings on top of each other; at most {_MAX_CODINGS}")
    emptiness = _Emptiness()
    codings = [_coding(name, emptiness) for name in reversed(names)]  # the last one applied comes off first
    known = [coding for coding in codings if coding is not None]
    if not known or len(known) != len(codings):
        return None  # handed out as it came, its Content-Encoding header beside it
    return Decoder(known)


def _coding(name: str, emptiness: _Emptiness) -> _Coding | None:
    if name in ("gzip", "x-gzip"):
        return _Zlib("gzip", emptiness)
    if name == "deflate":
        return _Zlib("deflate", emptiness)
    if name == "br" and brotlicffi is not None:
        return _Brotli()
    if name == "zstd" and zstd is not None:
        return _Zstd(emptiness)
    return None
