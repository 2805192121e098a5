"""Bodies on the wire: what aiohttp is given to send, and what is read back within bounds."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from itertools import count
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDictProxy

from ..errors import BodyTooLarge, DecodingError, InvalidRequest
from ..handover.channel import Chunks, Closed
from ..messages.body import Body, Upload
from .decoding import Decoder, decoder_for, unpacked_at_once
from .inside.answer import AnyAnswer, content_of
from .uploads import Feeder

__all__ = ["Payload", "decoded", "has_coding", "iter_body", "read_body", "too_large"]

_EMPTY_STATUSES = frozenset({204, 304})
_AT_ONCE = 2**20  # bytes that are written in one go; aiohttp warns beyond, since all of it would be copied at once
_SLICE = 2**18
_RUN = 2**19  # bytes handed to the reader of a stream at once
_STEPS = 4  # of a decoder, a millisecond each at most, before the loop's other tasks get their turn
_OVERHEAD = 2**16  # bytes that a body may be larger as it was sent than as it is handed out
_TURNS = 4  # of the loop, some 10 µs each, that bytes wait for more; with 1 a fast download has three times the runs


class Payload:
    """What to send for one attempt; `error` is what the caller's own source raised."""

    def __init__(self, body: Body, declared: int | None, feeders: set[Feeder]) -> None:
        self.error: BaseException | None = None
        self.data: Any = body
        self.length = declared
        self._feeders = feeders
        self._feeder: Feeder | None = None
        if isinstance(body, Upload):
            self.data = _Sending(body, self._pump)
        elif isinstance(body, bytes) and len(body) > _AT_ONCE:
            self.length = len(body)
            self.data = _Slices(body)

    async def open(self) -> None:
        """Have the source at its beginning and know its length; raises InvalidRequest. `close` is to follow."""
        if not isinstance(self.data, _Sending):
            return
        self._feeder = Feeder(self.data.upload, self._feeders)
        await self._feeder.open()
        if self.length is None:
            self.length = self._feeder.size

    def close(self) -> None:
        """Release the source."""
        if self._feeder is not None:
            self._feeder.stop()

    async def _pump(self) -> AsyncIterator[bytes]:
        self.error = None
        sent = 0
        try:
            feeder = await self._begin()
            while (chunk := await _next(feeder.chunks)) is not None:
                sent += len(chunk)
                self._check_length(sent, f"at least {sent}")
                yield chunk
            self._check_length(sent, str(sent), whole=True)
        except Exception as exc:
            self.error = exc
            raise

    async def _begin(self) -> Feeder:
        """Begin to read the source; anew, if a middleware sends the request once more."""
        assert self._feeder is not None
        if self._feeder.begun:
            self._feeder.stop()
            await self.open()
        self._feeder.start()
        return self._feeder

    def _check_length(self, sent: int, found: str, *, whole: bool = False) -> None:
        if self.length is not None and (sent > self.length or (whole and sent < self.length)):
            raise InvalidRequest(
                f"the body has {found} bytes where {self.length} were announced; nothing more was sent",
                stage="send",
            )


class _Sending(aiohttp.Payload):
    """An upload as aiohttp sends it: from its beginning, as often as that is asked for."""

    _autoclose = True  # whoever has made the Payload closes it

    def __init__(self, upload: Upload, pump: Callable[[], AsyncIterator[bytes]]) -> None:
        super().__init__(upload)
        self.upload = upload
        self._pump = pump

    @property
    def consumed(self) -> bool:
        """Whether it cannot be sent once more."""
        return self.upload.is_spent

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the whole."""
        async for chunk in self._pump():
            await writer.write(chunk)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the whole to a recorder, which takes it for an async source; it cannot copy what is not here."""
        return self._pump()

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the whole, for a digest of it."""
        return b"".join([chunk async for chunk in self])

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refuse: it is not here."""
        raise TypeError("an upload is read while it is sent; as_bytes() gives the whole")


