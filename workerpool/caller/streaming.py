"""Streamed responses: the body travels while it is read, in chunks through a bounded channel."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any

from ..bells import Ending
from ..errors import (
    BodyTooLarge,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    ProtocolError,
    ReadTimeout,
)
from ..handover.channel import Chunks, Closed
from ..handover.job import Process, check_may_block
from ..messages.request import Request
from ..messages.response import Response, checked_chunk_size
from .pieces import HARMLESS, Cutter, Lines, Pieces, RawBody, Text, Whole, checked_longest
from .sse import LAST_ID, EventStream, ServerSentEvent

__all__ = ["MAX_LINE", "StreamedResponse", "Streaming"]

MAX_LINE = 2**20  # characters that a line may have before it is refused
_TRIES = 10  # to reconnect an event stream, in a row
_LOST = (ConnectionLost, ReadTimeout)
_UNREACHED = (ConnectError, ConnectionLost, DeadlineExceeded)


class StreamedResponse(Response):
    """Hold an answer whose body is still on its way; use it in a `with` or `async with` block.

    Status and headers are there at once. The body is read once, by one reader at a time: in a thread with `iter_bytes`,
    `iter_lines`, `read` or `raw`, which block, or on any asyncio loop with `aiter_bytes`, `aiter_lines` or `aread`,
    which take no thread. Who stops early, or is cancelled, leaves the rest to the next reader; what `read`, `text` or
    `json` have read can be iterated over again. A slow reader slows the download; memory stays flat. Errors of the body
    are raised where it is read. Leaving the block early closes the connection, from any thread; so does forgetting the
    response.
    """

    __slots__ = ("_abandon", "_abort", "_again", "_again_async", "_chunks", "_cutter", "_encoding_found", "_events",
                 "_following", "_left", "_process", "_rest", "_whole")  # fmt: skip

    def __init__(
        self,
        head: Response,
        chunks: Chunks,
        abort: Callable[[], None],
        abandon: Callable[[], None] | None = None,
        *,
        again: "Callable[[Request], StreamedResponse] | None" = None,
        again_async: "Callable[[Request], Awaitable[StreamedResponse]] | None" = None,
    ) -> None:
        for name in Response.__slots__:
            setattr(self, name, getattr(head, name))
        self._chunks = chunks
        self._abort = abort
        self._abandon = abandon  # takes no lock
        self._whole: bytes | None = None
        self._process = Process()
        self._cutter: Cutter | None = None  # of whoever read last, which may hold a part of the body
        self._rest = b""  # given back by the one before
        self._encoding_found = ""  # by a byte order mark
        self._events: EventStream | None = None
        self._again = again  # how an event stream goes on after its end: by another request
        self._again_async = again_async
        self._following: StreamedResponse | None = None  # of an event stream that was asked for anew
        self._left = Ending()

    @property
    def content(self) -> bytes:
        """The rest of the body, read when first asked for; blocks."""
        return self.read()

    @property
    def text(self) -> str:
        """The rest of the body as text; blocks."""
        self._content = self.read()
        return super().text

    def json(self, **options: Any) -> Any:
        """Read the rest of the body and parse it as JSON; blocks."""
        self._content = self.read()
        return super().json(**options)

    @property
    def raw(self) -> io.BufferedIOBase:
        """The decoded body as a file that can be read; each read blocks."""
        if self._raw is None:
            self._raw = RawBody(self._next, self.close, self._give_up)
        return self._raw

    def read(self) -> bytes:
        """Block until the body is complete and return the rest of it."""
        if self._whole is None:
            try:
                self._whole = b"".join(self._cut(Whole()))
            except BaseException as exc:
                self._broken_off(exc)
                raise
        return self._whole

    async def aread(self) -> bytes:
        """Wait until the body is complete and return the rest of it; `read`, `text` and `json` have it then, too."""
        if self._whole is None:
            try:
                self._whole = b"".join([each async for each in self._acut(Whole())])
            except BaseException as exc:
                self._broken_off(exc)
                raise
        return self._whole

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Yield the decoded body as it comes, or in pieces of `chunk_size` bytes; each step blocks."""
        return self._iter_chunks() if chunk_size is None else self._cut(Pieces(checked_chunk_size(chunk_size)))

    def iter_content(self, chunk_size: int | None = None, decode_unicode: bool = False) -> Iterator[Any]:
        """Yield the same, under requests' name, or with `decode_unicode` text."""
        if not decode_unicode:
            return self.iter_bytes(chunk_size)
        known = self._encoding or self._encoding_found
        size = None if chunk_size is None else checked_chunk_size(chunk_size)
        return self._cut(Text(known or self.encoding, size, sniffs=not known))

    def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Yield the same on the running loop."""
        return self._aiter_chunks() if chunk_size is None else self._acut(Pieces(checked_chunk_size(chunk_size)))

    def iter_lines(self, *, max_line: int = MAX_LINE) -> Iterator[str]:
        """Yield the body line by line as text, without line ends; raises BodyTooLarge for a longer line."""
        return self._cut(self._lines(max_line))

    def aiter_lines(self, *, max_line: int = MAX_LINE) -> AsyncIterator[str]:
        """Yield the same on the running loop."""
        return self._acut(self._lines(max_line))

    def iter_events(self, *, reconnect: bool = True, max_line: int = MAX_LINE) -> Iterator[ServerSentEvent]:
        """Yield server-sent events as they come; each step blocks. The stream's `timeout` counts; None suits most.

        When the stream ends, it is asked for anew after the pause that the server has named (3 s), with the id of the
        last event, until the server answers 204, this response is closed, or ten tries in a row have failed: then their
        error is raised. Without `reconnect` the end is the end, and a lost connection is an error; so it is for what a
        retry would not send again either: a POST, or a body that was read from an iterator. Raises ProtocolError for
        what is no event stream.
        """
        return self._iter_events(self._event_stream(max_line), self._goes_on(reconnect), max_line)

    def aiter_events(self, *, reconnect: bool = True, max_line: int = MAX_LINE) -> AsyncIterator[ServerSentEvent]:
        """Yield the same on the running loop."""
        return self._aiter_events(self._event_stream(max_line), self._goes_on(reconnect), max_line)

    def _iter_events(self, stream: EventStream, reconnect: bool, max_line: int) -> Iterator[ServerSentEvent]:
        response: StreamedResponse | None = self._following or self
        while response is not None:
            response._check_events()
            try:
                for line in response._cut(Lines("utf-8-sig", max_line)):
                    if (event := stream.take(line)) is not None:
                        yield event
            except BodyTooLarge as exc:
                response._broken_off(exc)
                raise
            except _LOST:
                if self._left.is_over:
                    return
                if not reconnect:
                    raise
            stream.begin()
            response = self._next_connection(stream) if reconnect else None

    async def _aiter_events(
        self, stream: EventStream, reconnect: bool, max_line: int
    ) -> AsyncIterator[ServerSentEvent]:
        response: StreamedResponse | None = self._following or self
        while response is not None:
            response._check_events()
            try:
                async for line in response._acut(Lines("utf-8-sig", max_line)):
                    if (event := stream.take(line)) is not None:
                        yield event
            except BodyTooLarge as exc:
                response._broken_off(exc)
                raise
            except _LOST:
                if self._left.is_over:
                    return
                if not reconnect:
                    raise
            stream.begin()
            response = await self._anext_connection(stream) if reconnect else None

    def close(self) -> None:
        """Stop the download and close its connection, unless it is complete. From any thread, repeatable.

        In a forked child it does nothing: the connection is the parent's.
        """
        if self._process.has_forked:
            return
        self._left.note()
        self._chunks.close()
        self._abort()
        if self._following is not None:
            self._following.close()

    def __enter__(self) -> "StreamedResponse":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> "StreamedResponse":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        # In a collection of garbage, which may come while any lock is held: nothing here takes one.
        abandon = getattr(self, "_abandon", None)
        if abandon is not None and not self._chunks.is_over and not self._process.has_forked:
            abandon()

    def __repr__(self) -> str:
        return super().__repr__().rpartition(",")[0] + ", streamed>"

    def __reduce__(self) -> str:
        raise TypeError("a StreamedResponse holds a live download; read it and keep the bytes instead")

    def _check_events(self) -> None:
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if self.status_code != 200 or kind != "text/event-stream":
            self.raise_for_status()
            text = f"no event stream, but {self.status_code} with {kind!a}"
            raise ProtocolError.about(self._facts, text, stage="headers")

    def _event_stream(self, longest: int) -> EventStream:
        if self._events is None:
            given = [value for name, value in self.request.headers if name.lower() == LAST_ID]
            self._events = EventStream(checked_longest(longest), *given[-1:])
        return self._events

    def _goes_on(self, reconnect: bool) -> bool:
        """Whether the stream is asked for anew after its end."""
        return reconnect and self._again is not None

    def _next_connection(self, stream: EventStream) -> "StreamedResponse | None":
        """Ask for the stream anew, after pauses that grow; None if it is over."""
        failures = 0
        while self._again is not None and not self._left.wait(_pause(stream, failures)):
            try:
                return self._followed_by(self._again(self._following_request(stream)))
            except _UNREACHED:
                failures += 1
                if failures == _TRIES:
                    raise
        return None

    async def _anext_connection(self, stream: EventStream) -> "StreamedResponse | None":
        failures = 0
        while self._again_async is not None and not await self._left.await_(_pause(stream, failures)):
            try:
                return self._followed_by(await self._again_async(self._following_request(stream)))
            except _UNREACHED:
                failures += 1
                if failures == _TRIES:
                    raise
        return None

    def _following_request(self, stream: EventStream) -> Request:
        if stream.last_id:
            return self.request.with_header("Last-Event-ID", stream.last_id)
        kept = tuple(item for item in self.request.headers if item[0].lower() != LAST_ID)
        return replace(self.request, headers=kept)

    def _followed_by(self, response: "StreamedResponse") -> "StreamedResponse | None":
        """Go on with the response, unless it says that there is no more."""
        self._following = response
        if response.status_code != 204 and not self._left.is_over:
            return response
        response.close()
        return None

    def _lines(self, longest: int) -> Lines:
        known = self._encoding or self._encoding_found
        return Lines(known or self.encoding, longest, sniffs=not known)

    def _iter_chunks(self) -> Iterator[bytes]:
        try:
            if self._whole:
                yield self._whole
            while (chunk := self._next(None)) is not None:
                yield chunk
        except BaseException as exc:
            self._broken_off(exc)
            raise

    async def _aiter_chunks(self) -> AsyncIterator[bytes]:
        try:
            if self._whole:
                yield self._whole
            while (chunk := await self._anext(None)) is not None:
                yield chunk
        except BaseException as exc:
            self._broken_off(exc)
            raise

    def _cut(self, cutter: Cutter) -> Iterator[Any]:
        try:
            if self._whole:
                cutter.feed(self._whole)
            while (chunk := self._next(cutter)) is not None:
                cutter.feed(chunk)
                while (piece := cutter.take()) is not None:
                    yield piece
            cutter.finish()
            while (piece := cutter.take()) is not None:
                yield piece
        except BaseException as exc:
            self._broken_off(exc)
            raise

    async def _acut(self, cutter: Cutter) -> AsyncIterator[Any]:
        try:
            if self._whole:
                cutter.feed(self._whole)
            while (chunk := await self._anext(cutter)) is not None:
                cutter.feed(chunk)
                while (piece := cutter.take()) is not None:
                    yield piece
            cutter.finish()
            while (piece := cutter.take()) is not None:
                yield piece
        except BaseException as exc:
            self._broken_off(exc)
            raise

    def _next(self, cutter: Cutter | None) -> bytes | None:
        """Block for the next chunk, for this cutter; None at the end of the body, and once all was read."""
        if self._whole is not None:
            return None
        check_may_block("reading a streamed body with what blocks (aiter_bytes() and the like do not)")
        self._process.check("the streamed response")
        if rest := self._taken_back(cutter):
            return rest
        try:
            return self._chunks.get()
        except Closed:
            self._check_whole()
            return None

    async def _anext(self, cutter: Cutter | None) -> bytes | None:
        """Wait for the same. A cancel takes nothing."""
        if self._whole is not None:
            return None
        self._process.check("the streamed response")
        if rest := self._taken_back(cutter):
            return rest
        try:
            return await self._chunks.aget()
        except Closed:
            self._check_whole()
            return None

    def _taken_back(self, cutter: Cutter | None) -> bytes:
        """Return what whoever read before, in another way, has not handed out."""
        before = self._cutter
        if before is not cutter:
            if before is not None:
                self._rest = before.rest() + self._rest
                if isinstance(before, Lines | Text) and before.begun:
                    self._encoding_found = before.encoding
            self._cutter = cutter
        rest = self._rest
        if rest:
            self._rest = b""
        return rest

    def _broken_off(self, error: BaseException) -> None:
        """Note what has left the reading code: Ctrl-C may leave a part of the body in nobody's hand."""
        if isinstance(error, BodyTooLarge) and not error.url:  # raised on this side, where nothing else is known
            error.completed(self._facts)
        if not isinstance(error, HARMLESS):
            self._give_up()

    def _give_up(self) -> None:
        """Read nothing more of a body of which a part may be in nobody's hand."""
        self._chunks.close()
        self._chunks.given_up = True
        self._cutter, self._rest = None, b""
        self.close()

    def _check_whole(self) -> None:
        if not self._chunks.given_up:
            return
        raise ConnectionLost.about(self._facts, "the stream was closed before its body had come to the end")


class Streaming:
    """A stream to come, for a `with` or an `async with` block, which closes the download at its end."""

    def __init__(
        self,
        open_it: Callable[[Request], StreamedResponse],
        open_async: Callable[[Request], Awaitable[StreamedResponse]],
        request: Callable[[], Request],
    ) -> None:
        self._open = open_it
        self._open_async = open_async
        self._request = request
        self._opened: list[StreamedResponse] = []  # by blocks that are not left yet

    def open(self) -> StreamedResponse:
        """Open it without a block, for whoever closes the response himself, or forgets it; blocks as the block does."""
        return self._open(self._request())

    async def aopen(self) -> StreamedResponse:
        """Do the same on the running loop."""
        return await self._open_async(self._request())

    def __enter__(self) -> StreamedResponse:
        self._opened.append(response := self._open(self._request()))
        return response

    def __exit__(self, *exc_info: object) -> None:
        self._opened.pop().close()

    async def __aenter__(self) -> StreamedResponse:
        self._opened.append(response := await self._open_async(self._request()))
        return response

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__()


def _pause(stream: EventStream, failures: int) -> float:
    return float(stream.pause * 2 ** min(failures, 4))
