"""A request that goes out without a task: its connection calls back, and its answer is made where it comes in."""

from abc import ABC, abstractmethod
from time import monotonic
from typing import Any

import aiohttp

from ..errors import BodyTooLarge, DecodingError, RequestError
from ..handover.errand import Fetch
from ..handover.work import Ride, Work
from ..messages.redirects import REDIRECTS
from ..messages.request import Request
from ..messages.response import Response
from .bodies import decoded, has_coding, too_large
from .foreign import adopt
from .inside.answer import Answer, Whole
from .inside.fast_path import Origin, met_closing
from .inside.protocol import Asker, HttpProtocol, ends_here, whole_body
from .sessions import Sessions
from .struck import has_struck

__all__ = ["Direct", "Driver"]

_SMALL = 2**16  # bytes as they came that are unpacked at once
_AT_ONCE = 2**22  # bytes they may come to, some milliseconds


class Driver(ABC):
    """Whoever has requests sent without a task, and decides what follows; called on the loop."""

    @abstractmethod
    def answered(self, ride: "Direct", work: Work, response: Response) -> None:
        """Take the answer; the connection is still the ride's, to go on with or to give back."""

    @abstractmethod
    def failed(self, work: Work, error: RequestError) -> None:
        """Take what the attempt came to."""

    @abstractmethod
    def left(self, work: Work) -> None:
        """Go on with the work in a task, from where `work.rest` says."""

    @abstractmethod
    def cancelled(self, work: Work) -> None:
        """Settle work that was given up."""

    @abstractmethod
    def lose(self, error: BaseException) -> None:
        """Give the loop up, since something has struck amid the accounts."""


