"""The verbs, shared by the pool, its lanes and its sessions."""

import inspect
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from itertools import islice
from threading import TIMEOUT_MAX
from time import monotonic
from types import EllipsisType, FunctionType
from typing import Any, Unpack

from .channels import ResultQueue
from .errors import DeadlineExceeded
from .job import Blocking, Call, Job, Work, check_may_block
from .lane import Lane
from .messages.request import Auth, HeaderItems, PostOptions, PutOptions, Request, RequestOptions, TimeoutLike
from .messages.response import Response, Result
from .redaction import redact
from .results import Entry, Results
from .settings import Retry
from .streaming import StreamedResponse
from .transport import serve_websocket, sessions_are_patched, sessions_are_traced
from .websocket import Link, Opening, WebSocket

__all__ = ["Client"]

_GRACE = 0.1  # seconds a caller waits beyond the deadline before it decides without the worker
_WINDOW = 256  # inputs pulled ahead where the lane's connections set no other measure


class Client(ABC):
    """Submit work to one lane. Every method is thread-safe.

    The verbs, `request` and `stream` block until the answer is there and are refused on a worker's own
    thread; they raise the errors of `workerpool.errors`. URLs may be relative where the lane has a base_url.
    """

    _lane: Lane

    def submit(self, target: "str | Request | Callable[..., Any]", /, *args: Any, **kwargs: Any) -> Job:
        """Hand over a URL, a Request, or an async function, and return its Job without waiting for the network.

        Keywords beside a URL are those of `request` and `method`; an async function is called with the
        worker's private aiohttp session, then with `args` and `kwargs`. Blocks only while the lane's
        queue is full, for the timeout at most; raises QueueFull, PoolClosed, InvalidRequest.
        """
        job = self._make_job(target, args, kwargs)
        self._post(job)
        return job

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """Run an async function over the inputs and yield its results in their order.

        At most `buffersize` inputs are pulled ahead. The first error is raised in its place and the rest is
        cancelled, as when the loop is left early. `timeout` is in seconds from this call. `chunksize` is
        there for Executor's sake and does nothing.
        """
        size = self._window(buffersize)
        deadline = None if timeout is None else monotonic() + timeout
        calls = zip(*iterables, strict=False)
        jobs = deque(self.submit(fn, *args) for args in islice(calls, size))
        return _in_order(jobs, (self.submit(fn, *args) for args in calls), deadline)

    def fetch_many(
        self,
        requests: "Iterable[str | Request]",
        *,
        ordered: bool = False,
        buffersize: int | None = None,
    ) -> Results:
        """Fetch any number of URLs or Requests and yield a Result for each, an error included.

        For `for` and `async for`. Lazy and bounded: at most `buffersize` inputs are pulled ahead of what was
        handed out. Leaving the loop early cancels what is in flight.
        """
        return Results(self, requests, ordered=ordered, buffersize=self._window(buffersize))

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Any = None,
        data: Any = None,
        json: Any = None,
        files: Any = None,
        headers: HeaderItems | None = None,
        cookies: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        timeout: TimeoutLike | None = None,
        allow_redirects: bool = True,
        max_body: int | None = None,
        retry: "Retry | EllipsisType | None" = ...,
        priority: int = 0,
        meta: Any = None,
    ) -> Response:
        """Send a request and block until its answer is complete; raises a RequestError.

        Arguments are those of requests. `timeout` is the total in seconds, from here to the last byte, or a
        Timeout; `max_body` is in bytes; `retry` and both of these are the lane's where left out.
        """
        return self._ask(
            method,
            url,
            params=params,
            data=data,
            json=json,
            files=files,
            headers=headers,
            cookies=cookies,
            auth=auth,
            timeout=timeout,
            allow_redirects=allow_redirects,
            max_body=max_body,
            retry=retry,
            priority=priority,
            meta=meta,
        )

    def get(self, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send a GET; see `request`."""
        return self._ask("GET", url, **options)

    def options(self, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send an OPTIONS; see `request`."""
        return self._ask("OPTIONS", url, **options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send a HEAD; redirects are not followed unless asked for, as in requests; see `request`."""
        options.setdefault("allow_redirects", False)
        return self._ask("HEAD", url, **options)

    def post(
        self,
        url: str,
        data: Any = None,
        json: Any = None,
        **options: Unpack[PostOptions],
    ) -> Response:
        """Send a POST; see `request`."""
        return self._ask("POST", url, data=data, json=json, **options)

    def put(self, url: str, data: Any = None, **options: Unpack[PutOptions]) -> Response:
        """Send a PUT; see `request`."""
        return self._ask("PUT", url, data=data, **options)

    def patch(self, url: str, data: Any = None, **options: Unpack[PutOptions]) -> Response:
        """Send a PATCH; see `request`."""
        return self._ask("PATCH", url, data=data, **options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send a DELETE; see `request`."""
        return self._ask("DELETE", url, **options)

    @contextmanager
    def stream(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Iterator[StreamedResponse]:
        """Send a request and hand out its answer while the body is still on its way.

        For a `with` block, which closes the download at its end. Blocks until status and headers are there;
        raises a RequestError. `max_body` counts only where it is given here.
        """
        with self._stream(Request(method, url, **options)) as response:
            yield response

    @contextmanager
    def websocket(
        self,
        url: str,
        *,
        headers: HeaderItems | None = None,
        protocols: Iterable[str] = (),
        timeout: float | None = None,
        max_message: int = 4 * 2**20,
        heartbeat: float | None = None,
        compress: bool = True,
    ) -> Iterator[WebSocket]:
        """Open a WebSocket, which holds one of the lane's places; for a `with` block, which closes it at its end.

        Blocks until it is open, `timeout` seconds at the most, or the lane's total; raises a RequestError. Messages
        larger than `max_message` bytes end it with BodyTooLarge. With `heartbeat` a ping goes out every so many
        seconds, and a peer that does not answer is lost. `compress` offers permessage-deflate (RFC 7692).
        """
        check_may_block("websocket()")
        request, lane = Request("GET", _as_http(url), headers=headers), self._lane
        limit = lane.timeout.total if timeout is None else timeout
        target = str(lane.resolve(request))
        own_code = lane.has_hooks or lane.connector is not None or sessions_are_patched()
        opening = Opening(target, request.headers, tuple(protocols), limit, max_message, heartbeat, compress, own_code)
        link = Link()
        call = Call(serve_websocket, (opening, link), {})
        job = link.work = Job(lane.name, self._owner, None, None, call, None, False, copy_context())
        job.request = request
        self._post(job)
        job.add_done_callback(link.settle)
        self._keep_open(link, job)
        with _opened(opening.url, link, job, opening.timeout) as socket:
            yield socket

    def _ask(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send a request and block for its answer.

        The verbs come here without `request`, whose thirteen keywords would cost more than the rest of this.
        """
        return self._send(Request(method, url, **options))

    def _stream(self, request: Request) -> StreamedResponse:
        """Send a request and block for the head of its answer."""
        check_may_block(f"{request.method} stream()")
        job = self._make_request_job(request, streamed=True)
        self._post(job)
        response: StreamedResponse = _outcome(job)
        response.may_ask_again(lambda last_id: self._stream(request.with_header("Last-Event-ID", last_id)))
        return response

    def _send(self, request: Request) -> Response:
        """Send a request and block for its answer."""
        check_may_block(request.method)
        lane = self._lane
        context = copy_context() if _sees_context(lane) else None
        total = lane.timeout_for(request).total
        work = Blocking(lane.name, self._owner, request, lane.resolve(request), total, context)
        self._post(work)
        response: Response = work.wait()
        return response

    def _make_job(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job:
        if isinstance(target, Request):
            if args or kwargs:
                raise TypeError("submit(Request) takes no further arguments; give them to the Request")
            return self._make_request_job(target)
        if callable(target):
            call = Call(_checked_function(target), args, kwargs)
            return Job(self._lane.name, self._owner, None, None, call, None, False, copy_context())
        return self._make_request_job(Request(*_url_of(target, args), **kwargs))

    def _make_request_job(self, request: Request, *, streamed: bool = False) -> Job:
        lane = self._lane
        context = copy_context() if _sees_context(lane) else None
        total = lane.timeout_for(request).total
        # By place: CPython takes three times as long over keywords, and this is done for each job.
        return Job(lane.name, self._owner, request, lane.resolve(request), None, total, streamed, context)

    def _make_entry(self, index: int, request: Request, out: "ResultQueue[Result]") -> Entry:
        lane = self._lane
        entry = Entry(lane.name, self._owner, request, lane.resolve(request), None, lane.timeout_for(request).total)
        if _sees_context(lane):
            entry.context = copy_context()
        entry.index = index
        entry.out = out
        return entry

    def _window(self, buffersize: int | None) -> int:
        if buffersize is None:
            return max(_WINDOW, 2 * self._lane.connections)
        if isinstance(buffersize, bool) or not isinstance(buffersize, int) or buffersize < 1:
            raise ValueError(f"buffersize must be at least 1, not {buffersize!r}")
        return buffersize

    @property
    @abstractmethod
    def _owner(self) -> object:
        """What the work keeps alive while it is under way."""

    @abstractmethod
    def _keep_open(self, link: Link, job: Job) -> None:
        """Note a WebSocket that is closed in order when the pool is shut down."""

    @abstractmethod
    def _post(self, work: Work, *, block: bool = True) -> None:
        """Hand the work to a worker; raises QueueFull or PoolClosed."""


def _sees_context(lane: Lane) -> bool:
    """Whether code that is not the pool's takes part in the lane's requests: the user's, or a tracer's."""
    return lane.has_hooks or sessions_are_traced()


def _outcome(job: Job) -> Any:
    """Block for the outcome; whatever interrupts the wait cancels the job."""
    try:
        if job.deadline is None:
            return job.result()
        return job.result(max(0.0, job.deadline - monotonic()) + _GRACE)
    except TimeoutError:
        if job.done():
            raise
        # The worker's loop did not come round to it: a function blocks it, or it is overloaded.
        job.expire()
        return job.result()
    except BaseException:
        job.cancel()
        raise


def _as_http(url: str) -> str:
    """Return the URL of the request that opens a WebSocket (RFC 6455, 3)."""
    scheme, colon, rest = url.partition(":") if isinstance(url, str) else ("", "", "")
    return {"ws": "http", "wss": "https"}.get(scheme.lower(), scheme) + colon + rest if colon else url


def _opened(url: str, link: Link, job: Job, limit: float | None) -> WebSocket:
    """Block until it is open."""
    try:
        return WebSocket(
            url, link, job, link.opened.result(None if limit is None else min(limit + _GRACE, TIMEOUT_MAX))
        )
    except TimeoutError as exc:
        job.cancel()
        if isinstance(exc, DeadlineExceeded):
            raise
        raise DeadlineExceeded(f"{redact(url)}: no WebSocket within {limit:g} s", stage="queued") from None
    except BaseException:
        job.cancel()
        raise


def _in_order(jobs: "deque[Job]", more: Iterator[Job], deadline: float | None) -> Iterator[Any]:
    try:
        while jobs:
            remaining = None if deadline is None else max(0.0, deadline - monotonic())
            result = jobs[0].result(remaining)
            jobs.popleft()
            jobs.extend(islice(more, 1))
            yield result
    finally:
        for job in jobs:
            job.cancel()


def _checked_function(fn: Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(fn, FunctionType) and fn.__code__.co_flags & inspect.CO_COROUTINE:
        return fn  # the usual case, at a quarter of the cost of asking inspect
    if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None)):  # noqa: B004
        return fn
    name = getattr(fn, "__qualname__", repr(fn))
    raise TypeError(
        f"{name} is not an async function; the pool runs `async def fn(session, ...)`, a URL or a Request;"
        " for a plain function use concurrent.futures.ThreadPoolExecutor"
    )


def _url_of(target: object, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(target, str):
        raise TypeError(f"submit() takes a URL, a Request or an async function, not {type(target).__name__}")
    if args:
        raise TypeError("submit(url) takes keyword arguments only")
    return (target,)
