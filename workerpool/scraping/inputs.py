"""The inputs of a run: URLs from text, CSV or JSON Lines, in flat memory; what is no URL is told, and passed over.

    for item in read_items("urls.csv.gz", column="link"):
        print(item.url)

An `Input` can be gone on with from a mark, and tells whether a file is the one that an earlier run has begun.
"""

import hashlib
import io
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path, PurePath
from typing import IO, Any, NamedTuple, Self, TypeAlias

from .errors import InputError
from .input_rows import BadLine, Format, Row, header_of, rows_of_csv, rows_of_json, rows_of_text
from .item import Item
from .lines import Lines

__all__ = ["BadLine", "Fingerprint", "Format", "Input", "Mark", "read_items"]

Source: TypeAlias = "str | os.PathLike[str] | IO[bytes] | IO[str]"

_logger = logging.getLogger("workerpool.scraping")
_SAMPLE = 2**10  # bytes at each end of a file that its fingerprint looks at
_FORMATS: Mapping[str, Format] = {
    ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
}  # fmt: skip
_PACKED = frozenset({".gz", ".zst", ".zstd"})


class Mark(NamedTuple):
    """Say how far an input was read: lines, and bytes where the file can be entered there; else it is read anew."""

    line: int = 0
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Tell a file from another one at little cost: by its name, its size and its first and last KiB.

    A change in between that leaves the size is not noticed. Of what is no file only the name is known.
    """

    name: str
    size: int | None = None
    head: str = ""
    tail: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """Return the one that `as_dict` has described."""
        return cls(**found)


def read_items(
    source: Source,
    *,
    format: Format | None = None,
    column: str | int | None = None,
    on_bad: Callable[[BadLine], object] | None = None,
) -> Iterator[Item]:
    """Yield the items of an input; the arguments are those of `Input`."""
    return (item for item, _ in Input(source, format=format, column=column, on_bad=on_bad).read())


class Input:
    """Read items from a file, `-` for stdin, or an open stream, which stays open.

    `format` is found by the name if left out, and is text where that does not tell. Files that gzip or zstd has packed
    are unpacked, by what is in them. `on_bad` is called for each line that is no input, on the thread that reads; if
    left out that is logged. Raises InputError for what cannot be read as a whole, OSError for what cannot be opened.
    """

    def __init__(
        self,
        source: Source,
        *,
        format: Format | None = None,
        column: str | int | None = None,
        on_bad: Callable[[BadLine], object] | None = None,
    ) -> None:
        self._path = Path(source) if isinstance(source, str | os.PathLike) and source != "-" else None
        self._stream = None if isinstance(source, str | os.PathLike) else source
        self.name: str = str(self._path) if self._path else str(getattr(source, "name", "-"))
        self.format = format or _format_of(self.name)
        if self.format not in ("text", "csv", "tsv", "jsonl"):
            raise InputError(f"format must be text, csv, tsv or jsonl, not {format!a}")
        if column is not None and self.format not in ("csv", "tsv"):
            raise InputError(
                f"column is for CSV, and {self.name!a} is read as {self.format}; format='csv' says otherwise"
            )
        self._column = column
        self._on_bad = on_bad or self._log

    def read(self, mark: Sequence[Any] | None = None) -> Iterator[tuple[Item, Mark]]:
        """Yield each item with the mark behind it; with a mark those that come after it.

        A mark is good for the same file, or one that was appended to, with the same format and column. Bad lines
        between the mark and the next item are told again.
        """
        with self._opened() as (stream, can_seek):
            lines = Lines(stream, self.name)
            try:
                rows = self._rows(lines, None if mark is None else Mark(*mark))
                yield from self._marked(rows, can_seek=can_seek and not lines.is_packed)
            finally:
                lines.close()

    def fingerprint(self) -> Fingerprint:
        """Return what the file is told from others by, to be kept with the marks."""
        name = PurePath(self.name).name
        if self._path is None or not self._path.is_file():
            return Fingerprint(name)
        with self._path.open("rb") as file:
            return _fingerprint(file, name, os.fstat(file.fileno()).st_size)

    def why_not(self, old: Fingerprint) -> str | None:
        """Return why this is not what the fingerprint was taken of; None if it is, or has been appended to since.

        The name of its folder does not matter. A last line that had no end must not have grown.
        """
        if old.name != PurePath(self.name).name:
            return f"it was {old.name!a}, and is {PurePath(self.name).name!a} now"
        if old.size is None or self._path is None or not self._path.is_file():
            return None if self._path is None or not self._path.is_file() else "it was no file, and is one now"
        with self._path.open("rb") as file:
            return _difference(file, old)

    def _rows(self, lines: Lines, mark: Mark | None) -> Iterator[Row]:
        is_csv = self.format in ("csv", "tsv")
        tabs = self.format == "tsv"
        header = header_of(lines, tabs=tabs) if mark is not None and mark.line and is_csv else []
        if mark is not None and mark.line:
            lines.skip_to(mark.line, None if lines.is_packed else mark.offset)
        if is_csv:
            rows = rows_of_csv(chain(header, lines), self._column, tabs=tabs)
        else:
            rows = rows_of_json(lines) if self.format == "jsonl" else rows_of_text(lines)
        first = mark.line if mark is not None else 0
        return (row for row in rows if row[1] > first)  # a header that was none is a row once more

    def _marked(self, rows: Iterator[Row], *, can_seek: bool) -> Iterator[tuple[Item, Mark]]:
        for found, number, end in rows:
            if isinstance(found, BadLine):
                self._on_bad(found)
            else:
                yield found, Mark(number, end if can_seek else None)

    @contextmanager
    def _opened(self) -> Iterator[tuple[IO[bytes], bool]]:
        """Give the bytes, and whether they can be entered anywhere."""
        if self._path is not None:
            with self._path.open("rb") as file:
                yield file, stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        elif self._stream is None:
            if sys.stdin is None:
                raise InputError("there is no stdin")
            yield sys.stdin.buffer, False
        elif isinstance(self._stream.read(0), str):
            yield io.BufferedReader(_Encoded(self._stream)), False  # type: ignore[arg-type]
        else:
            yield self._stream, False  # type: ignore[misc]

    def _log(self, bad: BadLine) -> None:
        _logger.warning("%s, line %s is passed over: %s", self.name, bad.number, bad.reason)


class _Encoded(io.RawIOBase):
    """Read a stream of text as bytes; those that were no UTF-8 come back as they were."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._left = b""

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes; 0 at the end."""
        if not self._left:
            # A line, not as much as there is room for: the next one may be long in coming.
            self._left = self._stream.readline(len(buffer)).encode("utf-8", "surrogateescape")
        data, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def _format_of(name: str) -> Format:
    path = PurePath(name)
    if path.suffix.lower() in _PACKED:
        path = path.with_suffix("")
    return _FORMATS.get(path.suffix.lower(), "text")


def _fingerprint(file: IO[bytes], name: str, size: int) -> Fingerprint:
    return Fingerprint(name, size, _hash(file, 0, min(size, _SAMPLE)), _hash(file, max(0, size - _SAMPLE), size))


def _hash(file: IO[bytes], begin: int, end: int) -> str:
    file.seek(begin)
    return hashlib.blake2b(file.read(end - begin), digest_size=16).hexdigest()


def _difference(file: IO[bytes], old: Fingerprint) -> str | None:
    size = os.fstat(file.fileno()).st_size
    if old.size is None:
        return None
    if size < old.size:
        return f"it had {old.size} bytes, and has {size} now"
    if _fingerprint(file, old.name, old.size) != old:
        return "its content is another one"
    if size > old.size and old.size and not _ends_a_line(file, old.size):
        return "its last line had no end, and has grown"
    return None


def _ends_a_line(file: IO[bytes], size: int) -> bool:
    """Whether a line ends at this place; of what is packed that is not known, and taken for granted."""
    file.seek(0)
    if file.read(4).startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        return True
    file.seek(size - 1)
    around = file.read(3)
    return around.startswith(b"\n") or around[1:2] == b"\n" or around[1:3] == b"\r\n"
