"""The fast path: requests without a proxy or hooks, and with a small body or none, past what aiohttp makes for each.

Heads are made once per origin, as far as they are the lane's; the connections, their limits and their TLS are the
connector's. See `protocol`.
"""

import asyncio
from collections.abc import Callable, Iterable
from math import inf
from time import monotonic
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ...handover.errand import Fetch
from ...handover.job import Work
from ...lane import Lane
from ...messages.hop import Hop
from ...messages.request import Request
from ..cookies import Cookies
from .answer import Answer
from .contract import holds, serialize_headers
from .patches import requests_are_patched
from .protocol import Asker, HttpProtocol
from .request import BODILESS, CUT, HttpRequest, with_host

__all__ = ["FastPath", "Origin", "met_closing"]

_NO_TRACES: list[Any] = []  # aiohttp only reads it
_ASKING = frozenset({"expect", "transfer-encoding", "upgrade"})
_TAILS = 32  # that are kept for an origin; requests with a header that differs each time find none
_ALL_TAILS = 2000  # that are kept in all, some megabytes with long credentials
_KEPT = 1000  # origins whose heads are kept, and of those that send what nobody asked for
_SMALL = 2**16  # bytes of a body that goes out with the head; a socket takes them at once, as a rule
_PARKED = 0.25  # seconds between two looks at what is parked, at which it is given back if it was there before
_GRAIN = 0.02  # seconds between two looks at who is silent, at the least


class Origin:
    """What is the same for all of a lane's requests to a scheme, host and port: the connector's key, and the head."""

    __slots__ = ("key", "parked", "tails")

    def __init__(self, key: Any) -> None:
        self.key: Any = key
        self.parked: list[Any] = []  # connections that are at hand for the next request
        self.tails: dict[Any, bytes] = {}  # of heads, from behind the path, by the requests' own headers


