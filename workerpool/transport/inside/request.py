"""What the session is given instead of aiohttp's own parts: the same, without work that the pool has done.

Headers are merged and checked once per lane, and a lane without state keeps no cookies; aiohttp would go
through both for each request (measured: a tenth of a request's CPU).
"""

import asyncio
from time import monotonic
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ...errors import InvalidRequest
from ...handover.job import Work
from ...messages.body import SPENT
from ...messages.headers import authorization
from ..cookies import Cookies
from .connection import current_work
from .contract import TimerNoop

__all__ = ["BODILESS", "CUT", "HttpRequest", "for_the_proxy", "send_anew", "with_host"]

BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
CUT = (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError, aiohttp.ClientOSError)
_PATIENCE = 1.0  # seconds; RFC 9110, 10.1.1: a client should not wait for ever, and curl waits as long
_NO_TIMER = TimerNoop()  # the pool's own deadlines count
_NO_TRACES: list[Any] = []  # aiohttp only reads it


class HttpRequest(aiohttp.ClientRequest):
    """Send the headers as they are given, and note in the work that a connection was found."""

    # What a request without a body has no use for; aiohttp writes each of them into each request.
    version: aiohttp.HttpVersion = aiohttp.HttpVersion11
    chunked = compress = length = None
    headers: "CIMultiDict[str]"
    proxy = proxy_auth = proxy_headers = None
    server_hostname = None
    on_kept: bool = False  # whether it has gone out on a connection that was kept

    @classmethod
    def without_body(
        cls, session: aiohttp.ClientSession, method: str, url: URL, headers: "CIMultiDict[str]", ssl: Any
    ) -> "HttpRequest":
        """Make a request that the pool has checked, in one step where aiohttp's `__init__` takes fifteen."""
        request = cls.__new__(cls)
        request.method = method
        request.original_url = url
        request.url = url.with_fragment(None) if url.raw_fragment else url
        request.headers = with_host(headers, url)
        request.headers.popall("Proxy-Authorization", None)
        request.loop = session._loop
        request.response_class = aiohttp.ClientResponse
        request._timer = _NO_TIMER
        request._session = session
        request._ssl = ssl
        request._traces = _NO_TRACES
        return request

    def update_headers(self, headers: Any) -> None:
        """Take the headers as they are."""
        self.headers = with_host(headers, self.url)

    def update_auto_headers(self, skip_auto_headers: Any) -> None:
        """Add nothing: the transport's own defaults are among the headers. What is to be skipped counts later on."""
        self._skip_auto_headers = (
            None if skip_auto_headers is None else CIMultiDict((name, None) for name in skip_auto_headers)
        )

    def update_cookies(self, cookies: Any) -> None:
        """Write the Cookie header, from what the jar gives for the URL."""
        if isinstance(jar := self.session.cookie_jar, Cookies):
            jar.write(self.headers, self.url, cookies)

    def update_proxy(self, proxy: URL | None, proxy_auth: Any, proxy_headers: Any) -> None:
        """Tell the proxy nothing but what is meant for it."""
        proxy, proxy_headers = for_the_proxy(self, proxy, None, tunnels=self.is_ssl())
        super().update_proxy(proxy, proxy_auth, proxy_headers)

    def send(self, conn: Any) -> Any:
        """Send the head on a connection just found, and the body, if there is one, beside waiting for the answer."""
        work: Work | None = current_work.get()
        if work is not None:
            work.stage, work.written = "send" if self._body else "headers", monotonic()
        if self._body is not None and self._body.consumed:
            raise InvalidRequest(f"a middleware sends the request once more; {SPENT}", stage="send")
        self.on_kept = getattr(conn.protocol, "kept", False)
        return super().send(conn)

    def met_closing(self, error: Exception) -> bool:
        """Whether it met a kept connection that the server was closing, and no word of an answer.

        A server may do so at any time, and what needs no second thought may be sent again (RFC 9112, 9.3.1).
        """
        head_was_cut = isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)
        return self.on_kept and not head_was_cut

    async def write_bytes(self, *args: Any, **kwargs: Any) -> None:
        """Send the body; a server that was asked first (Expect: 100-continue) gets a second to say so."""
        timer = None
        if (asked := self._continue) is not None:
            timer = asyncio.get_running_loop().call_later(_PATIENCE, _go_on, asked)
        try:
            await super().write_bytes(*args, **kwargs)
        finally:
            if timer is not None:
                timer.cancel()
        work: Work | None = current_work.get()
        if work is not None and work.stage == "send":
            work.stage = "headers"


def _go_on(asked: "asyncio.Future[bool]") -> None:
    if not asked.done():
        asked.set_result(True)


async def send_anew(request: HttpRequest, handler: Any) -> aiohttp.ClientResponse:
    """Send on the next connection what has met a closing one; the innermost middleware, so that none sees it."""
    while True:
        request.on_kept = False  # until there is a connection
        try:
            answer: aiohttp.ClientResponse = await handler(request)
            return answer
        except CUT as exc:
            if not request.met_closing(exc):
                raise
            if (work := current_work.get()) is not None:
                work.attempts += 1  # it may be that the server has seen it


def for_the_proxy(
    request: aiohttp.ClientRequest, proxy: URL | None, given: Any, *, tunnels: bool
) -> "tuple[URL | None, CIMultiDict[str] | None]":
    """Return the proxy without its credentials, and the headers of a CONNECT; take out what the origin must not get.

    A Proxy-Authorization is for an http proxy, or for nobody. aiohttp would send the proxy the session's own headers,
    the origin's cookies and keys among them, give it the Authorization as a Proxy-Authorization (RFC 9110, 11.7.2), and
    encode its credentials as Latin-1.
    """
    named = request.headers.popall("Proxy-Authorization", [])
    if proxy is None:
        return None, None
    if proxy.raw_user is not None:
        named = [authorization((proxy.user or "", proxy.password or ""))]
        proxy = proxy.with_user(None)
    headers = CIMultiDict(given or ())
    if named:
        (headers if tunnels else request.headers)["Proxy-Authorization"] = named[-1]
    return proxy, headers or None


def with_host(headers: "CIMultiDict[str]", url: URL) -> "CIMultiDict[str]":
    """Return a copy of the headers with Host, first, as RFC 9110, 7.2 advises; an empty one keeps its place."""
    given, host = headers.get("Host"), url.host_port_subcomponent or ""
    if given is None:
        return CIMultiDict([("Host", host), *headers.items()])
    headers = CIMultiDict(headers)
    if not given:
        headers["Host"] = host
    return headers
