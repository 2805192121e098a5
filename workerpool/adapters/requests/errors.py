"""Our errors as those of requests, built as its own adapter builds them: with urllib3's inside."""

from typing import Any

import requests
from requests import exceptions as theirs
from urllib3 import exceptions as inner

from ... import errors as ours

__all__ = ["as_urllib3", "translated"]

_BEFORE_THE_ANSWER = frozenset({"queued", "dns", "connect", "tls", "retry"})


def translated(error: ours.WorkerPoolError, request: requests.PreparedRequest) -> Exception:
    """Return what requests' own adapter would raise; an error of the caller's own body source is that error."""
    if isinstance(error, ours.WrongThread):
        return error
    if isinstance(error, ours.InvalidRequest):
        return _invalid(error, request)
    kind = next(kind for known, text, kind in _KINDS if isinstance(error, known) and text in str(error))
    if kind is theirs.ReadTimeout and getattr(error, "stage", "") in _BEFORE_THE_ANSWER:
        kind = theirs.ConnectTimeout
    return kind(as_urllib3(error, request.url or ""), request=request)


def as_urllib3(error: ours.WorkerPoolError, url: str) -> Exception:
    """Return the error as urllib3 would raise it, which is what programs look for inside of requests' own."""
    nobody: Any = None  # the connection pool that urllib3 names; ours is none of its
    text = str(error)
    if isinstance(error, ours.DeadlineExceeded):
        if error.stage in _BEFORE_THE_ANSWER or isinstance(error, ours.ConnectTimeout):
            return inner.MaxRetryError(nobody, url, inner.ConnectTimeoutError(text))
        return inner.ReadTimeoutError(nobody, url, f"Read timed out. {text}")
    if isinstance(error, ours.TLSError):
        return inner.MaxRetryError(nobody, url, inner.SSLError(text))
    if isinstance(error, ours.ProxyError):
        return inner.MaxRetryError(nobody, url, inner.ProxyError("Unable to connect to proxy", error))
    if isinstance(error, ours.ConnectError):
        return inner.MaxRetryError(nobody, url, inner.NewConnectionError(nobody, text))
    return inner.ProtocolError(text, error)


# (ours, what its text holds, theirs): the first match wins. requests tells apart by exception what we do by text.
_KINDS: tuple[tuple[type[ours.WorkerPoolError], str, type[theirs.RequestException]], ...] = (
    (ours.ConnectTimeout, "", theirs.ConnectTimeout),
    (ours.DeadlineExceeded, "", theirs.ReadTimeout),
    (ours.TLSError, "", theirs.SSLError),
    (ours.ProxyError, "", theirs.ProxyError),
    (ours.TruncatedBody, "", theirs.ChunkedEncodingError),
    (ours.ConnectionLost, "within the head", theirs.ChunkedEncodingError),
    (ours.BodyTooLarge, "", theirs.ChunkedEncodingError),
    (ours.ProtocolError, "Content-Length", theirs.InvalidHeader),
    (ours.WorkerPoolError, "", theirs.ConnectionError),
)


def _invalid(error: ours.InvalidRequest, request: requests.PreparedRequest) -> Exception:
    cause = error.__cause__
    if error.stage == "send" and isinstance(cause, Exception):
        return cause
    kind = theirs.InvalidHeader if "header" in str(error) else theirs.InvalidURL
    return kind(str(error), request=request)
