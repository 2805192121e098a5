"""A site that says what a test wants to hear, over http or https."""

import re
import socket
import ssl
import struct
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from .script import Received, Reply, Script, Scripted, Target
from .site import Site

__all__ = ["ScriptedSite", "TlsSite"]

_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


class ScriptedSite(Scripted, Site):
    """Serve the pages of a Site, and before them what is scripted; for a `with` block, once.

    A target is a path, with a query or for any query, or a pattern that is searched for in path and query.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self._script = Script(_same_path)

    def _middlewares(self) -> list[Middleware]:
        return [self._say]

    @web.middleware
    async def _say(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._script.note(Received(request.method, str(request.url), request.headers, await request.read()))
        reply = self._script.take(request.method, request.url)
        if reply is None:
            return await handler(request)
        answer = await reply.answer(request)
        if reply.loses_the_connection:
            _reset(request)
        return answer

    def _check(self, reply: Reply) -> None:
        if reply.error is not None and not reply.loses_the_connection:
            raise ValueError("a real server can only close the connection: error='reset'; see workerpool_fake")


class TlsSite(ScriptedSite):
    """Serve the same over https, with a certificate for 127.0.0.1 and localhost.

    Needs the extra `testing`, else raises ModuleNotFoundError. `ssl_context` is for clients: it trusts the certificate.
    """

    def __init__(self) -> None:
        import trustme  # an extra

        authority = trustme.CA()
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(server)
        self.ssl_context: ssl.SSLContext = ssl.create_default_context()
        authority.configure_trust(self.ssl_context)
        super().__init__(tls=server)


def _same_path(target: Target, url: URL) -> bool:
    if isinstance(target, re.Pattern):
        return target.search(url.raw_path_qs) is not None
    wanted = URL(target)
    return wanted.path == url.path and (not wanted.query_string or wanted.query == url.query)


def _reset(request: web.Request) -> None:
    transport: Any = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        transport.abort()
