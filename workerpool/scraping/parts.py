"""Parts: files that are downloaded and not whole yet, and what tells whether one can be gone on with."""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Self

from .sinks.files import named
from .validators import told

__all__ = ["Note", "Part", "part_name"]

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_STEADY = 60.0  # seconds after its last change in which a file may change again under the same date (RFC 9110, 8.8.2.2)
_PIECE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a part is a part of. `place` is where it came from at the end of redirects, without the query.

    What was written outlives the end of the process, but not that of the system: `boot` tells whether it is still the
    same, and `synced` how many bytes are on the disk in any case.
    """

    url: str
    place: str
    validator: str
    total: int | None
    boot: str
    synced: int = 0

    @classmethod
    def of(cls, url: str, place: str, headers: Mapping[str, str]) -> Self | None:
        """Return the note for an answer that begins a file; None where nothing would tell it from another one."""
        validator = _validator(headers)
        if validator is None or "Content-Encoding" in headers:
            return None
        length = headers.get("Content-Length", "")
        total = int(length) if length.isascii() and length.isdigit() else None
        return cls(url=url, place=_place(place), validator=validator, total=total, boot=_boot())

    def fits(self, start: int, place: str, headers: Mapping[str, str]) -> bool:
        """Whether an answer (206) goes on with this file, from that byte on: anything in doubt is another file."""
        found = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if found is None or "Content-Encoding" in headers or _place(place) != self.place:
            return False
        names = ("ETag",) if self.validator.startswith('"') else ("Last-Modified",)
        same = all(headers.get(name) == self.validator for name in names)
        return same and int(found[1]) == start and self.total in (None, int(found[2]))


class Part:
    """One file in the making, which nobody else has as long as this is open; `note` says what it is a part of."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self.size: int = os.fstat(file.fileno()).st_size
        self.note: Note | None = None

    @classmethod
    def open(cls, folder: Path, url: str, *, anew: bool) -> Self | None:
        """Return the part of a URL, or None where there is none that can be gone on with; with `anew` an empty one."""
        path = folder / part_name(url)
        if not anew and not path.exists():
            return None
        with named(str(folder)):
            folder.mkdir(exist_ok=True)
        file = _locked(path)
        if file is None:  # another item of this URL, or another run
            if not anew:
                return None
            path = path.with_name(f"{path.stem}-{token_hex(8)}.part")
            file = _locked(path)
            assert file is not None
        part = cls(path, file)
        part._begin(None) if anew else part._read(url)
        if anew or part.size:
            return part
        part.drop()
        return None

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return what asks for the rest, and the last byte once more: so there always is one to answer with."""
        assert self.note is not None
        return ("Range", f"bytes={self.size - 1}-"), ("If-Range", self.note.validator), ("Accept-Encoding", "identity")

    def begin(self, note: Note | None) -> None:
        """Empty it for the file of a note; without one it cannot be gone on with."""
        self._begin(note)

    def go_on(self) -> bytes:
        """Return the last byte, which is to come once more, and stand before it."""
        self.size -= 1
        self._file.seek(self.size)
        last = self._file.read(1)
        self._file.seek(self.size)
        return last

    def write(self, data: bytes) -> None:
        """Write on."""
        with named(str(self.path)):
            view = memoryview(data)
            while view:
                taken = self._file.write(view)
                view = view[taken:]
                self.size += taken

    def digest(self) -> str:
        """Return the digest of the whole, as archives write it."""
        found = hashlib.sha1(usedforsecurity=False)
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            found.update(piece)
        return told(found)

    def leave(self) -> None:
        """Let go of it, for it to be gone on with; without a note it is removed. Repeatable."""
        if self._file.closed:
            return
        if self.note is None or not self.size:
            self.drop()
            return
        with suppress(OSError):
            os.fsync(self._file.fileno())
            self._write_note(self.size)
        self._file.close()

    def drop(self) -> None:
        """Remove it. Repeatable."""
        if not self._file.closed:
            self.path.unlink(missing_ok=True)
            self._note_path.unlink(missing_ok=True)
            self._file.close()

    def publish(self, target: Path, *, sync: bool) -> None:
        """Give it its name, now that it is whole."""
        with named(str(target)):
            if sync:
                os.fsync(self._file.fileno())
            os.replace(self.path, target)
            self._note_path.unlink(missing_ok=True)
        self._file.close()

    @property
    def _note_path(self) -> Path:
        return self.path.with_suffix(".json")

    def _begin(self, note: Note | None) -> None:
        self._note_path.unlink(missing_ok=True)  # first: what is written from now on is none of the old file's
        with named(str(self.path)):
            self._file.truncate(0)
            self._file.seek(0)
        self.size, self.note = 0, note
        self._write_note(0)

    def _write_note(self, synced: int) -> None:
        if self.note is None:
            return
        text = json.dumps(asdict(self.note) | {"synced": synced})
        part = self._note_path.with_suffix(".new")
        with named(str(self._note_path)):
            part.write_text(text)
            os.replace(part, self._note_path)

    def _read(self, url: str) -> None:
        """Find out what of it can be relied on: nothing, where the note is not of this URL."""
        try:
            note = Note(**json.loads(self._note_path.read_text()))
        except (OSError, ValueError, TypeError):
            self.size = 0
            return
        sure = self.size if note.boot == _boot() != "" else min(note.synced, self.size)
        is_too_long = note.total is not None and self.size > note.total
        self.size = 0 if note.url != url or is_too_long else sure
        self._file.truncate(self.size)
        self.note = note


def part_name(url: str) -> str:
    """Return the name of a URL's part."""
    return f"{blake2b(url.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}.part"


def _locked(path: Path) -> BinaryIO | None:
    """Open a file that nobody else has; None where somebody has it."""
    while True:
        with named(str(path)):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        file = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == path.lstat().st_ino:
                return file
        except BlockingIOError:
            file.close()
            return None
        except FileNotFoundError:
            pass
        file.close()  # it got its name, or was removed, between the two steps


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what tells this state of the file from any other: a strong ETag, or a date that is old enough."""
    etag = headers.get("ETag")
    if etag is not None:
        return etag if etag.startswith('"') else None
    try:
        modified = headers["Last-Modified"]
        age = parsedate_to_datetime(headers["Date"]) - parsedate_to_datetime(modified)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return modified if age.total_seconds() >= _STEADY else None


def _place(url: str) -> str:
    return url.partition("#")[0].partition("?")[0]


def _boot() -> str:
    """Return what tells one start of the system from another; empty where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
