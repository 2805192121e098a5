"""An archive that the workers of a cluster write themselves: WARC in shards, below a folder or a URL of fsspec's."""

import re
import time
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from .. import __version__
from ..filesystems import absolute, opened, reason
from ..messages.receipt import PlainReceipt, Receipt
from ..messages.response import Response
from ..redaction import redact
from .errors import SinkError
from .sinks.records import answer_record, exchanges, info_record, packed, record_id, request_record, warc_date
from .validators import digest

__all__ = ["WarcShards"]

_NAME = re.compile(r"[0-9]{14}-[0-9a-f]{32}\.warc\.gz")
_MOST = 2**40  # of whatever it is
_NUMBERS = (("answers", int, "a whole number"), ("size", int, "a whole number"), ("pause", int | float, "a number"))
_GZIP = 31  # zlib's number for gzip with 32 KiB of window


@dataclass(frozen=True, slots=True)
class WarcShards:
    """Have each worker of a `DaskPool(store=...)` archive what it fetches, and send receipts in place of bodies.

    A shard is one WARC/1.1 file, `YYYYMMDDhhmmss-....warc.gz`, with the answers that came together: written in one go,
    so that it is there whole or, where a worker is killed, not at all (in a folder a `.part` may stay), and its answers
    are fetched again. It is written when `answers` of them or `size` bytes are there, `pause` seconds after the
    first, or when half of what the worker has waits for it; until then these are in the worker's memory. More
    `connections` make larger shards. `url` is a folder or a URL such as `s3://bucket/crawl`, the same place for the
    client and every worker; `storage` are fsspec's options for it. Records are as of the sink `Warc`, without an
    index and without revisits. Raises SinkError for what cannot be.
    """

    url: str
    answers: int = 500
    size: int = 2**26
    pause: float = 1.0
    storage: Mapping[str, Any] = field(default_factory=dict, repr=False)  # it may hold secrets

    def __post_init__(self) -> None:
        for name, kind, numbers in _NUMBERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kind) or not 0 < value < _MOST:
                raise SinkError(f"{name}= of shards must be {numbers}, more than 0, not {value!r:.50}")
        if not isinstance(self.storage, Mapping):
            raise SinkError(f"storage= of shards must be a mapping, not {type(self.storage).__name__}")
        try:
            object.__setattr__(self, "url", absolute(self.url))
        except (TypeError, ValueError) as exc:
            raise SinkError(f"shards are below {exc}") from None

    def takes(self, answer: Response) -> bool:
        """Whether it is archived: each answer is."""
        return True

    def check(self) -> None:
        """Raise SinkError where no folder can be made for shards."""
        system, root = self._system()
        self._asked(lambda: system.makedirs(root, exist_ok=True))

    def put(self, answers: Sequence[Response]) -> Sequence[PlainReceipt]:
        """Write a shard, and return where the record of each answer is in it, with its body's size and digest."""
        now = time.time()
        name = f"{time.strftime('%Y%m%d%H%M%S', time.gmtime(now))}-{uuid.uuid4().hex}.warc.gz"
        date = warc_date(now)
        parts = [packed(info_record(name, date, {"software": f"workerpool/{__version__}"}))]
        offset, receipts = len(parts[0]), []
        for answer in answers:
            for exchange in exchanges(answer):
                told = record_id()
                record = packed(answer_record(exchange, told, date, digest(exchange.answer.content))[0])
                request = packed(request_record(exchange, told, date))
                if exchange.answer is answer:
                    content = answer.content
                    receipts.append((name, offset, len(record), len(content), sha256(content).hexdigest()))
                parts += [record, request]
                offset += len(record) + len(request)
        self._asked(lambda: self._write(name, b"".join(parts)))
        return receipts

    def receipt(self, plain: PlainReceipt) -> Receipt:
        """Return the receipt that a worker tells of; its shard is below `url`, whatever that says."""
        name, offset, length, size, checksum = plain
        if not _NAME.fullmatch(name) or not all(isinstance(each, int) and each >= 0 for each in (offset, length, size)):
            raise SinkError("a worker has sent a receipt that is none")
        system, root = self._system()
        return Receipt(system.unstrip_protocol(f"{root}/{name}"), size, str(checksum), offset, length)

    def read(self, receipt: Receipt) -> bytes:
        """Return a body out of its record; raises SinkError where it is not there any more, or another one."""
        system, root = self._system()
        path = f"{root}/{receipt.url.rpartition('/')[2]}"
        begin, end = receipt.offset or 0, (receipt.offset or 0) + (receipt.length or 0)
        found = self._asked(lambda: system.cat_file(path, start=begin, end=end))
        try:
            record = zlib.decompressobj(_GZIP).decompress(found)
        except zlib.error:
            record = b""
        body = record.partition(b"\r\n\r\n")[2].partition(b"\r\n\r\n")[2][: receipt.size]
        if sha256(body).hexdigest() != receipt.sha256:
            raise SinkError(f"{redact(receipt.url)} holds another record than was put there; was it written to since?")
        return body

    def _write(self, name: str, shard: bytes) -> None:
        system, root = self._system()
        path = f"{root}/{name}"
        if getattr(system, "local_file", False):  # stores of objects show what is whole
            system.pipe_file(f"{path}.part", shard)
            system.mv(f"{path}.part", path)
        else:
            system.pipe_file(path, shard)

    def _system(self) -> tuple[Any, str]:
        found: tuple[Any, str] = self._asked(lambda: opened(self.url, self.storage))
        return found

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """Ask the file system; whatever it raises becomes a SinkError that names the place."""
        try:
            return ask()
        except Exception as exc:
            raise SinkError(f"the shards at {redact(self.url)}: {reason(exc)}") from exc
