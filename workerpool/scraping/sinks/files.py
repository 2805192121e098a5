"""Files that only grow, and can be cut back to what was committed."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, cast

from ..errors import SinkError

__all__ = ["AppendFile", "Fsync", "checked_fsync", "named", "publish", "published", "sync_folder"]

# When what was written is on the disk itself, so that it outlives a loss of power: at each flush, that is before the
# state says so; or at the end only, which is quicker, and outlives the end of the process all the same.
Fsync: TypeAlias = Literal["flush", "close"]

_ROOM = 2**20  # bytes that are collected before the system gets them
_BEGIN_ANEW = "put it back as it was, or begin the run anew (--restart)"


def checked_fsync(when: Fsync) -> Fsync:
    """Return it; raises SinkError for what is none."""
    if when not in ("flush", "close"):
        raise SinkError(f"fsync must be 'flush' or 'close', not {when!r}")
    return when


class AppendFile:
    """Append to a file; `open(offset)` cuts it back to an offset that `flush` has returned.

    A path of None is stdout, which is left open; that, pipes and devices are written to as they come, and cannot be
    cut: their offset is None. A write that fails keeps what is not written yet, so that it may be tried again.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, fsync: Fsync = "flush") -> None:
        self.path: Path | None = None if path is None else Path(path)
        self.place: str = "stdout" if self.path is None else str(self.path)
        self._fsync = checked_fsync(fsync)
        self._file: BinaryIO | None = None
        self._pending = bytearray()
        self._written = 0
        self._flushed = 0
        self._can_be_cut = False

    @property
    def offset(self) -> int:
        """Where the next byte goes."""
        return self._written + len(self._pending)

    @property
    def flushed(self) -> int:
        """The offset that the last flush has returned."""
        return self._flushed

    def open(self, committed: int | None) -> None:
        """Begin anew, or go on behind the committed bytes. Raises SinkError where they are not there."""
        self.abandon()
        self._written = self._flushed = 0
        with named(self.place):
            if self.path is None:
                self._file = _stdout()
                return
            self._check_place(self.path, committed)
            # To append, so that a file that others have cut meanwhile does not get a hole of the right size.
            self._file = file = cast(BinaryIO, open(self.path, "ab", buffering=0))  # noqa: SIM115
            self._can_be_cut = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            if not self._can_be_cut:
                return
            self._cut(committed or 0)
            if not committed and self._fsync == "flush":
                sync_folder(self.path.parent)

    def write(self, data: bytes) -> None:
        """Take the bytes; nothing of them need be in the file before `flush`."""
        self._pending += data
        if len(self._pending) >= _ROOM:
            self.hand_over()

    def hand_over(self) -> None:
        """Give the system what is pending. What it has not taken, when it refuses, stays pending."""
        if self._file is None:
            raise SinkError(f"{self.place} is not open")
        with named(self.place):
            while self._pending:
                taken = self._file.write(memoryview(self._pending)[:_ROOM].tobytes()) or 0
                del self._pending[:taken]
                self._written += taken
            self._file.flush()

    def flush(self) -> int | None:
        """Have everything in the file, by the policy on the disk; return the offset to come back to.

        Raises SinkError where the file was removed, replaced or cut meanwhile: nothing of it is to be committed.
        """
        self.hand_over()
        if not self._can_be_cut:
            return None
        self._check_still_there()
        if self._fsync == "flush":
            self._sync()
        self._flushed = self._written
        return self._flushed

    def close(self) -> None:
        """Write the rest, have it on the disk, and let go of the file. Repeatable."""
        if self._file is None:
            return
        self.hand_over()
        if self._can_be_cut:
            self._check_still_there()
            self._sync()
        self._let_go()

    def abandon(self) -> None:
        """Let go of the file, without what has come since the last flush. Repeatable; never raises OSError."""
        self._pending.clear()
        if self._file is None:
            return
        with suppress(OSError):
            if self._can_be_cut and self._written > self._flushed:
                self._file.truncate(self._flushed)
        self._let_go()

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None and self.path is not None:
            with named(self.place):
                file.close()

    def _sync(self) -> None:
        assert self._file is not None
        with named(self.place):
            os.fsync(self._file.fileno())

    def _check_place(self, path: Path, committed: int | None) -> None:
        if path.is_dir():
            raise SinkError(f"{path} is a folder; give a file's name for this output")
        if committed and not path.exists():
            raise SinkError(f"{path} is gone, and the state says that {committed} bytes of it are done; {_BEGIN_ANEW}")

    def _cut(self, committed: int) -> None:
        assert self._file is not None
        size = os.fstat(self._file.fileno()).st_size
        if size < committed:
            self._let_go()
            raise SinkError(f"{self.path} has {size} bytes where the state says {committed}; {_BEGIN_ANEW}")
        self._file.truncate(committed)
        self._written = self._flushed = committed

    def _check_still_there(self) -> None:
        assert self._file is not None
        assert self.path is not None
        ours = os.fstat(self._file.fileno())
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            raise SinkError(f"{self.path} was removed while it was written; {_BEGIN_ANEW}") from None
        if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino):
            raise SinkError(f"{self.path} was replaced while it was written; {_BEGIN_ANEW}")
        if ours.st_size != self._written:
            raise SinkError(f"{self.path} was changed by others while it was written; begin the run anew (--restart)")


def publish(part: Path, path: Path) -> None:
    """Give a finished file its name, whole or not at all, and have that on the disk."""
    with named(str(path)):
        os.replace(part, path)
        sync_folder(path.parent)


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Give a place for a file that gets its name when the block has made it; what is half made is removed."""
    part = path.with_name(f"{path.name}.part")
    try:
        with named(str(part)):
            yield part
        publish(part, path)
    except BaseException:
        part.unlink(missing_ok=True)  # it is what has filled the disk
        raise


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can say so."""
    with suppress(OSError):  # Windows opens no folders, and some file systems sync none
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def named(place: str) -> Iterator[None]:
    """Put the place into errors of the system that name none, as those of writing."""
    try:
        yield
    except OSError as exc:
        exc.filename = exc.filename or place
        raise


def _stdout() -> BinaryIO:
    if sys.stdout is None:  # started with >&-
        raise SinkError("there is no stdout to write to; give a file as output")
    sys.stdout.flush()
    return sys.stdout.buffer
