"""Bodies as files in a folder."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path

from ..errors import SinkError
from ..outcome import Outcome
from ..rows import well_formed
from .base import Position
from .claims import Claims
from .files import AppendFile, Fsync, checked_fsync, named
from .names import given_name, has_body, numbered, safe_parts, url_name

__all__ = ["Folder"]

_JOURNAL, _PART = ".files.jsonl", ".files.part"  # no name of a body begins with a dot


class Folder:
    """Save the body of each answer as a file of its own, never outside the folder and none over another's.

    The name is the item's, which may hold `/`, made harmless (see `names`), with its number where it is taken, also
    by one in other case; or it is made of the number, the URL and the type: `000042-logo.png`. Answers of other
    statuses than 2xx are saved with `errors=True`. A body is written as `.files.part`; whole, it gets its name.
    `.files.jsonl` says which file is which URL's: a line is written before its file, so that after a crash those that
    were not committed are removed. An outcome that comes again overwrites its own file. With `fsync="flush"` each
    file is on the disk before it has its name, which costs the most where files are small.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        errors: bool = False,
        fsync: Fsync = "close",
    ) -> None:
        self.path = Path(path)
        self._errors = errors
        self._fsync = checked_fsync(fsync)
        self._journal = AppendFile(self.path / _JOURNAL, fsync=fsync)
        self._claims = Claims()

    def open(self, position: Position | None) -> None:
        """Begin anew, beside what files there are, or remove what is not of the position and go on from there."""
        committed = (position or {}).get(_JOURNAL, 0)
        if self.path.exists() and not self.path.is_dir():
            raise SinkError(f"{self.path} is no folder; bodies need one")
        with named(str(self.path)):
            self.path.mkdir(parents=True, exist_ok=True)
            self._remove(self.path / _PART)
            for line in self._lines(committed, 0 if position is None else None):
                self._take_back(line)
        self._journal.open(committed)
        self._claims = Claims()
        for line in self._lines(0, committed):
            entry = json.loads(line)
            if entry["given"]:
                self._claims.claim(entry["name"], entry["index"])

    def write(self, outcome: Outcome) -> None:
        """Save the body, if there is one to save."""
        response = outcome.response
        if response is None or not has_body(outcome, errors=self._errors):
            return
        given = given_name(outcome)
        target = self._place(outcome, given)
        name = target.relative_to(self.path).as_posix()
        entry = {"index": outcome.index, "url": well_formed(outcome.url), "name": name, "given": bool(given)}
        self._journal.write(json.dumps(entry | {"bytes": len(response.content)}).encode("ascii") + b"\n")
        self._journal.hand_over()
        if given:
            self._claims.claim(name, outcome.index)
        self._save(target, response.content)

    def flush(self) -> Position:
        """Return how much of the journal there is; the files are with the system already."""
        return {_JOURNAL: self._journal.flush() or 0}

    def close(self) -> None:
        """Close the journal, and have all on the disk. May be called again."""
        self._journal.close()
        if self._fsync == "close" and hasattr(os, "sync"):
            os.sync()

    def abandon(self) -> None:
        """Remove what has come since the last flush, as far as that can be done, and let go of the journal."""
        with suppress(OSError):
            for line in self._lines(self._journal.flushed, None):
                self._take_back(line)
        self._journal.abandon()

    def _place(self, outcome: Outcome, given: tuple[str, ...]) -> Path:
        """Return where the body goes: a place within the folder that nothing else has."""
        parts = given or (url_name(outcome),)
        folder = self._made(parts[:-1])
        if folder is None:  # a link or a file is in the way
            folder, parts = self.path, safe_parts("_".join(parts))
        for name in chain((parts[-1],), _others(parts[-1], outcome.index)):
            target = folder / name
            owner = self._claims.owner(target.relative_to(self.path).as_posix()) if given else None
            if owner in (None, outcome.index) and not _is_folder(target):
                return target
        raise AssertionError("the numbers do not end")

    def _made(self, parts: tuple[str, ...]) -> Path | None:
        """Return the folder within this one, made where it is not there; None where no folder is to be had."""
        folder = self.path
        for part in parts:
            folder /= part
            try:
                folder.mkdir()
            except FileExistsError:
                if not _is_folder(folder):
                    return None
        return folder

    def _save(self, target: Path, content: bytes) -> None:
        part = self.path / _PART
        with named(str(target)):
            self._remove(part)  # or a link there would be written through
            with part.open("xb", buffering=0) as file:
                view = memoryview(content)
                while view:
                    view = view[file.write(view) :]
                if self._fsync == "flush":
                    os.fsync(file.fileno())
            os.replace(part, target)

    def _lines(self, start: int, end: int | None) -> Iterator[bytes]:
        """Yield whole lines of the journal between two offsets."""
        journal = self.path / _JOURNAL
        if not journal.exists() or end == 0:
            return
        with journal.open("rb") as file:
            file.seek(start)
            for line in file:
                if (end is not None and file.tell() > end) or not line.endswith(b"\n"):
                    return
                yield line

    def _take_back(self, line: bytes) -> None:
        """Remove the file that a line tells of, which was not committed."""
        try:
            name = str(json.loads(line)["name"])
        except (ValueError, KeyError, TypeError):
            return
        path = self.path.joinpath(*safe_parts(name))
        folders = [each for each in path.parents if each.is_relative_to(self.path)]
        if path != self.path and all(map(_is_folder, folders[:-1])):
            self._remove(path)

    def _remove(self, path: Path) -> None:
        if path.is_symlink() or not _is_folder(path):
            path.unlink(missing_ok=True)


def _others(name: str, number: int) -> Iterator[str]:
    first = numbered(name, number)
    yield first
    yield from (numbered(first, again) for again in count(2))


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return False
