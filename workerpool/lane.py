"""A lane: the frozen configuration of one group of sessions, with a queue of its own."""

import re
import ssl as ssl_module
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, fields
from importlib.util import find_spec
from inspect import Parameter, iscoroutinefunction, signature
from types import MethodType
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from yarl import URL

from .addresses import AddressRules
from .errors import Facts, InvalidRequest
from .messages.headers import Auth, HeaderItems, authorization, checked_headers, cookie_header
from .messages.keywords import note_keywords_of_lanes, unknown_keyword
from .messages.request import Request, TimeoutLike
from .messages.url import parse_url
from .redaction import HIDDEN, redact
from .settings import Rate, Retry, Timeout
from .values import dataclass

__all__ = ["MAX_BODY", "Lane", "LaneOptions", "check_options", "shows_lane_options"]

F = TypeVar("F", bound=Callable[..., Any])

MAX_BODY = 100 * 2**20  # bytes of one decoded body in memory; beyond, stream() is the better call
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
_SOCKS_TEXT = 255  # RFC 1929, 2
_MOST_CONNECTIONS = 1_000_000  # more than any machine has; what is beyond is a mistake
_NO_NAME = "the User-Agent must begin with a name for robots.txt, such as 'mybot/1.0 (+https://example.org/bot)'"
_NOT_BOTH = "must not be set beside addresses=: behind a proxy nobody sees what is reached; let that keep the rules"
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
    ssl: ssl_module.SSLContext | bool
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
    addresses: AddressRules | None
    robots: bool


OF_A_LANE = frozenset(LaneOptions.__annotations__)
note_keywords_of_lanes(OF_A_LANE)


def check_options(where: str, options: Mapping[str, Any], *, also: Collection[str] = ()) -> None:
    """Raise TypeError for a keyword that is no field of Lane, nor in `also`; it names the right one."""
    for name in options:
        if name not in OF_A_LANE and name not in also:
            raise unknown_keyword(where, name, OF_A_LANE | frozenset(also))


class _LeftOut:
    """What stands for a keyword that is not given; its default is said elsewhere."""

    def __repr__(self) -> str:
        return "..."


def shows_lane_options(function: F) -> F:
    """Have the keywords of a lane shown one by one by `help()` and `inspect`, which do not look into LaneOptions."""
    shown = signature(function)
    own = [each for each in shown.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
    types = LaneOptions.__annotations__.items()
    own += [Parameter(name, Parameter.KEYWORD_ONLY, default=_LeftOut(), annotation=kind) for name, kind in types]
    function.__signature__ = shown.replace(parameters=own)  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True, slots=True, repr=False)
