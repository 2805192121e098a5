"""What finished outputs have in them, without what differs from run to run: for one run to be compared with another."""

import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from warcio.archiveiterator import ArchiveIterator

__all__ = ["content"]

_FACTS = ("index", "url", "verdict", "status", "bytes", "content_type", "final_url", "why")


def content(path: Path) -> Counter[object]:
    """Return how often each row or record is there; raises what a reader says of an output that is damaged."""
    if path.name.endswith(".jsonl"):
        return Counter(_fact(json.loads(line)) for line in path.read_text().splitlines())
    if path.name.endswith(".parquet"):
        return Counter(_fact(row) for row in pq.read_table(io.BytesIO(path.read_bytes())).to_pylist())
    return Counter((*_records(path), *_indexed(path)))


def _fact(row: Mapping[str, Any]) -> object:
    return tuple(row[name] for name in _FACTS)


def _records(path: Path) -> Iterator[object]:
    """Yield the records of an archive, their digests checked."""
    with path.open("rb") as data:
        for record in ArchiveIterator(data, check_digests="raise"):
            status = record.http_headers and record.http_headers.statusline
            body = record.content_stream().read()
            about = body if record.rec_type != "warcinfo" else b""
            yield record.rec_type, record.rec_headers.get_header("WARC-Target-URI"), status, about


def _indexed(path: Path) -> Iterator[object]:
    """Yield what the index beside an archive leads to."""
    data = path.read_bytes()
    for line in path.with_name(f"{path.name.partition('.')[0]}.cdxj").read_text().splitlines():
        facts = json.loads(line.split(" ", 2)[2])
        start = int(facts["offset"])
        record = gzip.decompress(data[start : start + int(facts["length"])])
        assert record.startswith(b"WARC/1.1\r\n"), "the index leads to no record"
        assert facts["url"].encode() in record, "the index leads to another record"
        yield "index", facts["url"], facts["status"], facts["digest"]
