"""The exchange: one attempt of one request, with its redirects, read within bounds."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from multidict import CIMultiDict

from ..errors import (
    BodyTooLarge,
    DecodingError,
    Forbidden,
    InvalidRequest,
    ProtocolError,
    RequestError,
    TooManyRedirects,
)
from ..handover.channel import Chunks, Closed
from ..handover.errand import Opened
from ..handover.job import Work, host_of
from ..messages.body import Body
from ..messages.hop import Hop, Onward
from ..messages.redirects import MAX_REDIRECTS, REDIRECTS, next_hop
from ..messages.request import Request
from ..messages.response import Response
from ..redaction import redact
from .bodies import Payload, decoded, has_coding, iter_body, read_body, read_start, too_large
from .foreign import adopt, fault_of_head, raised_by_user
from .inside.answer import Answer, AnyAnswer, content_of
from .moved import KEPT, Moved
from .robots import Aside, Robots
from .sessions import Sessions
from .struck import Struck, has_struck

__all__ = ["Exchange"]

_REDIRECT_BODY = 2**16  # bytes read of a redirect's body to keep its connection; more costs more than a new one


class Exchange:
    """Carry one attempt of one request; made, used and closed on the loop."""

    __slots__ = ("_answer", "_history", "_hop", "_payload", "_request", "_sessions", "_work")

    def __init__(
        self,
        sessions: Sessions,
        work: Work,
        request: Request,
        hop: Hop,
        history: tuple[Response, ...] = (),
        answer: Answer | None = None,
    ) -> None:
        self._sessions = sessions
        self._work = work
        self._request = request
        self._hop = hop
        self._history = history
        self._payload: Payload | None = None
        self._answer: AnyAnswer | None = answer  # to the first hop, where that was sent already

    async def fetch(self, limit: int, *, whole: bool = True) -> Response:
        """Return the complete answer, or with so much of its body as it may have; raises a RequestError, or Moved."""
        try:
            answer = await self._open()
            self._work.stage = "body"
            if whole:
                content = await read_body(answer, limit, decode=not self._request.as_is)
            else:
                content = await read_start(answer, limit)
            return self._response(answer, content)
        except RequestError as exc:
            raise self._completed(exc) from exc.__cause__
        except (Moved, MemoryError, Struck):
            raise
        except Exception as exc:
            error = self._own_or_adopted(exc)
            if error is exc:
                raise
            if has_struck(error.__cause__):
                raise Struck(error) from exc
            raise error from error.__cause__
        finally:
            self.close()

    async def stream(self, opened: Opened, limit: int | None, is_wanted: Callable[[Response], bool]) -> None:
        """Answer the work with the head, then pass the body on until its end, an error, or a closed reader.

        With a head that is not wanted nothing is done. Raises a RequestError, or Moved, before there is a head.
        """
        chunks = Chunks()
        try:
            answer = await self._open()
            head = self._response(answer, b"")
            if not is_wanted(head):
                return
            self._work.stage = "body"
            self._work.channel = chunks
            if self._hand_out(opened, head, chunks):
                await self._pass_on(answer, chunks, limit)
                # Nowhere else: whatever ends the body sooner must not read as its end. What is no error of the
                # request (a cancel, a lost loop) the dispatcher tells the reader, since it knows why.
                chunks.end()
        except Closed:
            return
        except RequestError as exc:
            self._stream_failed(chunks, self._completed(exc))
        except (Moved, MemoryError, Struck):
            raise
        except Exception as exc:
            error = self._own_or_adopted(exc)
            if error is not exc and has_struck(error.__cause__):
                raise Struck(error) from exc
            self._stream_failed(chunks, error)  # the user's own goes where ours go
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection unless the answer is complete; then it was given back already. Repeatable."""
        if self._answer is not None and not self._answer.closed:
            self._answer.close()
        if self._payload is not None:
            self._payload.close()
        self._answer = self._payload = None  # the next hop's request may have no body

    def _hand_out(self, opened: Opened, head: Response, chunks: Chunks) -> bool:
        """Answer the work; nothing here holds the response afterwards, so that it is collected when all forget it."""
        work = self._work
        chunks.keep_time(work.final_deadline, work.expire)
        answered = work.answer(opened(head, chunks, work.stop, self._give_up_on(work)))
        work.drop_value()
        return answered

    @staticmethod
    def _give_up_on(work: Work) -> Callable[[], None]:
        """Return what stops the work from any thread and takes no lock."""
        loop = asyncio.get_running_loop()

        def give_up() -> None:
            if work.task is not None:
                work.task.cancel()

        def from_anywhere() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(give_up)

        return from_anywhere

    async def _pass_on(self, answer: AnyAnswer, chunks: Chunks, limit: int | None) -> None:
        size = 0
        async for run in iter_body(answer, decode=not self._request.as_is):
            size += sum(map(len, run))
            if limit is not None and size > limit:
                raise too_large(limit)
            await chunks.aput_run(run)

    def _stream_failed(self, chunks: Chunks, error: Exception) -> None:
        if self._work.channel is None:
            raise error
        chunks.fail(error)

    async def _open(self) -> AnyAnswer:
        request = self._request
        self._check_place()
        while True:
            answer = self._answer
            if answer is None:
                if self._sessions.robots is not None:
                    await self._obey(self._sessions.robots)
                if self._hop.body is not None:
                    await self._load(self._hop.body)
                answer = self._answer = await self._sending()
            if (fault := fault_of_head(answer)) is not None:
                raise ProtocolError(fault, stage="headers")
            if answer.status not in REDIRECTS or not request.allow_redirects:
                return answer
            following = next_hop(self._hop, answer.status, answer.headers, KEPT)
            if following is None:
                return answer
            if len(self._history) == MAX_REDIRECTS:
                raise TooManyRedirects(
                    f"{redact(request.url)}: more than {MAX_REDIRECTS} redirects",
                    stage="headers",
                )
            self._history += (self._response(answer, await self._redirect_body(answer)),)
            self.close()
            self._hop = following
            self._check_place()
            await self._sessions.turn(host_of(following.url), self._work)

    def _check_place(self) -> None:
        """Raise Moved where the lane counts per host and the work has its place at another one."""
        if self._sessions.lane.by_host and host_of(self._hop.url) != self._work.host:
            raise Moved(Onward(self._hop, self._history))

    async def _obey(self, robots: Robots) -> None:
        """Ask the host's robots.txt for leave; raises Forbidden, or Moved where the request is to wait for its turn."""
        work, hop = self._work, self._hop
        if isinstance(work, Aside):
            return
        work.stage = "robots"
        waited, delay = await robots.check(hop.url, work.facts)
        if delay:
            self._sessions.slow(host_of(hop.url), delay)
        if waited and (delay or self._sessions.limited):
            raise Moved(Onward(hop, self._history))  # what the rules were waited for with must not go out all at once

    def _sending(self) -> Awaitable[AnyAnswer]:
        hop, sessions = self._hop, self._sessions
        if self._payload is not None and self._payload.length is not None and "Content-Length" not in hop.headers:
            headers = CIMultiDict(hop.headers)
            headers["Content-Length"] = str(self._payload.length)
            hop = hop._replace(headers=headers)
        self._work.stage = "connect"
        return sessions.send(hop, None if self._payload is None else self._payload.data, self._request, self._work)

    async def _load(self, body: Body) -> None:
        """Make ready what is to be sent."""
        self._work.stage = "send"
        declared = self._hop.headers.get("Content-Length")
        self._payload = Payload(body, None if declared is None else int(declared), self._sessions.feeders)
        try:
            await self._payload.open()
        except InvalidRequest:
            if not self._history:  # nothing was tried
                self._work.attempts -= 1
            raise

    async def _redirect_body(self, answer: AnyAnswer) -> bytes:
        """Return the body of a redirect, decoded; nothing where it is too large to be had whole, or damaged."""
        body, content = b"", content_of(answer)
        while raw := await content.readany():
            body += raw
            if len(body) > _REDIRECT_BODY:
                return b""
        try:
            is_packed = has_coding(answer.method, answer.status, answer.headers) and not self._request.as_is
            return decoded(body, answer.headers, _REDIRECT_BODY) if is_packed else body
        except (DecodingError, BodyTooLarge):
            return b""

    def _response(self, answer: AnyAnswer, content: bytes) -> Response:
        work = self._work
        return Response(
            self._request,
            self._hop.url,
            answer.status,
            answer.reason or "",
            answer.headers,
            content,
            "1.0" if answer.version == (1, 0) else "1.1",
            work.elapsed,
            work.attempts,
            self._history,
            work.lane,
        )

    def _own_or_adopted(self, exc: Exception) -> Exception:
        """Return what code of the user's has raised, or our error; their source, where it failed, explains the most."""
        if self._payload is not None and isinstance(self._payload.error, RequestError):
            return self._completed(self._payload.error)
        if (own := raised_by_user(exc, self._sessions.lane)) is not None:
            return own
        timeout = self._sessions.lane.timeout_for(self._request)
        return adopt(exc, self._work, self._hop.url, timeout, redirected=bool(self._history))

    def _completed(self, error: RequestError) -> RequestError:
        """Add the facts of this work to an error of ours that was raised without them."""
        if isinstance(error, DecodingError):
            error.stage = "decode"
        if isinstance(error, Forbidden) and not self._history:  # nothing was sent
            self._work.attempts -= 1
        return error.completed(self._work.facts(self._hop.url))
