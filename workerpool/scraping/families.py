"""Families of what goes wrong, in words that one can choose by."""

from ..errors import (
    BodyTooLarge,
    ConnectionLost,
    DeadlineExceeded,
    DecodingError,
    DNSError,
    Forbidden,
    InvalidRequest,
    ProtocolError,
    ProxyError,
    TLSError,
    TooManyRedirects,
    WorkerPoolError,
)
from ..errors import ConnectError as _ConnectError
from ..messages.response import Response

__all__ = ["FAMILIES", "family_of"]

_BY_CLASS: tuple[tuple[type[WorkerPoolError], str], ...] = (
    (InvalidRequest, "invalid"),
    (Forbidden, "forbidden"),
    (DNSError, "dns"),
    (TLSError, "tls"),
    (ProxyError, "proxy"),
    (DeadlineExceeded, "timeout"),
    (_ConnectError, "connect"),
    (ConnectionLost, "lost"),
    (TooManyRedirects, "redirects"),
    (BodyTooLarge, "size"),
    (DecodingError, "decoding"),
    (ProtocolError, "protocol"),
)
FAMILIES = (*(name for _, name in _BY_CLASS), "4xx", "5xx", "parse", "other")


def family_of(what: Response | WorkerPoolError) -> str:
    """Return the family of an error, or of an answer whose status is one."""
    if isinstance(what, Response):
        return f"{what.status_code // 100}xx"
    return next((name for kind, name in _BY_CLASS if isinstance(what, kind)), "other")
