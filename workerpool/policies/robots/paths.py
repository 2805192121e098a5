"""How paths of robots.txt and paths of URLs are compared: RFC 9309, 2.2.2 and 2.2.3."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["ANY_PATH", "PathPattern", "Table", "path_of"]

T = TypeVar("T")

_UNRESERVED = r"A-Za-z0-9._~\-"
# What tells parts of a path and of a query from each other stays as it is. All else that is reserved counts as its
# escape; so do `/` and `?` within a query, which are there data like any other.
_OCTET = re.compile(rf"%[0-9A-Fa-f]{{2}}|[^{_UNRESERVED}/?=&]")
_PLAIN = re.compile(rf"[{_UNRESERVED}/]*").fullmatch
_ALONE = re.compile(rf"[{_UNRESERVED}=&]").fullmatch
_DATA = re.compile(r"%2F|%3F")
_DOTS = re.compile(r"/\.{1,2}(?:/|$)").search


@dataclass(frozen=True, slots=True)
class PathPattern:
    """Match paths as a rule of robots.txt does: by their beginning, `*` for anything, `$` at the end for the end.

    `octets` says how specific it is: its length, escapes counted as three.
    """

    text: str  # canonical, its wildcards included
    parts: tuple[str, ...]  # what lies between the wildcards
    anchored: bool

    @classmethod
    def of(cls, text: str) -> "PathPattern | None":
        """Return the pattern; None for one that no path can match, since it begins with neither `/` nor `*`."""
        if not text.startswith(("/", "*")):
            return None
        anchored = text.endswith("$")
        parts = text.removesuffix("$").split("*") if anchored else text.split("*")
        parts = _canonical_parts(parts)
        middle = (part for part in parts[1:-1] if part)
        kept = (parts[0], *middle, *parts[-1:]) if len(parts) > 1 else (parts[0],)
        return cls("*".join(parts) + "$" * anchored, kept, anchored)

    @property
    def octets(self) -> int:
        """How specific it is."""
        return len(self.text)

    @property
    def is_prefix(self) -> bool:
        """Whether it has no wildcard."""
        return not self.anchored and len(self.parts) == 1

    def matches(self, path: str) -> bool:
        """Return whether a path that `path_of` has made is matched; takes time in proportion to its length."""
        first, *rest = self.parts
        if not path.startswith(first):
            return False
        if not rest:
            return not self.anchored or path == first
        position = len(first)
        for part in rest[:-1]:
            found = path.find(part, position)
            if found < 0:
                return False
            position = found + len(part)
        if self.anchored:
            return len(path) - len(rest[-1]) >= position and path.endswith(rest[-1])
        return path.find(rest[-1], position) >= 0


ANY_PATH = PathPattern("", ("",), False)  # less specific than any other


class Table(Generic[T]):
    """Find what the most specific pattern that matches a path stands for; of equals what comes first.

    Frozen once made, so that any thread may ask it.
    """

    __slots__ = ("_prefixes", "_rows", "_wild")

    def __init__(self, rows: Iterable[tuple[PathPattern, T]]) -> None:
        self._rows = sorted(rows, key=lambda row: -row[0].octets)
        self._wild = [row for row in self._rows if not row[0].is_prefix]
        self._prefixes = tuple({row[0].text for row in self._rows if row[0].is_prefix})

    def __bool__(self) -> bool:
        return bool(self._rows)

    def find(self, path: str) -> tuple[PathPattern, T] | None:
        """Return the pattern and what it stands for, or None if none matches."""
        # One startswith over all of them rules most tables out at once.
        rows = self._rows if path.startswith(self._prefixes) else self._wild
        return next((row for row in rows if row[0].matches(path)), None)

    def all_of(self, pattern: PathPattern) -> list[T]:
        """Return what rows with this very pattern stand for, in their order."""
        return [value for each, value in self._rows if each.text == pattern.text]


def path_of(url: str) -> str:
    """Return path and query of a URL as they are compared: escapes made alike, without fragment and dot segments."""
    url = url.partition("#")[0]
    _, scheme, rest = url.partition("://")
    if scheme and "/" not in url[: url.index("://")]:
        found = re.search(r"[/?\\]", rest)
        url = rest[found.start() :] if found else ""
    if not url.startswith("/"):
        url = "/" + url
    path, mark, query = url.partition("?")
    path = _canonical(path)
    if _DOTS(path):
        path = _without_dots(path)
    return path + mark + _in_query(_canonical(query))


def _canonical_parts(parts: list[str]) -> list[str]:
    """Return the parts of a pattern in canonical form; what follows the first `?` is a query."""
    found, in_query = [], False
    for part in parts:
        path, mark, query = ("", "", part) if in_query else part.partition("?")
        in_query = in_query or bool(mark)
        found.append(_canonical(path) + mark + _in_query(_canonical(query)))
    return found


def _canonical(text: str) -> str:
    if _PLAIN(text):
        return text
    octets = text.encode("utf-8", "surrogateescape").decode("latin-1")
    return _OCTET.sub(_spelled, octets)


def _spelled(match: re.Match[str]) -> str:
    """Spell one octet: what needs no escape without, all else with one in capitals."""
    octet = match[0]
    if len(octet) == 1:
        return f"%{ord(octet):02X}"
    char = chr(int(octet[1:], 16))
    return char if _ALONE(char) else octet.upper()


def _in_query(text: str) -> str:
    return _DATA.sub(lambda match: "/" if match[0] == "%2F" else "?", text) if "%" in text else text


def _without_dots(path: str) -> str:
    """Take `.` and `..` out (RFC 3986, 5.2.4): what is sent does not have them."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if path.endswith(("/.", "/..")):
        kept.append("")
    return "/" + "/".join(kept)
