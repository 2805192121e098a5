"""The interface of requests-futures over the pool: no thread per request.

While a request waits for its server, no thread of the caller's does. When its answer is there, one of a few threads
goes through what requests does with it: hooks, cookies, redirects.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from functools import partial
from pickle import dumps
from threading import Lock
from typing import Any
from warnings import warn

import requests
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter

from ...caller.pool import WorkerPool
from ...handover.job import Job
from .adapter import PoolAdapter

__all__ = ["FuturesSession"]

# word for word as requests-futures has it, whose users compare it
_PICKLE_ERROR = (
    "Cannot pickle request. Refer to documentation: https://github.com/ross/requests-futures/#using-processpoolexecutor"
)

_SIZES = ("pool_connections", "pool_maxsize", "pool_block")
_SETTINGS = frozenset({"max_retries", *_SIZES})


class FuturesSession(requests.Session):
    """A requests.Session whose verbs return a `concurrent.futures.Future` of the response at once; thread-safe.

    `pool` and `lane` are as PoolAdapter takes them; `executor`, `session` and `adapter_kwargs` as
    requests-futures has them. At most `max_workers` threads run hooks and follow
    redirects, and send what goes by another adapter. Raises TypeError for what would be without effect: another
    name in `adapter_kwargs`, and `pool` or `lane` beside a `session`, whose adapters count.
    """

    def __init__(
        self,
        executor: Executor | None = None,
        max_workers: int = 8,
        session: requests.Session | None = None,
        adapter_kwargs: dict[str, Any] | None = None,
        *args: Any,
        pool: WorkerPool | str | None = None,
        lane: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(max_workers, int):
            raise TypeError(f"max_workers must be a whole number, not {type(max_workers).__name__}")
        _check_effect(session, adapter_kwargs or {}, pool, lane)
        super().__init__(*args, **kwargs)
        self.mount("https://", PoolAdapter(pool, lane))
        self.mount("http://", PoolAdapter(pool, lane))
        self._owned = executor is None
        self._lock = Lock()
        self._pending: set[Future[Any]] = set()
        self._closed = False
        self.executor: ThreadPoolExecutor | Executor = (
            ThreadPoolExecutor(max_workers, "workerpool-requests") if executor is None else executor
        )
        self.session = session
        sizes: dict[str, Any] = {}
        if executor is None and max_workers > DEFAULT_POOLSIZE:
            sizes = {"pool_connections": max_workers, "pool_maxsize": max_workers}
        if sizes or adapter_kwargs:
            _configure(session or self, sizes | (adapter_kwargs or {}))

    def request(self, *args: Any, **kwargs: Any) -> "Future[Any]":  # type: ignore[override]
        """Begin a request, with the arguments of `requests.Session.request`, and return its Future.

        Never blocks on the network; what is wrong with the request comes from the Future. Raises RuntimeError after
        `close`, and for what a ProcessPoolExecutor cannot be given. `background_callback` is deprecated: use hooks.
        """
        callback = kwargs.pop("background_callback", None)
        if callback:
            warn("`background_callback` is DEPRECATED. Use `hooks` instead.", DeprecationWarning, stacklevel=4)
        session = self.session or self
        if self._owned:
            return self._begin(session, callback, args, kwargs)
        call = partial(requests.Session.request, self) if session is self else session.request
        if callback:
            call = partial(_with_callback, self, call, callback)
        return self._submit(call, args, kwargs)

    def get(self, url: str | bytes, **kwargs: Any) -> "Future[Any]":  # type: ignore[override]
        """Begin a GET and return its Future."""
        return super().get(url, **kwargs)  # type: ignore[return-value]

    def close(self) -> None:
        """Take no more requests, cancel what has not begun, wait for the rest, and close the adapters."""
        with self._lock:
            self._closed = True
            pending = tuple(self._pending)
        for future in pending:
            if not self._owned or not future.running():
                future.cancel()
        wait(pending)
        if self._owned:
            self.executor.shutdown(cancel_futures=True)
        super().close()

    def _begin(
        self, session: requests.Session, callback: Callable[..., Any] | None, args: Any, kwargs: Any
    ) -> "Future[Any]":
        """Let the pool bring the first answer, and then a thread go on from there."""
        answer = _Answer()
        self._track(answer)
        try:
            prepared, options = _prepared(session, *args, **kwargs)
            adapter = session.get_adapter(str(prepared.url))
            begun = _begun(adapter, prepared, options)
        except Exception as exc:  # noqa: BLE001  all that is wrong with a request comes from its Future
            answer.set_exception(exc)
            return answer

        def go_on(_job: object = None) -> None:
            try:
                self.executor.submit(_finish, session, callback, prepared, options, begun, answer)
            except RuntimeError:  # closed meanwhile
                answer.cancel()

        if begun is None:
            go_on()
        else:
            answer.job = begun
            begun.add_done_callback(go_on)
        return answer

    def _submit(self, call: Callable[..., Any], args: Any, kwargs: Any) -> "Future[Any]":
        """Do it all in the caller's own executor."""
        if isinstance(self.executor, ProcessPoolExecutor):
            try:
                dumps((call, args, kwargs))
            except Exception as exc:
                raise RuntimeError(_PICKLE_ERROR) from exc
        if self.session:
            return self.executor.submit(call, *args, **kwargs)
        with self._lock:
            self._check_open()
            future = self.executor.submit(call, *args, **kwargs)
            self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    def _track(self, answer: "Future[Any]") -> None:
        with self._lock:
            self._check_open()
            self._pending.add(answer)
        answer.add_done_callback(self._pending.discard)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("cannot schedule new futures after close")


