"""What carries the requests of a session: the pool, behind the interface of requests' own adapter."""

import ssl
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from threading import local
from typing import Any

import requests
from requests.adapters import DEFAULT_POOLBLOCK, DEFAULT_POOLSIZE, DEFAULT_RETRIES, HTTPAdapter
from urllib3.exceptions import MaxRetryError
from urllib3.util import Retry as Urllib3Retry
from urllib3.util import Timeout as Urllib3Timeout

from ...caller.pool import WorkerPool
from ...caller.streaming import StreamedResponse
from ...errors import WorkerPoolError
from ...handover.job import Job
from ...lane import Lane
from ...messages.request import Request
from ...messages.response import Response
from ...settings import Timeout
from ..pools import Client, as_sent, checked_lane, checked_pool, client_of, has_secrets, pool_of, taken_back
from .connection import Connection
from .errors import translated
from .following import asked_first
from .lanes import Config, Used, checked_proxy, release, tls_facts, use
from .raw import raw_of, whole_response
from .retries import asks_for_nothing, exhausted, repeated

__all__ = ["PoolAdapter"]

_TimeoutLike = float | tuple[float | None, float | None] | Urllib3Timeout | None
# What requests sends with: for as long as it takes, once, and however much comes.
_STREAMED: dict[str, Any] = {"timeout": Timeout(None), "retry": None}
_WHOLE: dict[str, Any] = {**_STREAMED, "max_body": sys.maxsize}
_BODILESS = ("GET", "HEAD")
_SEND, _BUILD = HTTPAdapter.send, HTTPAdapter.build_response  # as they are before anybody's mock replaces them


