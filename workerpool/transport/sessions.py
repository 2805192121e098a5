"""The private sessions of one lane on one worker: made, used and closed on that worker's loop."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from .._version import __version__
from ..errors import Facts, InvalidRequest
from ..handover.errand import Errand, Fetch
from ..handover.job import Work, host_of
from ..lane import Lane
from ..loops import pause
from ..messages.headers import authorization
from ..messages.hop import Hop
from ..messages.redirects import without_secrets
from ..messages.request import Request
from ..messages.url import parse_url
from ..redaction import redact
from ..settings import Timeout
from .cookies import Cookies, NoCookies
from .decoding import ACCEPT_ENCODING
from .environment import Environment, is_socks, proxy_for
from .functions import FunctionRequest, route
from .guard import guard
from .inside.answer import AnyAnswer
from .inside.connection import instrument, send_once
from .inside.contract import holds
from .inside.fast_path import FastPath
from .inside.protocol import READ_AHEAD, HttpProtocol
from .inside.request import BODILESS, HttpRequest, send_anew
from .inside.resumption import context_for
from .lending import close_at_once, lend, take_back
from .memory import MemoryConnector
from .moved import KEPT
from .resolver import join_threads, new_resolver
from .robots import Robots
from .socks import socks_connector
from .uploads import Feeder, end_all
from .websockets import check_origin

__all__ = ["Sessions"]

_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
_HOST = ("Host", "")  # keeps its place; each request fills it in
_CODINGS = ("Accept-Encoding", ACCEPT_ENCODING)
_CONTENT_TYPE = ("Content-Type",)  # what aiohttp adds to a body, and to a POST without one
_OF_THE_POOL = (_HOST, _CODINGS)  # what a submitted function's session has its own of
_DEFAULT_HEADERS = (
    _HOST,
    ("Accept", "*/*"),
    _CODINGS,
    (
        "User-Agent",
        f"workerpool/{__version__} (aiohttp/{aiohttp.__version__}; Python/{_PYTHON})",
    ),
)


class Sessions:
    """Hold one lane's connector, the session that the pool's requests use, and one for submitted functions.

    `share` is this worker's part of the lane's connections, 0 for no limit; `reserve` books a start at a
    host and returns the seconds to wait for it; `environment` is what the lane has taken from that; `slow` has the
    starts at a host keep so many seconds apart.
    """

    robots: Robots | None = None  # of a lane that keeps to them

    def __init__(
        self,
        lane: Lane,
        share: int,
        reserve: Callable[[str], float],
        environment: Environment,
        slow: Callable[[str, float], object] = lambda _host, _delay: None,
    ) -> None:
        self.lane = lane
        if lane.by_socks and lane.connector is not None:  # then its connections are led through the proxy
            environment = replace(environment, proxies={"all": parse_url(lane.proxy)})
        self._environment = environment
        self.feeders: set[Feeder] = set()  # of uploads that are under way; added on the loop
        self._reserve = reserve
        self.slow = slow
        self.limited: bool = lane.rate is not None or lane.per_host_rate is not None
        self._timeout = _client_timeout(lane.timeout)
        self._proxy = None if lane.proxy is None or lane.by_socks else parse_url(lane.proxy)
        self._has_proxies = self._proxy is not None or not all(map(is_socks, environment.proxies.values()))
        self._needs_task = self._has_proxies or lane.robots
        self._headers = _merged_headers(lane, _DEFAULT_HEADERS)
        self._own_headers = _merged_headers(lane, (_HOST,))  # of requests that another library has prepared
        self._hooks_and_anew: Sequence[Any] = (*lane.middlewares, send_anew) if holds("request") else lane.middlewares
        self._jar = _cookie_jar(lane)
        # By True a connector of the user's means its own.
        self._ssl = lane.ssl if lane.connector is not None else context_for(lane.ssl)
        self._connector = _connector(lane, share, self._ssl)
        self._by_socks = {
            proxy: socks_connector(proxy, lane, share, self._ssl)
            for proxy in environment.proxies.values()
            if is_socks(proxy)
        }
        connections = self._connections = set[HttpProtocol]()  # that are open
        try:
            if lane.addresses is not None:  # beside which there is no proxy
                guard(self._connector, lane)
            for connector in (self._connector, *self._by_socks.values()):
                instrument(connector, connections)
            self._route()
            # Two sessions, so that the lane's headers are merged by neither the pool nor aiohttp for each request,
            # and a redirect to another origin goes through the one that does not know them.
            self._session = self._open_session(self._headers)
            self._bare = self._open_session(None)
            jar = self._jar if isinstance(self._jar, Cookies) else None
            self.fast_path: FastPath = FastPath(self._session, lane, self.first_hop, jar, connections, self._ssl)
            self._raw: aiohttp.ClientSession | None = None
        except BaseException:
            close_at_once(self._connector)
            raise

    def _route(self) -> None:
        """Lead connections through SOCKS proxies; raises InvalidRequest for a connector that goes around a proxy."""
        connector = self._connector
        if isinstance(connector, MemoryConnector):
            return
        if isinstance(connector, aiohttp.TCPConnector) and holds("routes"):
            route(connector, self._environment, self._by_socks)
        elif self._by_socks or (self._has_proxies and not isinstance(connector, aiohttp.TCPConnector)):
            text = (
                "its connector cannot use a proxy, SOCKS or http; give it a TCPConnector, or no proxy= and trust_env="
            )
            raise InvalidRequest(f"lane {self.lane.name!r}: {text}", lane=self.lane.name)

    @property
    def agent(self) -> str:
        """The User-Agent of the lane."""
        return self._headers["User-Agent"]

    @property
    def robots_headers(self) -> "CIMultiDict[str]":
        """What goes with the request for a robots.txt: of the lane's headers those that tell nothing secret."""
        headers = without_secrets(self._headers)
        headers.popall("Range", None)
        return headers

    @property
    def raw(self) -> aiohttp.ClientSession:
        """The session that submitted functions get: plain aiohttp, on the same connections and cookies."""
        if self._raw is None:
            self._raw = self._open_raw()
        return self._raw

    def first_hop(self, errand: Fetch) -> Hop:
        """Return the request as it goes out first, with the lane's headers."""
        request, url = errand.request, errand.target
        headers = self._own_headers if request.as_is else self._headers
        is_led_away = request.asked is not None and request.asked != url.origin()
        if is_led_away:
            headers = without_secrets(headers, KEPT)
        if request.headers or url.raw_user is not None:
            headers = self._with_own(headers, request.headers)
            if url.raw_user is not None:
                headers.setdefault("Authorization", authorization((url.user or "", url.password or "")))
                url = url.with_user(None)
        return Hop(request.method, url, headers, request.body)

    def goes_direct(self, request: Request) -> bool:
        """Whether the request needs nothing but a head that is written and an answer that is read."""
        return (
            not self._needs_task and (request.as_is or not self._environment.logins) and self.fast_path.takes(request)
        )

    async def turn(self, host: str, work: Work | None = None) -> None:
        """Wait until one more request to the host is due; the work may raise DeadlineExceeded instead."""
        if (self.limited or self.robots is not None) and (wait := self._reserve(host)) > 0:
            if work is not None:
                work.put_off(wait)
            await pause(wait)

    def send(self, hop: Hop, data: Any, request: Request, work: Work) -> Awaitable[AnyAnswer]:
        """Send one request and wait for the head of its answer."""
        timeout = self._timeout if request.timeout is None else _client_timeout(request.timeout)
        if self._environment.logins and not request.as_is:
            hop = self._with_login(hop, work.errand)
        if (data is None or data is hop.body) and not self._has_proxies and self.fast_path.takes(hop):
            return self.fast_path.send(hop, timeout, request, work)
        usual = hop.headers is self._headers
        again = data is None and hop.method in BODILESS and self.lane.retry_for(request) is None
        return (self._session if usual else self._bare).request(
            hop.method,
            hop.url,
            headers=None if usual else hop.headers,
            data=data,
            allow_redirects=False,
            timeout=timeout,
            proxy=self._proxy_for(hop.url) if self._has_proxies else None,
            ssl=self._ssl,
            middlewares=self._hooks_and_anew if again else self.lane.middlewares,
            skip_auto_headers=_CONTENT_TYPE if data is None or request.as_is else None,
        )

    def _proxy_for(self, url: URL) -> URL | None:
        """Return the http proxy for the URL: the lane's, or the one that the environment had for it."""
        proxy = self._proxy or proxy_for(url, self._environment)
        return None if proxy is None or is_socks(proxy) else proxy

    def _with_login(self, hop: Hop, errand: Errand) -> Hop:
        """Add the netrc file's login, if there is one and none is given; each hop has its own."""
        if "Authorization" in hop.headers:
            return hop
        asked_for = isinstance(errand, Fetch) and errand.target.host == hop.url.host
        login = self._environment.login_for(hop.url, asked_for=asked_for)
        if login is None:
            return hop
        headers = CIMultiDict(hop.headers)
        headers["Authorization"] = login
        return hop._replace(headers=headers)

    async def close(self) -> None:
        """Close the sessions and every connection. Repeatable."""
        if self.robots is not None:
            await self.robots.close()
        self.fast_path.close()
        take_back(self._connector)
        await self._bare.close()
        await self._session.close()
        for connector in self._by_socks.values():
            await connector.close()
        for protocol in tuple(self._connections):  # what has struck may have left it to nobody
            protocol.abort()
        join_threads()
        await end_all(self.feeders)

    def _with_own(self, usual: "CIMultiDict[str]", own: tuple[tuple[str, str], ...]) -> "CIMultiDict[str]":
        """Return the lane's headers with the request's in their place; its cookies are joined to the lane's."""
        headers = CIMultiDict(usual)
        names = {name.lower() for name, _ in own}
        for name in names:
            headers.popall(name, None)
        if "cookie" not in names:
            headers.extend(own)
            return headers
        headers.extend(item for item in own if item[0].lower() != "cookie")
        if self.lane.cookie_line:
            headers.add("Cookie", self.lane.cookie_line)
        # A request puts its `cookies=` behind a Cookie header, which is to come last.
        headers.add("Cookie", "; ".join(value for name, value in reversed(own) if name.lower() == "cookie"))
        return headers

    async def _obey(self, robots: Robots, request: aiohttp.ClientRequest) -> None:
        """Ask the host's robots.txt for leave; raises Forbidden."""

        def facts(url: URL) -> Facts:
            return Facts(redact(url), request.method, lane=self.lane.name, stage="robots")

        _waited, delay = await robots.check(request.url, facts)
        if delay:
            self.slow(host_of(request.url), delay)

    def _open_session(self, headers: "CIMultiDict[str] | None") -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=headers is not None,
            headers=headers,
            cookie_jar=self._jar,
            request_class=HttpRequest if holds("request") else aiohttp.ClientRequest,
            auto_decompress=False,
            read_bufsize=READ_AHEAD,
            timeout=self._timeout,
            middlewares=self.lane.middlewares,
            trace_configs=list(self.lane.trace_configs),
        )
        send_once(session)
        return session

    def _open_raw(self) -> aiohttp.ClientSession:
        lane = self.lane
        session = aiohttp.ClientSession(
            lane.base,
            connector=self._connector,
            connector_owner=False,
            # aiohttp adds `cookies=` of a call to what the jar gives, which must not be the one collection of all.
            cookie_jar=self._jar if lane.stateful else aiohttp.DummyCookieJar(),
            request_class=self._function_request(),
            headers=CIMultiDict(item for item in self._headers.items() if item not in _OF_THE_POOL),
            timeout=aiohttp.ClientTimeout(
                total=lane.timeout.total,
                connect=lane.timeout.connect,
                sock_read=lane.timeout.read,
            ),
            middlewares=(self._wait_for_turn, *lane.middlewares),
            proxy=self._proxy,
            trust_env=lane.trust_env and not holds("request", "routes"),
            trace_configs=list(lane.trace_configs),
        )
        lend(session)
        return session

    def _function_request(self) -> Any:
        """Return what makes the requests of functions."""
        if not holds("request", "routes"):
            return aiohttp.ClientRequest
        return partial(FunctionRequest, environment=self._environment, usual_ssl=self._ssl)

    async def _wait_for_turn(self, request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        check_origin(request)
        if self.robots is not None:
            await self._obey(self.robots, request)
        await self.turn(host_of(request.url))
        answer: aiohttp.ClientResponse = await handler(request)
        return answer


def _client_timeout(timeout: Timeout) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=timeout.connect, sock_read=timeout.read)


