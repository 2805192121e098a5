"""WACZ: an archive, its index and a list of its pages in one file, as replay in a browser wants it."""

import hashlib
import html
import json
import os
import re
import shutil
import time
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ... import __version__
from ...messages.response import Response
from ..errors import SinkError
from ..outcome import Outcome
from ..rows import well_formed
from .base import Position
from .files import AppendFile, Fsync, named, publish, published
from .records import warc_date
from .warc import Warc

__all__ = ["Wacz"]

_PLACES = {
    "data.warc.gz": "archive/data.warc.gz",
    "data.cdxj": "indexes/index.cdxj",
    "pages.jsonl": "pages/pages.jsonl",
}
_HEAD = {"format": "json-pages-1.0", "id": "pages", "title": "All Pages"}
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_PIECE = 2**20
_TITLE_WITHIN = 2**16  # bytes of a page in which its title is looked for
_SIZES = "workerpool_position"  # in datapackage.json: what it was made of
_PAGES = frozenset({"text/html", "application/xhtml+xml"})


class Wacz:
    """Write a WACZ 1.1.1 file. Until `close` its parts are in the folder `PATH.parts`, a `Warc` among them.

    Pages are the answers with status 200 that are HTML; their title is the extracted field `title`, or that of the
    page. `close` packs the parts, gives the file its name when it is whole, and removes the folder. A finished file
    can be gone on with: it is taken apart again.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        title: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        info: Mapping[str, str] | None = None,
        remembered: int = 2**15,
        fsync: Fsync = "flush",
    ) -> None:
        self.path: Path = Path(path)
        self._title = title or self.path.stem
        self._folder = self.path.with_name(f"{self.path.name}.parts")
        warc = self._folder / "data.warc.gz"
        self._warc = Warc(warc, headers=headers, info=info, remembered=remembered, fsync=fsync)
        self._pages = AppendFile(self._folder / "pages.jsonl", fsync=fsync)
        self._finished: Position | None = None  # what the packed file was made of, while there are no parts
        self._closing: Position | None = None  # the sizes of the parts, once they are complete

    def open(self, position: Position | None) -> None:
        """Begin anew, or go on from the position, that of a finished file included."""
        if self.path.is_dir():
            raise SinkError(f"{self.path} is a folder; give a file's name for this output")
        if not position:
            with named(str(self.path)):
                self.path.unlink(missing_ok=True)
                self._remove_folder()
        self._finished = self._packed_position()
        if position and self._finished == dict(position):
            self._remove_folder()  # all of it, or what a crash has left
            return
        if self._finished is not None and not self._folder.exists():
            self._unpack()
        self._finished = None
        self._open_parts(position)

    def write(self, outcome: Outcome) -> None:
        """Take an outcome."""
        if self._finished is not None:
            self._unpack()
            self._open_parts(self._finished)
            self._finished = None
        self._warc.write(outcome)
        if (response := outcome.response) is not None and _is_page(response):
            self._pages.write(_json_line(_page(outcome, response)))

    def flush(self) -> Position:
        """Hand all to the system; return the sizes of the parts."""
        if self._finished is not None:
            return self._finished
        sizes = dict(self._warc.flush())
        sizes["pages.jsonl"] = self._pages.flush() or 0
        return sizes

    def close(self) -> None:
        """Pack the parts, and remove them when the file has its name. May be called again at any point."""
        if self._finished is not None:
            return
        sizes = self._closing = self._closing or self.flush()
        self._warc.close()
        self._pages.close()
        with published(self.path) as part:
            self._pack(part, sizes)
        self._finished = sizes
        self._remove_folder()

    def abandon(self) -> None:
        """Let go of the parts, without what has come since the last flush."""
        self._warc.abandon()
        self._pages.abandon()

    def _open_parts(self, position: Position | None) -> None:
        self._closing = None
        with named(str(self._folder)):
            self._folder.mkdir(exist_ok=True)
        self._warc.open(position)
        pages = (position or {}).get("pages.jsonl", 0)
        self._pages.open(pages)
        if not pages:
            self._pages.write(_json_line(_HEAD))

    def _remove_folder(self) -> None:
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def _packed_position(self) -> Position | None:
        """Return what a finished file was made of; None where there is none of ours."""
        if not self.path.exists():
            return None
        try:
            with zipfile.ZipFile(self.path) as archive:
                found = json.loads(archive.read("datapackage.json")).get(_SIZES)
        except (zipfile.BadZipFile, KeyError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _pack(self, part: Path, sizes: Position) -> None:
        with part.open("wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                resources = [_packed(archive, self._folder / name, place) for name, place in _PLACES.items()]
                package = self._package(resources, sizes)
                archive.writestr("datapackage.json", package)
                told = {"path": "datapackage.json", "hash": _hash(hashlib.sha256(package))}
                archive.writestr("datapackage-digest.json", json.dumps(told, indent=2))
            file.flush()
            os.fsync(file.fileno())

    def _package(self, resources: list[dict[str, Any]], sizes: Position) -> bytes:
        package = {
            "profile": "data-package",
            "wacz_version": "1.1.1",
            "title": self._title,
            "software": f"workerpool/{__version__}",
            "created": warc_date(time.time()),
            "resources": resources,
            _SIZES: dict(sizes),
        }
        return json.dumps(package, indent=2).encode("ascii")

    def _unpack(self) -> None:
        """Make the parts of a finished file again; the folder gets its name when they are all there."""
        part = self.path.with_name(f"{self.path.name}.parts.part")
        with named(str(part)), zipfile.ZipFile(self.path) as archive:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            for name, place in _PLACES.items():
                with archive.open(place) as source, (part / name).open("wb") as target:
                    shutil.copyfileobj(source, target, _PIECE)
                    target.flush()
                    os.fsync(target.fileno())
            self._remove_folder()
            publish(part, self._folder)


def _packed(archive: zipfile.ZipFile, source: Path, place: str) -> dict[str, Any]:
    """Put a file into the archive, the WARC as it is, and return what is to be told of it."""
    entry = zipfile.ZipInfo.from_file(source, place)
    entry.compress_type = zipfile.ZIP_STORED if place.endswith(".gz") else zipfile.ZIP_DEFLATED
    found, size = hashlib.sha256(), 0
    with source.open("rb") as file, archive.open(entry, "w", force_zip64=True) as target:
        for piece in _pieces(file):
            target.write(piece)
            found.update(piece)
            size += len(piece)
    return {"name": Path(place).name, "path": place, "hash": _hash(found), "bytes": size}


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _hash(found: Any) -> str:
    return f"sha256:{found.hexdigest()}"


def _is_page(response: Response) -> bool:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return response.status_code == 200 and kind in _PAGES and response.content != b""


def _page(outcome: Outcome, response: Response) -> dict[str, Any]:
    started = outcome.attempts[-1].started if outcome.attempts else time.time()
    title = outcome.fields.get("title")
    return {
        "id": uuid.uuid4().hex,
        "url": response.url.partition("#")[0],
        "ts": warc_date(started),
        "title": well_formed(title) if isinstance(title, str) else _title_of(response),
    }


def _title_of(response: Response) -> str:
    text = response.content[:_TITLE_WITHIN].decode(response.encoding, "replace")
    found = _TITLE.search(text)
    return " ".join(html.unescape(found[1]).split()) if found else response.url


def _json_line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"
