"""Content codings: bombs, halves, corrupt ones, unknown ones."""

import gzip
import importlib
import sys
import zlib
from collections.abc import Callable
from typing import Any

from .table import Act, fault
from .wire import ANSWER, Wire, answer, chunk, head

_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
_BOMB = 16 * 2**20  # bytes that a bomb unpacks to
_TEXT = bytes(range(256)) * 40


def _brotli(data: bytes) -> bytes:
    packed: bytes = importlib.import_module("brotlicffi").compress(data, quality=5)
    return packed


def _zstd(data: bytes) -> bytes:
    zstd: Any = importlib.import_module(_ZSTD)
    packed: bytes = zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})
    return packed


_PACKERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "gzip": (gzip.compress, ""),
    "deflate": (zlib.compress, ""),
    "br": (_brotli, "brotlicffi"),
    "zstd": (_zstd, _ZSTD),
}


def _bomb(coding: str, pack: Callable[[bytes], bytes]) -> Act:
    def act(wire: Wire) -> None:
        wire.send(answer(pack(bytes(_BOMB)), f"Content-Encoding: {coding}"))

    return act


def _half(coding: str, pack: Callable[[bytes], bytes]) -> Act:
    def act(wire: Wire) -> None:
        packed = pack(_TEXT)
        wire.send(answer(packed[: len(packed) // 2], f"Content-Encoding: {coding}"))

    return act


def _without_end(coding: str, pack: Callable[[bytes], bytes]) -> Act:
    def act(wire: Wire) -> None:
        wire.send(answer(pack(_TEXT)[:-1], f"Content-Encoding: {coding}"))

    return act


def _corrupt(coding: str, pack: Callable[[bytes], bytes]) -> Act:
    def act(wire: Wire) -> None:
        packed = bytearray(pack(_TEXT))
        packed[len(packed) // 3 :] = b"\xff" * (len(packed) - len(packed) // 3)
        wire.send(answer(bytes(packed), f"Content-Encoding: {coding}"))

    return act


def _plain(coding: str, pack: Callable[[bytes], bytes]) -> Act:
    def act(wire: Wire) -> None:
        wire.send(answer(ANSWER, f"Content-Encoding: {coding}"))

    return act


_WAYS = (
    ("bomb", _bomb, "a {} body that unpacks to 16 MiB"),
    ("half", _half, "half a {} body; its Content-Length fits the half"),
    ("without_end", _without_end, "a {} body without its last byte; its Content-Length fits"),
    ("corrupt", _corrupt, "a {} body that goes on in wrong bytes after a third"),
    ("plain", _plain, "Content-Encoding: {}, but the body is plain text"),
)

for _coding, (_pack, _needs) in _PACKERS.items():
    for _way, _make, _says in _WAYS:
        _act = _make(_coding, _pack)
        _act.__name__ = f"{_coding}_{_way}"
        fault(_says.format(_coding), needs=_needs)(_act)


@fault("a gzip body whose checksum is wrong")
def gzip_wrong_checksum(wire: Wire) -> None:
    packed = bytearray(gzip.compress(_TEXT))
    packed[-8] ^= 1
    wire.send(answer(bytes(packed), "Content-Encoding: gzip"))


@fault("a gzip bomb in chunks")
def gzip_bomb_chunked(wire: Wire) -> None:
    packed = gzip.compress(bytes(_BOMB))
    parts = (chunk(packed[n : n + 4096]) for n in range(0, len(packed), 4096))
    wire.send(head("Content-Encoding: gzip", "Transfer-Encoding: chunked"), *parts, b"0\r\n\r\n")


@fault("half a gzip body in chunks, ended as it should be")
def gzip_half_chunked(wire: Wire) -> None:
    packed = gzip.compress(_TEXT)
    wire.send(
        head("Content-Encoding: gzip", "Transfer-Encoding: chunked"), chunk(packed[: len(packed) // 2]), b"0\r\n\r\n"
    )


@fault("half a gzip body, ended by the close")
def gzip_half_until_close(wire: Wire) -> None:
    packed = gzip.compress(_TEXT)
    wire.send(head("Content-Encoding: gzip", "Connection: close"), packed[: len(packed) // 2])
    wire.close()


@fault("bytes after the end of a gzip body")
def gzip_with_bytes_after(wire: Wire) -> None:
    wire.send(answer(gzip.compress(ANSWER) + b"\0\0 padding", "Content-Encoding: gzip"))


@fault("Content-Encoding: gzip and an empty body")
def gzip_empty(wire: Wire) -> None:
    wire.send(answer(b"", "Content-Encoding: gzip"))


@fault("a raw deflate stream, without its zlib header, as old servers send it")
def deflate_raw(wire: Wire) -> None:
    packer = zlib.compressobj(wbits=-15)
    wire.send(answer(packer.compress(ANSWER) + packer.flush(), "Content-Encoding: deflate"))


@fault("a Content-Encoding that nobody knows")
def coding_unknown(wire: Wire) -> None:
    wire.send(answer(ANSWER, "Content-Encoding: snappy"))


@fault("a known coding below one that nobody knows")
def coding_unknown_in_stack(wire: Wire) -> None:
    wire.send(answer(ANSWER, "Content-Encoding: gzip, snappy"))


@fault("two codings on top of each other: deflate, gzip")
def codings_stacked(wire: Wire) -> None:
    wire.send(answer(gzip.compress(zlib.compress(ANSWER)), "Content-Encoding: deflate, gzip"))


@fault("two codings in two header lines: deflate, and gzip above it")
def codings_in_two_lines(wire: Wire) -> None:
    body = gzip.compress(zlib.compress(ANSWER))
    wire.send(answer(body, "Content-Encoding: deflate", "Content-Encoding: gzip"))


@fault("gzip on gzip, named in a header line each")
def codings_the_same_in_two_lines(wire: Wire) -> None:
    body = gzip.compress(gzip.compress(ANSWER))
    wire.send(answer(body, "Content-Encoding: gzip", "Content-Encoding: gzip"))


@fault("gzip, ten times on top of each other")
def codings_10(wire: Wire) -> None:
    body = ANSWER
    for _ in range(10):
        body = gzip.compress(body)
    wire.send(answer(body, "Content-Encoding: " + ", ".join(["gzip"] * 10)))


@fault("a gzip bomb in a gzip body")
def codings_stacked_bomb(wire: Wire) -> None:
    wire.send(answer(gzip.compress(gzip.compress(bytes(_BOMB))), "Content-Encoding: gzip, gzip"))
