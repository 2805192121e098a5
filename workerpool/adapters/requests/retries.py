"""urllib3's Retry, done here: `max_retries` means what it does on HTTPAdapter, subclasses of Retry included."""

from collections.abc import Callable
from typing import Any

import requests
from requests import exceptions as theirs
from requests.utils import rewind_body
from urllib3 import exceptions as inner
from urllib3.util import Retry

from ...caller.streaming import StreamedResponse
from ...errors import Forbidden, InvalidRequest, RequestError, WorkerPoolError
from ...messages.response import Response
from .errors import as_urllib3, translated
from .raw import raw_head

__all__ = ["asks_for_nothing", "exhausted", "repeated"]

_READING = (inner.ReadTimeoutError, inner.ProtocolError)  # which HTTPAdapter calls a ConnectionError in the end


def asks_for_nothing(retries: Any) -> bool:
    """Whether there is nothing to be counted, tried again or refused: what HTTPAdapter has unless told otherwise."""
    return type(retries) is Retry and retries.total == 0 and not retries.status_forcelist


def repeated(given: Any, request: requests.PreparedRequest, ask: Callable[[], Response]) -> tuple[Response, Retry]:
    """Ask until an answer counts, with the pauses of the Retry; return it and what is left of the Retry.

    Raises the error of the last try, or MaxRetryError with that as its cause. Blocks.
    """
    retries = given if isinstance(given, Retry) else Retry.from_int(given)
    while True:
        try:
            answer = ask()
        except (InvalidRequest, Forbidden):
            raise
        except RequestError as exc:
            retries = _after_error(retries, request, exc)
            retries.sleep()
            continue
        if not retries.is_retry(str(request.method), answer.status_code, "Retry-After" in answer.headers):
            return answer, retries
        head = raw_head(answer)
        try:
            retries = retries.increment(request.method, request.url, response=head)
        except inner.MaxRetryError:
            if not retries.raise_on_status:
                return answer, retries
            _give_up(answer)
            raise
        if not _rewound(request):
            return answer, retries
        _give_up(answer)
        retries.sleep(head)


def exhausted(error: inner.MaxRetryError, request: requests.PreparedRequest) -> Exception:
    """Return what HTTPAdapter would raise when there are no retries left."""
    kind: type[theirs.RequestException] = theirs.ConnectionError
    if isinstance(error.reason, inner.ResponseError):
        kind = theirs.RetryError
    elif isinstance(error.__cause__, WorkerPoolError) and not isinstance(error.reason, _READING):
        kind = type(translated(error.__cause__, request))  # type: ignore[assignment]
    return kind(error, request=request)


def _after_error(retries: Retry, request: requests.PreparedRequest, error: RequestError) -> Retry:
    """Return the Retry that has counted the error; raises when it was the last."""
    inside: Any = as_urllib3(error, str(request.url))
    try:
        left = retries.increment(request.method, request.url, error=getattr(inside, "reason", None) or inside)
    except inner.MaxRetryError as exc:
        raise exc from error
    except inner.HTTPError:  # of a kind that is not to be tried again
        raise error from error.__cause__
    if not _rewound(request):
        raise error
    return left


def _rewound(request: requests.PreparedRequest) -> bool:
    """Go back to where the body began; False for one that can be sent only once."""
    if request.body is None or isinstance(request.body, bytes | str):
        return True
    try:
        rewind_body(request)
    except theirs.UnrewindableBodyError:
        return False
    return True


def _give_up(answer: Response) -> None:
    if isinstance(answer, StreamedResponse):
        answer.close()
