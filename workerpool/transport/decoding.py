"""Undo Content-Encoding in bounded steps, and notice a body that ends too early.

aiohttp takes half a gzip for a whole one and unpacks without a bound; here each step gives out at most
`STEP` bytes, the sum is checked against the limit, and the end of the stream must have been seen.
"""

import zlib
from collections.abc import Iterator
from typing import Any, Protocol

from ..errors import DecodingError

fast_zlib: Any
try:  # isal is several times faster, and as exact
    from isal import isal_zlib

    fast_zlib = isal_zlib
except ImportError:
    fast_zlib = zlib

try:  # brotlicffi, not Brotli: that one switches the GIL back on
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

__all__ = ["ACCEPT_ENCODING", "STEP", "Decoder", "decoder_for"]

STEP = 2**18  # bytes unpacked at a time
_MAX_CODINGS = 4  # codings stacked on one body; more is an attack or an accident

ACCEPT_ENCODING = ", ".join(
    [
        "gzip",
        "deflate",
        *(["br"] if brotlicffi is not None else []),
        *(["zstd"] if zstd is not None else []),
    ]
)


class Decoder(Protocol):
    """Undo one coding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data unpacks to, at most STEP bytes at a time; raises DecodingError."""

    def finish(self) -> None:
        """Raise DecodingError if the end of the stream was not seen."""


class _Zlib:
    """gzip with any number of members (RFC 1952), and deflate with or without its zlib header."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream: Any = None
        self._complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream is None:
                if self._complete and not data.startswith(b"\x1f"):
                    return  # padding or garbage after the last member; gzip(1) ignores it too
                self._stream = self._open(data)
                self._complete = False
            yield from self._unpack(data)
            data = self._stream.unused_data
            if self._stream.eof:
                self._stream, self._complete = None, True

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
        while data and not self._stream.eof:
            try:
                piece = self._stream.decompress(data, STEP)
            except (zlib.error, fast_zlib.error, EOFError, ValueError) as exc:
                raise DecodingError(f"the {self._coding} body is corrupt: {exc}") from None
            if piece:
                yield piece
            data = self._stream.unconsumed_tail


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
            if not piece and self._stream.can_accept_more_data():
                return
            yield piece

    def finish(self) -> None:
        if not self._stream.is_finished():
            raise DecodingError("the br body ends before its end mark: it is truncated")


class _Zstd:
    """zstd with any number of frames (RFC 8878)."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream is None:
                self._stream = zstd.ZstdDecompressor()
            yield from self._unpack(data)
            if not self._stream.eof:
                return
            data = self._stream.unused_data
            self._stream, self._complete = None, True

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
            if piece:
                yield piece
            if self._stream.eof or self._stream.needs_input:
                return


class _Chain:
    """Several codings, undone one after the other."""

    def __init__(self, decoders: list[Decoder]) -> None:
        self._decoders = decoders

    def feed(self, data: bytes) -> Iterator[bytes]:
        return self._through(data, self._decoders)

    def finish(self) -> None:
        for decoder in self._decoders:
            decoder.finish()

    def _through(self, data: bytes, decoders: list[Decoder]) -> Iterator[bytes]:
        if not decoders:
            yield data
            return
        for piece in decoders[0].feed(data):
            yield from self._through(piece, decoders[1:])


def decoder_for(content_encoding: str | None) -> Decoder | None:
    """Return what undoes the codings, or None where there are none that this machine knows."""
    if not content_encoding:
        return None
    codings = [name.strip().lower() for name in content_encoding.split(",") if name.strip()]
    codings = [name for name in codings if name != "identity"]
    if len(codings) > _MAX_CODINGS:
        raise DecodingError(f"the body has {len(codings)} codings on top of each other; at most {_MAX_CODINGS}")
    decoders = [_decoder(name) for name in reversed(codings)]  # the last one applied comes off first
    known = [decoder for decoder in decoders if decoder is not None]
    if not known or len(known) != len(decoders):
        return None  # handed out as it came, its Content-Encoding header beside it
    return known[0] if len(known) == 1 else _Chain(known)


def _decoder(coding: str) -> Decoder | None:
    if coding in ("gzip", "x-gzip"):
        return _Zlib("gzip")
    if coding == "deflate":
        return _Zlib("deflate")
    if coding == "br" and brotlicffi is not None:
        return _Brotli()
    if coding == "zstd" and zstd is not None:
        return _Zstd()
    return None
