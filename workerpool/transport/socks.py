"""SOCKS proxies, through aiohttp-socks, an optional extra."""

from typing import Any

import aiohttp
from yarl import URL

from ..lane import Lane

__all__ = ["socks_connector"]

_REMOTE_NAMES = {"socks4": False, "socks4a": True, "socks5": False, "socks5h": True}  # as curl and requests have it


def socks_connector(lane: Lane, share: int) -> aiohttp.BaseConnector:
    """Make a connector whose connections all go through the lane's proxy."""
    from aiohttp_socks import ProxyConnector  # here and not above: an optional extra, found by the lane
    from python_socks import ProxyError, ProxyType

    class Connector(ProxyConnector):
        async def _wrap_create_connection(self, *args: Any, req: Any, **options: Any) -> Any:
            try:
                return await super()._wrap_create_connection(*args, req=req, **options)
            except (ProxyError, EOFError, OSError) as exc:
                cause = exc if isinstance(exc, OSError) else OSError(str(exc))
                raise aiohttp.ClientProxyConnectionError(req.connection_key, cause) from exc

    proxy = URL(lane.proxy or "")
    return Connector(
        proxy.host or "",
        proxy.port or 1080,
        proxy_type=ProxyType.SOCKS4 if proxy.scheme.startswith("socks4") else ProxyType.SOCKS5,
        username=proxy.user,
        password=proxy.password,
        rdns=_REMOTE_NAMES[proxy.scheme],
        limit=share,
        limit_per_host=lane.per_host,
        ssl=lane.ssl,
    )
