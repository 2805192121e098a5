"""The worker's side of a WebSocket: aiohttp's connection, between a queue of what to send and one of what came."""

import asyncio
from contextvars import ContextVar
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ..errors import BodyTooLarge, ConnectionLost, Facts, ProtocolError, RequestError
from ..handover.channel import Closed
from ..handover.job import Work
from ..handover.link import GOODBYE, Frame, Link, Opening
from ..lane import Lane
from ..messages.headers import authorization
from ..messages.url import same_origin
from ..redaction import redact
from .foreign import FOREIGN, adopt, raised_by_user

__all__ = ["check_origin", "serve_websocket"]

_TOO_BIG = 1009  # RFC 6455, 7.4.1
_opening: ContextVar[Opening | None] = ContextVar("workerpool_opening", default=None)
_MESSAGES = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)


async def serve_websocket(session: aiohttp.ClientSession, lane: Lane, opening: Opening, link: Link, work: Work) -> None:
    """Open the WebSocket, answer the work with its protocol, and carry messages until one side closes it."""
    try:
        socket = await _open(session, lane, opening, work)
        work.channel = link.incoming
        work.lift_deadline()
        if work.answer(socket.protocol):
            await _carry(socket, link, opening, work)
        else:
            await socket.close()
    except Exception as exc:
        link.incoming.fail(exc)
        raise
    finally:
        link.end()


def check_origin(request: aiohttp.ClientRequest) -> None:
    """Raise ProtocolError where a redirect leads the opening of a WebSocket to another origin, with the lane's keys."""
    opening = _opening.get()
    # What else runs in this context (a function that a hook has submitted) opens none, and goes where it likes.
    if opening is None or "Sec-WebSocket-Key" not in request.headers:
        return
    if not same_origin(request.url, URL(opening.url, encoded=True)):
        there = redact(request.url.origin())
        text = f"the server redirects to {there}; open the WebSocket there yourself if that is meant"
        raise ProtocolError.about(Facts(redact(opening.url), "GET", stage="headers"), text)


def _addressed(session: aiohttp.ClientSession, opening: Opening) -> "tuple[URL, CIMultiDict[str]]":
    """Return the URL, and the headers with its login unless the lane or the call has given one, as requests have it."""
    url = URL(opening.url, encoded=True)  # as it was given: parsed anew, its escapes would be others
    headers = CIMultiDict(opening.headers)
    if url.raw_user is not None and "Authorization" not in session.headers:
        headers.setdefault("Authorization", authorization((url.user or "", url.password or "")))
    return url.with_user(None), headers


async def _open(
    session: aiohttp.ClientSession, lane: Lane, opening: Opening, work: Work
) -> aiohttp.ClientWebSocketResponse:
    url, headers = _addressed(session, opening)
    work.stage = "connect"
    _opening.set(opening)
    try:
        return await session.ws_connect(
            url,
            protocols=opening.protocols,
            headers=headers,
            heartbeat=opening.heartbeat,
            compress=15 if opening.compress else 0,
            max_msg_size=opening.max_message,
            timeout=aiohttp.ClientWSTimeout(ws_close=GOODBYE),
        )
    except aiohttp.WSServerHandshakeError as exc:
        text = f"the server answered {exc.status} instead of opening a WebSocket"
        raise ProtocolError.about(work.facts(), text, stage="headers") from None
    except RequestError as exc:
        raise exc.completed(work.facts()) from exc.__cause__
    except MemoryError:
        raise
    except Exception as exc:
        error = raised_by_user(exc, lane) or adopt(exc, work, url)
        if error is exc:
            raise
        raise error from error.__cause__


async def _carry(socket: aiohttp.ClientWebSocketResponse, link: Link, opening: Opening, work: Work) -> None:
    sending = asyncio.create_task(_send_all(socket, link))
    try:
        if await _receive_all(socket, link, opening, work) is aiohttp.WSMsgType.CLOSING:
            await asyncio.wait([sending])  # it is this side that closes, and waits for the other's answer
    finally:
        sending.cancel()
        (ended,) = await asyncio.gather(sending, return_exceptions=True)
        if not socket.closed:
            await socket.close()
        link.close_code = socket.close_code or aiohttp.WSCloseCode.ABNORMAL_CLOSURE
    if isinstance(ended, Exception):
        text = f"the WebSocket was given up, since a message could not be sent ({type(ended).__name__})"
        raise ConnectionLost.about(work.facts(), text, stage="send")


async def _receive_all(
    socket: aiohttp.ClientWebSocketResponse, link: Link, opening: Opening, work: Work
) -> aiohttp.WSMsgType:
    """Hand messages on until there are none; return what the end was."""
    while (message := await socket.receive()).type in _MESSAGES:
        try:
            await link.incoming.aput(message.data)
        except Closed:  # the reader has gone; what it asked for last is to close
            continue
    if socket.close_code == _TOO_BIG and message.type is aiohttp.WSMsgType.ERROR:
        text = f"a message is larger than {opening.max_message} bytes; raise max_message="
        raise BodyTooLarge.about(work.facts(), text, stage="body")
    if message.type is aiohttp.WSMsgType.ERROR:
        error = ConnectionLost.about(work.facts(), "the WebSocket broke", stage="body")
        raise error from _system(message.data)
    return message.type


async def _send_all(socket: aiohttp.ClientWebSocketResponse, link: Link) -> None:
    try:
        while not socket.closed:
            await _send(socket, await link.outgoing.aget())
    except (Closed, *FOREIGN):
        pass  # the receiving side finds out, and says what it was
    except Exception:
        link.outgoing.close()  # nothing that is put here from now on would be sent
        await socket.close(code=aiohttp.WSCloseCode.INTERNAL_ERROR)  # and so the receiving side ends, too
        raise


async def _send(socket: aiohttp.ClientWebSocketResponse, frame: Frame) -> None:
    if frame.kind == "text":
        await socket.send_frame(frame.data, aiohttp.WSMsgType.TEXT)
    elif frame.kind == "bytes":
        await socket.send_bytes(frame.data)
    elif frame.kind == "ping":
        await socket.ping(frame.data)
    else:
        await socket.close(code=frame.code, message=frame.data)


def _system(error: Any) -> OSError | None:
    return error if isinstance(error, OSError) else None
