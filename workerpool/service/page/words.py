"""Values as the page's readers see them."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from markupsafe import Markup

from ...redaction import redact
from ...scraping.report.words import clean, number_text, seconds_text, size_text

__all__ = ["FILTERS", "shown"]

_BREAKS = re.compile(r"([\n\t])")
_WEB = re.compile(r"https?://[^\s\\]+", re.IGNORECASE)


def shown(value: Any) -> Any:
    """Return what a template prints: of texts, whatever can't be seen is written out; None is nothing."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "".join(each if each in "\n\t" else clean(each) for each in _BREAKS.split(value))
    return value


def web_link(url: str | None) -> str | None:
    """Return a URL that may be a link: http or https, without credentials; None for any other."""
    if url is None or not _WEB.fullmatch(url) or clean(url) != url:
        return None
    try:
        parts = urlsplit(url)
        return url if parts.hostname and "@" not in parts.netloc else None
    except ValueError:
        return None


def without_login(url: str | None) -> str | None:
    """Return a URL without user and password."""
    head, slashes, rest = (url or "").partition("://")
    host, *path = re.split(r"(?=[/?#])", rest, maxsplit=1)
    return url if not slashes or "@" not in host else "".join((head, slashes, "…@", host.rpartition("@")[2], *path))


def moment(at: float | None) -> str:
    """Return a time as 2026-12-01 08:00:00, in UTC."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def said_at(at: object) -> str:
    """Return a time of a log's, as seconds or as it is written there."""
    return moment(at) if isinstance(at, int | float) else str(at or "")


def machine_time(at: float) -> str:
    """Return a time in RFC 3339."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago(at: float | None) -> str:
    """Return a time as seen from now."""
    if at is None:
        return ""
    seconds = time() - at
    text = _span(abs(seconds))
    return "now" if not text else f"{text} ago" if seconds > 0 else f"in {text}"


def query(given: Mapping[str, Any], **changes: Any) -> str:
    """Return a query with some values changed; None and what is empty are left out."""
    pairs = [
        (name, each)
        for name, value in {**given, **changes}.items()
        for each in (value if isinstance(value, list | tuple) else (value,))
        if each not in (None, "")
    ]
    return urlencode(pairs)


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return ""


FILTERS: dict[str, Callable[..., Any]] = {
    "ago": ago, "machine_time": machine_time, "moment": moment, "number": number_text, "query": query,
    "redacted": redact, "seconds": seconds_text, "said_at": said_at, "size": size_text,
    "web_link": web_link, "without_login": without_login,
}  # fmt: skip
