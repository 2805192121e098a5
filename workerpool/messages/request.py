"""A request as a value: checked when it is made, frozen, picklable."""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import field
from types import EllipsisType
from typing import Any, TypeAlias, TypedDict, Unpack, overload

from yarl import URL

from ..errors import Facts, InvalidRequest, Reason
from ..redaction import redact
from ..settings import Retry, Timeout
from ..values import dataclass
from .body import FORM, JSON, TEXT, Body, Upload, encode_body
from .checks import checked_flag, checked_priority, checked_retry, checked_size
from .headers import Auth, HeaderItems, check_length, checked_headers, is_token, merged_headers
from .keywords import OF_A_REQUEST, unknown_keyword
from .url import parse_url, prepared_url

__all__ = [
    "GetOptions",
    "PostOptions",
    "PutOptions",
    "Request",
    "RequestOptions",
    "TimeoutLike",
]

TimeoutLike: TypeAlias = Timeout | float | tuple[float | None, float | None]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OF_A_COPY = frozenset({"body", "as_is"})  # what dataclasses.replace gives beside the keywords
_AUTOMATIC = frozenset({FORM, JSON, TEXT})


_MISSING: Any = type("Missing", (), {"__repr__": lambda _self: "..."})()  # None is a mistake that is to be told


class CommonOptions(TypedDict, total=False):
    """The keywords that every verb takes."""

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


class GetOptions(CommonOptions, total=False):
    """And those of `get`, which takes `params` by place."""

    data: Any
    json: Any


class PostOptions(CommonOptions, total=False):
    """And those of the verbs that take no `params` by place."""

    params: Any


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
    `dataclasses.replace(request, url=...)` takes any of the keywords.
    """

    method: str
    url: str
    target: URL = field(init=False)  # the same URL, parsed; relative where the lane's base_url completes it
    # What is not asked for stays a default of the class: most requests set none of these.
    headers: tuple[tuple[str, str], ...] = ()
    body: Body = None
    timeout: Timeout | None = None
    allow_redirects: bool = True
    max_body: int | None = None
    retry: Retry | EllipsisType | None = ...
    priority: int = 0
    as_is: bool = False  # see `prepared`, as for the next one
    asked: URL | None = field(default=None, init=False)
    meta: Any = field(default=None, compare=False)  # the user's own, which need be neither comparable nor hashable

    @overload
    def __init__(self, method: str, url: str, /, **options: Unpack[RequestOptions]) -> None: ...
    @overload
    def __init__(self, url: str, /, *, method: str = ..., **options: Unpack[RequestOptions]) -> None: ...
    @overload
    def __init__(self, *, method: str = ..., url: str, **options: Unpack[RequestOptions]) -> None: ...
    def __init__(  # type: ignore[misc]  # mypy wants `url` by place as well
        self,
        first: Any = _MISSING,
        second: Any = _MISSING,
        /,
        *,
        method: str = "GET",
        url: Any = _MISSING,
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
        if second is not _MISSING:
            method, url = first, second
        elif first is not _MISSING:
            url = first
        old = None
        if unknown:
            old = _of_a_copy(unknown, method)
        put = object.__setattr__
        part, refusal = "url" if params is None else "url or params", None
        try:
            target = parse_url(url, params) if old is None or not old["as_is"] else prepared_url(url)
            put(self, "target", target)
            put(self, "url", url if params is None and type(url) is str else str(target))
            part = "method"
            put(self, "method", method if method in _METHODS else _checked_method(method))
            if old is not None:
                put(self, "as_is", old["as_is"])
            if (
                json is not None
                or data is not None
                or files is not None
                or headers is not None
                or cookies is not None
                or auth is not None
                or old is not None
            ):
                part = "json" if json is not None else "files" if files is not None else "data"
                body, kind = encode_body(data, json, files)
                part = "headers"
                if old is not None:
                    body, headers = _over(old["body"], body, headers)
                own_headers = merged_headers(headers, cookies, auth, kind)
                check_length(own_headers, body)
                put(self, "body", body)
                put(self, "headers", own_headers)
            part = "options"
            if timeout is not None:
                put(self, "timeout", Timeout.of(timeout))
            if max_body is not None:
                put(self, "max_body", checked_size(max_body))
            if retry is not ...:
                put(self, "retry", checked_retry(retry))
            if priority != 0:
                put(self, "priority", checked_priority(priority))
            if allow_redirects is not True:
                put(self, "allow_redirects", checked_flag(allow_redirects))
        except Exception as exc:  # noqa: BLE001  what was given may be anything, and raise anything
            refusal = _refusal(exc, part, method, url)
        if refusal is not None:
            raise refusal  # here, so that it holds no context: that may tell what was given
        if meta is not None:
            put(self, "meta", meta)

    @classmethod
    def prepared(
        cls,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]],
        body: Any,
        timeout: Timeout | None = None,
        *,
        max_body: int | None = None,
        retry: Retry | EllipsisType | None = ...,
        asked: str | None = None,
    ) -> "Request":
        """Make a request that another library has prepared, sent as it is.

        The URL is encoded already, no headers are added but the lane's, no redirect is followed, and the body of the
        answer comes as on the wire, not decoded. Where that library follows a redirect, `asked` is the URL that was
        asked for first: at another origin the lane's secrets stay behind. Raises InvalidRequest.
        """
        request, put = object.__new__(cls), object.__setattr__
        refusal = None
        reason: Reason = ""
        try:
            put(request, "method", _checked_method(method))
            put(request, "url", url)
            put(request, "target", prepared_url(url))
            if asked is not None:
                put(request, "asked", prepared_url(asked).origin())
            encoded = None if body is None else encode_body(body, None, None)[0]
            # How the body is framed is the transport's part; that there is none is told by its absence.
            reason = "bad-header"
            framing = {"transfer-encoding"} if encoded is not None else {"transfer-encoding", "content-length"}
            own_headers = checked_headers([item for item in headers if item[0].lower() not in framing])
            check_length(own_headers, encoded)
            put(request, "headers", own_headers)
            put(request, "body", encoded)
        except Exception as exc:  # noqa: BLE001  see above
            refusal = _refusal(exc, "request", method, url)
            refusal.reason = reason
        if refusal is not None:
            raise refusal
        put(request, "timeout", timeout)
        put(request, "max_body", max_body)
        put(request, "retry", retry)
        put(request, "allow_redirects", False)
        put(request, "as_is", True)
        return request

    def with_header(self, name: str, value: str) -> "Request":
        """Return a copy whose header of that name has this value only. Raises InvalidRequest."""
        refusal = None
        added: tuple[tuple[str, str], ...] = ()
        try:
            added = checked_headers([(name, value)])
        except Exception as exc:  # noqa: BLE001  see above
            refusal = _refusal(exc, "headers", self.method, self.url)
            refusal.reason = "bad-header"
        if refusal is not None:
            raise refusal
        changed = copy(self)
        kept = tuple(item for item in self.headers if item[0].lower() != added[0][0].lower())
        object.__setattr__(changed, "headers", kept + added)
        return changed

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent a second time."""
        return not isinstance(self.body, Upload)

    def __repr__(self) -> str:
        return f"<Request {self.method} {redact(self.url)}>"


