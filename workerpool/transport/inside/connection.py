"""Private names of aiohttp that the pool needs, each in one place; tests/transport/test_contract.py pins them."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any
from weakref import ref

import aiohttp

from ...handover.job import Work
from .contract import HttpProcessingError, ResponseHandler, holds
from .protocol import HttpProtocol, has_news, is_readable, is_tainted

__all__ = ["TunnelError", "current_work", "instrument", "note_socket", "send_once"]


class _CurrentWork:
    """The work that the running task is at.

    By a weak reference: connections and timers keep the context that they were made in for as long as they live, and
    with it they would keep the work and its whole answer.
    """

    __slots__ = ("_reference",)

    def __init__(self) -> None:
        self._reference: ContextVar[ref[Work] | None] = ContextVar("workerpool_current_work", default=None)

    def get(self) -> Work | None:
        """Return the work, None where there is none."""
        reference = self._reference.get()
        return None if reference is None else reference()

    def set(self, work: Work) -> None:
        """Note what the task is at from now on."""
        self._reference.set(ref(work))


_MOMENT = 1.0  # seconds, in which a loop that is given up ends

current_work: _CurrentWork = _CurrentWork()
_sockets: ContextVar["list[tuple[socket.socket, int]] | None"] = ContextVar("workerpool_sockets", default=None)


class TunnelError(aiohttp.ClientProxyConnectionError):
    """Say that the proxy was reached, and that no tunnel through it came about."""


def instrument(connector: aiohttp.BaseConnector, connections: set[HttpProtocol]) -> None:
    """Make the connector drop an idle connection that has bytes waiting or is to be closed.

    Such bytes are an answer that nobody asked for; the next request would take it for its own
    (aio-libs/aiohttp#13656). urllib3 and Go drop the connection too. `connections` are those that are open.
    """
    if holds("idle"):
        _check_idle(connector)
    if holds("bodies"):
        _watch_bodies(connector, partial(HttpProtocol, connector._loop, connections, _look_of(connector)))
    if isinstance(connector, aiohttp.TCPConnector):
        if holds("stages"):
            _note_stages(connector)
        if holds("tunnel"):
            _blame_the_proxy(connector)
        if holds("sockets"):
            _close_sockets_once(connector)


def _check_idle(connector: aiohttp.BaseConnector) -> None:
    get, look = connector._get, _look_of(connector)

    async def get_clean(key: Any, traces: Any) -> Any:
        while True:
            if (connection := await get(key, traces)) is None:
                return None
            try:
                protocol: Any = connection.protocol
                if not is_tainted(protocol, look):
                    protocol.kept = True
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()

    connector._get = get_clean  # type: ignore[method-assign]


def _note_stages(connector: aiohttp.TCPConnector) -> None:
    """Note in the work that makes a new connection how far that is: an error or a deadline tells it."""
    resolve = connector._resolve_host

    async def resolve_noting(host: str, port: int, traces: Any = None) -> Any:
        work = current_work.get()
        if work is None:
            return await resolve(host, port, traces=traces)
        work.stage = "dns"
        found = await resolve(host, port, traces=traces)
        work.stage = "connect"
        return found

    connector._resolve_host = resolve_noting  # type: ignore[method-assign]


def _look_of(connector: aiohttp.BaseConnector) -> Callable[[socket.socket], bool]:
    """Return what tells whether something waits at one of its sockets."""
    return has_news if isinstance(connector, aiohttp.TCPConnector) else is_readable


def _watch_bodies(connector: aiohttp.BaseConnector, new_protocol: Callable[[], HttpProtocol]) -> None:
    """Give each new connection a protocol that notices how a body ends."""
    create = connector._create_connection
    is_tcp = isinstance(connector, aiohttp.TCPConnector)

    def make_protocol() -> HttpProtocol:
        # Called once TCP is there; what is left of making the connection is TLS, if it is to be had.
        work = current_work.get()
        if is_tcp and work is not None:
            work.stage = "tls"
        return new_protocol()

    async def create_watched(req: Any, traces: Any, timeout: Any) -> Any:
        made = await create(req, traces, timeout)
        is_plain = isinstance(made, ResponseHandler) and not isinstance(made, HttpProtocol)
        return _in_place_of(made, new_protocol()) if is_plain else made

    connector._factory = make_protocol  # type: ignore[assignment]
    connector._create_connection = create_watched  # type: ignore[method-assign]


def _in_place_of(made: Any, protocol: HttpProtocol) -> HttpProtocol:
    """Put ours in the place of what the connector has made itself, as aiohttp-socks does; nothing was sent by it."""
    transport = made.transport
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    protocol.replaced = made  # it may hold what would close the connection when it is collected
    return protocol


def _blame_the_proxy(connector: aiohttp.TCPConnector) -> None:
    """Tell what goes wrong while a tunnel is made from what the server does: nothing has reached that yet."""
    create, direct = connector._create_proxy_connection, connector._create_direct_connection

    async def direct_noting(*args: Any, **options: Any) -> Any:
        made = await direct(*args, **options)
        work = current_work.get()
        if work is not None and options.get("client_error") is aiohttp.ClientProxyConnectionError:
            work.stage = "proxy"
        return made

    async def create_blaming(req: Any, traces: Any, timeout: Any) -> Any:
        try:
            return await create(req, traces, timeout)
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as exc:
            if (cause := _fault_of_the_tunnel(exc)) is None:
                raise
            raise TunnelError(req.connection_key, cause) from exc

    connector._create_direct_connection = direct_noting  # type: ignore[method-assign]
    connector._create_proxy_connection = create_blaming  # type: ignore[method-assign]


def _fault_of_the_tunnel(exc: Exception) -> OSError | None:
    """Return what the proxy did wrong; None for what says so itself, and for what the server behind it told."""
    if isinstance(exc, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError | TimeoutError):
        return None
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorDNSError):
        return None
    if isinstance(exc, aiohttp.ClientConnectorSSLError):
        alert = "ALERT" in (getattr(exc.os_error, "reason", None) or "")
        return None if alert else OSError("no TLS came through it")
    if isinstance(exc, aiohttp.ClientConnectorError):
        return exc.os_error
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return OSError("it closed the connection")
    if isinstance(exc, OSError) and not isinstance(exc, ssl.SSLError):
        return exc
    return OSError("its answer is not valid HTTP")


def _close_sockets_once(connector: aiohttp.TCPConnector) -> None:
    """Let go of a socket that the loop has closed already.

    uvloop closes the descriptor of a connection that is reset while it is made, and leaves the socket object its
    number; when that is collected, it closes whatever has got the number by then, perhaps another thread's file.
    """
    make = connector._socket_factory or _make_socket
    create = connector._wrap_create_connection

    def make_noting(address: Any) -> socket.socket:
        made = make(address)
        try:
            note_socket(made)
        except BaseException:
            made.close()
            raise
        return made

    async def create_noting(factory: Any, *args: Any, **kwargs: Any) -> Any:
        sockets: list[tuple[socket.socket, int]] = []
        made: dict[str, Any] = {}
        _sockets.set(sockets)
        try:
            transport, protocol = await create(partial(_make_protocol, factory, made), *args, **kwargs)
        except BaseException:
            for each, inode in sockets:
                _disown(each, inode)
            if not made:  # there is no transport yet, whose socket it would be
                for each, _inode in sockets:
                    each.close()
            raise
        finally:
            _sockets.set(None)
        if isinstance(protocol, HttpProtocol):
            if not protocol.is_made:
                await _give_up(transport)
            number = transport.get_extra_info("socket").fileno()
            protocol.handle = next((each for each, _inode in sockets if each.fileno() == number), None)
        return transport, protocol

    connector._socket_factory = make_noting
    connector._wrap_create_connection = create_noting  # type: ignore[method-assign,assignment]


def note_socket(made: socket.socket) -> None:
    """Note a socket of the connection that is being made."""
    sockets = _sockets.get()
    if sockets is not None:
        sockets.append((made, os.fstat(made.fileno()).st_ino))


def _make_protocol(factory: Callable[[], Any], made: dict[str, Any]) -> Any:
    """Make a protocol; from here on there is a transport, or will be."""
    made["protocol"] = protocol = factory()  # a call to note it would be one more point for what strikes
    return protocol


async def _give_up(transport: asyncio.Transport) -> None:
    """Close a connection whose protocol was not told that it is open: something has struck there, and loses the loop.

    uvloop would never read from it.
    """
    transport.abort()
    await asyncio.sleep(_MOMENT)
    raise aiohttp.ClientConnectionError("the connection could not be begun")


def _make_socket(address: Any) -> socket.socket:
    family, kind, protocol, *_rest = address
    return socket.socket(family=family, type=kind, proto=protocol)


def _disown(each: socket.socket, inode: int) -> None:
    if (number := each.fileno()) == -1:
        return
    try:
        its_own = os.fstat(number).st_ino == inode
    except OSError:
        its_own = False
    if not its_own:
        each.detach()


def send_once(session: aiohttp.ClientSession) -> None:
    """Stop the session from silently sending an idempotent request a second time."""
    if holds("once"):
        session._retry_connection = False
