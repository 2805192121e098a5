"""A lane: the frozen configuration of one group of sessions, with a queue of its own."""

import ssl as ssl_module
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from yarl import URL

from .errors import InvalidRequest
from .messages.keywords import OF_A_LANE, unknown_keyword
from .messages.request import (
    Auth,
    HeaderItems,
    Request,
    TimeoutLike,
    authorization,
    checked_headers,
    cookie_header,
)
from .messages.url import parse_url
from .redaction import HIDDEN, redact
from .settings import Rate, Retry, Timeout

__all__ = ["MAX_BODY", "Lane", "LaneOptions", "check_options"]

MAX_BODY = 100 * 2**20  # bytes of one decoded body in memory; beyond, stream() is the better call
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
_MOST_CONNECTIONS = 1_000_000  # more than any machine has; what is beyond is a mistake
_SECRET_FIELDS = frozenset({"auth", "cookies", "headers", "proxy", "base_url"})


class LaneOptions(TypedDict, total=False):
    """The keywords that make a lane: every field of Lane but its name, with all that each takes."""

    base_url: str | None
    headers: HeaderItems | None
    cookies: Mapping[str, str] | None
    auth: Auth | None
    timeout: TimeoutLike | None
    proxy: str | None
    trust_env: bool
    ssl: "ssl_module.SSLContext | bool"
    connections: int
    per_host: int
    rate: Rate | float | None
    per_host_rate: Rate | float | None
    queue: int
    retry: Retry | None
    max_body: int
    middlewares: Sequence[Callable[..., Any]]
    connector: Callable[[], Any] | None
    trace_configs: Sequence[Any]
    event_loop: str | Callable[[], Any]


def check_options(where: str, options: Mapping[str, Any], *, also: Collection[str] = ()) -> None:
    """Raise TypeError for a keyword that is no field of Lane, nor in `also`; it names the right one."""
    for name in options:
        if name not in OF_A_LANE and name not in also:
            raise unknown_keyword(where, name, OF_A_LANE | frozenset(also))


