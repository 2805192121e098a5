"""WARC: an archive of what was asked and answered, with its index."""

import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path

from ... import __version__
from ..errors import SinkError
from ..outcome import Outcome
from ..validators import Validators, digest
from .base import Position
from .cdxj import index_line, offset_of, parsed_line, sort_lines
from .files import AppendFile, Fsync
from .records import (
    Earlier,
    Exchange,
    answer_record,
    bare,
    exchanges,
    info_record,
    packed,
    record_id,
    request_record,
    warc_date,
)

__all__ = ["Warc"]

_LINE = 512  # bytes of a line of the index, roughly
_INFO = {
    "software": f"workerpool/{__version__}",
    "format": "WARC File Format 1.1",
    "conformsTo": "https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
}


class Warc:
    """Write a WARC/1.1 archive, `.warc.gz` or `.warc`, and beside it an index, `.cdxj`.

    Of each answer, redirects included, there is a response and the request; of failures nothing. The body is stored
    decoded, with a head to match (`X-Archive-Orig-...` has what the server sent), unless the request was made by
    `Request.prepared`, whose answers are as on the wire: so the digests are those of what is stored. A body that was
    seen before becomes a revisit of that; `remembered` bodies are known, the last ones, also after a resume. What the
    site says has not changed since the last round (304) is a revisit of the record of then, in its archive. Requests
    are written without credentials and cookies, and without what the lane adds but for `headers`; `info` goes into
    the first record. Until `close` the index is unsorted, in `.cdxj.spool`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        headers: Iterable[tuple[str, str]] = (),
        info: Mapping[str, str] | None = None,
        remembered: int = 2**15,
        fsync: Fsync = "flush",
    ) -> None:
        self.path: Path = Path(path)
        name = self.path.name
        stem = name.removesuffix(".gz").removesuffix(".warc")
        if not name.endswith((".warc", ".warc.gz")) or not stem:
            raise SinkError(f"{self.path}: the name of an archive ends with .warc.gz or .warc")
        self.index_path: Path = self.path.with_name(f"{stem}.cdxj")
        self._is_packed = name.endswith(".gz")
        self._headers = tuple(headers)
        self._info = _INFO | dict(info or {})
        self._fsync = fsync
        self._file = AppendFile(self.path, fsync=fsync)
        self._spool = AppendFile(self.path.with_name(f"{stem}.cdxj.spool"), fsync=fsync)
        self._seen = _Seen(remembered)

    @property
    def _spool_path(self) -> Path:
        assert self._spool.path is not None
        return self._spool.path

    def open(self, position: Position | None) -> None:
        """Begin anew, or go on in the same archive from the position."""
        position = position or {}
        committed, indexed = position.get(self.path.name, 0), position.get(self._spool_path.name, 0)
        self._seen.clear()
        if indexed and not self._spool_path.exists() and self.index_path.exists():
            sort_lines(self.index_path, self._spool_path, offset_of, fsync=self._fsync)
        self._file.open(committed)
        try:
            self._spool.open(indexed)
        except BaseException:
            self._file.abandon()
            raise
        if committed:
            self._seen.load(self._spool_path)
            return
        self.index_path.unlink(missing_ok=True)
        self._put(info_record(self.path.name, warc_date(time.time()), self._info))

    def write(self, outcome: Outcome) -> None:
        """Take an outcome."""
        if outcome.response is None:
            return
        date = warc_date(outcome.attempts[-1].started if outcome.attempts else time.time())
        for exchange in exchanges(outcome.response, self._headers):
            is_last = exchange.answer is outcome.response
            self._write(exchange, date, outcome.validators if is_last and outcome.is_unchanged else None)

    def flush(self) -> Position:
        """Hand the records to the system; return how many bytes there are, and of their index."""
        sizes = {self.path.name: self._file.flush(), self._spool_path.name: self._spool.flush()}
        return {name: size for name, size in sizes.items() if size is not None}

    def close(self) -> None:
        """Close the archive and sort its index. May be called again at any point."""
        self._file.close()
        self._spool.close()
        if self._spool_path.exists():
            sort_lines(self._spool_path, self.index_path, fsync=self._fsync)
            self._spool_path.unlink()

    def abandon(self) -> None:
        """Let go of the archive, without what has come since the last flush."""
        self._file.abandon()
        self._spool.abandon()

    def _write(self, exchange: Exchange, date: str, before: Validators | None = None) -> None:
        payload, name = digest(exchange.answer.content), record_id()
        has_payload = exchange.has_body and exchange.answer.content != b""
        seen = self._seen.find(payload) if has_payload else None
        if before is not None:
            payload = before.digest
            seen = Earlier(bare(before.url), warc_date(before.captured), "server-not-modified")
        record, kind = answer_record(exchange, name, date, payload, seen)
        offset = self._file.offset
        self._put(record)
        facts = {
            "mime": "warc/revisit" if kind == "revisit" else _mime(exchange),
            "status": str(exchange.answer.status_code),
            "digest": payload,
            "length": str(self._file.offset - offset),
            "offset": str(offset),
            "filename": self.path.name,
        }
        self._spool.write(index_line(exchange.url, date, facts))
        if has_payload and seen is None:
            self._seen.add(payload, exchange.url, date)
        self._put(request_record(exchange, name, date))

    def _put(self, record: bytes) -> None:
        self._file.write(packed(record) if self._is_packed else record)


class _Seen:
    """The bodies that were stored last, by digest: under which URL, and when."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._found: OrderedDict[str, Earlier] = OrderedDict()

    def clear(self) -> None:
        """Forget all."""
        self._found.clear()

    def find(self, payload: str) -> Earlier | None:
        """Return URL and date of a body, which is kept longer for that."""
        if payload in self._found:
            self._found.move_to_end(payload)
        return self._found.get(payload)

    def add(self, payload: str, url: str, date: str) -> None:
        """Remember a body, and forget the one that was not seen for the longest time."""
        self._found[payload] = Earlier(url, date)
        if len(self._found) > self._room:
            self._found.popitem(last=False)

    def load(self, spool: Path) -> None:
        """Remember what the end of an index tells."""
        with spool.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if file.seek(max(0, size - self._room * _LINE)):
                file.readline()  # cut in two
            for line in file:
                date, facts = parsed_line(line)
                if facts["mime"] == "warc/revisit":
                    self.find(facts["digest"])
                else:
                    self.add(facts["digest"], facts["url"], date)


def _mime(exchange: Exchange) -> str:
    return exchange.answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() or "unk"