class _Answer(Future[Any]):
    """The Future of a response; to cancel it gives the request up, in flight or not."""

    job: Job[Any] | None = None

    def running(self) -> bool:
        """Whether the request is on its way, or its answer is being worked on."""
        begun = self.job is not None and (self.job.running() or self.job.done())
        return not self.done() and (begun or super().running())

    def cancel(self) -> bool:
        """Give the request up; False once its answer is being worked on, or is there."""
        cancelled = super().cancel()
        if cancelled and self.job is not None:
            self.job.cancel()
        return cancelled


def _prepared(
    session: requests.Session, method: str, url: str, **options: Any
) -> tuple[requests.PreparedRequest, dict[str, Any]]:
    """Return what `requests.Session.request` makes of its arguments before it sends anything."""
    sending = {name: options.pop(name, None) for name in ("timeout", "proxies", "stream", "verify", "cert")}
    redirects = options.pop("allow_redirects", True)
    prepared = session.prepare_request(requests.Request(method.upper(), url, **options))
    settings = session.merge_environment_settings(
        prepared.url, sending["proxies"] or {}, sending["stream"], sending["verify"], sending["cert"]
    )
    return prepared, {"timeout": sending["timeout"], "allow_redirects": redirects, **settings}


def _begun(adapter: Any, prepared: requests.PreparedRequest, options: dict[str, Any]) -> Job[Any] | None:
    if not isinstance(adapter, PoolAdapter):
        return None
    return adapter.begin(prepared, **{name: options[name] for name in options if name != "allow_redirects"})


def _finish(
    session: requests.Session,
    callback: Callable[..., Any] | None,
    prepared: requests.PreparedRequest,
    options: dict[str, Any],
    begun: Job[Any] | None,
    answer: _Answer,
) -> None:
    """Do what requests does once the answer is there. In a thread of the executor."""
    if not answer.set_running_or_notify_cancel():
        return
    try:
        adapter = session.get_adapter(str(prepared.url))
        if begun is not None and isinstance(adapter, PoolAdapter):
            with adapter.begun(prepared, begun):
                response: Any = session.send(prepared, **options)
        else:
            response = session.send(prepared, **options)
        answer.set_result(_with_callback(session, lambda: response, callback) if callback else response)
    except BaseException as exc:  # noqa: BLE001  whoever waits is told
        answer.set_exception(exc)


def _with_callback(
    session: requests.Session, call: Callable[..., Any], callback: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    response = call(*args, **kwargs)
    result = callback(session, response)
    return response if result is None else result


def _check_effect(session: object, options: dict[str, Any], pool: object, lane: object) -> None:
    """Raise TypeError for options that nothing would come of."""
    if not isinstance(options, dict):
        raise TypeError(f"adapter_kwargs must be a dict, not {type(options).__name__}")
    if unknown := sorted(map(str, options.keys() - _SETTINGS)):
        known = ", ".join(sorted(_SETTINGS))
        hint = "; FuturesSession(pool=, lane=) takes those" if {"pool", "lane"}.intersection(unknown) else ""
        raise TypeError(f"adapter_kwargs takes {known}, not {', '.join(unknown)}{hint}")
    if session is not None and (pool is not None or lane is not None):
        raise TypeError(
            "beside a session, pool and lane are its adapters': session.mount('https://', PoolAdapter(...))"
        )


def _configure(session: requests.Session, options: dict[str, Any]) -> None:
    """Set retries and sizes of the adapters that are there."""
    for prefix in ("https://", "http://"):
        adapter = session.get_adapter(prefix)
        if not isinstance(adapter, HTTPAdapter):
            continue
        if "max_retries" in options:
            adapter.max_retries = HTTPAdapter(max_retries=options["max_retries"]).max_retries
        sizes = [options.get(name, getattr(adapter, f"_{name}")) for name in _SIZES]
        if sizes != [getattr(adapter, f"_{name}") for name in _SIZES]:
            adapter.init_poolmanager(*sizes)
            for manager in adapter.proxy_manager.values():
                manager.clear()
            adapter.proxy_manager.clear()