class Lane:
    """Group requests under one configuration, with private sessions, limits and a queue.

    Limits hold for the whole pool. `connections` is how many requests are in flight at once, 0 for no
    limit; `per_host` the same for one host; `rate` and `per_host_rate` (a Rate, or a number per second)
    space out what the server sees; `queue` is how many jobs may wait, 0 for any number. With `cookies`
    (an empty dict will do) the lane keeps a cookie jar and lives on one worker, as one browser would.
    `connector` is called on the worker's loop and returns an aiohttp connector. Sizes are in bytes.
    `addresses` says which addresses may be reached; beside it there is no proxy. With `robots` each request is sent
    only where the host's robots.txt allows it to the name in the lane's User-Agent.
    """

    name: str
    base_url: str | None = None
    headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None
    cookies: Mapping[str, str] | None = None
    auth: Auth | None = None
    timeout: Timeout = field(default_factory=Timeout)
    proxy: str | None = None
    trust_env: bool = False
    ssl: ssl_module.SSLContext | bool = True
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
    addresses: AddressRules | None = None
    robots: bool = False

    if TYPE_CHECKING:

        def __init__(self, name: str, **options: Unpack[LaneOptions]) -> None: ...

    else:

        def __new__(cls, *_fields: object, **options: object) -> "Lane":
            """Refuse a misspelt keyword with the right one, before the constructor refuses it without."""
            check_options("Lane()", options, also=("name",))
            return object.__new__(cls)

    def __post_init__(self) -> None:
        refusal = None
        for name, normal in _NORMAL.items():
            try:
                object.__setattr__(self, name, normal(getattr(self, name)))
            except Exception as exc:  # noqa: BLE001  what was given may be anything, and raise anything
                refusal = _refusal(self.name, name, exc)
                break
        if refusal is None and self.addresses is not None and (self.proxy is not None or self.trust_env):
            part = "trust_env" if self.proxy is None else "proxy"
            refusal = _refusal(self.name, part, ValueError(f"{part} {_NOT_BOTH}"))
        if refusal is None and self.robots and not _has_name(self.own_headers):
            refusal = _refusal(self.name, "headers", ValueError(_NO_NAME))
        if refusal is not None:
            raise refusal  # here, so that it holds no context: that may tell what was given

    @property
    def stateful(self) -> bool:
        """Whether the lane keeps cookies between requests."""
        return self.cookies is not None

    @property
    def by_host(self) -> bool:
        """Whether something counts per host, a limit or what its robots.txt says."""
        return bool(self.per_host or self.per_host_rate or self.robots)

    @property
    def in_one_place(self) -> bool:
        """Whether one worker serves the lane: it behaves as one browser, or has a limit that is exact in one place."""
        return self.stateful or self.rate is not None

    @property
    def has_hooks(self) -> bool:
        """Whether code of the user's takes part in each request, and is to see the submitter's context."""
        return bool(self.middlewares or self.trace_configs)

    @property
    def own_headers(self) -> tuple[tuple[str, str], ...]:
        """What the lane adds to each request; none of it follows a redirect to another origin."""
        own: Any = self.headers  # pairs, since they were checked
        if self.auth is not None:
            own = tuple(item for item in own if item[0].lower() != "authorization")
            own += (("Authorization", authorization(self.auth)),)
        if line := self.cookie_line:
            own += (("Cookie", line),)
        return own  # type: ignore[no-any-return]

    @property
    def cookie_line(self) -> str:
        """The lane's own cookies as a header, if no base URL says which host they are for.

        A header stays behind when a redirect leads elsewhere; in the jar they would go to every host.
        """
        return cookie_header(self.cookies) if self.cookies and self.base_url is None else ""

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
        whole = "" if ":" in where or where.startswith("/") else f", such as https://{where}"
        cure = (
            "give a URL such as https://host/path"
            if self.base_url
            else f"give the whole URL{whole}, or the lane a base_url"
        )
        facts = Facts(where, request.method, lane=self.name)
        raise InvalidRequest.about(facts, f"not an http or https URL with a host; {cure}")

    def timeout_for(self, request: Request) -> Timeout:
        """Return the request's own timeout, or the lane's."""
        return self.timeout if request.timeout is None else request.timeout

    def retry_for(self, request: Request) -> Retry | None:
        """Return the request's own retry, or the lane's."""
        return self.retry if request.retry is ... else request.retry

    def max_body_for(self, request: Request) -> int:
        """Return the request's own limit in bytes, or the lane's."""
        return self.max_body if request.max_body is None else request.max_body

    def __repr__(self) -> str:
        shown = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in _SECRET_FIELDS and value:
                value = redact(value) if item.name in ("proxy", "base_url") else HIDDEN
            if item.name == "name" or value not in (None, (), False, 0):
                shown.append(f"{item.name}={value!r}")
        return f"Lane({', '.join(shown)})"


# That of its fields: `__new__`, which would be asked first, takes anything.
Lane.__signature__ = signature(MethodType(Lane.__init__, Lane))  # type: ignore[attr-defined]


def _refusal(lane: object, part: str, exc: Exception) -> InvalidRequest:
    shown = lane if isinstance(lane, str) and lane.isprintable() else f"<{type(lane).__name__}>"
    if isinstance(exc, UnicodeError):
        text = f"{part} holds what is no text: half of a surrogate pair, or bytes that are not UTF-8"
    elif isinstance(exc, TypeError | ValueError):
        joint = "" if part in str(exc) else f"{part} " if str(exc).startswith("must") else f"{part}: "
        text = f"{joint}{exc}"
    else:
        text = f"{part} cannot be used: reading it raised {type(exc).__name__}"
    return InvalidRequest(f"lane {shown!r}: {text}", lane=shown)


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise TypeError("a lane's name must be a str that can be printed and is not empty")
    return name


def _base_url(url: Any) -> str | None:
    if url is None:
        return None
    base = _place(url, ("http", "https"), "base_url must be an http or https URL such as https://host/api/")
    if base.raw_query_string or base.raw_fragment:
        raise ValueError("base_url must hold no query and no fragment: joining drops them")
    return str(url)


def _proxy(proxy: Any) -> str | None:
    if proxy is None:
        return None
    place = _place(
        proxy, ("http", "https", *_SOCKS), "proxy must be an http, https or socks URL such as http://host:3128"
    )
    if place.scheme in _SOCKS:
        _check_socks(place)
    scheme, colon, rest = str(proxy).strip(" ").partition(":")
    return f"{scheme.lower()}{colon}{rest}"  # "SOCKS5://..." is no http proxy


def _check_socks(proxy: URL) -> None:
    if find_spec("aiohttp_socks") is None:
        raise ValueError("a socks proxy needs an extra: pip install 'aiohttp-workerpool[socks]'")
    for text in (proxy.user or "", proxy.password or ""):
        if not text.isascii() or len(text) > _SOCKS_TEXT:
            raise ValueError(f"a socks proxy takes a user and a password of up to {_SOCKS_TEXT} ASCII characters")


