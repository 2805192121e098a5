"""File names out of what servers and lists say: of this folder, writable on any system, and never a surprise."""

import mimetypes
import re
import unicodedata
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from ..item import Item
from ..outcome import Outcome
from .text import defused

__all__ = ["given_name", "has_body", "numbered", "remote_name", "safe_parts", "url_name"]

_LONGEST = 180  # bytes of a name, so that a number and the system's own suffixes still fit into 255
_LONGEST_SUFFIX = 16
_DEEPEST = 8  # folders within folders
_RESERVED = re.compile('[<>:"/\\\\|?*\x00-\x1f\x7f\ufffd]')
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)  # of Windows
_NUMBERED = re.compile(r"\d{6,}-")  # as the names begin that are made of URLs
_PLAIN = {"text/html": ".html", "text/plain": ".txt", "image/jpeg": ".jpg", "application/xml": ".xml"}
_BODILESS = frozenset({204, 304})  # one that says that nothing has changed must not empty the file
_VAGUE = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-download"})


def safe_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a path that stays within its folder, whatever the name is; none where nothing is left.

    `/` parts folders, and nothing else does: `..` and empty parts go. What Windows or a terminal cannot bear becomes
    `_`, also at the beginning of a part, where a dot would hide it, and a dash be an option.
    """
    parts = [safe for part in name.split("/") if (safe := _safe(part))]
    return tuple(parts[-_DEEPEST:])


def given_name(item: Item) -> tuple[str, ...]:
    """Return the parts of the name that the item asks for; none where it asks for none, or for nothing that can be.

    It never looks like one that is made of a URL.
    """
    parts = safe_parts(item.name or "")
    return (f"_{parts[0]}", *parts[1:]) if parts and _NUMBERED.match(parts[0]) else parts


def url_name(outcome: Outcome) -> str:
    """Return a name that is made of the outcome's number, the end of its URL's path and the type of its content."""
    response = outcome.response
    url, kind = outcome.url, ""
    if response is not None:
        url, kind = response.url, response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    try:
        path = urlsplit(url).path
    except ValueError:
        path = ""
    name = _safe(unquote(path.rstrip("/").rpartition("/")[2])) or "index"
    return _cut(f"{outcome.index:06d}-{_with_suffix(name, kind)}")


def remote_name(outcome: Outcome) -> str:
    """Return a path that only this outcome has, whatever was saved before: the number is always in it."""
    given = given_name(outcome.item)
    return "/".join((*given[:-1], numbered(given[-1], outcome.index))) if given else url_name(outcome)


def has_body(outcome: Outcome, *, errors: bool) -> bool:
    """Whether there is a body to save: of a status from 200 to 299, with `errors` of any, but for those without one."""
    response = outcome.response
    if response is None or response.request.method == "HEAD" or response.status_code in _BODILESS:
        return False
    return errors or 200 <= response.status_code < 300


def numbered(name: str, number: int) -> str:
    """Return the name with a number before its suffix."""
    suffix = _suffix(name)
    return f"{name.removesuffix(suffix)}-{number}{suffix}"


def _safe(part: str) -> str:
    """Return one part of a path; empty where nothing is left."""
    text = _RESERVED.sub("_", defused(unicodedata.normalize("NFC", part)))
    text = text.strip(" ").rstrip(". ")
    if not text.strip("."):
        return ""
    if text[0] in ".-~" or _DEVICE.match(text):
        text = "_" + text.lstrip(".-~")
    return _cut(text)


def _cut(name: str) -> str:
    """Return the name, no longer than file systems take; the suffix stays."""
    if len(name.encode()) <= _LONGEST:
        return name
    suffix = _suffix(name)
    room = _LONGEST - len(suffix.encode())
    stem = name.removesuffix(suffix).encode()[:room].decode("utf-8", "ignore")
    return (stem + suffix).rstrip(". ")


def _suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    return suffix if len(suffix.encode()) <= _LONGEST_SUFFIX else ""


def _with_suffix(name: str, kind: str) -> str:
    """Return the name with a suffix that is of its content's type."""
    if kind in _VAGUE:
        return name
    known = _types().guess_all_extensions(kind)
    usual = _PLAIN.get(kind) or (known[0] if known else "")
    return name if not usual or _suffix(name).lower() in (usual, *known) else name + usual


@lru_cache(1)
def _types() -> mimetypes.MimeTypes:
    """Return Python's own table of types, not the machine's, so that names are the same everywhere."""
    return mimetypes.MimeTypes()
