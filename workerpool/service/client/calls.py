"""Calls of the service: sent through the pool, tried again while it is away, answered with values or errors."""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import IOBase
from json import JSONDecodeError, loads
from time import monotonic, sleep, time
from typing import Any, NoReturn, TypeVar

from ..._version import __version__
from ...caller.pool import WorkerPool
from ...caller.streaming import StreamedResponse
from ...errors import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DeadlineExceeded,
    DNSError,
    PoolClosed,
    ProtocolError,
    RequestError,
    TLSError,
)
from ...messages.request import Request
from ...messages.response import Response
from ...scraping.hosts import retry_after_seconds
from ...settings import Timeout
from .errors import (
    BadArgument,
    BadSubmission,
    ClientError,
    Conflict,
    NotAllowed,
    NotFound,
    ServiceUnavailable,
    Unauthorized,
    UnexpectedAnswer,
)

__all__ = ["Call", "Calls", "Pauses"]

log: logging.Logger = logging.getLogger("workerpool.service")
T = TypeVar("T")

_PROBLEM = "application/problem+json"
_AWAY = (429, 502, 503, 504)
_KINDS: dict[int, type[ClientError]] = {
    400: BadArgument, 401: Unauthorized, 403: NotAllowed, 404: NotFound, 409: Conflict, 413: BadArgument,
    415: BadArgument, 422: BadArgument, 431: BadArgument,
}  # fmt: skip
_BY_PROXIES = (401, 403, 413)  # what a proxy before the service says in its own words
_MOST = 256 * 2**20  # bytes of an answer
_CONNECT = 10.0
_LONGEST_PAUSE = 2.0
_BEAT = 45.0  # seconds without a byte after which a stream of events is taken for lost; the service sends more often
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Call:
    """One call: where to, with what; `make_body` makes the body of each try. `wait`: seconds that the service may take.

    `again` says that a second try does no harm where nobody knows what became of the first one.
    """

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    make_body: Callable[[], Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    again: bool = True
    about: str = ""  # what a 404 is about, in words
    submits: bool = False


class Pauses:
    """Say how long to pause before the next try: longer each time, and never beyond the end."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds
        self._next = 0.05

    def next(self, asked: float | None = None) -> float | None:
        """Return the seconds; None where the time would be over."""
        pause = max(self._next, asked or 0.0)
        self._next = min(2 * self._next, _LONGEST_PAUSE)
        return pause if monotonic() + pause < self._end else None


class Calls:
    """Send calls to one service. Thread-safe. `pool` left out, a pool of its own is made when it is needed."""

    def __init__(self, url: str, token: str | None, timeout: float, pool: WorkerPool | None) -> None:
        self.url = url
        self.timeout = timeout
        self._token = token
        self._given = pool
        self._own: WorkerPool | None = None
        self._process = 0
        self._is_closed = False
        self._lock = threading.RLock()

    def close(self) -> None:
        """Refuse calls from now on, and end the pool unless it was given."""
        with self._lock:
            self._is_closed = True
            pool, self._own = self._own, None
        if pool is not None and self._process == os.getpid():
            pool.shutdown(cancel_futures=True, timeout=5.0)

    def json(self, call: Call, made: Callable[[Any], T]) -> T:
        """Return what is made of a call's answer."""
        response = self.send(call)
        try:
            return made(loads(response.content))
        except (JSONDecodeError, UnicodeDecodeError, RecursionError):
            raise self._foreign(response, "it is no JSON") from None
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            trouble = f"{type(exc).__name__} while it was read"
        raise self._foreign(response, f"it lacks what it should have ({trouble})")

    def send(self, call: Call) -> Response:
        """Return the answer to a call, a good one; tries again while the service is away, within the timeout."""
        end, pauses = monotonic() + self.timeout + call.wait, None
        while True:
            answer = self._try(call, end)
            if isinstance(answer, Response) and answer.status_code not in _AWAY:
                if 200 <= answer.status_code < 300:
                    return answer
                self.refuse(call, answer)
            if pauses is None:
                pauses = Pauses(min(self.timeout, end - monotonic()))
                log.warning("%s: %s", self.url, self._why(answer))
            asked = _asked(answer)
            pause = pauses.next(asked) if isinstance(answer, Response) or self._may_repeat(call, answer) else None
            if pause is None:
                raise self._unavailable(call, answer, asked)
            sleep(pause)

    @contextmanager
    def stream(self, call: Call) -> Iterator[StreamedResponse]:
        """Give the answer to one try while its body is still on its way; what keeps it away is ServiceUnavailable."""
        request = self._request(call, Timeout(total=None, connect=_CONNECT, read=_BEAT))
        try:
            with self._pool().stream(request) as answer:
                if answer.status_code in _AWAY:
                    raise self._unavailable(call, answer, _asked(answer))
                if answer.status_code != 200:
                    answer.read()
                    self.refuse(call, answer)
                yield answer
        except (ConnectError, ConnectionLost, DeadlineExceeded, ProtocolError) as exc:
            self._check(exc)
            raise self._unavailable(call, exc, None) from exc

    def refuse(self, call: Call, answer: Response) -> NoReturn:
        """Raise the error that an answer is."""
        problem, status = _problem_of(answer), answer.status_code
        if problem is None and status not in _BY_PROXIES:
            raise self._foreign(answer, "it is none of the job service's")
        kind = _KINDS.get(status, UnexpectedAnswer)
        if call.submits and kind is BadArgument:
            kind = BadSubmission
        detail = answer.reason if problem is None else str(problem.get("detail") or problem.get("title") or "")
        errors = [each for each in (problem or {}).get("errors", ()) if isinstance(each, dict)]
        about = f"{call.about}: " if call.about and call.about not in detail else ""
        raise kind(self._told(f"{about}{detail} ({status})"), status=status, errors=errors)

    def _try(self, call: Call, end: float) -> Response | RequestError:
        left = max(end - monotonic(), 0.05)
        body = None if call.make_body is None else call.make_body()
        try:
            return self._pool().send(self._request(call, Timeout(total=left, connect=min(left, _CONNECT)), body))
        except (ConnectError, ConnectionLost, DeadlineExceeded) as exc:
            self._check(exc)
            return exc
        except ProtocolError as exc:
            raise UnexpectedAnswer(f"{self.url}: what listens there speaks no HTTP: {type(exc).__name__}") from exc
        finally:
            if isinstance(body, IOBase):
                body.close()

    def _request(self, call: Call, timeout: Timeout, body: Any = None) -> Request:
        headers = {"Accept": "application/json", "User-Agent": f"workerpool-client/{__version__}", **call.headers}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return Request(
            call.method, self.url + call.path, params=list(call.params) or None, data=body, headers=headers,
            timeout=timeout, allow_redirects=False, retry=None,
            max_body=None if "event-stream" in headers["Accept"] else _MOST,
        )  # fmt: skip

    def _pool(self) -> WorkerPool:
        with self._lock:
            if self._is_closed:
                raise PoolClosed(f"the client of {self.url} is closed; make another one")
            if self._given is not None:
                return self._given
            if self._own is None or self._process != os.getpid():  # in a forked child the old one is of no use
                self._own, self._process = WorkerPool(workers=1, name="workerpool-client"), os.getpid()
            return self._own

    def _check(self, exc: RequestError) -> None:
        """Raise at once what no second try would mend."""
        if isinstance(exc, DNSError | TLSError):
            raise ServiceUnavailable(f"{self.url}: {self._why(exc)}; check the URL") from exc

    def _may_repeat(self, call: Call, exc: RequestError) -> bool:
        return call.again or (isinstance(exc, ConnectError | ConnectTimeout))

    def _unavailable(self, call: Call, answer: Response | RequestError, asked: float | None) -> ServiceUnavailable:
        why, status = self._why(answer), answer.status_code if isinstance(answer, Response) else None
        unsure = isinstance(answer, RequestError) and not self._may_repeat(call, answer)
        rest = "; whether it was done is not known" if unsure else ""
        found = ServiceUnavailable(f"{self.url}: {why}{rest}", status=status, retry_after=asked)
        if isinstance(answer, RequestError):
            found.__cause__ = answer
        return found

    def _why(self, answer: Response | RequestError) -> str:
        if isinstance(answer, ConnectError):
            return f"no connection ({self._told(str(answer.__cause__ or answer))}); does the service run?"
        if isinstance(answer, DeadlineExceeded):
            return "no answer within the timeout"
        if isinstance(answer, RequestError):
            return "the connection was lost before the answer was complete"
        problem = _problem_of(answer) or {}
        return self._told(f"{problem.get('detail') or answer.reason} ({answer.status_code})")

    def _foreign(self, answer: Response, why: str) -> UnexpectedAnswer:
        kind = self._told(answer.headers.get("Content-Type", "no type"))
        where = "; it leads elsewhere, give that URL" if 300 <= answer.status_code < 400 else ""
        text = f"{self.url} answers with {answer.status_code} and {kind}: {why}{where}; is that the job service's URL?"
        return UnexpectedAnswer(text, status=answer.status_code)

    def _told(self, text: str) -> str:
        """Return a text of others for people: on one line, no longer than need be, and without the token."""
        if self._token:
            text = text.replace(self._token, "***")
        return _UNPRINTABLE.sub(" ", text)[:1000]


def _problem_of(answer: Response) -> Mapping[str, Any] | None:
    """Return what an answer says is wrong, if it is the service's."""
    if answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _PROBLEM:
        return None
    try:
        found = loads(answer.content)
    except (ValueError, RecursionError, RequestError):
        return None
    return found if isinstance(found, dict) else None


def _asked(answer: Response | RequestError) -> float | None:
    if isinstance(answer, RequestError):
        return None
    return retry_after_seconds(answer.headers.get("Retry-After"), now=time())