def _place(url: object, schemes: Collection[str], what: str) -> URL:
    if not isinstance(url, str):
        raise TypeError(f"{what}, not {type(url).__name__}")
    try:
        place = parse_url(url)
    except ValueError as exc:
        raise ValueError(f"{what}: {exc}") from None
    if place.scheme not in schemes or not place.raw_host:
        raise ValueError(what)
    return place


def _cookies(cookies: Any) -> Any:
    if cookies is None:
        return None
    cookie_header(cookies)
    return dict(cookies)  # the caller's own may change


def _auth(auth: Any) -> Any:
    if auth is not None:
        authorization(auth)
    return auth


def _timeout(timeout: Any) -> Timeout:
    return Timeout(total=None) if timeout is None else Timeout.of(timeout)


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"must be True or False, not {type(value).__name__}")
    return value


def _has_name(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether a robots.txt can name who sends these headers; the pool's own User-Agent has a name."""
    agents = [value for name, value in headers if name.lower() == "user-agent"]
    return not agents or re.match(r"\s*[A-Za-z0-9_-]", agents[-1]) is not None


def _ssl(value: Any) -> "ssl_module.SSLContext | bool":
    if not isinstance(value, bool | ssl_module.SSLContext):
        raise TypeError(f"ssl must be True, False or an SSLContext, not {type(value).__name__}")
    if isinstance(value, ssl_module.SSLContext) and value.protocol is ssl_module.PROTOCOL_TLS_SERVER:
        raise ValueError("ssl is a context for servers; ssl.create_default_context() makes one for clients")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"must be a whole number, not {type(value).__name__}")
    if value < 0:
        raise ValueError("must be 0 or more")
    return value


def _connections(value: Any) -> int:
    if _count(value) > _MOST_CONNECTIONS:
        raise ValueError(f"must be at most {_MOST_CONNECTIONS}; 0 stands for no limit")
    return _count(value)


def _rate(value: Any) -> Rate | None:
    try:
        return None if value is None else Rate.of(value)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{exc}; see Rate(limit, per=1.0, burst=1)") from None


def _retry(retry: Any) -> Retry | None:
    if retry is not None and not isinstance(retry, Retry):
        raise TypeError(f"retry must be a Retry or None, not {type(retry).__name__}; see retry=Retry(attempts=3)")
    return retry


def _middlewares(values: Any) -> tuple[Any, ...]:
    return _hooks(values, callable, "middlewares must be a sequence of async functions")


def _trace_configs(values: Any) -> tuple[Any, ...]:
    return _hooks(values, _is_trace_config, "trace_configs must be a sequence of aiohttp.TraceConfig")


def _hooks(values: Any, is_right: Callable[[Any], bool], what: str) -> tuple[Any, ...]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise TypeError(f"{what}, not {type(values).__name__}")
    found = tuple(values)
    for value in found:
        if not is_right(value):
            raise TypeError(f"{what}; one of them is a {type(value).__name__}")
    return found


def _is_trace_config(value: object) -> bool:
    return not isinstance(value, type) and hasattr(value, "trace_config_ctx") and hasattr(value, "freeze")


def _connector(connector: Any) -> Callable[[], Any] | None:
    if connector is not None and (not callable(connector) or iscoroutinefunction(connector)):
        raise TypeError("connector must be a plain function that makes one: each worker needs its own")
    return connector  # type: ignore[no-any-return]


def _event_loop(value: Any) -> str | Callable[[], Any]:
    if not callable(value) and not (isinstance(value, str) and value in ("auto", "uvloop", "asyncio")):
        raise ValueError("event_loop must be 'auto', 'uvloop', 'asyncio' or a factory")
    return value  # type: ignore[no-any-return]


def _addresses(value: Any) -> AddressRules | None:
    if value is not None and not isinstance(value, AddressRules):
        raise TypeError(f"addresses must be AddressRules(...) or None, not {type(value).__name__}")
    return value


# What each field is made of what was given; raises TypeError or ValueError.
_NORMAL: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "base_url": _base_url,
    "headers": checked_headers,
    "cookies": _cookies,
    "auth": _auth,
    "timeout": _timeout,
    "proxy": _proxy,
    "trust_env": _yes_or_no,
    "ssl": _ssl,
    "connections": _connections,
    "per_host": _connections,
    "rate": _rate,
    "per_host_rate": _rate,
    "queue": _count,
    "retry": _retry,
    "max_body": _count,
    "middlewares": _middlewares,
    "connector": _connector,
    "trace_configs": _trace_configs,
    "event_loop": _event_loop,
    "addresses": _addresses,
    "robots": _yes_or_no,
}
