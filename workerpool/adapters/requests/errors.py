"""Our errors as those of requests, built as its own adapter builds them: with urllib3's inside."""

from typing import Any

import requests
from requests import exceptions as theirs
from urllib3 import exceptions as inner
from yarl import URL

from ... import errors as ours

__all__ = ["as_urllib3", "translated"]


def translated(error: ours.WorkerPoolError, request: requests.PreparedRequest) -> Exception:
    """Return what requests' own adapter would raise; an error of the caller's own body source is that error."""
    if isinstance(error, ours.WrongThread):
        return error
    if isinstance(error, ours.InvalidRequest):
        return _invalid(error, request)
    reason = getattr(error, "reason", "")
    kind = next(kind for known, wanted, kind in _KINDS if isinstance(error, known) and wanted in ("", reason))
    if kind is theirs.ReadTimeout and getattr(error, "stage", "") in ours.BEFORE_SENDING:
        kind = theirs.ConnectTimeout
    return kind(as_urllib3(error, request.url or ""), request=request)


def as_urllib3(error: ours.WorkerPoolError, url: str) -> Exception:
    """Return the error as urllib3 would raise it, which is what programs look for inside of requests' own."""
    pool: Any = _Place(url)
    text = str(error)
    if isinstance(error, ours.DeadlineExceeded):
        if error.stage in ours.BEFORE_SENDING or isinstance(error, ours.ConnectTimeout):
            return inner.MaxRetryError(pool, url, inner.ConnectTimeoutError(text))
        return inner.ReadTimeoutError(pool, url, f"Read timed out. {text}")
    if isinstance(error, ours.TLSError):
        return inner.MaxRetryError(pool, url, inner.SSLError(text))
    if isinstance(error, ours.ProxyError):
        return inner.MaxRetryError(pool, url, inner.ProxyError("Unable to connect to proxy", error))
    if isinstance(error, ours.ConnectError):
        return inner.MaxRetryError(pool, url, inner.NewConnectionError(pool, text))
    return inner.ProtocolError(text, error)


class _Place:
    """Name the host where urllib3 names the connection pool that it was asked through; ours is none of its."""

    def __init__(self, url: str) -> None:
        try:
            place = URL(url, encoded=True)
            self.scheme, self.host, self.port = place.scheme, place.raw_host or "", place.port
        except (ValueError, IndexError):  # yarl has both for what it cannot read
            self.scheme, self.host, self.port = "", "", None

    def __repr__(self) -> str:
        kind = "HTTPSConnectionPool" if self.scheme == "https" else "HTTPConnectionPool"
        return f"{kind}(host={self.host!r}, port={self.port})"


# (ours, its reason, theirs): the first match wins. requests tells apart by exception what we do by reason.
_KINDS: tuple[tuple[type[ours.WorkerPoolError], ours.Reason, type[theirs.RequestException]], ...] = (
    (ours.ConnectTimeout, "", theirs.ConnectTimeout),
    (ours.DeadlineExceeded, "", theirs.ReadTimeout),
    (ours.TLSError, "", theirs.SSLError),
    (ours.ProxyError, "", theirs.ProxyError),
    (ours.TruncatedBody, "", theirs.ChunkedEncodingError),
    (ours.ConnectionLost, "head-cut", theirs.ChunkedEncodingError),
    (ours.BodyTooLarge, "", theirs.ChunkedEncodingError),
    (ours.ProtocolError, "bad-length", theirs.InvalidHeader),
    (ours.Forbidden, "", theirs.InvalidURL),  # not a ConnectionError, which programs try again
    (ours.WorkerPoolError, "", theirs.ConnectionError),
)


def _invalid(error: ours.InvalidRequest, request: requests.PreparedRequest) -> Exception:
    cause = error.__cause__
    if error.stage == "send" and isinstance(cause, Exception):
        return cause
    kind = theirs.InvalidHeader if error.reason == "bad-header" else theirs.InvalidURL
    return kind(str(error), request=request)
