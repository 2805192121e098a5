"""A server of files that change, with validators: it asks for conditions and ranges as servers do, or gets them wrong."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import ClassVar

from servers import Handler, handled

__all__ = ["Book", "Shelf", "shelf"]

LONG_AGO = "Mon, 02 Nov 2015 08:00:00 GMT"


@dataclass
class Book:
    """One file. `cuts` are how many bytes of an answer go out before the connection ends, one answer each; None: all.

    What the server gets wrong is in `faults`: `no-range`, `no-if-range`, `no-conditions`, `wrong-offset`,
    `other-total`, `silent` (a 206 without validators), `chunked` (no length).
    """

    body: bytes = b""
    etag: str | None = None
    modified: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cuts: list[int | None] = field(default_factory=list)
    faults: frozenset[str] = frozenset()
    then: "Book | None" = None  # what it is after a cut

    @property
    def validators(self) -> dict[str, str]:
        """The headers that tell one state of the file from another."""
        return {
            name: value
            for name, value in (("ETag", self.etag), ("Last-Modified", self.modified))
            if value is not None and "no-validators" not in self.faults
        }


class Shelf(Handler):
    """Serve `books` by path; `log` has what was asked for, with its headers, and the status of each answer."""

    books: ClassVar[dict[str, Book]]
    log: ClassVar[list[tuple[str, dict[str, str], int]]]
    lock: ClassVar[threading.Lock]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer, and note it."""
        book = self.books.get(self.path) or Book(status=404)
        status, body, headers = self._found(book)
        is_plain = self.headers.get("Accept-Encoding") != "identity"  # before a file is known to be large
        with self.lock:
            self.log.append((self.path, {name.lower(): value for name, value in self.headers.items()}, status))
            cut = None if is_plain or not book.cuts else book.cuts.pop(0)
            if cut is not None and book.then is not None:
                self.books[self.path] = book.then
        length = {} if "chunked" in book.faults else {"Content-Length": str(len(body))}
        self.send_response(status)
        for name, value in {**length, **headers, **book.headers}.items():
            self.send_header(name, value)
        if not length:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if status != 304:
            with suppress(ConnectionError):
                self._send(body if cut is None else body[:cut], chunked=not length, whole=cut is None)
        if cut is not None:
            self.close_connection = True

    do_HEAD = do_POST = do_GET

    def _send(self, body: bytes, *, chunked: bool, whole: bool) -> None:
        if self.command == "HEAD":
            return
        if not chunked:
            self.wfile.write(body)
            return
        if body:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
        if whole:
            self.wfile.write(b"0\r\n\r\n")

    def _found(self, book: Book) -> tuple[int, bytes, dict[str, str]]:
        if book.status != 200:
            return book.status, b"", {}
        if self._is_unchanged(book) and "no-conditions" not in book.faults:
            return 304, b"", book.validators
        start = self._start(book)
        if start is None:
            return 200, book.body, book.validators
        size = len(book.body)
        if start >= size:
            return 416, b"", {"Content-Range": f"bytes */{size}"}
        validators = {} if "silent" in book.faults else book.validators
        shown = start + 1 if "wrong-offset" in book.faults else start
        total = size + 7 if "other-total" in book.faults else size
        return 206, book.body[start:], {"Content-Range": f"bytes {shown}-{total - 1}/{total}", **validators}

    def _is_unchanged(self, book: Book) -> bool:
        asked = self.headers.get("If-None-Match")
        if asked is not None:
            return book.etag is not None and asked.removeprefix("W/") == book.etag.removeprefix("W/")
        return book.modified is not None and self.headers.get("If-Modified-Since") == book.modified

    def _start(self, book: Book) -> int | None:
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes=") or "no-range" in book.faults:
            return None
        if "no-if-range" not in book.faults and self.headers.get("If-Range", "") not in (book.etag, book.modified):
            return None
        return int(asked.removeprefix("bytes=").partition("-")[0])


@contextmanager
def shelf(**books: Book) -> Iterator[tuple[type[Shelf], str]]:
    """Give a shelf with these books (`/name`), and its URL without a slash at the end."""
    found = {f"/{name}": book for name, book in books.items()}
    kind = type("OneShelf", (Shelf,), {"books": found, "log": [], "lock": threading.Lock()})
    with handled(kind) as url:
        yield kind, url.rstrip("/")
