"""A request as a value: checked when it is made, frozen, picklable."""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, TypeAlias, TypedDict, Unpack, overload

from yarl import URL

from ..errors import InvalidRequest
from ..redaction import redact
from ..settings import Retry, Timeout
from .body import Body, Upload, encode_body
from .keywords import OF_A_REQUEST, unknown_keyword

__all__ = [
    "Auth",
    "HeaderItems",
    "PostOptions",
    "PutOptions",
    "Request",
    "RequestOptions",
    "TimeoutLike",
    "authorization",
    "checked_headers",
    "cookie_header",
]

Auth: TypeAlias = tuple[str, str] | str
HeaderItems: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
TimeoutLike: TypeAlias = Timeout | float | tuple[float | None, float | None]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_COOKIE_BREAKER = re.compile(r"[\x00-\x20;,\x7f]")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class PostOptions(TypedDict, total=False):
    """The keywords that every verb takes."""

    params: Any
    files: Any
    headers: HeaderItems | None
    cookies: Mapping[str, str] | None
    auth: Auth | None
    timeout: TimeoutLike | None
    allow_redirects: bool
    max_body: int | None
    retry: Retry | EllipsisType | None
    priority: int
    meta: Any


class PutOptions(PostOptions, total=False):
    """And those of the verbs that take `data` by place."""

    json: Any


class RequestOptions(PutOptions, total=False):
    """And those of the verbs that take nothing but the URL by place."""

    data: Any


@dataclass(frozen=True, init=False, repr=False)
class Request:
    """Describe one HTTP request: `Request("POST", url, json=...)`, or `Request(url)` for a GET.

    Raises InvalidRequest at once for what cannot be sent. `timeout`, `max_body` and `retry` left out
    are those of the lane. A higher `priority` goes first within its lane. Body files of `files=` are
    read here; an open file or an iterator as `data=` is read while it is sent, on a thread of its own.
    `meta` is any object of yours: it comes back as `meta` of the Response and the Result, and is never sent.
    """

    method: str
    url: str
    target: URL  # the same URL, parsed; relative where the lane's base_url completes it
    # What is not asked for stays a default of the class: most requests set none of these.
    headers: tuple[tuple[str, str], ...] = ()
    body: Body = None
    timeout: Timeout | None = None
    allow_redirects: bool = True
    max_body: int | None = None
    retry: Retry | EllipsisType | None = ...
    priority: int = 0
    as_is: bool = False  # see `prepared`
    meta: Any = field(default=None, compare=False)  # the user's own, which need be neither comparable nor hashable

    @overload
    def __init__(self, method: str, url: str, /, **options: Unpack[RequestOptions]) -> None: ...
    @overload
    def __init__(self, url: str, /, *, method: str = ..., **options: Unpack[RequestOptions]) -> None: ...
    @overload
    def __init__(self, *, method: str = ..., url: str, **options: Unpack[RequestOptions]) -> None: ...
    def __init__(  # type: ignore[misc]  # mypy wants `url` by place as well
        self,
        first: str = "",
        second: str | None = None,
        /,
        *,
        method: str = "GET",
        url: str = "",
        params: Any = None,
        data: Any = None,
        json: Any = None,
        files: Any = None,
        headers: HeaderItems | None = None,
        cookies: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        timeout: TimeoutLike | None = None,
        allow_redirects: bool = True,
        max_body: int | None = None,
        retry: Retry | EllipsisType | None = ...,
        priority: int = 0,
        meta: Any = None,
        **unknown: Any,
    ) -> None:
        if second is not None:
            method, url = first, second
        elif first:
            url = first
        if unknown:
            raise unknown_keyword(_verb(method), min(unknown), OF_A_REQUEST)
        put = object.__setattr__
        try:
            target = _parsed(url, params)
            put(self, "target", target)
            put(self, "url", url if params is None and type(url) is str else str(target))
            put(self, "method", method if method in _METHODS else _checked_method(method))
            if json is not None or data is not None or files or headers or cookies or auth:
                body, kind = encode_body(data, json, files)
                own_headers = _merged(headers, cookies, auth, kind)
                _check_length(own_headers, body)
                put(self, "body", body)
                put(self, "headers", own_headers)
            if timeout is not None:
                put(self, "timeout", Timeout.of(timeout))
            if max_body is not None:
                put(self, "max_body", _checked_size(max_body))
            if retry is not ...:
                put(self, "retry", _checked_retry(retry))
            if priority != 0:
                put(self, "priority", _checked_priority(priority))
        except (TypeError, ValueError) as exc:
            raise InvalidRequest(f"{method} {redact(url)}: {exc}", url=redact(url), method=str(method)) from None
        if not allow_redirects:
            put(self, "allow_redirects", False)
        if meta is not None:
            put(self, "meta", meta)

    @classmethod
    def prepared(
        cls, method: str, url: str, headers: Iterable[tuple[str, str]], body: Any, timeout: Timeout | None = None
    ) -> "Request":
        """Make a request that another library has prepared, sent as it is.

        The URL is encoded already, no headers are added but the lane's, no redirect is followed, and the body of the
        answer comes as on the wire, not decoded. Raises InvalidRequest.
        """
        request, put = object.__new__(cls), object.__setattr__
        try:
            put(request, "method", _checked_method(method))
            put(request, "url", url)
            put(request, "target", _parsed(url, None, encoded=True))
            encoded = None if body is None else encode_body(body, None, None)[0]
            # How the body is framed is the transport's part; that there is none is told by its absence.
            framing = {"transfer-encoding"} if encoded is not None else {"transfer-encoding", "content-length"}
            own_headers = checked_headers([item for item in headers if item[0].lower() not in framing])
            _check_length(own_headers, encoded)
            put(request, "headers", own_headers)
            put(request, "body", encoded)
        except (TypeError, ValueError) as exc:
            raise InvalidRequest(f"{method} {redact(url)}: {exc}", url=redact(url), method=str(method)) from None
        put(request, "timeout", timeout)
        put(request, "allow_redirects", False)
        put(request, "as_is", True)
        return request

    def with_header(self, name: str, value: str) -> "Request":
        """Return a copy whose header of that name has this value only. Raises InvalidRequest."""
        try:
            added = checked_headers([(name, value)])
        except (TypeError, ValueError) as exc:
            raise InvalidRequest(f"{self!r}: {exc}", url=redact(self.url), method=self.method) from None
        changed = copy(self)
        kept = tuple(item for item in self.headers if item[0].lower() != name.lower())
        object.__setattr__(changed, "headers", kept + added)
        return changed

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent a second time."""
        return not isinstance(self.body, Upload)

    def __repr__(self) -> str:
        return f"<Request {self.method} {redact(self.url)}>"


def _verb(method: object) -> str:
    """Return what the user probably called: the verb of that method."""
    return f"{method.lower()}()" if isinstance(method, str) and method in _METHODS else "Request()"


def _checked_method(method: object) -> str:
    if not isinstance(method, str) or not _TOKEN.fullmatch(method):
        raise ValueError(f"the method must be an HTTP token such as GET, not {method!r}")
    if method.upper() == "CONNECT":
        raise ValueError("CONNECT opens a tunnel; set the lane's proxy instead")
    return method.upper()


def _parsed(url: object, params: Any, *, encoded: bool = False) -> URL:
    if not isinstance(url, (str, URL)):
        raise TypeError(f"the URL must be a str, not {type(url).__name__}")
    if isinstance(url, str) and not (url.isascii() and url.isprintable()) and _CONTROL.search(url):
        raise ValueError("the URL must not hold control characters")
    try:
        target = URL(url, encoded=encoded)
    except ValueError:
        raise ValueError("the URL cannot be read; is a part of it not percent-encoded?") from None
    return target if params is None else target.extend_query(_query(params))


def _query(params: Any) -> Any:
    """Drop None values, as requests does; yarl refuses them."""
    if isinstance(params, Mapping):
        return {name: value for name, value in params.items() if value is not None}
    return params


def _merged(
    headers: HeaderItems | None,
    cookies: Mapping[str, str] | None,
    auth: Auth | None,
    kind: str | None,
) -> tuple[tuple[str, str], ...]:
    items = list(checked_headers(headers))
    names = {name.lower() for name, _ in items}
    if kind is not None and "content-type" not in names:
        items.append(("Content-Type", kind))
    if auth is not None:
        items = [item for item in items if item[0].lower() != "authorization"]
        items.append(("Authorization", authorization(auth)))
    if cookies:
        items.append(("Cookie", cookie_header(cookies)))
    return tuple(items)


def checked_headers(headers: HeaderItems | None) -> tuple[tuple[str, str], ...]:
    """Return the headers as pairs; raises ValueError for a name or value that could split the message."""
    if not headers:
        return ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((_checked_name(name), _checked_value(name, value)) for name, value in pairs)


def _check_length(headers: tuple[tuple[str, str], ...], body: Body) -> None:
    """Refuse a Content-Length that is not the body's: what follows would be read as another request."""
    for name, value in headers:
        if name.lower() != "content-length" or (isinstance(body, Upload) and value.isdecimal()):
            continue
        if not isinstance(body, bytes) or value != str(len(body)):
            raise ValueError("Content-Length does not fit the body; leave it out, the pool sets it")


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ValueError(f"the header name {name!r} is not an HTTP token")
    if name.lower() == "transfer-encoding":
        raise ValueError("Transfer-Encoding is set by the pool from the body; leave it out")
    return name


