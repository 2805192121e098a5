"""Sitemaps, their indexes and feeds: read piece by piece, within bounds, whatever a server sends.

for entry in read_sitemap(pieces, on_trouble=print):
    print(entry.kind, entry.url, entry.lastmod)
"""

import codecs
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from itertools import chain
from typing import Any, Literal
from urllib.parse import urljoin
from xml.parsers import expat

from ..messages.charsets import is_text_encoding
from .unpacking import TooMuch, unpacked

__all__ = ["SitemapEntry", "SitemapLimits", "SitemapTree", "read_sitemap"]

_STEP = 2**16  # bytes given to the parser at once: what they make is in memory at once, too
_TOKEN = 2**20  # bytes of a tag or a comment: older versions of expat begin anew with each step
_ROOTS = frozenset({"urlset", "sitemapindex", "rss", "rdf", "feed"})
_HOLDERS = frozenset({"url", "sitemap", "item", "entry"})
_DATES = frozenset({"lastmod", "pubdate", "updated", "date"})
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"<\0", b"\0<")
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})["']""", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s/?#]", re.IGNORECASE)
_NO_MORE = 100  # lines without a URL at the beginning of a text, after which it is none of URLs


@dataclass(frozen=True, slots=True)
class SitemapEntry:
    """Hold what a sitemap tells of one URL: of a page, or of another sitemap."""

    url: str
    lastmod: datetime | None = None
    kind: Literal["page", "sitemap"] = "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class SitemapLimits:
    """Bound what is read of one sitemap; the first two are the protocol's, the others are guesses.

    `ratio` is how many times larger than packed it may be; `depth` how deep its elements may be nested.
    """

    entries: int = 50_000
    bytes: int = 50 * 2**20
    ratio: int = 200
    depth: int = 32
    url: int = 8192


def read_sitemap(
    pieces: Iterable[bytes],
    *,
    base: str | None = None,
    limits: SitemapLimits | None = None,
    on_trouble: Callable[[str], object] | None = None,
) -> Iterator[SitemapEntry]:
    """Yield the entries of a sitemap, an index, a list of URLs, or an RSS or Atom feed, packed with gzip or not.

    With `base` URLs may be relative to it. Nothing is raised for what it holds: what is wrong with one entry, and
    what ended the reading before its end, is told to `on_trouble`; what was read until then is yielded.
    """
    bounds, tell = limits or SitemapLimits(), on_trouble or (lambda text: None)
    reader: _Xml | _Text | None = None
    try:
        steps = _steps(unpacked(pieces, most=bounds.bytes, ratio=bounds.ratio))
        head, steps = _begun(steps)
        entries = _Entries(base, bounds, tell)
        if _looks_like_xml(head):
            encoding, steps = _encoded(head, steps)
            reader = _Xml(entries, encoding)
        else:
            reader = _Text(entries)
        for step in steps:
            reader.feed(step)
            yield from reader.taken()
        reader.end()
    except (_Stop, TooMuch) as exc:
        tell(str(exc))
    except expat.ExpatError as exc:
        tell(f"the XML is broken or cut in line {exc.lineno}: {expat.ErrorString(exc.code)}")
    if reader is not None:
        yield from reader.taken()


class SitemapTree:
    """Walk from sitemaps to those that they name: each once, so many levels deep, so many in all."""

    def __init__(self, roots: Iterable[str], *, depth: int = 3, most: int = 10_000) -> None:
        self._depth = depth
        self._most = most
        self._seen: set[bytes] = set()
        self._waiting: deque[tuple[str, int]] = deque()
        self._level = 0
        for url in roots:
            self._note(url, 0)

    def __iter__(self) -> Iterator[str]:
        """Yield the sitemaps to be read; what `add` takes meanwhile is a level below the one yielded last."""
        while self._waiting:
            url, self._level = self._waiting.popleft()
            yield url

    def add(self, url: str) -> str | None:
        """Have a sitemap read that the last one names; return why not: "seen", "depth" or "count"."""
        if self._level >= self._depth:
            return "depth"
        return self._note(url, self._level + 1)

    def _note(self, url: str, level: int) -> str | None:
        key = blake2b(url.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if key in self._seen:
            return "seen"
        if len(self._seen) >= self._most:
            return "count"
        self._seen.add(key)
        self._waiting.append((url, level))
        return None


class _Stop(Exception):
    """The reading ends here, for the reason given."""


class _Entries:
    """Check what was found, and count it."""

    def __init__(self, base: str | None, limits: SitemapLimits, tell: Callable[[str], object]) -> None:
        self.limits = limits
        self._base = base
        self._tell = tell
        self._found: list[SitemapEntry] = []
        self._count = 0

    def add(self, url: str, date: str = "", *, is_sitemap: bool = False) -> bool:
        """Take an entry; False if it is none. Raises _Stop when there are too many."""
        url = "".join(url.split())  # some are broken over lines
        if self._base is not None and len(url) <= self.limits.url:
            try:
                url = urljoin(self._base, url)
            except ValueError:
                url = ""
        if not _WEB.match(url) or len(url) > self.limits.url:
            self._tell(f"an entry has no URL of the web: {url[:80]!a}")
            return False
        self._count += 1
        if self._count > self.limits.entries:
            raise _Stop(f"it has more than {self.limits.entries} entries")
        self._found.append(SitemapEntry(url, _moment(date), "sitemap" if is_sitemap else "page"))
        return True

    def taken(self) -> list[SitemapEntry]:
        """Return what was found since the last call."""
        found, self._found = self._found, []
        return found


class _Text:
    """A list of URLs, one a line."""

    def __init__(self, entries: _Entries) -> None:
        self._entries = entries
        self.taken = entries.taken
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._left = ""
        self._bad: int | None = 0  # lines without a URL; None once there was one with it

    def feed(self, step: bytes) -> None:
        """Take some bytes."""
        *lines, self._left = (self._left + self._decoder.decode(step)).split("\n")
        for line in lines:
            self._line(line)
        if len(self._left) > 2 * self._entries.limits.url:
            raise _Stop("it has a line that is too long; is this a sitemap?")

    def end(self) -> None:
        """Take what is left."""
        self._line(self._left)

    def _line(self, line: str) -> None:
        if not line.strip():
            return
        if self._entries.add(line):
            self._bad = None
        elif self._bad is not None:
            self._bad += 1
            if self._bad >= _NO_MORE:
                raise _Stop("it is no sitemap: neither XML nor a list of URLs")


class _Xml:
    """Sitemaps and feeds, by the names of elements alone: namespaces are left out or mistaken too often."""

    def __init__(self, entries: _Entries, encoding: str) -> None:
        self._entries = entries
        self.taken = entries.taken
        self._path: list[str] = []
        self._text: list[str] | None = None
        self._size = self._fed = 0
        self._url = self._date = ""
        self._parser = expat.ParserCreate(encoding)
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._finish
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._refuse  # nothing external is ever fetched: there is no handler for it

    def feed(self, step: bytes) -> None:
        """Take some bytes; raises ExpatError and _Stop."""
        self._parser.Parse(step, False)
        self._fed += len(step)
        if self._fed - self._parser.CurrentByteIndex > _TOKEN:
            raise _Stop(f"it has a tag or a comment of more than {_TOKEN} bytes")

    def end(self) -> None:
        """Check that it is complete."""
        self._parser.Parse(b"", True)

    def _refuse(self, *_: Any) -> None:
        raise _Stop("it declares entities, which no sitemap has to")

    def _start(self, given: str, attributes: dict[str, str]) -> None:
        name = given.rpartition(":")[2].lower()
        if not self._path and name not in _ROOTS:
            raise _Stop(f"it is no sitemap: its root is {given[:40]!a}")
        if len(self._path) >= self._entries.limits.depth:
            raise _Stop(f"its elements are nested more than {self._entries.limits.depth} deep")
        parent = self._path[-1] if self._path else ""
        self._path.append(name)
        if name in _HOLDERS and parent not in _HOLDERS:
            self._url = self._date = ""
        elif parent in _HOLDERS and (name in _DATES or name in ("loc", "link")):
            self._text, self._size = [], 0
            if name == "link" and attributes.get("rel", "alternate") == "alternate" and "href" in attributes:
                self._url = self._url or attributes["href"]

    def _characters(self, text: str) -> None:
        if self._text is not None and self._size <= self._entries.limits.url:
            self._text.append(text)
            self._size += len(text)

    def _finish(self, _: str) -> None:
        name = self._path.pop()
        parent = self._path[-1] if self._path else ""
        if name in _HOLDERS and parent not in _HOLDERS:
            if self._url or parent != "feed":
                self._entries.add(self._url, self._date, is_sitemap=name == "sitemap")
        elif self._text is not None and parent in _HOLDERS:
            text, self._text = "".join(self._text), None
            if name in _DATES:
                self._date = self._date or text
            else:
                self._url = self._url or text.strip()


def _steps(pieces: Iterable[bytes]) -> Iterator[bytes]:
    return (piece[start : start + _STEP] for piece in pieces for start in range(0, len(piece), _STEP))


def _begun(steps: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the beginning, at least 256 bytes where there are as many, and all of it without blanks before it."""
    head = b""
    while len(head) < 256 and (step := next(steps, b"")):
        head = (head + step).lstrip(b" \t\r\n")  # XML may not begin with them, and often does
        if head.startswith(codecs.BOM_UTF8):
            head = codecs.BOM_UTF8 + head[3:].lstrip(b" \t\r\n")
    return head, chain([head], steps)


def _looks_like_xml(head: bytes) -> bool:
    return head.removeprefix(codecs.BOM_UTF8).startswith(b"<") or head.startswith(_UTF_16)


def _encoded(head: bytes, steps: Iterator[bytes]) -> tuple[str, Iterator[bytes]]:
    """Return the XML in UTF-8 or UTF-16, and which it is: expat knows few others.

    What its beginning shows counts before what it says of itself; what nobody knows is taken for UTF-8.
    """
    if head.startswith(_UTF_16):
        return "utf-16", steps
    found = None if head.startswith(codecs.BOM_UTF8) else _DECLARED.match(head)
    name = found[1].decode("ascii", "replace") if found else "utf-8"
    if not is_text_encoding(name) or codecs.lookup(name).name in ("utf-8", "utf-16", "ascii"):
        return "utf-8", steps
    decoder = codecs.getincrementaldecoder(name)("replace")
    return "utf-8", (decoder.decode(step).encode("utf-8", "replace") for step in steps)


def _moment(text: str) -> datetime | None:
    """Return the date that an entry tells, in UTC; None for what is none."""
    text = text.strip()[:64]
    if not text:
        return None
    if re.fullmatch(r"\d{4}(-\d\d)?", text):
        text += "-01-01" if len(text) == 4 else "-01"
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = parse(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None
