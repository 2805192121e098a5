"""TLS sessions that new connections go on with: no certificate is sent and verified again (RFC 8446, 2.2)."""

import ssl
from collections import OrderedDict
from time import monotonic
from typing import Any, Self

from aiohttp import connector as _connector

from .contract import holds

__all__ = ["ResumingContext", "context_for"]

_KEPT = 256  # hosts whose session is kept, a few KiB each
_LASTS = 60.0  # seconds that a session serves new connections before it is renewed by one of them


class ResumingContext(ssl.SSLContext):
    """Make connections by another context, going on with the last session of their host where there is one.

    A context of its own for each lane and worker: what a session tells the server, that it is the same client once
    more, stays within the lane. It has no certificates of its own, so that it costs little.
    """

    def __new__(cls, _context: ssl.SSLContext) -> Self:
        """Make one that is never asked for anything but connections."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._sessions: OrderedDict[str | None, ssl.SSLSession] = OrderedDict()
        self._renewed: dict[str | None, float] = {}  # when each was kept, as monotonic() counts

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: "str | bytes | None" = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin the TLS of one connection."""
        known = self._sessions.get(_name(server_hostname)) if session is None else session
        return self._context.wrap_bio(incoming, outgoing, server_side, server_hostname, known)

    def keep(self, connection: ssl.SSLObject) -> None:
        """Keep the session of a connection that is at its end, for the next one to the same host."""
        name, now = _name(connection.server_hostname), monotonic()
        if connection.session_reused and now < self._renewed.get(name, 0.0) + _LASTS:
            return
        session = connection.session  # CPython makes a copy, which costs as much as what is saved by it
        if session is None or not session.has_ticket:
            return
        self._sessions[name], self._renewed[name] = session, now
        self._sessions.move_to_end(name)
        if len(self._sessions) > _KEPT:
            del self._renewed[self._sessions.popitem(last=False)[0]]


def context_for(given: ssl.SSLContext | bool) -> Any:
    """Return what aiohttp gets as `ssl`: for aiohttp's own two contexts one that resumes sessions.

    A context of the user's stays as it is: it may hold a certificate of the client, and what is verified by it may
    change.
    """
    if isinstance(given, ssl.SSLContext) or not holds("tls"):
        return given
    return ResumingContext(_connector._SSL_CONTEXT_VERIFIED if given else _connector._SSL_CONTEXT_UNVERIFIED)


def _name(hostname: "str | bytes | None") -> str | None:
    return hostname.decode("ascii") if isinstance(hostname, bytes) else hostname