def _connector(lane: Lane, share: int, context: Any) -> aiohttp.BaseConnector:
    """Make the connector; its limits hold for what functions do, the pool's own requests wait before it."""
    if lane.connector is not None:
        connector = lane.connector()
        if not isinstance(connector, aiohttp.BaseConnector):
            raise TypeError(f"lane {lane.name!r}: connector() must return an aiohttp connector, not {connector!r}")
        return connector
    if lane.by_socks:
        return socks_connector(parse_url(lane.proxy), lane, share, context)
    return aiohttp.TCPConnector(limit=share, limit_per_host=lane.per_host, ssl=context, resolver=new_resolver())


def _cookie_jar(lane: Lane) -> aiohttp.abc.AbstractCookieJar:
    if not lane.stateful:
        return NoCookies()
    return Cookies(lane.cookies or {}, lane.base)


def _merged_headers(lane: Lane, defaults: Sequence[tuple[str, str]]) -> "CIMultiDict[str]":
    # Hooks are shown no empty Host, nor is plain aiohttp; it is put in place for each of their requests.
    headers: CIMultiDict[str] = CIMultiDict(defaults[1:] if lane.has_hooks or not holds("request") else defaults)
    for name, _value in lane.own_headers:
        headers.popall(name, None)
    headers.extend(lane.own_headers)
    return headers
