"""Bodies as files in a folder."""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from itertools import chain, count
from pathlib import Path
from typing import Any

from ..errors import SinkError
from ..item import Item
from ..outcome import Outcome
from ..rows import well_formed
from .base import Position
from .claims import Claims
from .files import AppendFile, Fsync, checked_fsync, named
from .names import given_name, has_body, numbered, safe_parts, url_name

__all__ = ["Folder"]

_JOURNAL, _PART, _PARTS = ".files.jsonl", ".files.part", ".parts"  # no name of a body begins with a dot


class Folder:
    """Save the body of each answer as a file of its own, never outside the folder and none over another's.

    The name is the item's, which may hold `/`, made harmless (see `names`), with its number where it is taken, also
    by one in other case; or it is made of the number, the URL and the type: `000042-logo.png`. Answers of other
    statuses than 2xx are saved with `errors=True`. A body is written as `.files.part`; whole, it gets its name.
    `.files.jsonl` says which file is which URL's: a line is written before its file, so that after a crash those that
    were not committed are removed. An outcome that comes again overwrites its own file. With `fsync="flush"` each
    file is on the disk before it has its name, which costs the most where files are small.

    With `keep` what earlier runs have noted stays, and each file its URL's: for `since_last` and `skip_existing`. With
    `stream` bodies of GETs over `held` bytes go to `.parts` as they come, of up to `largest` bytes: those no other sink
    sees, nor `parse`. A part that was cut is gone on with, also by a later run, if its file is the same still.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        errors: bool = False,
        keep: bool = False,
        stream: bool = False,
        held: int = 2**23,
        largest: int | None = None,
        fsync: Fsync = "close",
    ) -> None:
        self.path: Path = Path(path)
        self._keep = keep
        self.parts: Path | None = self.path / _PARTS if stream else None
        self.held: int = held
        self.largest: int | None = largest
        self._errors = errors
        self._fsync = checked_fsync(fsync)
        self._journal = AppendFile(self.path / _JOURNAL, fsync=fsync)
        self._claims = Claims()
        self._noted = Claims()  # where the journal last tells of a URL

    def open(self, position: Position | None) -> None:
        """Begin anew, beside what files there are, or remove what is not of the position and go on from there."""
        committed = self._whole() if position is None and self._keep else (position or {}).get(_JOURNAL, 0)
        if self.path.exists() and not self.path.is_dir():
            raise SinkError(f"{self.path} is no folder; bodies need one")
        with named(str(self.path)):
            self.path.mkdir(parents=True, exist_ok=True)
            self._remove(self.path / _PART)
            for _, line in self._lines(committed, 0 if position is None else None):
                self._take_back(line)
        self._journal.open(committed)
        self._claims, self._noted = Claims(), Claims()
        for offset, line in self._lines(0, committed):
            self._note(json.loads(line), offset)

    def write(self, outcome: Outcome) -> None:
        """Save the body, if there is one to save."""
        response = outcome.response
        if response is None or not has_body(outcome, errors=self._errors):
            return
        if outcome.change == "same" and self.keeps(outcome.item):
            if outcome.saved is not None:
                outcome.saved.file.drop()
            return
        given = given_name(outcome.item)
        target = self._place(outcome, given)
        name = target.relative_to(self.path).as_posix()
        entry = {"index": outcome.index, "url": well_formed(outcome.url), "name": name, "given": bool(given)}
        offset = self._journal.offset
        self._journal.write(json.dumps(entry | {"bytes": outcome.size}).encode("ascii") + b"\n")
        self._journal.hand_over()
        self._note(entry, offset)
        if outcome.saved is None:
            self._save(target, response.content)
        else:
            outcome.saved.file.publish(target, sync=self._fsync == "flush")

    def flush(self) -> Position:
        """Return how much of the journal there is; the files are with the system already."""
        return {_JOURNAL: self._journal.flush() or 0}

    def close(self) -> None:
        """Close the journal, and have all on the disk. May be called again."""
        self._journal.close()
        if self.parts is not None:
            with suppress(OSError):  # there is none, or something in it to go on with
                self.parts.rmdir()
        if self._fsync == "close" and hasattr(os, "sync"):
            os.sync()

    def abandon(self) -> None:
        """Remove what has come since the last flush, as far as that can be done, and let go of the journal."""
        with suppress(OSError):
            for _, line in self._lines(self._journal.flushed, None):
                self._take_back(line)
        self._journal.abandon()

    def keeps(self, item: Item) -> bool:
        """Whether the file that was saved for the item's URL is here still, and whole; with `keep` only."""
        entry = self._entry(item.url)
        if entry is None:
            return False
        given, name = given_name(item), str(entry["name"])
        path = "/".join(given)
        if given and name not in (path, _numbered_path(path, entry["index"])):
            return False
        try:
            found = self.path.joinpath(*safe_parts(name)).lstat()
        except OSError:
            return False
        # An empty one is what a loss of power leaves; of another size it may be somebody's work.
        return stat.S_ISREG(found.st_mode) and (found.st_size > 0 or not entry["bytes"])

    def finds(self, item: Item) -> bool:
        """Whether there is a file for the item: its URL's, or, unless that is another's, one of the name asked for."""
        given = given_name(item)
        if self.keeps(item) or not given or self._claims.owner("/".join(given)) is not None:
            return self.keeps(item)
        path = self.path.joinpath(*given)
        return path.is_file() and not path.is_symlink()

    def _note(self, entry: Mapping[str, Any], offset: int) -> None:
        """Remember whose a file is, and where the journal tells of it."""
        if entry["given"] or self._keep:
            self._claims.claim(entry["name"], self._owner(entry["index"], entry["url"]))
        if self._keep:
            self._noted.claim(_digest(entry["url"]).hex(), offset)

    def _owner(self, index: int, url: str) -> int:
        """Return whose a file is: by number within a run, and by URL, too, where runs go on from each other."""
        return int.from_bytes(_digest(f"{index} {url}")[:7], "big") if self._keep else index

    def _entry(self, url: str) -> dict[str, Any] | None:
        """Return what the journal last tells of a URL."""
        url = well_formed(url)
        offset = self._noted.owner(_digest(url).hex())
        if offset is None:
            return None
        with (self.path / _JOURNAL).open("rb") as file:
            file.seek(offset)
            entry: dict[str, Any] = json.loads(file.readline())
        return entry if entry["url"] == url else None

    def _whole(self) -> int:
        """Return how much of the journal are whole lines."""
        return sum(len(line) for _, line in self._lines(0, None))

    def _place(self, outcome: Outcome, given: tuple[str, ...]) -> Path:
        """Return where the body goes: a place within the folder that nothing else has."""
        parts = given or (url_name(outcome),)
        folder = self._made(parts[:-1])
        if folder is None:  # a link or a file is in the way
            folder, parts = self.path, safe_parts("_".join(parts))
        mine = self._owner(outcome.index, well_formed(outcome.url))
        for name in chain((parts[-1],), _others(parts[-1], outcome.index)):
            target = folder / name
            known = given or self._keep
            owner = self._claims.owner(target.relative_to(self.path).as_posix()) if known else None
            is_free = owner is None or owner == mine or (self._keep and not target.exists())
            if is_free and not _is_folder(target):
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

    def _lines(self, start: int, end: int | None) -> Iterator[tuple[int, bytes]]:
        """Yield whole lines of the journal between two offsets, with where they begin."""
        journal = self.path / _JOURNAL
        if not journal.exists() or end == 0:
            return
        with journal.open("rb") as file:
            file.seek(start)
            for line in file:
                if (end is not None and start + len(line) > end) or not line.endswith(b"\n"):
                    return
                yield start, line
                start += len(line)

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


def _numbered_path(path: str, number: int) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{numbered(name, number)}"


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return False
