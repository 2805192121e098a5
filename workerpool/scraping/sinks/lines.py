"""What JSON Lines and CSV share: lines into a file, plain or gzip by its name."""

import os
import zlib
from abc import ABC, abstractmethod
from typing import Protocol

from ..outcome import Outcome
from .base import Position
from .files import AppendFile, Fsync

__all__ = ["LineSink"]

_GZIP = 31  # zlib's number for gzip with 32 KiB of window
_LEVEL = 6


class _Packer(Protocol):
    """What zlib.compressobj returns, which has no public name."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class LineSink(ABC):
    """Write a line for each outcome; the kinds say how one looks, and what the first line is.

    Where the name ends with `.gz` each flush ends a member of the gzip file: all readers take them as one, and the
    file can be cut back between two of them.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, fsync: Fsync = "flush") -> None:
        self._file = AppendFile(path, fsync=fsync)
        self._is_packed = path is not None and str(path).endswith(".gz")
        self._member: _Packer | None = None

    @abstractmethod
    def line(self, outcome: Outcome) -> bytes:
        """Return an outcome's line, with its end."""

    def head(self) -> bytes:
        """Return what the file begins with."""
        return b""

    def open(self, position: Position | None) -> None:
        """Begin anew, or go on from the position."""
        committed = None if position is None else self.committed(position)
        self._member = None
        self._file.open(committed)
        if not committed and (position is None or self._file.path is not None):
            self._put(self.head())

    def write(self, outcome: Outcome) -> None:
        """Take an outcome."""
        self._put(self.line(outcome))

    def flush(self) -> Position:
        """Hand the lines to the system; return how many bytes there are. Nothing, where they cannot be taken back."""
        self._end_member()
        offset = self._file.flush()
        return {} if offset is None or self._file.path is None else {self._file.path.name: offset}

    def close(self) -> None:
        """Write the rest and close the file; stdout stays open."""
        self._end_member()
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file, without what has come since the last flush."""
        self._member = None
        self._file.abandon()

    def committed(self, position: Position) -> int:
        """Return how much of the file a position holds."""
        return 0 if self._file.path is None else position.get(self._file.path.name, 0)

    def _put(self, data: bytes) -> None:
        if not self._is_packed or not data:
            self._file.write(data)
            return
        if self._member is None:
            self._member = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._file.write(self._member.compress(data))

    def _end_member(self) -> None:
        if self._member is not None:
            member, self._member = self._member, None
            self._file.write(member.flush())