class _Slices(aiohttp.Payload):
    """Bytes that are sent so that no more of them is copied than the server takes."""

    _autoclose = True

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._size = len(body)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the whole."""
        view = memoryview(self._value)
        for start in range(0, len(view), _SLICE):
            await writer.write(view[start : start + _SLICE])

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the whole, for a digest of it."""
        whole: bytes = self._value
        return whole

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the whole as text."""
        return str(self._value, encoding, errors)


async def _next(chunks: Chunks) -> bytes | None:
    try:
        return await chunks.aget()
    except Closed:
        if chunks.given_up:  # what was sent is not all, and must not look so
            raise
        return None


async def read_body(answer: AnyAnswer, limit: int, *, decode: bool = True) -> bytes:
    """Return the whole body, decoded unless told otherwise; raises BodyTooLarge, DecodingError and aiohttp's errors."""
    decoder = _decoder_of(answer) if decode else None
    content = content_of(answer)
    if decoder is None and content.is_eof():  # it came together with the head, as small ones do
        whole: bytes = content.read_nowait()
        if len(whole) > limit:
            raise too_large(limit)
        return whole
    if decoder is None and (answer.content_length or 0) > limit:
        raise too_large(limit)
    pieces: list[bytes] = []
    size = 0
    began = False
    steps = count(1)
    while raw := await content.readany():
        began = True
        for piece in (raw,) if decoder is None else decoder.feed(raw):
            size += len(piece)
            if size > limit or (decoder is not None and decoder.taken > limit + _OVERHEAD):
                raise too_large(limit)
            if piece:
                pieces.append(piece)
            if not next(steps) % _STEPS:  # a small body may be made so that it takes any number of them
                await asyncio.sleep(0)
    if decoder is not None and began:
        decoder.finish()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def read_start(answer: AnyAnswer, limit: int) -> bytes:
    """Return the first bytes of the body, decoded; what follows is left."""
    found = bytearray()
    async with aclosing(iter_body(answer)) as runs:
        async for run in runs:
            found += b"".join(run)
            if len(found) >= limit:
                break
    return bytes(found[:limit])


def decoded(body: bytes, headers: "CIMultiDictProxy[str]", limit: int) -> bytes:
    """Return a small body that is here, decoded as its headers say; raises BodyTooLarge, DecodingError."""
    coding = ", ".join(headers.getall("Content-Encoding", ()))
    if (whole := unpacked_at_once(body, coding)) is not None:
        if len(whole) > limit:
            raise too_large(limit)
        return whole
    decoder = decoder_for(coding)
    if decoder is None or not body:
        return body
    pieces: list[bytes] = []
    size = 0
    for piece in decoder.feed(body):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise too_large(limit)
    decoder.finish()
    return b"".join(pieces)


async def _has_more(content: aiohttp.StreamReader) -> bool:
    """Whether a few more turns of the loop bring more of a body that was read so far."""
    before = content.total_bytes
    for _ in range(_TURNS):
        await asyncio.sleep(0)
        if content.total_bytes > before:
            return content.exception() is None
    return False


async def iter_body(answer: AnyAnswer, *, decode: bool = True) -> AsyncGenerator[deque[bytes], None]:
    """Yield the body as it comes, decoded in bounded steps: pieces that are there at once in one run.

    Raises DecodingError and aiohttp's own errors.
    """
    decoder = _decoder_of(answer) if decode else None
    content = content_of(answer)
    began = False
    run, size = deque[bytes](), 0
    steps = count(1)
    while raw := await content.readany():
        began = True
        try:
            for piece in (raw,) if decoder is None else decoder.feed(raw):
                if piece:
                    run.append(piece)
                size += len(piece)
                if not next(steps) % _STEPS:
                    await asyncio.sleep(0)
                if size >= _RUN:
                    yield run
                    run, size = deque(), 0
        except DecodingError:
            yield run  # what came before is right
            raise
        if run and not await _has_more(content):
            yield run
            run, size = deque(), 0
    if run:
        yield run
    if decoder is not None and began:
        decoder.finish()


def has_coding(method: str, status: int, headers: "CIMultiDictProxy[str]") -> bool:
    """Whether there may be a body, and that is encoded."""
    return "Content-Encoding" in headers and method != "HEAD" and status not in _EMPTY_STATUSES


def _decoder_of(answer: AnyAnswer) -> Decoder | None:
    if not has_coding(answer.method, answer.status, answer.headers):
        return None
    return decoder_for(", ".join(answer.headers.getall("Content-Encoding")))


def too_large(limit: int) -> BodyTooLarge:
    """Return the error for a body over the limit, in bytes."""
    return BodyTooLarge(
        f"the body is larger than max_body ({limit} bytes); raise max_body= or use stream()",
        stage="body",
    )
