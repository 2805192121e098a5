"""Where workers put large bodies, so that these need not travel to the client: a folder, or a URL of fsspec's."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from os import PathLike, fspath
from typing import Any, ClassVar

from ..errors import InvalidRequest
from ..filesystems import absolute, opened, reason
from ..messages.receipt import BodyStore, PlainReceipt, Receipt
from ..messages.response import Response
from ..redaction import redact
from .errors import StoreError

__all__ = ["Store", "StoredResponse", "checked_store"]

_DIGEST = re.compile("[0-9a-f]{64}")
_CALLS = ("answers", "size", "pause", "takes", "check", "put", "receipt", "read")  # of a BodyStore


@dataclass(frozen=True, slots=True)
class Store:
    """Have the workers put bodies of more than `over` bytes below `url`, and send a Receipt in place of each.

    `url` is a folder, or a URL of fsspec's such as `s3://bucket/pages`, and the same place for the client and every
    worker; `storage` are fsspec's options for it, such as credentials. A body is named by its SHA-256: equal ones are
    there once, and what is done again after a worker was lost overwrites nothing. Nothing is ever deleted.
    Raises InvalidRequest for what cannot be.
    """

    url: str
    over: int = 2**16
    storage: Mapping[str, Any] = field(default_factory=dict, repr=False)  # it may hold secrets

    answers: ClassVar[int] = 1  # put at once; see BodyStore
    size: ClassVar[int] = 0
    pause: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "url", absolute(self.url))
        except (TypeError, ValueError) as exc:
            raise InvalidRequest(f"a Store is {exc}") from None
        if isinstance(self.over, bool) or not isinstance(self.over, int) or self.over < 0:
            raise InvalidRequest(f"a Store's over= must be a number of bytes, 0 or more, not {self.over!r:.50}")
        if not isinstance(self.storage, Mapping):
            raise InvalidRequest(f"a Store's storage= must be a mapping, not {type(self.storage).__name__}")

    def takes(self, answer: Response) -> bool:
        """Whether its body is large enough."""
        return len(answer.content) > self.over

    def check(self) -> None:
        """Put an empty body, to see whether that can be; raises StoreError, and blocks, as the next ones do."""
        self._put(b"")

    def put(self, answers: Sequence[Response]) -> Sequence[PlainReceipt]:
        """Put bodies, and return their sizes and digests; raises StoreError."""
        return [self._put(answer.content) for answer in answers]

    def _put(self, content: bytes) -> PlainReceipt:
        digest = sha256(content).hexdigest()
        system, path = self._place(digest)

        def write() -> None:
            # Whoever was killed amid this has left less than the whole, and told nobody of it.
            if not system.exists(path) or system.size(path) != len(content):
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
                system.pipe_file(path, content)

        _asked(self.url, write)
        return len(content), digest

    def receipt(self, plain: PlainReceipt) -> Receipt:
        """Return the receipt of a body that a worker tells of: a digest, and no place of its choice."""
        size, digest = plain
        if not _DIGEST.fullmatch(digest):
            raise StoreError("a worker has sent a receipt that is none")
        system, path = self._place(digest)
        return Receipt(system.unstrip_protocol(path), size, digest)

    def read(self, receipt: Receipt) -> bytes:
        """Return a body that was put; raises StoreError where it is not there any more, or another one."""
        system, path = self._place(receipt.sha256)
        found: bytes = _asked(receipt.url, lambda: system.cat_file(path))
        if sha256(found).hexdigest() != receipt.sha256:
            raise StoreError(f"{redact(receipt.url)} holds another body than was put there; was it written to since?")
        return found

    def _place(self, digest: str) -> tuple[Any, str]:
        system, root = _asked(self.url, lambda: opened(self.url, self.storage))
        return system, f"{root}/{digest[:2]}/{digest}"


class StoredResponse(Response):
    """An answer whose body a worker has put into the pool's store: `receipt` tells where.

    `content`, and what is made of it, reads the body from there when first asked for; that blocks, and raises
    StoreError. All else is as of any Response.
    """

    __slots__ = ("_receipt", "_store")

    def __init__(self, store: BodyStore, receipt: PlainReceipt, *args: Any) -> None:
        super().__init__(*args)
        self._store, self._receipt = store, receipt

    @property
    def receipt(self) -> Receipt:
        """Where the body is; raises StoreError for what a worker had no right to tell."""
        return self._store.receipt(self._receipt)

    @property
    def content(self) -> bytes:
        """The whole body, decoded by its Content-Encoding; read from the store."""
        return self._body()

    def _body(self) -> bytes:
        if not self._content and (receipt := self.receipt).size:
            self._content = self._store.read(receipt)
        return self._content

    def __repr__(self) -> str:
        return f"<StoredResponse {self.status_code} {redact(self.url)}, body at a store>"


def checked_store(given: Any) -> BodyStore | None:
    """Return the store that a pool was given, a path or URL as one with nothing else set; raises InvalidRequest."""
    if given is None or (not isinstance(given, type) and all(hasattr(given, name) for name in _CALLS)):
        return given
    if isinstance(given, str | PathLike):
        return Store(fspath(given))
    kind = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
    raise InvalidRequest(f"store= must be a folder, a URL such as 's3://bucket/pages' or a Store, not {kind}")


def _asked(url: str, ask: Callable[[], Any]) -> Any:
    """Ask the file system; whatever it raises becomes a StoreError that names the place."""
    try:
        return ask()
    except Exception as exc:
        raise StoreError(f"the store {redact(url)}: {reason(exc)}") from exc
