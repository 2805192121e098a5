"""The protocol of one connection: aiohttp's own, and a way past it for requests that need nothing more.

aiohttp makes a request, a writer, an answer, a parser and two timers for each exchange (measured: two thirds of what a
small one costs). Whoever asks here writes a head that is made already and is called back with what the parser finds:
aiohttp's own in C, one for all answers of a connection. Connections are the connector's either way.
"""

import asyncio
import select
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from time import monotonic
from typing import Any

import aiohttp

from ..struck import has_struck
from .contract import EMPTY_PAYLOAD, HttpProcessingError, HttpResponseParser, ResponseHandler
from .resumption import ResumingContext

__all__ = ["READ_AHEAD", "Asker", "HttpProtocol", "ends_here", "has_news", "is_readable", "is_tainted", "whole_body"]

READ_AHEAD = 2**19  # bytes of a body kept before reading pauses; with aiohttp's 2**16 it pauses after each full read
_MAX_INTERIM = 100  # 1xx answers before the one that counts
_SO_MEMINFO = 55  # Linux 4.12; the first number is what waits to be read
_NOTHING = bytes(4)
_END_OF_HEAD = b"\r\n\r\n"
_END_OF_CHUNKS = b"0\r\n\r\n"

_feed_data: Any = getattr(ResponseHandler, "feed_data", None)  # found once, and not by super() for each answer
_data_received: Any = getattr(ResponseHandler, "data_received", None)


class Asker(ABC):
    """Whoever has asked on a connection, and is told what comes of it; called on the loop."""

    __slots__ = ()

    @abstractmethod
    def take(self, message: Any, payload: Any, data: bytes) -> None:
        """Take the head of the answer, and its body as far as that has come; `data` is what was read at last."""

    @abstractmethod
    def take_more(self) -> None:
        """Note that more of the body has come, or its end."""

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """Take what ends the exchange before it is complete; after the head it is the body's error, too."""

    def broken(self, error: BaseException) -> None:
        """Take what one of these has raised: an exception set from another thread, or that memory has run out."""
        raise error


