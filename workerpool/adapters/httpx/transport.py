"""What carries the requests of an httpx client: the pool, behind the interface of a transport."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from ...caller.pool import WorkerPool
from ...caller.streaming import StreamedResponse
from ...errors import WorkerPoolError
from ...messages.body import Upload
from ...messages.request import Request
from ...settings import Timeout
from ..pools import Client, as_sent, checked_lane, checked_pool, client_of, has_secrets, taken_back
from .errors import translated
from .library import AsyncBaseTransport, AsyncByteStream, BaseTransport, SyncByteStream, library_of
from .tracing import Trace, trace_of

__all__ = ["AsyncPoolTransport", "PoolTransport"]

_ASKED = "workerpool.asked"  # the extension that tells the URL which was asked for first


class _Lane:
    """The lane that a transport sends by."""

    def __init__(self, pool: WorkerPool | str | None = None, lane: str | None = None) -> None:
        self._pool = checked_pool(pool, type(self).__name__)
        self._lane = checked_lane(lane)

    def _client(self) -> Client:
        return client_of(self._pool, self._lane)

    def _prepared(self, client: Client, request: Any, body: Any) -> Request:
        """Return our request: with the lane's retries if the lane was named, else without, as httpx has it."""
        url, asked = str(request.url), None
        if has_secrets(client.lane_settings):
            asked = request.extensions.setdefault(_ASKED, url)  # httpx hands it on to what follows a redirect
        given = request.extensions.get("timeout", {})
        headers = [(name.decode("ascii"), as_sent(value)) for name, value in request.headers.raw]
        limits = Timeout(None, given.get("connect"), given.get("read"))
        retry = None if self._lane is None else ...
        return Request.prepared(request.method, url, headers, body, limits, retry=retry, asked=asked)


class PoolTransport(_Lane, BaseTransport):
    """Send the requests of an `httpx.Client` through a pool; thread-safe, as many clients may share one.

    `pool` is a WorkerPool, or the name of one in the registry ("default"), which is made at first use, and anew in a
    forked child. `lane` names one of its lanes ("default" is one); without a name the default lane's headers, limits,
    proxy and certificates count, and its retries do not: httpx has none. httpx's timeouts `connect` and `read` count;
    there is no total, since httpx may read an answer for as long as it likes.
    The pool stays open when the client is closed.
    """

    def handle_request(self, request: Any) -> Any:
        """Send a request; blocks until the head of its answer is there. Raises the exceptions of httpx."""
        if (trace := trace_of(request)) is None:
            return self._asked(request)
        trace.tell(trace.asking())
        try:
            response = self._asked(request, trace)
        except Exception as exc:
            trace.tell(*trace.failed(exc))
            raise
        trace.tell(*trace.answered(response))
        return response

    def _asked(self, request: Any, trace: Trace | None = None) -> Any:
        with _translating(request):
            client = self._client()
            answer = client.stream(self._prepared(client, request, _body(request))).open()
        return _response(request, answer, _Stream(request, answer, trace))


class AsyncPoolTransport(_Lane, AsyncBaseTransport):
    """The same for an `httpx.AsyncClient` on asyncio: what is sent travels on the pool's own loops.

    Bodies are read on the client's loop, both ways, without a thread.
    """

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request and wait for the head of its answer. Raises the exceptions of httpx."""
        if (trace := trace_of(request)) is None:
            return await self._asked(request)
        await trace.atell(trace.asking())
        try:
            response = await self._asked(request, trace)
        except Exception as exc:
            await trace.atell(*trace.failed(exc))
            raise
        await trace.atell(*trace.answered(response))
        return response

    async def _asked(self, request: Any, trace: Trace | None = None) -> Any:
        with _translating(request):
            client = self._client()
            answer = await client.stream(self._prepared(client, request, _async_body(request))).aopen()
        return _response(request, answer, _AsyncStream(request, answer, trace))


class _Stream(SyncByteStream):
    """The body of an answer as httpx reads it."""

    def __init__(self, request: Any, answer: StreamedResponse, trace: Trace | None) -> None:
        self._request = request
        self._answer = answer
        self._trace = trace

    def __iter__(self) -> Iterator[bytes]:
        pieces = self._pieces()
        return pieces if self._trace is None else self._traced(pieces, self._trace)

    def close(self) -> None:
        """Stop the download, unless it is complete. Repeatable."""
        self._answer.close()
        if self._trace is not None:
            self._trace.tell(*self._trace.closed())

    def _pieces(self) -> Iterator[bytes]:
        with _translating(self._request):
            yield from self._answer.iter_bytes()

    def _traced(self, pieces: Iterator[bytes], trace: Trace) -> Iterator[bytes]:
        trace.tell(trace.reading())
        try:
            yield from pieces
        except BaseException as exc:
            trace.tell(trace.read(exc))
            raise
        trace.tell(trace.read())


class _AsyncStream(AsyncByteStream):
    """The same, read from a loop of the caller's."""

    def __init__(self, request: Any, answer: StreamedResponse, trace: Trace | None) -> None:
        self._request = request
        self._answer = answer
        self._trace = trace

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._trace is not None:
            await self._trace.atell(self._trace.reading())
        try:
            with _translating(self._request):
                async for piece in self._answer.aiter_bytes():
                    yield piece
        except Exception as exc:
            if self._trace is not None:
                await self._trace.atell(self._trace.read(exc))
            raise
        if self._trace is not None:
            await self._trace.atell(self._trace.read())

    async def aclose(self) -> None:
        """Stop the download, unless it is complete. Repeatable."""
        self._answer.close()
        if self._trace is not None:
            await self._trace.atell(*self._trace.closed())


@contextmanager
def _translating(request: Any) -> Iterator[None]:
    try:
        yield
    except WorkerPoolError as exc:
        raise translated(exc, request) from exc
    except CancelledError as exc:
        raise translated(taken_back(), request) from exc
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise translated(taken_back(), request) from exc  # it was not the caller who cancelled


def _body(request: Any) -> Any:
    if isinstance(request.stream, library_of(request).ByteStream):
        return b"".join(request.stream) or None
    return iter(request.stream)


def _async_body(request: Any) -> Any:
    if isinstance(request.stream, library_of(request).ByteStream):
        return b"".join(request.stream) or None
    return Upload(request.stream, asyncio.get_running_loop())


def _response(request: Any, answer: StreamedResponse, stream: Any) -> Any:
    headers = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in answer.headers.items()]
    extensions = {
        "http_version": f"HTTP/{answer.http_version}".encode(),
        "reason_phrase": answer.reason.encode("utf-8", "surrogateescape"),
        "workerpool": {"attempts": answer.attempts, "seconds_to_head": float(answer.elapsed)},
    }
    return library_of(request).Response(answer.status_code, headers=headers, stream=stream, extensions=extensions)
