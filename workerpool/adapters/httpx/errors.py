"""Our errors as those of httpx."""

from typing import Any

from ... import errors as ours
from .library import library_of

__all__ = ["translated"]

# (ours, the name of theirs): the first match wins.
_KINDS: tuple[tuple[type[ours.WorkerPoolError], str], ...] = (
    (ours.ConnectTimeout, "ConnectTimeout"),
    (ours.DeadlineExceeded, "ReadTimeout"),
    (ours.QueueFull, "PoolTimeout"),
    (ours.ProxyError, "ProxyError"),
    (ours.ConnectError, "ConnectError"),
    (ours.TruncatedBody, "RemoteProtocolError"),
    (ours.ConnectionLost, "ReadError"),
    (ours.DecodingError, "DecodingError"),
    (ours.ProtocolError, "RemoteProtocolError"),
    (ours.InvalidRequest, "LocalProtocolError"),
    (ours.Forbidden, "LocalProtocolError"),
    (ours.WorkerPoolError, "ConnectError"),
)


def translated(error: ours.WorkerPoolError, request: Any) -> Exception:
    """Return what httpx's own transport would raise; an error of the caller's own body source is that error."""
    stage = getattr(error, "stage", "")
    if isinstance(error, ours.WrongThread):
        return error
    if isinstance(error, ours.InvalidRequest) and stage == "send" and isinstance(error.__cause__, Exception):
        return error.__cause__
    name = next(name for known, name in _KINDS if isinstance(error, known))
    if name == "ReadTimeout" and stage in ours.BEFORE_SENDING:
        name = "PoolTimeout" if stage == "queued" else "ConnectTimeout"
    if name == "ReadError" and stage == "send":
        name = "WriteError"
    if name == "LocalProtocolError" and request.url.scheme not in ("http", "https"):
        name = "UnsupportedProtocol"
    found: Exception = getattr(library_of(request), name)(str(error), request=request)
    return found
