"""Validators: what is kept of an answer, so that a later run can ask whether it has changed."""

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from ..messages.response import Response
from .item import Item

__all__ = ["Change", "Validators", "asks_plainly", "digest", "digest_of", "judged", "told"]


class Hash(Protocol):
    """What hashlib makes, which has no public name."""

    def digest(self) -> bytes:
        """Return the digest."""


Change = Literal["new", "changed", "same", "gone"]
_GONE = frozenset({404, 410})
# With one of these in it, what a request asks is its author's own affair.
_CONDITIONAL = frozenset({"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What tells one state of a page from another: `url` has answered so, at the end of all redirects.

    `digest` is that of the body, `captured` when it was asked for, in seconds since the epoch.
    """

    url: str
    digest: str
    captured: float
    etag: str | None = None
    modified: str | None = None

    @property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """The headers that ask for the page only if it has changed; none where the server gave nothing to ask by."""
        found = (("If-None-Match", self.etag), ("If-Modified-Since", self.modified))
        return tuple((name, value) for name, value in found if value is not None)


def asks_plainly(item: Item) -> bool:
    """Whether a request may be made conditional, or be asked for in parts: a GET that has no such headers yet."""
    return item.method == "GET" and item.body is None and not any(
        name.lower() in _CONDITIONAL for name, _ in item.headers
    )  # fmt: skip


def digest_of(response: Response) -> str:
    """Return the digest of a body; of an answer to HEAD, which has none, that of what its head says of it."""
    content = response.content
    if response.request.method == "HEAD":
        named = (response.headers.get(name, "") for name in ("ETag", "Last-Modified", "Content-Length"))
        content = "\n".join(named).encode("utf-8", "surrogateescape")
    return digest(content)


def digest(data: bytes) -> str:
    """Return the digest of data as archives write it, whose readers find the body by that."""
    return told(hashlib.sha1(data, usedforsecurity=False))


def told(found: Hash) -> str:
    """Return the same of what a hash was fed with piece by piece."""
    return "sha1:" + base64.b32encode(found.digest()).decode("ascii")


def judged(
    before: Validators | None, response: Response, digest: str, captured: float, *, was_conditional: bool
) -> tuple[Change | None, Validators | None]:
    """Return what has become of a page since `before`, and what is kept from now on.

    Where the answer tells nothing of the page, as a 503 does, what was kept stays.
    """
    status, headers = response.status_code, response.headers
    etag, modified = headers.get("ETag"), headers.get("Last-Modified")
    if status == 304 and before is not None and was_conditional:
        return "same", replace(before, etag=etag or before.etag, modified=modified or before.modified)
    if 200 <= status < 300:
        change: Change = "new" if before is None else "same" if digest == before.digest else "changed"
        found = Validators(url=response.url, digest=digest, captured=captured, etag=etag, modified=modified)
        return change, found
    if status in _GONE:
        return (None if before is None else "gone"), None
    return None, before
