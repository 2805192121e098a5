"""The other table: what the caller gets for each kind of fault."""

from dataclasses import dataclass
from typing import Any

from workerpool import (
    BodyTooLarge,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    DecodingError,
    ProtocolError,
    RequestError,
    TLSError,
    TooManyRedirects,
    TruncatedBody,
)

from .wire import ANSWER

__all__ = ["EXPECTED", "Expected"]

SHORT = 0.5  # seconds; the deadline where nothing else ends the request
LONG = 20.0


@dataclass(frozen=True, slots=True)
class Expected:
    """Either one of the errors, at one of the stages, or an answer; and how often the server was asked."""

    errors: tuple[type[RequestError], ...] = ()
    stages: tuple[str, ...] = ()
    status: int = 200
    content: bytes = b""
    timeout: float = LONG
    hits: int = 1

    def __str__(self) -> str:
        if not self.errors:
            what = "empty body" if not self.content else "body whole" if self.content == ANSWER else "body as sent"
            return f"{self.status}, {what}"
        names = " or ".join(f"`{error.__name__}`" for error in self.errors)
        return f"{names}, stage {' or '.join(self.stages)}" if self.stages else names


def _fails(*errors: type[RequestError], at: str = "", **more: Any) -> Expected:
    return Expected(errors=errors, stages=tuple(at.split()), **more)


def _gives(content: bytes = ANSWER, status: int = 200, **more: Any) -> Expected:
    return Expected(content=content, status=status, **more)


_RIGHT = _gives()
_NOT_HTTP = _fails(ProtocolError, at="headers")
_BROKEN_BODY = _fails(ProtocolError)  # noticed with the head or after it, as the segments fall
_LOST = _fails(ConnectionLost, at="headers")
_CUT = _fails(TruncatedBody, at="body")
_LATE_HEAD = _fails(DeadlineExceeded, at="headers", timeout=SHORT)
_LATE_BODY = _fails(DeadlineExceeded, at="body", timeout=SHORT)
_CORRUPT = _fails(DecodingError, at="decode")
_TOO_LARGE = _fails(BodyTooLarge, at="body")
_REFUSED = _fails(TLSError, at="tls", hits=0)

_CONNECTIONS = {
    "connection-refused": _fails(ConnectError, at="connect", hits=0),
    "reset-at-once": _fails(ConnectError, ConnectionLost, at="connect headers", hits=0),
    "close-at-once": _fails(ConnectError, ConnectionLost, at="connect headers", hits=0),
    "reset-before-head": _LOST,
    "reset-in-head": _LOST,
    "reset-after-head": _CUT,
    "reset-in-body": _CUT,
    "reset-in-body-until-close": _CUT,
    "reset-in-chunked": _CUT,
    "close-before-head": _LOST,
    "close-in-head": _LOST,
    "close-after-head": _CUT,
    "close-in-body": _CUT,
    "body-until-close": _RIGHT,
    "close-in-chunk": _CUT,
    "close-in-chunk-size": _CUT,
    "no-last-chunk": _CUT,
    "no-line-after-last-chunk": _CUT,
    "drip-head": _LATE_HEAD,
    "drip-body": _LATE_BODY,
    "drip-in-time": _RIGHT,
    "stall-before-head": _LATE_HEAD,
    "stall-in-head": _LATE_HEAD,
    "stall-after-head": _LATE_BODY,
    "stall-in-body": _LATE_BODY,
    "stall-in-chunked": _LATE_BODY,
    "stall-in-body-until-close": _LATE_BODY,
}

_UNASKED = {
    "unasked-in-same-segment": _RIGHT,
    "unasked-right-behind": _RIGHT,
    "unasked-while-idle": _RIGHT,
    "half-unasked-while-idle": _RIGHT,
    "timeout-while-idle": _RIGHT,
    "close-while-idle": _RIGHT,
    "reset-while-idle": _RIGHT,
    # What is no HTTP, and comes together with the answer, is not told apart from it: strict, and safe.
    "close-announced-only": _NOT_HTTP,
    "bytes-after-body": _NOT_HTTP,
    "line-end-after-body": _RIGHT,
    "bytes-after-last-chunk": _NOT_HTTP,
    "head-with-body": _NOT_HTTP,
    "head-with-body-later": _gives(b""),
    "no-content-with-body": _NOT_HTTP,
    "not-modified-with-body": _NOT_HTTP,
    "no-content-with-chunks": _NOT_HTTP,
}

_FRAMING = {
    "length-negative": _NOT_HTTP,
    "length-not-a-number": _NOT_HTTP,
    "length-with-sign": _NOT_HTTP,
    "length-with-space": _NOT_HTTP,
    "length-empty": _NOT_HTTP,
    "length-beyond-64-bits": _NOT_HTTP,
    "length-beyond-max-body": _TOO_LARGE,
    "length-twice-different": _NOT_HTTP,
    "length-of-two-values": _NOT_HTTP,
    "length-beside-chunked": _NOT_HTTP,
    "chunked-twice": _RIGHT,
    "transfer-encoding-unknown": _NOT_HTTP,
    "chunk-size-not-a-number": _BROKEN_BODY,
    "chunk-size-not-a-number-later": _fails(ProtocolError, at="body"),
    "chunk-size-negative": _BROKEN_BODY,
    "chunk-size-with-prefix": _BROKEN_BODY,
    "chunk-size-beyond-64-bits": _BROKEN_BODY,
    "chunk-longer-than-its-size": _BROKEN_BODY,
    "chunk-longer-than-its-size-later": _fails(ProtocolError, at="body"),
    "chunk-extension-huge": _RIGHT,
    "chunk-extension-endless": _LATE_BODY,
    "trailers": _RIGHT,
    "trailers-endless": _BROKEN_BODY,
    "chunks-tiny": _gives(b"x" * 10_000),
    "body-endless-chunked": _TOO_LARGE,
    "body-endless": _TOO_LARGE,
}

