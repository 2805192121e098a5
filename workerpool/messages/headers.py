"""Headers as they are given: checked, so that none can split the message, and joined with what other keywords make."""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from .body import Body, Upload

__all__ = [
    "Auth",
    "HeaderItems",
    "authorization",
    "check_length",
    "checked_headers",
    "cookie_header",
    "is_token",
    "merged_headers",
]

Auth: TypeAlias = tuple[str, str] | str
HeaderItems: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

_ALL_TEXT = {str}  # the types of names and values, as a rule
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_COOKIE_BREAKER = re.compile(r"[\x00-\x1f;\x7f]")  # spaces and commas are sent by all clients, and read by all servers
_CREDENTIALS = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ +\S.*")  # RFC 9110, 11.4: a scheme, then what it needs


def is_token(text: str) -> bool:
    """Whether the text is a token of HTTP (RFC 9110, 5.6.2)."""
    return _TOKEN.fullmatch(text) is not None


def merged_headers(
    headers: HeaderItems | None,
    cookies: Mapping[str, str] | None,
    auth: Auth | None,
    kind: str | None,
) -> tuple[tuple[str, str], ...]:
    """Return the headers of a request, what is made of the other keywords among them; `kind` is its body's type.

    Raises TypeError or ValueError, as all here.
    """
    checked = checked_headers(headers)
    if kind is None and auth is None and cookies is None:
        return checked
    items = list(checked)
    if kind is not None:
        given = any(name.lower() == "content-type" for name, _ in items)
        if given and kind.startswith("multipart/"):
            raise ValueError(
                "headers: leave Content-Type out where there are files; the pool sets it, with its boundary"
            )
        if not given:
            items.append(("Content-Type", kind))
    if auth is not None:
        items = [item for item in items if item[0].lower() != "authorization"]
        items.append(("Authorization", authorization(auth)))
    if cookies is not None and (cookie := cookie_header(cookies)):
        items.append(("Cookie", cookie))
    return tuple(items)


def checked_headers(headers: HeaderItems | None) -> tuple[tuple[str, str], ...]:
    """Return the headers as pairs; raises TypeError or ValueError for what could split the message, or is no header."""
    if headers is None:
        return ()
    if not isinstance(headers, Mapping) and (isinstance(headers, str | bytes) or not isinstance(headers, Iterable)):
        raise TypeError(f"headers must be a mapping or pairs of name and value, not {type(headers).__name__}")
    if type(headers) is dict and {*map(type, headers), *map(type, headers.values())} == _ALL_TEXT:
        return _checked_once(tuple(headers.items()))
    return tuple([_checked_pair(pair) for pair in (headers.items() if isinstance(headers, Mapping) else headers)])


@lru_cache(64)  # requests in a row have the same, as a rule
def _checked_once(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(map(_checked_pair, pairs))


def _checked_pair(pair: Any) -> tuple[str, str]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"headers must be a mapping or pairs of name and value; one of them is a {type(pair).__name__}")
    name, value = pair
    usual = type(name) is str and type(value) is str and value.isprintable() and value.isascii()
    if usual and len(name) < 64 and _is_plain(name):
        return name, value  # at a third of the cost
    name = _checked_name(name)
    return name, _checked_value(name, value)


@lru_cache(1024)
def _is_plain(name: str) -> bool:
    return is_token(name) and name.lower() != "transfer-encoding"


def check_length(headers: tuple[tuple[str, str], ...], body: Body) -> None:
    """Refuse a Content-Length that is not the body's: what follows would be read as another request."""
    for value in _lengths(headers):
        if isinstance(body, Upload) and value.isdecimal():
            continue
        if not isinstance(body, bytes) or value != str(len(body)):
            raise ValueError("headers: Content-Length does not fit the body; leave it out, the pool sets it")


@lru_cache(64)
def _lengths(headers: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return tuple(value for name, value in headers if name.lower() == "content-length")


def _checked_name(name: object) -> str:
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    if not isinstance(name, str) or not is_token(name):
        # What was written there may be the whole line, with its secret.
        raise ValueError("headers: a name is no HTTP token (letters, digits, '-'); value and name are given apart")
    if name.lower() == "transfer-encoding":
        raise ValueError("headers: Transfer-Encoding is set by the pool from the body; leave it out")
    return str.__str__(name)


def _checked_value(name: str, value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str):
        raise TypeError(f"headers: the value of {name} must be a str, not {type(value).__name__}")
    if _CONTROL.search(value):
        raise ValueError(f"headers: the value of {name} holds a control character (CR, LF, NUL...)")
    if not value.isascii():
        value.encode()  # refuses half of a surrogate pair
    return str.__str__(value)  # the text itself: what derives from str may say that it equals others, or have no hash


def authorization(auth: Auth) -> str:
    """Return the Authorization value of a (user, password) pair (RFC 7617), or of a ready one."""
    if isinstance(auth, str):
        if not _CREDENTIALS.fullmatch(auth):
            raise ValueError(
                "auth must be (user, password), or a whole value such as 'Bearer TOKEN' with a scheme and a space;"
                " anything else goes into headers={'Authorization': ...}"
            )
        return _checked_value("Authorization", auth)
    if not isinstance(auth, tuple) or len(auth) != 2 or not all(isinstance(item, str | bytes) for item in auth):
        raise TypeError("auth must be (user, password), each a str, or a whole value such as 'Bearer TOKEN'")
    user, password = (item if isinstance(item, bytes) else item.encode() for item in auth)
    if b":" in user:
        raise ValueError("auth: the user name of Basic auth must not hold a colon (RFC 7617)")
    return "Basic " + b64encode(user + b":" + password).decode("ascii")


def cookie_header(cookies: Mapping[str, str]) -> str:
    """Return a Cookie header's value; raises TypeError or ValueError for what would break out of it."""
    if not isinstance(cookies, Mapping):
        raise TypeError(f"cookies must be a mapping of names to values, not {type(cookies).__name__}")
    return "; ".join([_checked_cookie(name, value) for name, value in cookies.items()])


def _checked_cookie(name: object, value: object) -> str:
    if not isinstance(name, str) or not is_token(name):
        raise ValueError("cookies: a name holds a character that names cannot (RFC 6265, 4.1.1)")
    if not isinstance(value, str):
        raise TypeError(f"cookies: the value of {name} must be a str, not {type(value).__name__}")
    if _COOKIE_BREAKER.search(value):
        raise ValueError(f"cookies: the value of {name} holds a character that cookies cannot (RFC 6265, 4.1.1)")
    value.encode()
    return f"{name}={value}"