@dataclass(frozen=True, slots=True, repr=False)
class Lane:
    """Group requests under one configuration, with private sessions, limits and a queue.

    Limits hold for the whole pool. `connections` is how many requests are in flight at once, 0 for no
    limit; `per_host` the same for one host; `rate` and `per_host_rate` (a Rate, or a number per second)
    space out what the server sees; `queue` is how many jobs may wait, 0 for any number. With `cookies`
    (an empty dict will do) the lane keeps a cookie jar and lives on one worker, as one browser would.
    `connector` is called on the worker's loop and returns an aiohttp connector. Sizes are in bytes.
    """

    name: str
    base_url: str | None = None
    headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None
    cookies: Mapping[str, str] | None = None
    auth: Auth | None = None
    timeout: Timeout = field(default_factory=Timeout)
    proxy: str | None = None
    trust_env: bool = False
    ssl: "ssl_module.SSLContext | bool" = True
    connections: int = 100
    per_host: int = 0
    rate: Rate | None = None
    per_host_rate: Rate | None = None
    queue: int = 0
    retry: Retry | None = field(default_factory=Retry)
    max_body: int = MAX_BODY
    middlewares: Sequence[Callable[..., Any]] = ()
    connector: Callable[[], Any] | None = None
    trace_configs: Sequence[Any] = ()
    event_loop: str | Callable[[], Any] = "auto"

    if TYPE_CHECKING:

        def __init__(self, name: str, **options: Unpack[LaneOptions]) -> None: ...

    else:

        def __new__(cls, *_fields: object, **options: object) -> "Lane":
            """Refuse a misspelt keyword with the right one, before the constructor refuses it without."""
            check_options("Lane()", options, also=("name",))
            return object.__new__(cls)

    def __post_init__(self) -> None:
        refusal = None
        try:
            self._normalise()
        except Exception as exc:  # noqa: BLE001  what was given may be anything, and raise anything
            refusal = _refusal(self.name, exc)
        if refusal is not None:
            raise refusal  # here, so that it holds no context: that may tell what was given

    @property
    def stateful(self) -> bool:
        """Whether the lane keeps cookies between requests."""
        return self.cookies is not None

    @property
    def by_host(self) -> bool:
        """Whether a limit counts per host."""
        return bool(self.per_host or self.per_host_rate)

    @property
    def has_hooks(self) -> bool:
        """Whether code of the user's takes part in each request, and is to see the submitter's context."""
        return bool(self.middlewares or self.trace_configs)

    @property
    def by_socks(self) -> bool:
        """Whether the proxy speaks SOCKS, so that connections are made through it and not requests."""
        return self.proxy is not None and parse_url(self.proxy).scheme in _SOCKS

    @property
    def base(self) -> URL | None:
        """The base URL, its path ending in a slash, so that joining keeps the whole of it."""
        if self.base_url is None:
            return None
        base = parse_url(self.base_url)
        return base if base.raw_path.endswith("/") else base.with_path(base.raw_path + "/", encoded=True)

    def resolve(self, request: Request) -> URL:
        """Return the absolute URL that the request goes to; raises InvalidRequest."""
        url = request.target
        if not url.absolute and (base := self.base) is not None:
            url = base.join(url)
        if url.scheme in ("http", "https") and url.raw_host and url.port:
            return url
        where = redact(request.url)
        cure = "give a URL such as https://host/path" if self.base_url else "give the whole URL, or the lane a base_url"
        raise InvalidRequest(
            f"{request.method} {where}: not an http or https URL with a host; {cure}",
            url=where,
            method=request.method,
            lane=self.name,
        )

    def timeout_for(self, request: Request) -> Timeout:
        """Return the request's own timeout, or the lane's."""
        return self.timeout if request.timeout is None else request.timeout

    def retry_for(self, request: Request) -> Retry | None:
        """Return the request's own retry, or the lane's."""
        return self.retry if request.retry is ... else request.retry

    def max_body_for(self, request: Request) -> int:
        """Return the request's own limit in bytes, or the lane's."""
        return self.max_body if request.max_body is None else request.max_body

    def _normalise(self) -> None:
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise TypeError("a lane's name must be a str that can be printed and is not empty")
        put = object.__setattr__
        put(self, "headers", checked_headers(self.headers))
        put(self, "timeout", Timeout(total=None) if self.timeout is None else Timeout.of(self.timeout))
        put(self, "rate", _rate("rate", self.rate))
        put(self, "per_host_rate", _rate("per_host_rate", self.per_host_rate))
        put(self, "middlewares", _hooks("middlewares", self.middlewares, callable, "async functions"))
        put(self, "trace_configs", _hooks("trace_configs", self.trace_configs, _is_trace_config, "aiohttp.TraceConfig"))
        for name in ("connections", "per_host"):
            _check_count(name, getattr(self, name), _MOST_CONNECTIONS)
        for name in ("queue", "max_body"):
            _check_count(name, getattr(self, name))
        self._check_places()
        self._check_values()

    def _check_places(self) -> None:
        if self.base_url is not None:
            base = _place(
                "base_url", self.base_url, ("http", "https"), "an http or https URL such as https://host/api/"
            )
            if base.raw_query_string or base.raw_fragment:
                raise ValueError("base_url must hold no query and no fragment: joining drops them")
        if self.proxy is not None:
            _place(
                "proxy", self.proxy, ("http", "https", *_SOCKS), "an http, https or socks URL such as http://host:3128"
            )
        if self.by_socks and find_spec("aiohttp_socks") is None:
            raise ValueError("a socks proxy needs an extra: pip install 'aiohttp-workerpool[socks]'")
        if not isinstance(self.trust_env, bool):
            raise TypeError(f"trust_env must be True or False, not {type(self.trust_env).__name__}")

    def _check_values(self) -> None:
        if self.retry is not None and not isinstance(self.retry, Retry):
            raise TypeError(
                f"retry must be a Retry or None, not {type(self.retry).__name__}; see retry=Retry(attempts=3)"
            )
        if not isinstance(self.ssl, bool | ssl_module.SSLContext):
            raise TypeError(f"ssl must be True, False or an SSLContext, not {type(self.ssl).__name__}")
        if isinstance(self.ssl, ssl_module.SSLContext) and self.ssl.protocol is ssl_module.PROTOCOL_TLS_SERVER:
            raise ValueError("ssl is a context for servers; ssl.create_default_context() makes one for clients")
        if self.auth is not None:
            authorization(self.auth)
        if self.cookies is not None:
            cookie_header(self.cookies)
        if self.connector is not None and (not callable(self.connector) or iscoroutinefunction(self.connector)):
            raise TypeError("connector must be a plain function that makes one: each worker needs its own")
        if not callable(self.event_loop) and self.event_loop not in ("auto", "uvloop", "asyncio"):
            raise ValueError("event_loop must be 'auto', 'uvloop', 'asyncio' or a factory")

    def __repr__(self) -> str:
        shown = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in _SECRET_FIELDS and value:
                value = redact(value) if item.name in ("proxy", "base_url") else HIDDEN
            if item.name == "name" or value not in (None, (), False, 0):
                shown.append(f"{item.name}={value!r}")
        return f"Lane({', '.join(shown)})"


def _refusal(name: object, exc: Exception) -> InvalidRequest:
    shown = name if isinstance(name, str) else f"<{type(name).__name__}>"
    text = str(exc) if isinstance(exc, TypeError | ValueError) else f"a value cannot be used: {type(exc).__name__}"
    if isinstance(exc, UnicodeError):
        text = "headers, cookies or auth hold what is no text: half of a surrogate pair, or bytes that are not UTF-8"
    return InvalidRequest(f"lane {shown!r}: {text}", lane=shown)


def _rate(name: str, value: "Rate | float | None") -> Rate | None:
    try:
        return None if value is None else Rate.of(value)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{name}: {exc}; see Rate(limit, per=1.0, burst=1)") from None


def _hooks(name: str, values: Any, is_right: Callable[[Any], bool], what: str) -> tuple[Any, ...]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a sequence of {what}, not {type(values).__name__}")
    found = tuple(values)
    if not all(map(is_right, found)):
        raise TypeError(f"{name} must hold {what} only")
    return found


def _is_trace_config(value: object) -> bool:
    return not isinstance(value, type) and hasattr(value, "trace_config_ctx") and hasattr(value, "freeze")


def _place(name: str, value: object, schemes: Collection[str], what: str) -> URL:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be {what}, not {type(value).__name__}")
    try:
        place = parse_url(value)
    except ValueError as exc:
        raise ValueError(f"{name} must be {what}: {exc}") from None
    if place.scheme not in schemes or not place.raw_host:
        raise ValueError(f"{name} must be {what}")
    return place


def _check_count(name: str, value: object, most: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} must be 0 or more")
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {most}; 0 stands for no limit")