class PoolAdapter(HTTPAdapter):
    """Send the requests of a `requests.Session` through a pool; thread-safe, as many sessions may share one.

    `pool` is a WorkerPool, or the name of one in the registry ("default"), which is made at first use, and anew in
    a forked child. All is as requests has it, timeouts, no retries and bodies of any size included, unless `lane`
    names one of the pool's lanes ("default" is one): then its total deadline, retries and largest body count, too.
    Headers and limits of the lane count always.

    `max_retries` is as HTTPAdapter has it: urllib3's Retry, done here. `pool_maxsize` raises the lane's `connections`
    where no lane is named; with `pool_block` it is how many a host gets. Connections are kept for any number of hosts,
    so that `pool_connections` is always met. Connections belong to the pool: closing the adapter closes none.
    """

    __attrs__: list[str] = [*HTTPAdapter.__attrs__, "_pool", "_lane"]  # noqa: RUF012  what requests' own pickling takes along

    def __init__(
        self,
        pool: WorkerPool | str | None = None,
        lane: str | None = None,
        *,
        pool_connections: int = DEFAULT_POOLSIZE,
        pool_maxsize: int = DEFAULT_POOLSIZE,
        max_retries: "Urllib3Retry | int" = DEFAULT_RETRIES,
        pool_block: bool = DEFAULT_POOLBLOCK,
    ) -> None:
        self._pool = checked_pool(pool, "PoolAdapter")
        self._lane = checked_lane(lane)
        super().__init__(pool_connections, pool_maxsize, max_retries, pool_block)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = DEFAULT_POOLBLOCK, **pool_kwargs: Any
    ) -> None:
        """Take the sizes; called by requests when an adapter is made, unpickled or set anew.

        Of urllib3's further keywords `ssl_context` counts; the others are refused, as they would be without effect.
        """
        if not isinstance(maxsize, int):
            raise TypeError(f"pool_maxsize must be a whole number, not {type(maxsize).__name__}")
        self._context = pool_kwargs.pop("ssl_context", None)
        if pool_kwargs:
            raise TypeError(
                f"PoolAdapter has no {', '.join(pool_kwargs)}: connections are the pool's; Lane(connector=)"
            )
        super().init_poolmanager(connections, maxsize, block)
        self._own = _own_lane(self._context, maxsize, block=block, named=self._lane is not None)
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
        if HTTPAdapter.send is not _SEND:  # somebody's mock: what it lets through comes back by the Connection
            options: dict[str, Any] = {"timeout": timeout, "verify": verify, "cert": cert, "proxies": proxies}
            return super().send(request, stream=stream, **options)
        retries = self.max_retries
        try:
            if asks_for_nothing(retries):
                return self._response(request, self._answer(request, stream, timeout, verify, cert, proxies))
            answer, retries = repeated(
                retries, request, lambda: self._answer(request, stream, timeout, verify, cert, proxies)
            )
        except WorkerPoolError as exc:
            raise translated(exc, request) from exc
        except MaxRetryError as exc:
            raise exhausted(exc, request) from exc.__cause__
        return self.build_response(request, raw_of(answer, retries))

    def begin(self, request: requests.PreparedRequest, stream: bool = False, **options: Any) -> Job[Any] | None:
        """Hand a prepared request over without waiting; `begun` makes what comes of it the answer of `send`.

        The options are those of `send`. None if `send` may do without, as that of a cache or a mock.
        """
        if HTTPAdapter.send is not _SEND or getattr(self.send, "__func__", None) is not PoolAdapter.send:
            return None
        try:
            client, ours, used = self._made(request, stream, **options)
            try:
                job: Job[Any] = client.submit(ours, stream=bool(stream))
            finally:
                if used is not None:
                    release(used)
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

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return what HTTPAdapter's own `send` sends by: the pool again."""

        def ask(timeout: Urllib3Timeout) -> Response:
            return self._answer(request, True, timeout, verify, cert, proxies)

        return Connection(request, ask)

    def copy(self) -> "PoolAdapter":
        """Return another adapter with the same settings, over the same connections."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self), config=dict(self.config), proxy_manager={}, _mine=local())
        return copied

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self._pool, WorkerPool):
            raise TypeError("a PoolAdapter that was given a pool cannot be pickled; give it the name of a pool instead")
        return {name: getattr(self, name, None) for name in self.__attrs__}

    def _answer(
        self,
        request: requests.PreparedRequest,
        stream: bool,
        timeout: _TimeoutLike,
        verify: bool | str,
        cert: Any,
        proxies: Mapping[str, str] | None,
    ) -> Response:
        """Send the request once and return the answer, or that of the job that was begun for it."""
        try:
            if (begun := self._take_begun(request)) is not None:
                answer: Response = begun.result()
                return answer
            client, ours, used = self._made(request, stream, timeout, verify, cert, proxies)
            try:
                return client.stream(ours).open() if stream else client.send(ours)
            finally:
                if used is not None:
                    release(used)
        except CancelledError as exc:
            raise taken_back() from exc

    def _take_begun(self, request: requests.PreparedRequest) -> Job[Any] | None:
        mine, job = getattr(self._mine, "begun", None) or (None, None)
        if mine is not request:
            return None
        self._mine.begun = None
        return job

    def _response(self, request: requests.PreparedRequest, answer: Response) -> requests.Response:
        own_way = getattr(self.build_response, "__func__", None) is not _BUILD
        if own_way or isinstance(answer, StreamedResponse) or "Content-Encoding" in answer.headers:
            return self.build_response(request, raw_of(answer))
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
    ) -> tuple[Client, Request, Used | None]:
        """Return what to send with, our request, and the shared lane that is to be released when it is sent."""
        assert request.url is not None
        pool, used = pool_of(self._pool), None
        client = client_of(pool, self._lane)
        lane = client.lane_settings
        config = self._config(lane, request.url, verify, cert, proxies)
        self.add_headers(request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        headers = [(_text(name), _text(value)) for name, value in request.headers.items()]
        options = self._options(timeout, lane.timeout, stream=stream)
        if has_secrets(lane):
            options = {**options, "asked": asked_first(request)}
        ours = Request.prepared(_text(request.method), request.url, headers, _body(request), **options)
        if config is not None:
            client, used = use(pool, lane, config)
        return client, ours, used

    def _config(
        self, lane: Lane, url: str, verify: bool | str, cert: Any, proxies: Mapping[str, str] | None
    ) -> Config | None:
        """Return what the request needs a lane of its own for; raises requests' errors for what cannot be."""
        if not proxies and not cert and self._own is None and url.startswith("http:"):
            return None  # the usual case, at no cost
        tls = tls_facts(self.cert_verify, self._context or lane.ssl, url, verify, cert)
        config = (self._own or Config())._replace(proxy=checked_proxy(url, proxies))
        if tls is not None:
            config = config._replace(tls=tls)
        return None if config == Config() else config

    def _options(self, timeout: _TimeoutLike, lane: Timeout, *, stream: bool) -> dict[str, Any]:
        """Return the request's own settings: those of requests, where no lane was named whose settings count."""
        if self._lane is not None:
            return {"timeout": _limits(timeout, lane, stream=stream)}
        if timeout is None:
            return _STREAMED if stream else _WHOLE
        return {**(_STREAMED if stream else _WHOLE), "timeout": Timeout(None, *_connect_and_read(timeout))}


def _own_lane(context: "ssl.SSLContext | None", maxsize: int, *, block: bool, named: bool) -> Config | None:
    """Return what all requests of an adapter need a lane of its own for, if anything."""
    config = Config(
        context,
        connections=maxsize if maxsize > DEFAULT_POOLSIZE and not named else None,
        per_host=maxsize if block else None,
    )
    return None if config == Config() else config


def _body(request: requests.PreparedRequest) -> Any:
    """Return what is sent: an empty body, too, where requests says that there is one (as for DELETE)."""
    body: Any = request.body
    if body is None:
        empty = request.method not in _BODILESS and request.headers.get("Content-Length") == "0"
        return b"" if empty else None
    if isinstance(body, int | float):
        raise TypeError(f"'body' must be a bytes-like object, file-like object, or iterable. Instead was {body!r}")
    return body


def _text(value: Any) -> str:
    """Return a plain str of what may be bytes, or a str of another class."""
    return as_sent(value) if isinstance(value, bytes) else str(value)


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
    if timeout is None:
        return None, None
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
