"""SOCKS proxies, through aiohttp-socks, an optional extra."""

import ssl as tls
from contextlib import suppress
from ipaddress import ip_address
from socket import SOCK_STREAM, gaierror
from threading import TIMEOUT_MAX
from typing import Any

import aiohttp
from yarl import URL

from ..lane import Lane
from .inside.connection import current_work, note_socket
from .resolver import NAMES

__all__ = ["socks_connector"]

_REMOTE_NAMES = {"socks4": False, "socks4a": True, "socks5": False, "socks5h": True}  # as curl and requests have it


def socks_connector(proxy: URL, lane: Lane, share: int, context: Any) -> aiohttp.TCPConnector:
    """Make a connector whose connections all go through the proxy."""
    from aiohttp_socks import ProxyConnector  # here and not above: an optional extra, found by the lane
    from python_socks import ProxyConnectionError, ProxyType

    # Not the newer `v2`, which also does TLS: a cancel amid that makes it wait for a connection that nobody ends.
    from python_socks.async_.asyncio import Proxy
    from python_socks.async_.asyncio._resolver import Resolver

    kind = ProxyType.SOCKS4 if proxy.scheme.startswith("socks4") else ProxyType.SOCKS5

    class Connector(ProxyConnector):
        async def _wrap_create_connection(
            self,
            *args: Any,
            addr_infos: Any,
            req: Any,
            timeout: Any,
            client_error: Any = None,
            **options: Any,
        ) -> Any:
            if (work := current_work.get()) is not None:
                work.stage = "proxy"
            try:
                host, port = addr_infos[0][4][:2]
                reached = await self._reach(host, port, timeout.sock_connect)
                note_socket(reached)
                return await self._loop.create_connection(*args, sock=reached, **options)
            except Exception as exc:  # of three libraries, and not the same in each of their versions
                raise _as_aiohttp_would(exc, req.connection_key) from exc

        async def _reach(self, host: str, port: int, timeout: float | None) -> Any:
            """Connect by the first of the proxy's addresses that lets us."""
            *others, last = await _addresses(proxy)
            for address in others:
                with suppress(ProxyConnectionError):
                    return await self._reach_by(address, host, port, timeout)
            return await self._reach_by(last, host, port, timeout)

        async def _reach_by(self, address: tuple[str, int], host: str, port: int, timeout: float | None) -> Any:
            through = Proxy(kind, address[0], address[1], proxy.user, proxy.password, _REMOTE_NAMES[proxy.scheme])
            through._resolver = Resolver(NAMES)
            # Without a time of ours it would take one of its own.
            return await through.connect(host, port, timeout=timeout or TIMEOUT_MAX)

    return Connector(*_address(proxy), proxy_type=kind, limit=share, limit_per_host=lane.per_host, ssl=context)


def _address(proxy: URL) -> tuple[str, int]:
    return proxy.host or "", proxy.port or 1080


async def _addresses(proxy: URL) -> list[tuple[str, int]]:
    """Return the addresses of the proxy; of one that is given by address, that."""
    host, port = _address(proxy)
    with suppress(ValueError):
        ip_address(host)
        return [(host, port)]
    try:
        found = await NAMES.getaddrinfo(host, port, type=SOCK_STREAM)
    except OSError as exc:  # not to be taken for the server's name
        raise OSError(exc.errno, f"the proxy's name cannot be looked up: {exc.strerror}") from exc
    return [entry[4][:2] for entry in found]


def _as_aiohttp_would(exc: Exception, key: Any) -> Exception:
    """Return the error that aiohttp's own connector has for what went wrong on the way, at the proxy or behind it."""
    if isinstance(exc, tls.SSLCertVerificationError):
        return aiohttp.ClientConnectorCertificateError(key, exc)
    if isinstance(exc, tls.SSLError):
        return aiohttp.ClientConnectorSSLError(key, exc)
    if isinstance(exc, gaierror):  # of the host's name: one of the proxy's is told in another way
        return aiohttp.ClientConnectorDNSError(key, exc)
    if isinstance(exc, UnicodeError | MemoryError):
        return exc
    cause = exc if isinstance(exc, OSError) else OSError(str(exc) or type(exc).__name__)
    return aiohttp.ClientProxyConnectionError(key, cause)
