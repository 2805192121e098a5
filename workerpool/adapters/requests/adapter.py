"""What carries the requests of a session: the pool, behind the interface of requests' own adapter."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import local
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Timeout as Urllib3Timeout

from ...errors import WorkerPoolError
from ...job import Job
from ...messages.request import Request
from ...messages.response import Response
from ...pool import WorkerPool
from ...registry import get_pool
from ...settings import Timeout
from ...streaming import StreamedResponse
from ...views import LaneView
from .errors import translated
from .lanes import Lanes
from .raw import raw_response, raw_stream, whole_response

__all__ = ["PoolAdapter"]

_TimeoutLike = float | tuple[float | None, float | None] | Urllib3Timeout | None


class PoolAdapter(HTTPAdapter):
    """Send the requests of a `requests.Session` through a pool; thread-safe, as many sessions may share one.

    `pool` is a WorkerPool, or the name of one in the registry ("default"), which is made at first use, and anew in
    a forked child. `lane` names one of its lanes, whose headers, limits and retries count. A `timeout` is as requests
    has it; beside it the lane's total deadline holds, unless the answer is streamed. Closing the adapter closes its own
    connections, and not the pool.
    """

    _lanes: Lanes
    __attrs__ = [*HTTPAdapter.__attrs__, "_pool", "_lane"]  # noqa: RUF012  what requests' own pickling takes along

    def __init__(self, pool: WorkerPool | str | None = None, lane: str | None = None) -> None:
        self._pool = "default" if pool is None else pool
        self._lane = lane
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Begin without lanes of its own; called by requests when an adapter is made, unpickled or set anew."""
        super().init_poolmanager(*args, **options)
        if hasattr(self, "_lanes"):
            self._lanes.close()
        self._lanes = Lanes(self.cert_verify)
        self._mine = local()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: _TimeoutLike = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a prepared request; blocks for its head, or without `stream` for all of its answer.

        Raises the exceptions of requests, with the pool's as their cause.
        """
        try:
            begun = self._take_begun(request)
            if begun is None:
                client, ours = self._made(request, stream, timeout, verify, cert, proxies)
                answer = client._stream(ours) if stream else client._send(ours)
            else:
                answer = begun.result()
        except WorkerPoolError as exc:
            raise translated(exc, request) from exc
        return self._response(request, answer)

    def begin(self, request: requests.PreparedRequest, stream: bool = False, **options: Any) -> Job[Any]:
        """Hand a prepared request over without waiting; `begun` makes what comes of it the answer of `send`.

        The options are those of `send`.
        """
        try:
            client, ours = self._made(request, stream, **options)
            job = client._make_request_job(ours, streamed=stream)
            client._post(job)
        except WorkerPoolError as exc:
            raise translated(exc, request) from exc
        return job

    @contextmanager
    def begun(self, request: requests.PreparedRequest, job: Job[Any]) -> Iterator[None]:
        """Let the next `send` of the request, in this thread, take the job's answer."""
        self._mine.begun = request, job
        try:
            yield
        finally:
            self._mine.begun = None

    def close(self) -> None:
        """Close the connections of lanes opened for this adapter alone; the pool goes on. Repeatable."""
        super().close()
        self._lanes.close()

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self._pool, WorkerPool):
            raise TypeError("a PoolAdapter that was given a pool cannot be pickled; give it the name of a pool instead")
        return {name: getattr(self, name, None) for name in self.__attrs__}

    def _client(self) -> LaneView | WorkerPool:
        pool = get_pool(self._pool) if isinstance(self._pool, str) else self._pool
        return pool if self._lane is None else pool.lane(self._lane)

    def _take_begun(self, request: requests.PreparedRequest) -> Job[Any] | None:
        mine, job = getattr(self._mine, "begun", None) or (None, None)
        if mine is not request:
            return None
        self._mine.begun = None
        return job

    def _response(self, request: requests.PreparedRequest, answer: Response) -> requests.Response:
        if isinstance(answer, StreamedResponse):
            return self.build_response(request, raw_stream(answer))
        own_way = type(self).build_response is not HTTPAdapter.build_response
        if own_way or "Content-Encoding" in answer.headers:
            return self.build_response(request, raw_response(answer))
        response = whole_response(request, answer)
        response.connection = self
        return response

    def _made(
        self,
        request: requests.PreparedRequest,
        stream: bool,
        timeout: _TimeoutLike = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> tuple[LaneView | WorkerPool, Request]:
        """Return our request, and what to send it with."""
        assert request.url is not None
        client = self._lanes.open(self._client(), request.url, verify, cert, proxies)
        self.add_headers(request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        headers = [(_text(name), _text(value)) for name, value in request.headers.items()]
        limits = _limits(timeout, client._lane.timeout, stream=stream)
        return client, Request.prepared(_text(request.method), request.url, headers, request.body, limits)


def _text(value: Any) -> str:
    """Return a plain str of what may be bytes, or a str of another class."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _limits(timeout: _TimeoutLike, lane: Timeout, *, stream: bool) -> Timeout | None:
    """Return what requests' timeout comes to: connect and read as it has them, and the lane's total if that is longer.

    None stands for the lane's own. A stream has no total, since a download may go on for hours.
    """
    if timeout is None:
        return Timeout(None, lane.connect, lane.read) if stream else None
    connect, read = _connect_and_read(timeout)
    if stream or lane.total is None or connect is None or read is None:
        return Timeout(None, connect, read)
    return Timeout(max(lane.total, connect + read), connect, read)


def _connect_and_read(timeout: _TimeoutLike) -> tuple[Any, Any]:
    if isinstance(timeout, tuple):
        try:
            connect, read = timeout
        except ValueError:
            raise ValueError(
                f"Invalid timeout {timeout}. Pass a (connect, read) timeout tuple, "
                "or a single float to set both timeouts to the same value."
            ) from None
        timeout = Urllib3Timeout(connect=connect, read=read)
    if not isinstance(timeout, Urllib3Timeout):
        timeout = Urllib3Timeout(connect=timeout, read=timeout)
    started = timeout.clone()
    started.start_connect()
    return started.connect_timeout, started.read_timeout
