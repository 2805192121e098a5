"""Connections without a network: each joins the client to an aiohttp server on the same loop.

All of HTTP is done in full: what is left out is names, sockets and TLS.
"""

import asyncio
import errno
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp

from .inside.contract import ResponseHandler

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Handler", "MemoryConnector", "MemoryTransport", "join"]

_HIGH_WATER = 2**16  # bytes on their way before the writer is asked to wait; as in asyncio
_BODY = 2**30  # bytes that a handler may read of a request

Handler: TypeAlias = "Callable[[Any], Awaitable[web.StreamResponse]]"


class MemoryConnector(aiohttp.BaseConnector):
    """Let `meet` say, for each connection, who answers: an aiohttp handler, which gets a `web.BaseRequest`.

    An OSError that `meet` raises is what making the connection fails with; other exceptions pass untouched. Made and
    used on one loop. Connections are not limited, and proxies are not asked.
    """

    def __init__(self, meet: Callable[[aiohttp.ClientRequest], Awaitable[Handler]]) -> None:
        super().__init__(limit=0)
        self._meet = meet

    async def _create_connection(self, req: aiohttp.ClientRequest, traces: Any, timeout: Any) -> ResponseHandler:
        try:
            handler = await self._meet(req)
        except OSError as exc:
            raise _as_a_socket_would(exc, req) from exc
        client: ResponseHandler = self._factory()
        # A true value is all that the server looks for to tell https.
        join(self._loop, client, _server(self._loop, handler), {"sslcontext": req.is_ssl()})
        return client


def _server(loop: asyncio.AbstractEventLoop, handler: Handler) -> asyncio.Protocol:
    from aiohttp import web  # here and not above: whoever answers by it has it, and nobody else needs it

    def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_BODY)

    return web.Server(handler, request_factory=request, handler_cancellation=True, access_log=None)()


def _as_a_socket_would(exc: OSError, req: aiohttp.ClientRequest) -> Exception:
    """Return what aiohttp's own connector makes of an error."""
    if isinstance(exc, TimeoutError):
        return exc
    if isinstance(exc, ssl.SSLCertVerificationError):
        return aiohttp.ClientConnectorCertificateError(req.connection_key, exc)
    if isinstance(exc, ssl.SSLError):
        return aiohttp.ClientConnectorSSLError(req.connection_key, exc)
    if isinstance(exc, socket.gaierror):
        return aiohttp.ClientConnectorDNSError(req.connection_key, exc)
    return aiohttp.ClientConnectorError(req.connection_key, exc)


def join(
    loop: asyncio.AbstractEventLoop, client: asyncio.Protocol, server: asyncio.Protocol, extra: dict[str, Any]
) -> None:
    """Connect two protocols; `extra` is what the server's may ask of its transport. On the loop."""
    near = MemoryTransport(loop, client, {}, copy_context())
    # A server knows nothing of the context that its client runs in.
    far = MemoryTransport(loop, server, extra, Context())
    near.peer, far.peer = far, near
    client.connection_made(near)
    far.context.run(server.connection_made, far)