class HttpProtocol(ResponseHandler):
    """Tell the reader of a body when its connection did not end as it should.

    aiohttp takes a body without a length for complete when its connection is reset or, with TLS, cut (RFC 9112,
    9.8), and lets the reader of a chunked one wait when a later chunk cannot be parsed.
    """

    is_made: bool = False  # whether all has been done that is due when the connection opens
    kept: bool = False  # whether it has answered before, and was idle
    replaced: Any = None
    handle: socket.socket | None = None  # the very socket; uvloop makes a new object for each question to its own
    asker: Asker | None = None  # None: aiohttp has the connection, or nobody
    heard: float = 0.0  # when something came, or was asked, as monotonic() counts
    patience: float | None = None  # seconds that the server may be silent
    strayed: bool = False  # whether something came that nobody had asked for
    _is_ours = False  # whether the last answer was read here: a byte that comes now was asked for by nobody
    _lasting: Any = None  # parsers, one for answers with a body and one for those to HEAD
    _bodiless: Any = None
    _spent: Any = None  # the parser of the last answer, where that may have taken more
    _ended = False
    _interim = 0

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        open_connections: "set[HttpProtocol]",
        look: Callable[[socket.socket], bool],
    ) -> None:
        super().__init__(loop)
        self._open = open_connections
        self._look = look  # whether something waits at the socket that the loop has not looked at yet

    def ask(self, asker: Asker, head: bytes, patience: float | None, *, bodiless: bool) -> None:
        """Send a request without a body; the asker is told of the answer."""
        if not self._is_ours:  # aiohttp had it, and the parsers do not know what came
            self._lasting = self._bodiless = None
            self._is_ours = True
        if bodiless:
            parser = self._bodiless = self._bodiless or self._new_parser(with_body=False)
        else:
            parser = self._lasting = self._lasting or self._new_parser(with_body=True)
        self._parser, self._payload, self._read_timeout = parser, None, None
        self._interim = 0
        self.asker, self.patience, self.heard = asker, patience, monotonic()
        assert self.transport is not None
        self.transport.write(head)

    def let_go(self, *, ends_here: bool) -> None:
        """Note that the answer has come, and that the asker is done."""
        self.asker = self._payload = None
        self.kept = True
        if not ends_here:  # what follows would be read as a part of the next answer
            self._spent, self._lasting, self._bodiless = self._parser, None, None

    def has_begun_another(self) -> bool:
        """Whether, behind the last answer, a part of one came that nobody had asked for."""
        if (parser := self._spent) is not None:
            self._spent = None
            try:
                self.strayed = parser.feed_eof() is not None
            except HttpProcessingError:
                self.strayed = True
        return self.strayed

    def is_clean(self) -> bool:
        """Whether the next request may follow at once; if not, the connection is not to be kept."""
        transport = self.transport
        if self._should_close or transport is None:
            return False
        handle = self.handle or transport.get_extra_info("socket")
        try:
            strayed = self.strayed or (self._spent is not None and self.has_begun_another())
            is_clean = not (strayed or transport.is_closing() or self._look(handle))
        except (OSError, AttributeError):  # closed
            is_clean = False
        if not is_clean:  # a reset is told to the first who asks only
            self._should_close = True
        return is_clean

    def data_received(self, data: bytes) -> None:
        """Hand what comes to the asker, to aiohttp, or, if nobody has asked, close."""
        asker = self.asker
        if asker is None:
            if self._is_ours:
                if data:  # none where the parser goes on with what it has
                    self._close_strayed()
            else:
                _data_received(self, data)
            return
        self.heard = monotonic()
        try:
            parser: Any = self._parser
            messages, upgraded, _tail = parser.feed_data(data)
        except Exception as exc:  # noqa: BLE001  as aiohttp does it
            if has_struck(exc):
                asker.broken(exc)
            else:
                self._break_off(exc)
            return
        try:
            if messages:
                self._take_heads(asker, messages, upgraded, data)
            elif self._payload is not None:
                asker.take_more()
        except BaseException as exc:  # noqa: BLE001  uvloop would log it and close
            asker.broken(exc)

    def _take_heads(self, asker: Asker, messages: Any, upgraded: bool, data: bytes) -> None:
        if self.asker is not asker:  # its answer has ended within these bytes, and this is no part of it
            self._close_strayed()
            return
        if self._payload is not None:  # it has its head, so that this is no part of it either
            self.strayed = self._should_close = True
            asker.take_more()
            return
        for number, (message, payload) in enumerate(messages, 1):
            if 100 <= message.code < 200 and message.code != 101:
                self._interim += 1
                continue
            if number < len(messages):
                self.strayed = self._should_close = True
            if message.should_close or upgraded:
                self._should_close = True
            self._payload = payload
            asker.take(message, payload, data)
            return
        if self._interim > _MAX_INTERIM:
            self._break_off(_too_many_interim())

    def _break_off(self, exc: Exception) -> None:
        if self.transport is not None:
            self.transport.close()
        error = HttpProcessingError()
        if isinstance(exc, HttpProcessingError):
            error = HttpProcessingError(code=exc.code, message=exc.message, headers=exc.headers)
        self.set_exception(error, exc)

    def _close_strayed(self) -> None:
        """Close a connection on which something came that nobody had asked for: the next answer could be another's."""
        self.strayed = self._should_close = True
        if self.transport is not None:
            self.transport.close()

    def _new_parser(self, *, with_body: bool) -> Any:
        return HttpResponseParser(
            self,
            self._loop,
            READ_AHEAD,
            payload_exception=aiohttp.ClientPayloadError,
            response_with_body=with_body,
            read_until_eof=True,
            auto_decompress=False,
        )

    def set_response_params(self, **options: Any) -> None:
        """Be aiohttp's for one exchange."""
        self._is_ours = False
        super().set_response_params(**options)

    def set_parser(self, *args: Any, **options: Any) -> None:
        """Be a WebSocket's from now on."""
        self._is_ours = False
        super().set_parser(*args, **options)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on reading, if that was paused: each read of a body asks for it, and each end of one."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take the head of an answer to aiohttp; interim ones (RFC 9110, 15.2) are bounded."""
        self._interim = self._interim + 1 if data[0].code < 200 else 0
        if self._interim <= _MAX_INTERIM:
            _feed_data(self, data, size)
        elif self._exception is None:
            self.set_exception(_too_many_interim())
            if self.transport is not None:
                self.transport.close()

    def eof_received(self) -> None:
        """Note that the server closed its side; with TLS, that it said so."""
        # asyncio tells of the end of TCP as it does of TLS's; uvloop tells of TLS's only.
        self._ended = not getattr(getattr(self.transport, "_ssl_protocol", None), "_eof_received", False)
        super().eof_received()

    def close(self) -> None:
        """Close the connection, and let nothing more of a request be sent that was given up.

        With TLS the goodbye is sent and not waited for (RFC 8446, 6.1): a server that is silent would hold the socket
        for half a minute, beyond the end of the pool, which uvloop warns of.
        """
        self.asker = None
        self._keep_session()
        transport = self.transport
        if transport is not None and transport.get_write_buffer_size():
            self.abort()  # else it would stay open for as long as the server does not read
            return
        if transport is None or transport.get_extra_info("sslcontext") is None:
            super().close()
        elif transport.is_closing():
            transport.abort()  # before it is closed once more: asyncio's forgets then what is to be ended
            super().close()
        else:
            super().close()
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that the connection is open; as the last thing, that nothing has struck here."""
        self._open.add(self)
        super().connection_made(transport)
        self.is_made = True

    def connection_lost(self, exc: BaseException | None) -> None:
        """Fail the body that is under way, unless this is how it ends."""
        self._open.discard(self)
        self._keep_session()
        if exc is not None or not self._ended:
            self._fail_body(aiohttp.ClientPayloadError("the connection was cut"))
        super().connection_lost(exc)
        self._lasting = self._bodiless = self._spent = None  # each of which knows this one

    def set_exception(self, exc: Any, *cause: BaseException) -> None:
        """Fail the body that is under way, too."""
        error = exc if isinstance(exc, BaseException) else exc()
        self._fail_body(error)
        super().set_exception(exc, *cause)
        if (asker := self.asker) is not None:
            if cause and type(cause[0]) is not BaseException:  # which is aiohttp's word for none
                error.__cause__ = cause[0]
            try:
                asker.fail(error)
            except BaseException as exc:  # noqa: BLE001
                asker.broken(exc)

    def _keep_session(self) -> None:
        """Let the next connection to this host go on with the TLS session of this one, which ends."""
        transport = self.transport
        if transport is not None and isinstance(context := transport.get_extra_info("sslcontext"), ResumingContext):
            context.keep(transport.get_extra_info("ssl_object"))

    def _fail_body(self, error: BaseException) -> None:
        payload = self._payload
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(error)


def whole_body(payload: Any) -> bytes | None:
    """Return a body that has come to its end, None for one that has not; for the first to read it."""
    if payload is EMPTY_PAYLOAD:
        return b""
    if not payload._eof:
        return None
    pieces = payload._buffer
    return pieces[0] if len(pieces) == 1 else payload.read_nowait()  # type: ignore[no-any-return]


def ends_here(data: bytes, content: bytes, chunked: bool) -> bool:
    """Whether one read has brought one answer and nothing more; the parser keeps what may be a part of a next one."""
    if chunked:
        return data.endswith(_END_OF_CHUNKS)
    return data.find(_END_OF_HEAD) + len(_END_OF_HEAD) + len(content) == len(data)


def is_tainted(protocol: Any, look: Any) -> bool:
    """Whether an idle connection is not to be used: it is to be closed, or `look` finds that something waits there."""
    if protocol is None or protocol.should_close or protocol.transport is None:
        return True
    if isinstance(protocol, HttpProtocol) and protocol.has_begun_another():
        return True
    handle = getattr(protocol, "handle", None) or protocol.transport.get_extra_info("socket")
    try:
        return handle is None or look(handle)
    except OSError:  # closed
        return True


def has_news(handle: socket.socket) -> bool:
    """Whether bytes, the end or a reset wait in the kernel that the loop has not looked at yet; for TCP."""
    if sys.platform != "linux":
        return is_readable(handle)
    # poll() and recv() give the GIL away, which costs 35 µs where another thread wants it; getsockopt() does not.
    # A FIN lies in the same queue as bytes do, a reset does not. What waits at a Unix socket is counted at its sender.
    waiting: bytes = handle.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4)
    return waiting != _NOTHING or handle.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def is_readable(handle: socket.socket) -> bool:
    """Whether bytes, or the end, wait; for any socket."""
    if (fd := handle.fileno()) < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([fd], [], [], 0)[0])
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))


def _too_many_interim() -> HttpProcessingError:
    return HttpProcessingError(message=f"more than {_MAX_INTERIM} interim answers")
