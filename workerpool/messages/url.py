"""A URL as it is given: parsed and checked; quoted only where it could not be sent otherwise."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from yarl import URL

__all__ = ["encoded_form", "given_pairs", "parse_url", "prepared_url", "same_origin"]

_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_ORIGIN = rf"https?://(?:{_LABEL}\.)*+{_LABEL}(?::[1-9][0-9]*+)?"
_CHARACTERS = r"[a-zA-Z0-9!$&'()*+,\-./:;=@_~?]"
# Nine URLs in ten: yarl leaves them as they are.
_PLAIN = re.compile(rf"{_ORIGIN}(?:[/?]{_CHARACTERS}*+)?")
# These it would change, and need not: they may be sent as they are.
_ENCODED = re.compile(rf"{_ORIGIN}(?:[/?](?:{_CHARACTERS}++|%[0-9A-Fa-f]{{2}}|[\[\]])*+)?")
_WORD = re.compile(r"[a-zA-Z0-9_.~-]*+")  # what forms leave as it is
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SENT_AS_IT_IS = re.compile(r"(?:[a-zA-Z0-9\-._~!#$&'()*+,/:;=?@\[\]]|%[0-9A-Fa-f]{2})*+")
_SAFE = "!#$%&'()*+,/:;=?@[]~"  # what requests leaves alone, beside letters and digits
_TOO_LONG = re.compile(r"[^/?#]*//[^/?#]{4096}")  # names have 253 characters; IDNA takes seconds over a long one
_BARE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_NO_TEXT: set[object] = {object.__str__, object.__repr__}


def parse_url(url: object, params: Any = None) -> URL:
    """Return the URL with `params` behind its query; raises TypeError or ValueError.

    What is percent-encoded stays as it was given, a host beyond ASCII goes by IDNA.
    """
    if type(url) is str:
        if params is None:
            return _parsed_before(url)
        if "/." not in url and _ENCODED.fullmatch(url):
            return _parsed(_followed_by(url, _query(params)), encoded=True)
    target = _given(url)
    return target if params is None else _extended(target, _query(params))


def same_origin(one: URL, other: URL) -> bool:
    """Whether both are at one scheme, host and port, whether or not that is written out (RFC 6454, 5)."""
    return (one.scheme, one.raw_host, one.port) == (other.scheme, other.raw_host, other.port)


@lru_cache(1024)
def _parsed_before(url: str) -> URL:
    """Return what the URL parses to, which is mostly asked for again: a URL is never changed."""
    if "/." not in url:
        if _PLAIN.fullmatch(url):
            return _parsed(url)
        if _ENCODED.fullmatch(url):
            return _parsed(url, encoded=True)
    return _given(url)


def _given(url: object) -> URL:
    if isinstance(url, str):
        return _as_given(str(url))
    if not isinstance(url, URL):
        raise TypeError(f"the URL must be a str, not {type(url).__name__}")
    _check_place(url)
    return url


def prepared_url(url: object) -> URL:
    """Return the URL that another library has encoded; raises TypeError or ValueError."""
    if type(url) is str and _ENCODED.fullmatch(url):
        return _parsed(url, encoded=True)  # its host is one, and there is no user: nothing more is to be checked
    if not isinstance(url, str):
        raise TypeError(f"the URL must be a str, not {type(url).__name__}")
    _check_characters(url)
    target = _parsed(url, encoded=True)
    _check_place(target)
    return target


def _check_place(url: URL) -> None:
    """Raise ValueError for a host that no look-up takes, or a user name that Basic auth cannot tell.

    Labels of DNS have 1 to 63 characters.
    """
    if ":" in (url.user or ""):
        raise ValueError("the user name in the URL must not hold a colon (RFC 7617)")
    host = url.raw_host
    if not host or ":" in host:
        return
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError("the host has a label that is empty or longer than 63 characters") from None


def _parsed(url: str, *, encoded: bool = False) -> URL:
    try:
        target = URL(url, encoded=encoded)
        if encoded:
            target.port  # noqa: B018  is looked at only when asked for
    except (ValueError, IndexError):  # yarl has both for what it cannot read
        raise ValueError(
            "the URL cannot be read; is a part of it not percent-encoded, or its port no number?"
        ) from None
    return target


def _check_characters(url: str) -> None:
    if not url.isprintable() and _CONTROL.search(url):
        raise ValueError("the URL must not hold control characters; strip() takes the line end off")
    if _TOO_LONG.match(url):
        raise ValueError("the host in the URL is too long")


def _as_given(url: str) -> URL:
    """Parse host and port, and keep the rest as it is given, but for what cannot be sent."""
    _check_characters(url)
    url = url.lstrip(" ")
    parsed, given = _parsed(url), _parsed(url, encoded=True)
    _check_place(parsed)
    if parsed.scheme not in ("http", "https", ""):
        return parsed
    tail = URL.build(
        path=_sendable(given.raw_path),
        query_string=_sendable(given.raw_query_string),
        fragment=_sendable(given.raw_fragment),
        encoded=True,
    )
    # Joining takes the "./" and "../" out, as each client does.
    return parsed.join(tail) if parsed.absolute else tail if not parsed.scheme else parsed


def _sendable(part: str) -> str:
    if _SENT_AS_IT_IS.fullmatch(part):
        return part
    return quote(_BARE_PERCENT.sub("%25", part), safe=_SAFE)


def _followed_by(url: str, query: str) -> str:
    if not query:
        return url
    return f"{url}{'' if url.endswith('?') else '&' if '?' in url else '?'}{query}"


def _extended(url: URL, query: str) -> URL:
    if not query:
        return url
    return URL.build(
        scheme=url.scheme,
        authority=url.raw_authority,
        path=url.raw_path,
        query_string=f"{url.raw_query_string}&{query}" if url.raw_query_string else query,
        fragment=url.raw_fragment,
        encoded=True,
    )


def _query(params: Any) -> str:
    """Encode `params`; a str or bytes is a query already."""
    if isinstance(params, str | bytes):
        return _sendable(params if isinstance(params, str) else params.decode())
    return encoded_form("params", params)


def encoded_form(what: str, given: Any) -> str:
    """Encode a mapping or pairs as requests does: None is left out, a list gives its name once for each value."""
    if type(given) is dict and all(map(_is_simple, given, given.values())):
        return "&".join(
            [f"{name}={value}" for name, value in given.items()]
        )  # a third of the time that urlencode takes
    return urlencode(list(given_pairs(what, given)), doseq=True)


def _is_simple(name: object, value: object) -> bool:
    if type(name) is not str or _WORD.fullmatch(name) is None:
        return False
    return type(value) is int or (type(value) is str and _WORD.fullmatch(value) is not None)


def given_pairs(what: str, given: Any) -> Iterator[tuple[Any, Any]]:
    """Yield a name for each value that is given, None left out; raises TypeError."""
    for name, value in _items(what, given):
        if not isinstance(name, str | bytes | int | float):
            raise TypeError(f"a name in {what} must be a str, not {type(name).__name__}")
        several = not isinstance(value, str | bytes) and hasattr(value, "__iter__")
        for one in value if several else (value,):
            if {type(one).__str__, type(one).__repr__} == _NO_TEXT:
                raise TypeError(
                    f"a value in {what} is a {type(one).__name__}, which has no text of its own; give str()"
                )
            if one is not None:
                yield name, one


def _items(what: str, given: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(given, Mapping):
        return given.items()
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"{what} must be a mapping or pairs of name and value, not {type(given).__name__}")
    pairs = list(given)
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"{what} must be a mapping or pairs of name and value; one of it is {_told(pair)}")
    return pairs


def _told(value: object) -> str:
    return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, tuple | list) else "")
