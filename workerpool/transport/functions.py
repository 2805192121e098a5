"""The requests of submitted functions and WebSockets: aiohttp.ClientRequest on the terms of the lane."""

from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from .cookies import Cookies
from .environment import Environment, is_socks, proxy_for
from .inside.request import for_the_proxy

__all__ = ["FunctionRequest", "route"]


class FunctionRequest(aiohttp.ClientRequest):
    """aiohttp's request, with the proxy, login, cookies and certificates that the lane's own requests would have."""

    proxy: URL | None

    def __init__(self, *args: Any, environment: Environment, usual_ssl: Any, ssl: Any = True, **options: Any) -> None:
        self._environment = environment
        self._tunnel: URL | None = None  # the proxy, where the request itself is not for it
        self._is_tunnelling = False
        super().__init__(*args, ssl=usual_ssl if ssl is True else ssl, **options)

    def update_cookies(self, cookies: Any) -> None:
        """Write the Cookie header, from what the jar gives for the URL and the call's own cookies."""
        if isinstance(jar := self.session.cookie_jar, Cookies):
            jar.write(self.headers, self.url, cookies)
        else:
            super().update_cookies(cookies)

    def update_auth(self, *args: Any, **options: Any) -> None:
        """Take the login that is given, else that of the netrc file."""
        super().update_auth(*args, **options)
        if "Authorization" not in self.headers and (login := self._environment.login_for(self.url)):
            self.headers["Authorization"] = login

    def update_proxy(self, proxy: URL | None, proxy_auth: Any, proxy_headers: Any) -> None:
        """Tell the proxy what the caller gives for it with `proxy_headers`, and nothing of the session's."""
        if proxy is None and (found := proxy_for(self.url, self._environment)) is not None and not is_socks(found):
            proxy = found
        if proxy_headers is not None:
            own = set(self.session.headers.items())
            proxy_headers = CIMultiDict(item for item in proxy_headers.items() if item not in own)
        if (usual := self.session.headers.get("Proxy-Authorization")) is not None:
            self.headers.setdefault("Proxy-Authorization", usual)  # aiohttp drops it where a redirect leads elsewhere
        upgrades = self.headers.get("Upgrade") == "websocket" and not self.is_ssl()
        proxy, proxy_headers = for_the_proxy(self, proxy, proxy_headers, tunnels=upgrades or self.is_ssl())
        super().update_proxy(proxy, proxy_auth, proxy_headers)
        if upgrades:
            self.proxy, self._tunnel = None, proxy

    def is_ssl(self) -> bool:
        """Whether what the proxy is to pass on is not for it to read."""
        return self._is_tunnelling or super().is_ssl()

    @property
    def connection_key(self) -> Any:
        """What a connection is kept under: one by tunnel is no direct one."""
        key = super().connection_key
        return key if self._tunnel is None else key._replace(proxy=self._tunnel)

    async def open_tunnel(self, connector: aiohttp.TCPConnector, traces: Any, timeout: Any) -> Any:
        """Connect by CONNECT, as WebSockets do without TLS, too (RFC 6455, 4.1); None if there is no need."""
        if self._tunnel is None:
            return None
        self.proxy, self._is_tunnelling = self._tunnel, True
        try:
            return (await connector._create_proxy_connection(self, traces, timeout))[1]
        finally:
            self.proxy, self._is_tunnelling = None, False

    @property
    def is_plain_tunnel(self) -> bool:
        """Whether a tunnel is made that carries no TLS."""
        return self._is_tunnelling


def route(
    connector: aiohttp.TCPConnector, environment: Environment, by_socks: "dict[URL, aiohttp.TCPConnector]"
) -> None:
    """Make the connector's new connections through SOCKS proxies where the environment says so, or by tunnel."""
    create, start_tls = connector._create_connection, connector._start_tls_connection

    async def create_routed(req: Any, traces: Any, timeout: Any) -> Any:
        if isinstance(req, FunctionRequest) and (made := await req.open_tunnel(connector, traces, timeout)) is not None:
            return made
        if req.proxy is None and by_socks and (proxy := proxy_for(req.url, environment)) in by_socks:
            assert proxy is not None
            return await by_socks[proxy]._create_connection(req, traces, timeout)
        return await create(req, traces, timeout)

    async def start_tls_or_not(transport: Any, *, req: Any, **options: Any) -> Any:
        if not isinstance(req, FunctionRequest) or not req.is_plain_tunnel:
            return await start_tls(transport, req=req, **options)
        protocol = connector._factory()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return transport, protocol

    connector._create_connection = create_routed  # type: ignore[method-assign]
    connector._start_tls_connection = start_tls_or_not  # type: ignore[method-assign,assignment]