class Direct(Asker, Ride):
    """Carry one request after the other on one connection, which it has until `give_back`."""

    __slots__ = ("_connection", "_driver", "_message", "_payload", "_pieces", "_request", "_sessions", "_size", "_url",
                 "_work", "origin", "protocol")  # fmt: skip

    def __init__(self, driver: Driver, sessions: Sessions, connection: Any, origin: Origin) -> None:
        self._driver = driver
        self._sessions = sessions
        self._connection = connection
        self.protocol: HttpProtocol = connection.protocol
        self.origin: Origin = origin
        self._work: Work | None = None
        self._payload: Any = None  # of a body that has not come to its end

    def head(self, errand: Fetch) -> bytes:
        """Return the head of the request that is sent next."""
        sessions = self._sessions
        self._url = errand.target
        tail = sessions.fast_path.known_tail(errand, self.origin)
        if tail is not None:
            return f"{errand.request.method} {errand.target.raw_path_qs}".encode() + tail
        hop = sessions.first_hop(errand)
        self._url = hop.url
        return sessions.fast_path.head(hop, as_is=errand.request.as_is)

    def send(self, work: Work, request: Request, head: bytes) -> None:
        """Send the request of the work."""
        self._work, self._request, self._payload = work, request, None
        work.ride, work.stage = self, "headers"
        patience = self._sessions.lane.timeout_for(request).read
        self._sessions.fast_path.ask(self.protocol, self, head, patience, bodiless=request.method == "HEAD")

    def give_back(self) -> None:
        """Let others have the connection, the next request to its origin first."""
        self._sessions.fast_path.park(self._connection, self.origin)

    def cancel(self) -> None:
        """Give the work up: what has been sent of it is no longer waited for."""
        work = self._work
        self._drop()
        if work is not None:
            self._driver.cancelled(work)

    def take(self, message: Any, payload: Any, data: bytes) -> None:
        """Take the head, and the whole answer if it came in one; what is not plain is left to a task."""
        work = self._work
        if work is None or work.ride is not self:  # a lost loop has settled it
            self._drop()
            return
        request, sessions = self._request, self._sessions
        sessions.fast_path.note(self.protocol, self.origin.key, message, self._url)
        if not _is_plain(message, request):
            self._leave(message, payload)
        elif (content := whole_body(payload)) is None:
            self._begin_body(message, payload)
        elif request.as_is or not has_coding(request.method, message.code, message.headers):
            self.protocol.let_go(ends_here=ends_here(data, content, message.chunked))
            self._finish(message, content)
        elif len(content) > _SMALL:
            self._leave(message, Whole(content))
        else:
            self._unpack(message, content, data)

    def take_more(self) -> None:
        """Take what has come of the body, and finish with its end."""
        if (payload := self._payload) is None:
            return
        if (error := payload.exception()) is not None:
            self.fail(error)
            return
        piece = payload.read_nowait()
        self._size += len(piece)
        self._pieces.append(piece)
        if self._size > self._limit():
            self._end_by(too_large(self._limit()))
        elif payload.is_eof():
            self._payload = None
            self.protocol.let_go(ends_here=False)
            self._finish(self._message, b"".join(self._pieces))

    def fail(self, error: BaseException) -> None:
        """End by what the connection came to; a body that lasts until then may be whole."""
        work, payload = self._work, self._payload
        if work is None:
            return
        if isinstance(error, MemoryError) or not isinstance(error, Exception) or has_struck(error):
            self._driver.lose(error)
            return
        if payload is not None:
            if payload.is_eof() and payload.exception() is None:
                self.take_more()
                return
            error = payload.exception() or error
        request, lane = self._request, self._sessions.lane
        met_its_end = payload is None and met_closing(self.protocol, request.method, error)
        if met_its_end and lane.retry_for(request) is None:
            self._drop()
            self._driver.left(work)  # which sends it once more, on the next connection
            return
        timeout = lane.timeout_for(request)
        self._end_by(adopt(error, work, self._url, timeout))

    def broken(self, error: BaseException) -> None:
        """End by what the libraries below have raised; what strikes anywhere leaves nothing sure."""
        if self._work is None:
            self._driver.lose(error)
        else:
            self.fail(error)

    def _limit(self) -> int:
        return self._sessions.lane.max_body_for(self._request)

    def _begin_body(self, message: Any, payload: Any) -> None:
        work, request, limit = self._work, self._request, self._limit()
        assert work is not None
        if has_coding(request.method, message.code, message.headers) and not request.as_is:
            self._leave(message, payload)
            return
        work.stage = "body"
        if int(message.headers.get("Content-Length", 0)) > limit:
            self._end_by(too_large(limit))
            return
        self._message, self._payload = message, payload
        self._pieces: list[bytes] = []
        self._size = 0
        self.take_more()

    def _unpack(self, message: Any, packed: bytes, data: bytes) -> None:
        limit = self._limit()
        try:
            content = decoded(packed, message.headers, min(limit, _AT_ONCE))
        except BodyTooLarge as exc:
            if limit <= _AT_ONCE:
                self._end_by(exc)
            else:
                self._leave(message, Whole(packed))
        except DecodingError as exc:
            exc.stage = "decode"
            self._end_by(exc)
        else:
            self.protocol.let_go(ends_here=ends_here(data, packed, message.chunked))
            self._finish(message, content)

    def _finish(self, message: Any, content: bytes) -> None:
        work, request = self._work, self._request
        assert work is not None
        if len(content) > (limit := self._sessions.lane.max_body_for(request)):
            self._end_by(too_large(limit))
            return
        self._work = None
        response = Response(
            request,
            self._url,
            message.code,
            message.reason or "",
            message.headers,
            content,
            "1.1",
            monotonic() - work.started,
            work.attempts,
            (),
            work.lane,
        )
        self._driver.answered(self, work, response)

    def _end_by(self, error: RequestError) -> None:
        work = self._work
        assert work is not None
        self._drop()
        if work.ride is self:
            self._driver.failed(work, error.completed(work.facts(self._url)))

    def _drop(self) -> None:
        self._work = self._payload = None
        self._sessions.fast_path.take_back(self._connection, close=True)

    def _leave(self, message: Any, payload: Any) -> None:
        """Let a task go on with an answer whose head is there."""
        work, self._work = self._work, None
        assert work is not None
        work.ride = None
        self.protocol.asker = _NOBODY
        work.rest = Answer(self._request.method, message, payload, self._connection)
        self._sessions.fast_path.hand_over(self._connection)
        self._driver.left(work)


class _Nobody(Asker):
    """A task reads the body, and hears from that."""

    def take(self, message: Any, payload: Any, data: bytes) -> None:
        """Take nothing: the head was there before."""

    def take_more(self) -> None:
        """Leave it to the body."""

    def fail(self, error: BaseException) -> None:
        """Leave it to the body."""


_NOBODY = _Nobody()


def _is_plain(message: Any, request: Request) -> bool:
    """Whether the answer is handed out as it is: no redirect to follow, no HTTP/1.0, no odd transfer coding."""
    if message.code in REDIRECTS and request.allow_redirects:
        return False
    if message.version is not aiohttp.HttpVersion11 or message.code < 200:
        return False
    return "Transfer-Encoding" not in message.headers or message.headers.getall("Transfer-Encoding") == ["chunked"]
