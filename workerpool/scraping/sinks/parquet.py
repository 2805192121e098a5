"""Parquet: a table that is only written when the run is complete, from a file of lines that is kept until then."""

import base64
import json
import os
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from ..errors import SinkError
from ..outcome import Outcome
from ..rows import outcome_row
from .base import Position
from .files import AppendFile, Fsync, publish, published

__all__ = ["Parquet"]

_BATCH = 2**22  # bytes of lines that are parsed at once
_GROUP = 2**25  # bytes of columns in a row group
_SIZE = b"workerpool.spool"  # in the file's footer: how many bytes of lines it was made of

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as _exc:
    raise ImportError("Parquet needs an extra: pip install 'aiohttp-workerpool[parquet]'", name=_exc.name) from _exc


class Parquet:
    """Write a table with a row for each outcome. `body` adds the bodies, as bytes.

    The schema is `Parquet.SCHEMA`, whatever was fetched: those columns of `rows.COLUMNS`, the error as three columns,
    `started` as a timestamp, `preferences` as a map, `fields` as JSON. Until `close` the rows are lines of JSON in
    `PATH.spool`, which is what positions are of; then the table is made in bounded memory, as `PATH.part`, and gets
    its name when it is whole. A finished table can be gone on with: its lines are made of it again.
    """

    SCHEMA = pa.schema(
        [
            ("index", pa.int64()), ("url", pa.string()), ("verdict", pa.string()), ("status", pa.int16()),
            ("reason", pa.string()), ("why", pa.string()), ("change", pa.string()), ("bytes", pa.int64()),
            ("elapsed", pa.float64()), ("attempts", pa.int32()), ("started", pa.timestamp("ms", "UTC")),
            ("final_url", pa.string()), ("content_type", pa.string()), ("error_type", pa.string()),
            ("error_stage", pa.string()), ("error_message", pa.string()),
            ("redirects", pa.list_(pa.field("element", pa.string()))),
            ("preferences", pa.map_(pa.string(), pa.string())), ("fields", pa.string()), ("line", pa.int64()),
            ("depth", pa.int32()), ("parent", pa.string()),
        ]
    )  # fmt: skip

    def __init__(self, path: str | os.PathLike[str], *, body: bool = False, fsync: Fsync = "flush") -> None:
        self.path: Path = Path(path)
        self._schema = self.SCHEMA.append(pa.field("body", pa.binary())) if body else self.SCHEMA
        self._body = body
        self._fsync = fsync
        self._spool = AppendFile(self.path.with_name(f"{self.path.name}.spool"), fsync=fsync)
        self._finished: int | None = None  # bytes of lines in the table, while there is no spool

    def open(self, position: Position | None) -> None:
        """Begin anew, or go on from the position, that of a finished table included."""
        if self.path.is_dir():
            raise SinkError(f"{self.path} is a folder; give a file's name for this output")
        committed = 0 if position is None else position.get(self._spool_path.name, 0)
        if not committed:  # or an older table might be taken for this run's
            self.path.unlink(missing_ok=True)
        self._finished = self._size_of_table()
        if committed and self._finished == committed:
            # A crash between the table's getting its name and the end of its lines leaves both.
            self._spool_path.unlink(missing_ok=True)
            return
        if self._finished is not None and not self._spool_path.exists():
            self._unpack()
        self._finished = None
        self._spool.open(committed or None)

    def write(self, outcome: Outcome) -> None:
        """Take an outcome."""
        if self._finished is not None:
            self._unpack()
            self._spool.open(self._finished)
            self._finished = None
        self._spool.write(_line(self._row(outcome)))

    def flush(self) -> Position:
        """Hand the lines to the system; return how many bytes of them there are."""
        size = self._spool.flush() if self._finished is None else self._finished
        return {self._spool_path.name: size or 0}

    def close(self) -> None:
        """Make the table of the lines, and give it its name when it is whole. May be called again at any point."""
        if self._finished is not None:
            return
        self._spool.close()
        size = self._spool.offset
        with published(self.path) as part:
            self._make(part, size)
        self._spool_path.unlink()
        self._finished = size

    def abandon(self) -> None:
        """Let go of the lines; there is no table yet."""
        self._spool.abandon()

    @property
    def _spool_path(self) -> Path:
        assert self._spool.path is not None
        return self._spool.path

    def _row(self, outcome: Outcome) -> dict[str, Any]:
        """Return a row in the form that both the lines and the table have; bytes are in base64."""
        row = outcome_row(outcome)
        error = row["error"] or {}
        row |= {f"error_{part}": error.get(part) for part in ("type", "stage", "message")}
        row["fields"] = json.dumps(row["fields"])
        row["preferences"] = list(row["preferences"].items())
        row["started"] = None if row["started"] is None else round(row["started"] * 1000)
        if self._body:
            response = outcome.response
            row["body"] = None if response is None else base64.b64encode(response.content).decode("ascii")
        return {name: row[name] for name in self._schema.names}

    def _make(self, part: Path, size: int) -> None:
        """Write the table; no more than a row group of it is in memory."""
        schema = self._schema.with_metadata({_SIZE: str(size)})
        held: list[Any] = []
        # A file of ours: pyarrow leaves its own open where it cannot be written.
        with part.open("wb") as file, self._spool_path.open("rb") as spool:
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                while spool.tell() < size:
                    lines = spool.readlines(_BATCH)
                    held.append(pa.RecordBatch.from_pylist([_parsed(line) for line in lines], schema=schema))
                    if sum(batch.nbytes for batch in held) >= _GROUP:
                        writer.write_table(pa.Table.from_batches(held))
                        held = []
                writer.write_table(pa.Table.from_batches(held, schema=schema))
            file.flush()
            os.fsync(file.fileno())

    def _size_of_table(self) -> int | None:
        """Return of how many bytes of lines the table was made; None where there is none of ours."""
        if not self.path.exists():
            return None
        try:
            with self.path.open("rb") as file:
                schema = pq.read_schema(file)
        except pa.ArrowInvalid:
            return None
        found = (schema.metadata or {}).get(_SIZE)
        if found is None:
            return None
        if schema.names != self._schema.names:
            raise SinkError(f"{self.path} has other columns than this run writes; begin anew, or give `body` as before")
        return int(found)

    def _unpack(self) -> None:
        """Make the lines of the table once more, byte by byte as they were."""
        part = AppendFile(self.path.with_name(f"{self.path.name}.part"), fsync=self._fsync)
        assert part.path is not None
        part.open(None)
        with self.path.open("rb") as file, closing(pq.ParquetFile(file)) as table:
            for batch in table.iter_batches(batch_size=1024):
                for row in _rows(batch):
                    part.write(_line(row))
        part.close()
        publish(part.path, self._spool_path)


def _rows(batch: Any) -> Iterable[dict[str, Any]]:
    at = batch.schema.get_field_index("started")
    columns = [*batch.columns[:at], batch.column(at).cast(pa.int64()), *batch.columns[at + 1 :]]
    for row in pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist():
        if row.get("body") is not None:
            row["body"] = base64.b64encode(row["body"]).decode("ascii")
        yield row


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode("ascii") + b"\n"


def _parsed(line: bytes) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line)
    row["preferences"] = [tuple(pair) for pair in row["preferences"]]  # as pyarrow wants them
    if row.get("body") is not None:
        row["body"] = base64.b64decode(row["body"])
    return row