def _checked_value(name: object, value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        raise TypeError(f"the value of header {name} must be a str, not {type(value).__name__}")
    if _CONTROL.search(value):
        raise ValueError(f"the value of header {name} holds a control character (CR, LF, NUL...)")
    return value


def authorization(auth: Auth) -> str:
    """Return the Authorization value of a (user, password) pair (RFC 7617), or of a ready one."""
    if isinstance(auth, str):
        return _checked_value("Authorization", auth)
    if not isinstance(auth, tuple) or len(auth) != 2:
        raise TypeError("auth must be (user, password) or a ready Authorization value")
    user, password = auth
    if ":" in user:
        raise ValueError("the user name of Basic auth must not hold a colon (RFC 7617)")
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


def cookie_header(cookies: Mapping[str, str]) -> str:
    """Return a Cookie header's value; raises ValueError for what would break out of it."""
    for name, value in cookies.items():
        if not _TOKEN.fullmatch(str(name)) or _COOKIE_BREAKER.search(str(value)):
            raise ValueError(f"the cookie {name!r} holds a character that cookies cannot (RFC 6265, 4.1.1)")
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _checked_size(max_body: object) -> int:
    if isinstance(max_body, bool) or not isinstance(max_body, int) or max_body < 0:
        raise ValueError(f"max_body must be a number of bytes, not {max_body!r}")
    return max_body


def _checked_retry(retry: object) -> Any:
    if retry is None or retry is ... or isinstance(retry, Retry):
        return retry
    raise TypeError(f"retry must be a Retry or None, not {type(retry).__name__}")


def _checked_priority(priority: object) -> int:
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise TypeError(f"priority must be an int, not {type(priority).__name__}")
    return priority