_HEADS = {
    "headers-1000": _NOT_HTTP,
    "headers-endless": _NOT_HTTP,
    "header-of-1-mib": _NOT_HTTP,
    "header-endless": _NOT_HTTP,
    "header-name-endless": _NOT_HTTP,
    "reason-endless": _NOT_HTTP,
    "empty-lines-endless": _LATE_HEAD,
    "header-with-nul": _NOT_HTTP,
    "header-with-bare-cr": _NOT_HTTP,
    "header-without-colon": _NOT_HTTP,
    "header-without-name": _NOT_HTTP,
    # Lenient where nothing can be misread; aiohttp is strict here in Python's development mode (-X dev).
    "header-with-space-before-colon": _RIGHT,
    "header-folded": _RIGHT,
    "lines-end-in-lf": _RIGHT,
    "header-not-utf8": _RIGHT,
    "garbage": _NOT_HTTP,
    "another-protocol": _NOT_HTTP,
    "tls-alert-on-plain": _fails(ProtocolError, at="headers", hits=0),
    "http-0-9": _NOT_HTTP,
    "http-1-0": _RIGHT,
    "http-1-9": _NOT_HTTP,
    "http-2-0": _NOT_HTTP,
    "http-3-7": _NOT_HTTP,
    "http-2-frame": _NOT_HTTP,
    "charset-unknown": _RIGHT,
    "cookie-broken": _RIGHT,
}

_STATUSES = {
    "status-99": _NOT_HTTP,
    "status-1000": _NOT_HTTP,
    "status-000": _NOT_HTTP,
    "status-abc": _NOT_HTTP,
    "status-missing": _NOT_HTTP,
    "status-999": _gives(status=999),
    "reason-missing": _RIGHT,
    "continue-once": _RIGHT,
    "early-hints": _RIGHT,
    "continue-1000": _RIGHT,
    "continue-endless": _fails(ProtocolError, DeadlineExceeded, at="headers", timeout=SHORT),
    "stall-after-continue": _LATE_HEAD,
    "close-after-continue": _LOST,
    "switching-unasked": _gives(b"", 101),
    "retry-after-a-week": _gives(status=503),
}

_CODINGS = {
    **{f"{coding}-bomb": _TOO_LARGE for coding in ("gzip", "deflate", "br", "zstd")},
    **{
        f"{coding}-{way}": _CORRUPT
        for coding in ("gzip", "deflate", "br", "zstd")
        for way in ("half", "without-end", "corrupt", "plain")
    },
    "gzip-wrong-checksum": _CORRUPT,
    "gzip-bomb-chunked": _TOO_LARGE,
    "gzip-half-chunked": _CORRUPT,
    "gzip-half-until-close": _CORRUPT,
    "gzip-with-bytes-after": _RIGHT,
    "gzip-empty": _gives(b""),
    "deflate-raw": _RIGHT,
    "coding-unknown": _RIGHT,
    "coding-unknown-in-stack": _RIGHT,
    "codings-stacked": _RIGHT,
    "codings-in-two-lines": _RIGHT,
    "codings-the-same-in-two-lines": _RIGHT,
    "codings-10": _CORRUPT,
    "codings-stacked-bomb": _TOO_LARGE,
}

_REDIRECTS = {
    "redirect-loop": _fails(TooManyRedirects, at="headers", hits=21),
    "redirect-trap": _fails(TooManyRedirects, at="headers", hits=21),
    "redirect-to-javascript": _NOT_HTTP,
    "redirect-to-file": _NOT_HTTP,
    "redirect-without-location": _gives(status=302),
    "redirect-to-empty": _gives(status=302),
    "redirect-to-broken-url": _NOT_HTTP,
    "redirect-to-no-host": _NOT_HTTP,
    "redirect-to-no-port": _NOT_HTTP,
    "redirect-to-bytes": _gives(b"/good/%E4%FF"),
    "redirect-downgrade": _NOT_HTTP,
    "redirect-elsewhere": _gives(b"/landed"),
    "redirect-to-two-places": _gives(b"/good/1"),
    "redirect-with-endless-body": _gives(b"/good/7"),
    "redirect-with-stalled-body": _fails(DeadlineExceeded, timeout=SHORT),
    "redirect-with-cut-body": _CUT,
    "redirect-with-unasked-behind": _gives(b"/good/7"),
}

_TLS = {
    "tls-expired": _REFUSED,
    "tls-wrong-host": _REFUSED,
    "tls-untrusted": _REFUSED,
    "tls-stall-in-handshake": _fails(DeadlineExceeded, at="tls", timeout=SHORT, hits=0),
    "tls-close-in-handshake": _fails(ConnectError, at="tls", hits=0),
    "tls-reset-in-handshake": _fails(ConnectError, at="connect tls", hits=0),
    "tls-port-speaks-plain": _REFUSED,
    "tls-cut-in-body": _CUT,
    "tls-cut-in-body-until-close": _CUT,
    "tls-garbage-in-head": _LOST,
    "tls-stall-in-head": _LATE_HEAD,
}

EXPECTED = {
    **_CONNECTIONS,
    **_UNASKED,
    **_FRAMING,
    **_HEADS,
    **_STATUSES,
    **_CODINGS,
    **_REDIRECTS,
    **_TLS,
}