class MemoryTransport(asyncio.Transport):
    """One end of a connection: what is written here comes to the other end's protocol a turn of the loop later."""

    peer: "MemoryTransport"  # the other end

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, extra: dict[str, Any], context: Context
    ) -> None:
        super().__init__(extra)
        self.context = context
        self._loop = loop
        self._protocol: Any = protocol
        self._incoming: deque[bytes] = deque()  # written by the peer, and not yet given to the protocol
        self._size = 0  # bytes in it
        self._end_comes = False  # the peer writes no more
        self._end_told = False
        self._delivery: asyncio.Handle | None = None
        self._reading = True
        self._writing = True  # False: the protocol was asked to wait
        self._half_closed = False
        self._closing = False
        self._lost = False
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Send bytes; never blocks. What is written to a connection that is closing is dropped."""
        if self._half_closed:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        if self.peer._closing:
            self._be_refused()
            return
        self.peer._take(bytes(data))
        if self._writing and self.peer._size > self._high:
            self._writing = False
            self._protocol.pause_writing()

    def writelines(self, list_of_data: "Iterable[bytes | bytearray | memoryview[Any]]") -> None:
        """Send several pieces of bytes; never blocks."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Close this end's direction once what was written has arrived."""
        if not (self._half_closed or self._closing):
            self._half_closed = True
            self.peer._take_end()

    def can_write_eof(self) -> bool:
        """Return True: one direction may be closed alone."""
        return True

    def close(self) -> None:
        """Close both directions once what was written has arrived. Repeatable."""
        if self._closing:
            return
        self._closing = True
        self._drop()
        self.peer._take_end()
        self._go_on()

    def abort(self) -> None:
        """Close at once; what has not arrived is lost, and the peer's connection is reset."""
        self.reset(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))

    def reset(self, error: BaseException) -> None:
        """Close at once, and tell the peer's protocol this error."""
        self._break(None)
        self.peer._break(error)

    def is_closing(self) -> bool:
        """Return whether the connection is closed or about to be."""
        return self._closing

    def pause_reading(self) -> None:
        """Give the protocol nothing for now."""
        self._reading = False

    def resume_reading(self) -> None:
        """Give the protocol what has come meanwhile, and what comes."""
        self._reading = True
        self._schedule()

    def is_reading(self) -> bool:
        """Return whether the protocol is given what comes."""
        return self._reading and not self._closing

    def get_write_buffer_size(self) -> int:
        """Return how many bytes have not arrived yet."""
        return self.peer._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return how many bytes on their way let the writer go on, and from how many on it is asked to wait."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set these limits, in bytes."""
        if high is None:
            high = _HIGH_WATER if low is None else 4 * low
        self._high, self._low = high, high // 4 if low is None else low

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that is given what comes."""
        return self._protocol  # type: ignore[no-any-return]

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give another protocol what comes from now on."""
        self._protocol = protocol

    def _take(self, data: bytes) -> None:
        self._incoming.append(data)
        self._size += len(data)
        self._schedule()

    def _be_refused(self) -> None:
        """Let who writes to a peer that has closed wait for the end that is on its way, or be told at once."""
        if not (self._incoming and self._reading):
            self._break(BrokenPipeError(errno.EPIPE, "Broken pipe"))
        elif self._writing:
            self._writing = False
            self._protocol.pause_writing()

    def _take_end(self) -> None:
        self._end_comes = True
        self._schedule()

    def _schedule(self) -> None:
        waiting = self._incoming or (self._end_comes and not self._end_told)
        if waiting and self._reading and not self._closing and self._delivery is None:
            self._delivery = self._loop.call_soon(self._deliver, context=self.context)

    def _deliver(self) -> None:
        self._delivery = None
        while self._incoming and self.is_reading():
            data = self._incoming.popleft()
            self._size -= len(data)
            self._protocol.data_received(data)
        self.peer._go_on()
        if self._end_comes and not self._end_told and not self._incoming and self.is_reading():
            self._end_told = True
            if not self._protocol.eof_received():
                self.close()

    def _go_on(self) -> None:
        """Do what had to wait until bytes written here arrived."""
        if self._closing:
            if not self.peer._size:
                self._lose(None)
        elif not self._writing and self.peer._size <= self._low:
            self._writing = True
            self._protocol.resume_writing()

    def _drop(self) -> None:
        self._incoming.clear()
        self._size = 0
        self.peer._go_on()

    def _break(self, error: BaseException | None) -> None:
        self._closing = True
        self._drop()
        self._lose(error)

    def _lose(self, error: BaseException | None) -> None:
        if not self._lost:
            self._lost = True
            self._loop.call_soon(self._protocol.connection_lost, error, context=self.context)
