"""The verbs, shared by the pool, its lanes and its sessions."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from time import monotonic
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, Never, NoReturn, ParamSpec, TypeVar, Unpack, cast, overload

from ..handover.errand import Call, Dial, Errand, Fetch, Stream
from ..handover.job import Blocking, Job, check_may_block, on_worker_thread
from ..handover.link import Link, Opening
from ..handover.queues import ResultQueue
from ..handover.work import UNLIMITED
from ..lane import Lane
from ..messages.checks import checked_priority
from ..messages.headers import Auth, HeaderItems
from ..messages.keywords import OF_A_REQUEST, no_attribute, unknown_keyword
from ..messages.request import GetOptions, PostOptions, PutOptions, Request, RequestOptions, TimeoutLike
from ..messages.response import Response
from ..messages.result import Result
from ..policies.retry import may_be_sent_again
from ..settings import Retry, Timeout, checked_seconds
from ..transport import sessions_are_traced
from .board import Board, Way
from .handed import Handed
from .results import Entry, Results, window
from .streaming import StreamedResponse, Streaming
from .targets import alone, checked, checked_function, checked_stream, url_of
from .waiting import awaited_head_of, begun, first_of, head_of, in_order
from .websocket import WebSocket, as_http

if TYPE_CHECKING:
    from .switchboard import Switchboard

__all__ = ["Client", "SubmitOptions", "board_of", "hand_over"]

P = ParamSpec("P")
T = TypeVar("T")

_OF_SUBMIT = OF_A_REQUEST | {"method"}
_INNER = 30.0  # seconds that work without a limit waits for its place if it was submitted on a worker's own thread


class SubmitOptions(RequestOptions, total=False):
    """The keywords that `submit` takes beside a URL."""

    method: str


class Client:
    """Submit work to one lane. Every method is thread-safe.

    The verbs, `request` and `stream` block until the answer is there and are refused on a worker's own
    thread; they raise the errors of `workerpool.errors`. URLs may be relative where the lane has a base_url.
    """

    def __init__(self, board: Board, route: Way) -> None:
        self._board = board
        self._route = route
        self._lane = route.lane

    if not TYPE_CHECKING:  # a checker knows the attributes, and would take any name for one

        def __setattr__(self, name: str, value: Any) -> None:
            if not name.startswith("_") and not hasattr(type(self), name):
                raise AttributeError(self._no_attribute(name), name=name, obj=self)
            super().__setattr__(name, value)

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(self._no_attribute(name), name=name, obj=self)

    @property
    def lane_settings(self) -> Lane:
        """The lane that work goes to: its settings, frozen."""
        return self._lane

    @overload
    def submit(
        self, target: str | Request, /, *, stream: Literal[False] = False, **options: Unpack[SubmitOptions]
    ) -> Job[Response]: ...
    @overload
    def submit(
        self, target: str | Request, /, *, stream: Literal[True], **options: Unpack[SubmitOptions]
    ) -> Job[StreamedResponse]: ...
    @overload
    def submit(self, target: str | Request, /, *, stream: bool, **options: Unpack[SubmitOptions]) -> Job[Any]: ...
    @overload
    def submit(
        self, target: Callable[Concatenate[Any, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[T]: ...
    def submit(self, target: Any, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Hand over a URL, a Request, or an async function, and return its Job without waiting for the network.

        Keywords beside a URL are those of `request` and `method`; their `timeout` counts from when the request gets its
        place. With `stream=True`, beside a URL or a Request, the result is a StreamedResponse, there with the head of
        the answer, which whoever takes it closes. An async function is called with the worker's private aiohttp
        session, then with `args` and `kwargs`, a `stream` among them too; it has no deadline (see `call`).
        Blocks only while the lane's queue is full, for `Timeout.queue` or the timeout at most; raises QueueFull,
        PoolClosed, InvalidRequest.
        """
        job = self._submitted(target, args, kwargs)
        self._board.post(self._route, job)
        return job

    def call(
        self,
        fn: Callable[..., Awaitable[T]],
        /,
        *args: Any,
        timeout: TimeoutLike | None = None,
        priority: int = 0,
        **keywords: Never,
    ) -> Job[T]:
        """Hand over an async function with a deadline and a priority, and return its Job; see `submit`.

        `timeout` is in seconds from when the function gets its place, or a Timeout, of which `total` and `queue` count;
        None is no limit. It is called with the worker's private aiohttp session, then with `args`; bind keywords of its
        own by functools.partial.
        """
        for name in keywords:
            raise TypeError(f"call() hands on no keyword {name!r}; bind it by functools.partial, or use submit()")
        limits = UNLIMITED if timeout is None else checked("timeout", Timeout.of, timeout)
        errand = Call(checked_function(fn), args)
        job: Job[T] = self._make_job(errand, limits, checked("priority", checked_priority, priority))
        self._board.post(self._route, job)
        return job

    def map(
        self,
        fn: Callable[..., Awaitable[T]],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        job_timeout: TimeoutLike | None = None,
        priority: int = 0,
    ) -> Iterator[T]:
        """Run an async function over the inputs and yield its results in their order.

        At most `buffersize` inputs are pulled ahead. The first error, of a call or of the inputs' own iterator, is
        raised in its place, behind the results of what came before, and the rest is cancelled, as when the loop is left
        early. `timeout` is in seconds from this call, `job_timeout` and `priority` are each call's, as `call` takes
        them. `chunksize` is there for Executor's sake and does nothing.
        """
        checked_function(fn)
        size = window(self._lane, buffersize)
        limit = checked("timeout", checked_seconds, timeout)
        deadline = None if limit is None else monotonic() + limit
        each = None if job_timeout is None else checked("job_timeout", Timeout.of, job_timeout)
        calls = zip(*iterables, strict=False)

        def begin(args: tuple[Any, ...]) -> Job[T]:
            return self.call(fn, *args, timeout=each, priority=priority)

        more = begun(begin, calls)
        return in_order(first_of(more, size), more, deadline)

    def fetch_many(
        self,
        requests: "Iterable[str | Request]",
        *,
        ordered: bool = False,
        buffersize: int | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Results:
        """Fetch any number of URLs or Requests and yield a Result for each, an error included.

        For `for` and `async for`. Lazy and bounded: at most `buffersize` inputs are pulled ahead of what was handed
        out, by default as many as can start soon. Leaving the loop early cancels what is in flight. `options` are the
        keywords of `submit`, for each input that is a URL; a Request keeps its own. A timeout counts for each from when
        it gets its place.
        """
        if unknown := options.keys() - _OF_SUBMIT:
            raise unknown_keyword("fetch_many()", min(unknown), _OF_SUBMIT)
        return Results(
            self._make_entry,
            partial(self._board.post, self._route),
            requests,
            options,
            ordered=ordered,
            buffersize=window(self._lane, buffersize),
        )

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
        **options: Never,
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
            **options,  # is refused, with what to write instead
        )

    def send(self, request: Request) -> Response:
        """Send a Request and block until its answer is complete, as `request` does; raises a RequestError."""
        if type(request) is not Request and not isinstance(request, Request):  # the first is enough, as a rule
            raise TypeError(f"send() takes a Request, not {type(request).__name__}; for a URL there are the verbs")
        check_may_block(request.method)
        response: Response = self._posted(Fetch(request, self._lane.resolve(request))).wait()
        return response

    def get(self, url: str, params: Any = None, **options: Unpack[GetOptions]) -> Response:
        """Send a GET; see `request`."""
        return self._ask("GET", url, params=params, **options)

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

    @overload
    def stream(self, method: Request, /) -> Streaming: ...
    @overload
    def stream(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Streaming: ...
    def stream(self, method: Any, url: Any = ..., **options: Any) -> Streaming:
        """Send a request, or a Request, and hand out its answer while the body is still on its way.

        For a `with` block, which closes the download at its end. Blocks until status and headers are there; in an
        `async with` block, on any asyncio loop, it waits without a thread. Raises a RequestError. `max_body` counts
        only where it is given here.
        """
        if isinstance(method, Request):
            alone("stream", () if url is ... else (url,), options)
            return Streaming(self._stream, self._astream, lambda: method)
        if url is ...:
            raise TypeError("stream() takes a method and a URL, or a Request alone")
        return Streaming(self._stream, self._astream, lambda: Request(method, url, **options))

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
        request, lane = Request("GET", as_http(url), headers=headers), self._lane
        limits = lane.timeout if timeout is None else checked("timeout", _limits_of, timeout)
        target = str(lane.resolve(request))
        opening = Opening(target, request.headers, protocols, max_message, heartbeat, compress)
        link = Link()
        self._board.keep_open(link)
        work = Blocking(lane.name, self._board, Dial(request, opening, link), limits, copy_context(), 0)
        try:
            self._board.post(self._route, work)
            socket = WebSocket(target, lane.name, link, work.wait(), work.stop)
        except BaseException:
            work.cancel()
            work.stop()  # interrupted, it may have been opened
            raise
        with socket:
            yield socket

    def _ask(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Send a request and block for its answer.

        The verbs come here without `request`, whose thirteen keywords would cost more than the rest of this.
        """
        return self.send(Request(method, url, **options))

    def _stream(self, request: Request) -> StreamedResponse:
        """Send a request and block for the head of its answer."""
        check_may_block(f"{request.method} stream()")
        return head_of(self._posted(Stream(request, self._lane.resolve(request), self._opened)))

    async def _astream(self, request: Request) -> StreamedResponse:
        """Send a request and wait, on any loop, for the head of its answer."""
        errand = Stream(request, self._lane.resolve(request), self._opened)
        job = self._make_job(errand, self._lane.timeout_for(request), request.priority, at_place=False)
        self._board.post(self._route, job, block=False)
        return await awaited_head_of(job)

    def _opened(self, head: Response, *parts: Any) -> StreamedResponse:
        """Return a streamed answer, for the worker, which hands it out with its head.

        It knows how to go on, by the same request sent again, where that may be.
        """
        if not may_be_sent_again(self._lane.retry_for(head.request), head.request):
            return StreamedResponse(head, *parts)
        return StreamedResponse(head, *parts, again=self._stream, again_async=self._astream)

    def _posted(self, errand: Fetch) -> Blocking:
        """Hand over a request whose answer this thread waits for in place."""
        lane, request = self._lane, errand.request
        context = copy_context() if _sees_context(lane) else None
        work = Blocking(lane.name, self._board, errand, lane.timeout_for(request), context, request.priority)
        try:
            self._board.post(self._route, work)
        except BaseException:
            work.cancel()  # interrupted, it may have been handed over
            raise
        return work

    def _submitted(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job[Any]:
        """Make the job of what `submit` was given."""
        if not isinstance(target, Request) and callable(target):
            return self._make_job(Call(checked_function(target), args, kwargs), UNLIMITED)
        streamed = "stream" in kwargs and checked_stream(kwargs.pop("stream"))
        if not isinstance(target, Request):
            target = Request(*url_of(target, args), **kwargs)
        elif args or kwargs:
            alone("submit", args, kwargs)
        url = self._lane.resolve(target)
        errand = Stream(target, url, self._opened) if streamed else Fetch(target, url)
        return self._make_job(errand, self._lane.timeout_for(target), target.priority)

    def _make_job(self, errand: Errand, limits: Timeout, priority: int = 0, *, at_place: bool = True) -> Job[Any]:
        """Make a job; its time begins now, or with its place."""
        context = copy_context() if isinstance(errand, Call) or _sees_context(self._lane) else None
        if on_worker_thread():
            return Job(self._lane.name, self._board, errand, self._inner(limits), context, priority, False, True)
        return Job(self._lane.name, self._board, errand, limits, context, priority, at_place)

    def _make_entry(self, index: int, request: Request, out: "ResultQueue[Result]") -> Entry:
        lane, inner = self._lane, on_worker_thread()
        limits = self._inner(lane.timeout_for(request)) if inner else lane.timeout_for(request)
        context = copy_context() if _sees_context(lane) else None
        errand = Fetch(request, lane.resolve(request))
        return Entry(lane.name, self._board, errand, limits, context, inner=inner, index=index, out=out)

    def _inner(self, limits: Timeout) -> Timeout:
        """Return the limits of work that code on a worker's own thread submits, and may wait for in a place itself.

        Its time begins now: with the place it would never begin where all the places are held so.
        """
        if limits.queue is None and limits.total is None and self._lane.connections:
            return replace(limits, queue=_INNER)
        return limits

    def _no_attribute(self, name: str) -> str:
        """Say that there is no such attribute, and where what it is of a Session of requests is set here."""
        return no_attribute(f"{type(self).__name__}", name)


def _limits_of(timeout: Any) -> Timeout:
    """Return the limits of what takes so many seconds, of which any number is good."""
    return Timeout(checked_seconds(timeout))


def hand_over(client: Client, request: Request, tag: Any, told: Callable[[Handed], object]) -> Handed:
    """Hand over a request without waiting, and have `told` hear of its outcome; raises QueueFull and PoolClosed."""
    lane = client._lane
    work = Handed(lane, client._board, request, copy_context() if _sees_context(lane) else None, tag, told)
    client._board.post(client._route, work, block=False)
    return work


def board_of(client: Client) -> "Switchboard":
    """Return what hands the client's work to the workers; it keeps them running for as long as somebody holds it."""
    return cast("Switchboard", client._board)


def _sees_context(lane: Lane) -> bool:
    """Whether code that is not the pool's takes part in the lane's requests: the user's, or a tracer's."""
    return lane.has_hooks or sessions_are_traced()