def _refusal(exc: Exception, part: str, method: object, url: object) -> InvalidRequest:
    """Return the error that names the argument and tells nothing of what it holds."""
    shown = method if isinstance(method, str) and method in _METHODS else "request"
    facts = Facts(redact("" if url is _MISSING else url), shown)
    error = InvalidRequest.about(facts, _reason(exc, part))
    if not isinstance(exc, _OUR_OWN):
        error.__cause__ = exc  # raised by code of the caller's, which knows best
    return error


# What a message begins with that names its argument by itself.
_PARTS = ("auth", "cookies", "data", "headers", "json", "params", "the ")
_OUR_OWN = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RecursionError)


def _reason(exc: Exception, part: str) -> str:
    if isinstance(exc, UnicodeError):
        return f"{part} holds what is no text: half of a surrogate pair, or bytes that are not UTF-8"
    if isinstance(exc, RecursionError):
        return f"{part} is nested too deeply"
    if isinstance(exc, TypeError | ValueError):
        own = part == "options" or str(exc).startswith(_PARTS) or part in str(exc)
        return str(exc) if own else f"{part}: {exc}"
    return f"{part} cannot be used: reading it raised {type(exc).__name__}"


def _of_a_copy(unknown: dict[str, Any], method: object) -> dict[str, Any]:
    """Return the fields that only dataclasses.replace gives; raises TypeError for any other keyword."""
    if unknown.keys() != _OF_A_COPY:
        raise unknown_keyword(_verb(method), min(unknown.keys() - _OF_A_COPY, default="body"), OF_A_REQUEST)
    return unknown


def _over(old: Body, new: Body, headers: HeaderItems | None) -> tuple[Body, HeaderItems | None]:
    """Return the body of a copy and its headers: with a new body goes what described the old one."""
    if new is None:
        return old, headers
    return new, tuple(
        (name, value)
        for name, value in checked_headers(headers)
        if name.lower() != "content-length" and not (name.lower() == "content-type" and _is_automatic(value))
    )


def _is_automatic(kind: str) -> bool:
    return kind in _AUTOMATIC or kind.startswith("multipart/form-data; boundary=")


def _verb(method: object) -> str:
    """Return what the user probably called: the verb of that method."""
    return f"{method.lower()}()" if isinstance(method, str) and method in _METHODS else "Request()"


def _checked_method(method: object) -> str:
    if not isinstance(method, str) or not is_token(method):
        raise ValueError("the method must be an HTTP token such as GET, without spaces")
    if method.upper() == "CONNECT":
        raise ValueError("CONNECT opens a tunnel; set the lane's proxy instead")
    return method.upper()