class FastPath:
    """Send requests over a session's connector; used on its loop only. `connections` are the connector's open ones."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        lane: Lane,
        first_hop: Callable[[Fetch], Hop],
        jar: Cookies | None,
        connections: set[HttpProtocol],
        context: Any,
    ) -> None:
        assert session.connector is not None
        self._session, self._connector = session, session.connector
        self._lane, self._first_hop, self._jar = lane, first_hop, jar
        self._connections = connections
        self._context = context
        self._lent: set[Any] = set()  # connections that are in no task's hands
        # Hooks are the lane's, or of an instrumentation that gives every session some.
        known = holds("fast path", "idle", "bodies", "request")
        self._open = known and not session._middlewares and not session.trace_configs
        self.waiters: Any = session.connector._waiters if known else ()  # functions, as requests wait for places
        # A connector of the user's with a `connect` of its own is asked for each request.
        self._lends = known and type(session.connector).connect is aiohttp.BaseConnector.connect
        self._parks = self._lends and _keeps_for_long(session.connector)
        self._origins: dict[tuple[str, str], Origin] = {}
        self._tails = 0  # that are kept
        self._strays: set[Any] = set()  # keys of origins that have sent what nobody asked for
        self._parking: dict[Any, Origin] = {}  # what is parked where, the longest first
        self._unparking: asyncio.TimerHandle | None = None
        if self._lends:
            self._find_idle = session.connector._get
            session.connector._get = self._get_unparked  # type: ignore[method-assign]
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf  # when that goes off

    def takes(self, hop: Hop | Request) -> bool:
        """Whether the fast path will do: there are no hooks, and nobody has patched the session to watch or fake it.

        A body goes out with the head, so it must be small, and the server not be asked for leave to send it.
        """
        body = hop.body
        if not self._open or requests_are_patched():
            return False
        if body is None:
            return hop.method in BODILESS
        return type(body) is bytes and len(body) <= _SMALL and _is_framed_by_length(hop.headers)

    def origin(self, url: URL) -> Origin:
        """Return what is the same for all requests there."""
        name = (url.scheme, url.raw_authority)
        found = self._origins.get(name)
        if found is None:
            if len(self._origins) >= _KEPT:
                self._origins.clear()
                self._tails = 0
            found = self._origins[name] = self._new_origin(url)
        return found

    def kept(self, origin: Origin) -> Any:
        """Return an idle connection, None if there is none."""
        if not self._lends or origin.key in self._strays:
            return None
        while origin.parked:
            connection = origin.parked.pop()
            del self._parking[connection]
            if connection.protocol is not None and connection.protocol.is_clean():
                return connection
            self.take_back(connection, close=True)
        taking = self._find_idle(origin.key, _NO_TRACES)
        try:
            taking.send(None)  # which waits for nothing, without traces
        except StopIteration as found:
            if found.value is not None:
                self._lent.add(found.value)
            return found.value
        taking.close()
        return None

    def take_back(self, connection: Any, *, close: bool) -> None:
        """Let others have a connection that `kept` has lent, or nobody."""
        if close:
            connection.close()
        else:
            connection.release()
        self._lent.discard(connection)  # as the last thing: what strikes before leaves it to `close`

    def park(self, connection: Any, origin: Origin) -> None:
        """Keep a connection that `kept` has lent at hand for a moment; whoever else wants one gets it back at once.

        The way through the connector's accounts costs a blocking caller as much as a twentieth of its request.
        """
        if connection.protocol.should_close or self.waiters or not self._parks:
            self.take_back(connection, close=False)
            return
        origin.parked.append(connection)
        self._parking[connection] = origin
        if self._unparking is None:
            self._unparking = self._session._loop.call_later(_PARKED, self._unpark_old, frozenset())

    def hand_over(self, connection: Any) -> None:
        """Note that a connection that `kept` has lent is in a task's hands."""
        self._lent.discard(connection)

    def head(self, hop: Hop, *, as_is: bool) -> bytes:
        """Return the head of a request with headers of its own, and its body."""
        headers = with_host(hop.headers, hop.url)
        headers.popall("Proxy-Authorization", None)
        body: Any = hop.body
        if body is not None:
            headers.setdefault("Content-Length", str(len(body)))
            if not as_is:
                headers.setdefault("Content-Type", "application/octet-stream")
        if self._jar is not None:
            self._jar.write(headers, hop.url, self._jar.filter_cookies(hop.url))
        head = serialize_headers(f"{hop.method} {hop.url.raw_path_qs} HTTP/1.1", headers)
        return head if body is None else b"".join((head, body))

    def known_tail(self, errand: Fetch, origin: Origin) -> bytes | None:
        """Return the head of a request from behind the path; None where that is made for each."""
        request, url = errand.request, errand.target
        key = (request.headers, request.as_is)
        if self._jar is not None or request.body is not None or url.raw_user is not None or request.asked is not None:
            return None
        return origin.tails.get(key) or self._keep_tail(key, errand, origin)

    def ask(self, protocol: HttpProtocol, asker: Asker, head: bytes, patience: float | None, *, bodiless: bool) -> None:
        """Send a head on a connection; the asker is told of the answer, and of a server that is silent too long."""
        protocol.ask(asker, head, patience, bodiless=bodiless)
        if patience is not None and protocol.heard + patience < self._due:
            self._look_in(patience)

    async def send(self, hop: Hop, timeout: aiohttp.ClientTimeout, asked: Request, work: Work) -> Answer:
        """Send one request and wait for the head of its answer; raises what aiohttp or the system raises.

        On a connection that is there, or on a new one. A server may close one that is there at any time, and that meets
        what was sent just then: without a word of an answer on it, the next connection is taken (RFC 9112, 9.3.1).
        Where a Retry says how often the server is asked, it says that here, too.
        """
        request = HttpRequest.without_body(self._session, hop.method, hop.url, hop.headers, self._context)
        head = self.head(hop, as_is=asked.as_is)
        while True:
            connection = await self._connector.connect(request, _NO_TRACES, timeout)
            try:  # at once: what strikes anywhere leaves no connection to nobody
                protocol: Any = connection.protocol
                if request.connection_key in self._strays:
                    protocol.force_close()
                work.stage, work.written = "headers", monotonic()
                waiting = _Waiting()
                self.ask(protocol, waiting, head, timeout.sock_read, bodiless=hop.method == "HEAD")
                message, payload = await waiting.head
                self.note(protocol, request.connection_key, message, hop.url)
                return Answer(hop.method, message, payload, connection)
            except CUT as exc:
                connection.close()
                if not met_closing(protocol, hop.method, exc) or self._lane.retry_for(asked) is not None:
                    raise
                work.attempts += 1  # it may be that the server has seen it
            except BaseException:
                connection.close()
                raise

    def note(self, protocol: HttpProtocol, key: Any, message: Any, url: URL) -> None:
        """Keep the cookies of an answer, and remember a server that sends more than it was asked for."""
        if self._jar is not None and "Set-Cookie" in message.headers:
            self._jar.update_cookies_from_headers(message.headers.getall("Set-Cookie"), url)
        if protocol.strayed:
            if len(self._strays) >= _KEPT:
                self._strays.clear()
            self._strays.add(key)

    def close(self) -> None:
        """Close what is lent, and watch over nobody any more."""
        self._unpark(self._parking)
        self._lends = self._parks = False
        for connection in tuple(self._lent):
            self.take_back(connection, close=True)
        for timer in (self._timer, self._unparking):
            if timer is not None:
                timer.cancel()

    def _new_origin(self, url: URL) -> Origin:
        return Origin(HttpRequest.without_body(self._session, "GET", url, CIMultiDict(), self._context).connection_key)

    def _keep_tail(self, key: Any, errand: Fetch, origin: Origin) -> bytes:
        if len(origin.tails) >= _TAILS:
            self._tails -= len(origin.tails)
            origin.tails.clear()
        if self._tails >= _ALL_TAILS:
            for each in self._origins.values():
                each.tails.clear()
            self._tails = 0
        self._tails += 1
        headers = with_host(self._first_hop(errand).headers, errand.target)
        headers.popall("Proxy-Authorization", None)
        tail = origin.tails[key] = serialize_headers(" HTTP/1.1", headers)
        return tail

    def _get_unparked(self, key: Any, traces: Any) -> Any:
        """Find an idle connection as the connector does, which counts none as parked."""
        self._unpark(self._parking)
        return self._find_idle(key, traces)

    def _unpark(self, connections: Iterable[Any]) -> None:
        for connection in tuple(connections):
            if (origin := self._parking.pop(connection, None)) is not None:
                origin.parked.remove(connection)
                self.take_back(connection, close=False)

    def _unpark_old(self, before: frozenset[Any]) -> None:
        """Give back what has been parked since the last time, and look again as long as there is more."""
        self._unpark(before)
        self._unparking = None
        if self._parking:
            self._unparking = self._session._loop.call_later(_PARKED, self._unpark_old, frozenset(self._parking))

    def _look_in(self, wait: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = monotonic() + wait
        self._timer = self._session._loop.call_later(wait, self._look)

    def _look(self) -> None:
        """Fail what has waited too long, and look again when the next one may have."""
        self._timer, self._due = None, inf
        now, due = monotonic(), inf
        for protocol in tuple(self._connections):
            if protocol.asker is None or protocol.patience is None:
                continue
            if protocol._reading_paused:  # it is we who let the server wait
                protocol.heard = now
            if (end := protocol.heard + protocol.patience) <= now:
                protocol.set_exception(aiohttp.SocketTimeoutError("Timeout on reading data from socket"))
            else:
                due = min(due, end)
        if due < self._due:
            self._look_in(max(due - now, _GRAIN))


class _Waiting(Asker):
    """A task that waits for the head of an answer, and reads the body by itself."""

    __slots__ = ("head",)

    def __init__(self) -> None:
        self.head: asyncio.Future[tuple[Any, Any]] = asyncio.get_running_loop().create_future()

    def take(self, message: Any, payload: Any, data: bytes) -> None:
        """Wake the task."""
        if not self.head.done():
            self.head.set_result((message, payload))

    def take_more(self) -> None:
        """Leave it to the task, which waits for it at the body."""

    def fail(self, error: BaseException) -> None:
        """Wake the task; one that reads the body hears of it there."""
        if not self.head.done():
            self.head.set_exception(error)


def met_closing(protocol: Any, method: str, error: BaseException) -> bool:
    """Whether a request that may be sent twice met a kept connection that the server was closing, and no answer."""
    if method not in BODILESS:
        return False
    head_was_cut = isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)
    return protocol.kept and isinstance(error, CUT) and not head_was_cut


def _keeps_for_long(connector: Any) -> bool:
    """Whether a connection may lie at hand for a moment that the connector does not count."""
    seconds = connector._keepalive_timeout
    return seconds is None or seconds >= 10 * _PARKED


def _is_framed_by_length(headers: Any) -> bool:
    if not headers:
        return True
    names = {name.lower() for name, _value in (headers.items() if hasattr(headers, "items") else headers)}
    return names.isdisjoint(_ASKING)
