"""Take the secrets out of what people and logs get to see: the only place that decides what a secret is."""

import re
from urllib.parse import SplitResult, urlsplit

from yarl import URL

__all__ = ["HIDDEN", "redact"]

HIDDEN = "***"
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
)  # it would end the line of a log, or the logging
_PARAMETER = re.compile(r"(;[^=/;]*=)[^/;]*")  # ";jsessionid=..."


def redact(url: object) -> str:
    """Return the URL without userinfo, query values and fragment; never raises.

    Of what is no URL, but may have been meant as one, nothing is told before an "@".
    """
    if not isinstance(url, str | URL):
        return f"<{type(url).__name__}>"
    text = _UNPRINTABLE.sub("\ufffd", str(url))
    try:
        parts = urlsplit(text)
        if not parts.netloc or "\\" in parts.netloc:
            return _unreadable(text)
        parts.port  # noqa: B018  raises where the password holds the end of the authority, as "http://user:pass/word@host"
    except ValueError:
        return _unreadable(text)
    path = _path(_PARAMETER.sub(rf"\1{HIDDEN}", parts.path))
    return SplitResult(parts.scheme, _host(parts), path, _names(parts.query), "").geturl()


def _host(parts: SplitResult) -> str:
    place = parts.netloc.rpartition("@")[2]
    return f"{HIDDEN}@{place}" if "@" in parts.netloc else place


def _path(path: str) -> str:
    """Return the path without the credentials of a URL within it."""
    before, at, rest = path.rpartition("@")
    start, colon, _ = before.partition(":")
    return f"{start}:{HIDDEN}@{rest}" if at and colon else path


def _names(query: str) -> str:
    """Return the query without values; a word alone is taken for one."""
    pieces = (piece.partition("=") for piece in query.split("&"))
    return "&".join(f"{name}={HIDDEN}" if value.strip("=") else HIDDEN for name, _, value in pieces) if query else ""


def _unreadable(text: str) -> str:
    before, at, rest = text.rpartition("@")
    if at and not (before.startswith("/") and not before.startswith("//") and ":" not in before):
        return f"{HIDDEN}@{_tail(rest)}"  # a scheme or a slash was forgotten, or the password holds one
    return _tail(text)


def _tail(text: str) -> str:
    """Return a path without the values of its query and its parameters."""
    path, _, query = text.partition("#")[0].partition("?")
    word, space, _ = _PARAMETER.sub(rf"\1{HIDDEN}", path).partition(" ")
    path = f"{word} {HIDDEN}" if space else word  # "Bearer TOKEN" in the wrong place
    return f"{path}?{_names(query)}" if query else path
