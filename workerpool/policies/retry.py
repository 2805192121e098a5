"""The retry policy: whether a request is tried again, and after which pause."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random

from ..errors import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DNSError,
    ProxyError,
    ReadTimeout,
    RequestError,
    TLSError,
)
from ..messages.request import Request
from ..messages.response import Response
from ..settings import Retry

__all__ = ["is_good", "is_unreachable", "may_be_sent_again", "wait_before_retry"]

_USUAL = Retry()
_random = Random()  # not the global one: a program may have seeded that
_WORTH_IT = (ConnectError, ConnectionLost, ConnectTimeout, ReadTimeout)
_HOPELESS = (TLSError, ProxyError, DNSError)


def is_good(retry: Retry | None, outcome: Response | RequestError) -> bool:
    """Whether the host answered, with a status that is worth no retry."""
    return isinstance(outcome, Response) and outcome.status_code not in (retry or _USUAL).statuses


def is_unreachable(outcome: Response | RequestError) -> bool:
    """Whether no connection could be made."""
    return isinstance(outcome, ConnectError | ConnectTimeout) and not isinstance(outcome, ProxyError)


def may_be_sent_again(retry: Retry | None, request: Request) -> bool:
    """Whether the request does no more when it is sent twice, and can be: by method and body."""
    return request.method in (retry or _USUAL).methods and request.replayable


def wait_before_retry(
    retry: Retry | None,
    request: Request,
    attempt: int,
    outcome: Response | RequestError,
) -> float | None:
    """Return the seconds to pause after a bad outcome before the next attempt, or None if there is none."""
    if retry is None or attempt >= retry.attempts:
        return None
    if isinstance(outcome, RequestError) and (isinstance(outcome, _HOPELESS) or not isinstance(outcome, _WORTH_IT)):
        return None
    if request.method not in retry.methods:
        return None
    if not request.replayable:
        if isinstance(outcome, RequestError):
            outcome.add_note("Not tried again: the body was read from a file or iterator and cannot be sent twice.")
        return None
    asked = _retry_after(outcome.headers.get("Retry-After")) if isinstance(outcome, Response) else None
    return _pause(retry, attempt) if asked is None else asked


def _pause(retry: Retry, attempt: int) -> float:
    try:
        base = retry.wait_initial * float(retry.wait_exp_base) ** (attempt - 1)
    except OverflowError:
        base = retry.wait_max
    return min(base, retry.wait_max) + _random.uniform(0.0, retry.wait_jitter)


def _retry_after(value: str | None) -> float | None:
    """Read Retry-After (RFC 9110, 10.2.3): seconds or a date; None for what is neither."""
    if value is None:
        return None
    try:
        if value.strip().isdecimal():
            return float(value)
        when = parsedate_to_datetime(value)
        return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except Exception:  # noqa: BLE001  a server has chosen the text, and the parser makes much of it
        return None
