"""Foreign errors become ours, once, in one table; what is not in it passes untouched."""

import asyncio
import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from ..errors import (
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DNSError,
    InvalidRequest,
    ProtocolError,
    ProxyError,
    ReadTimeout,
    RequestError,
    TLSError,
    TruncatedBody,
)
from ..job import Work
from ..redaction import redact

__all__ = ["FOREIGN", "adopt"]

FOREIGN = (aiohttp.ClientError, HttpProcessingError, asyncio.TimeoutError, OSError)

# Narrow before wide: the first match wins. (theirs, ours, stage, what to say)
_TABLE: tuple[tuple[type[BaseException], type[RequestError], str, str], ...] = (
    (
        aiohttp.ClientConnectorDNSError,
        DNSError,
        "dns",
        "the host's name could not be resolved",
    ),
    (
        aiohttp.ClientProxyConnectionError,
        ProxyError,
        "connect",
        "the proxy could not be reached",
    ),
    (
        aiohttp.ClientHttpProxyError,
        ProxyError,
        "connect",
        "the proxy refused the tunnel",
    ),
    (
        aiohttp.ClientConnectorCertificateError,
        TLSError,
        "tls",
        "the certificate was refused",
    ),
    (aiohttp.ClientConnectorSSLError, TLSError, "tls", "the TLS handshake failed"),
    (
        aiohttp.ServerFingerprintMismatch,
        TLSError,
        "tls",
        "the certificate's fingerprint is another one",
    ),
    (ssl.SSLError, TLSError, "tls", "TLS failed"),
    (
        aiohttp.ConnectionTimeoutError,
        ConnectTimeout,
        "connect",
        "no connection in time; raise Timeout.connect",
    ),
    (
        aiohttp.ServerTimeoutError,
        ReadTimeout,
        "",
        "the server fell silent for too long; raise Timeout.read",
    ),
    (
        aiohttp.ClientConnectorError,
        ConnectError,
        "connect",
        "no connection could be made",
    ),
    (
        aiohttp.ClientPayloadError,
        TruncatedBody,
        "body",
        "the body ended before its announced end",
    ),
    (aiohttp.InvalidURL, InvalidRequest, "", "the URL cannot be sent"),
    (
        aiohttp.ClientResponseError,
        ProtocolError,
        "headers",
        "the server's answer is not valid HTTP",
    ),
    (HttpProcessingError, ProtocolError, "", "the server's answer is not valid HTTP"),
    (
        aiohttp.ClientConnectionError,
        ConnectionLost,
        "",
        "the connection was lost before the answer was complete",
    ),
    (aiohttp.ClientError, RequestError, "", "the request failed"),
    (
        asyncio.TimeoutError,
        ConnectTimeout,
        "connect",
        "no connection in time; raise Timeout.connect",
    ),
    (
        OSError,
        ConnectionLost,
        "",
        "the connection was lost before the answer was complete",
    ),
)


def adopt(exc: BaseException, work: Work, url: object) -> RequestError:
    """Return our error for a foreign one, its cause chained as far as it tells no secret."""
    _theirs, ours, stage, text = next(row for row in _TABLE if isinstance(exc, row[0]))
    assert work.request is not None
    if isinstance(exc, aiohttp.ClientConnectorDNSError) and exc.host != URL(str(url)).raw_host:
        ours, stage, text = ProxyError, "connect", "the proxy's name could not be resolved"
    elif isinstance(exc, aiohttp.ServerDisconnectedError) and not isinstance(exc.message, str):
        text = "the connection was closed within the head of the answer"
    elif ours is ProtocolError and "Content-Length" in str(exc):
        text = "the Content-Length of the server's answer is not valid HTTP"
    where = redact(url)
    cause = _harmless(exc)
    detail = f" ({cause})" if cause is not None and str(cause) else ""
    error = ours(
        f"{work.request.method} {where}: {text}{detail}",
        url=where,
        method=work.request.method,
        attempts=work.attempts,
        stage=stage or work.stage,
        lane=work.lane,
    )
    error.__cause__ = cause
    error.__suppress_context__ = True
    return error


def _harmless(exc: BaseException) -> BaseException | None:
    """Return the operating system's part of an error: errno and address, never a URL or a header."""
    inner = exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc
    if isinstance(inner, aiohttp.ClientError | HttpProcessingError):
        inner = inner.__cause__ if isinstance(inner.__cause__, OSError) else None  # type: ignore[assignment]
    return inner if isinstance(inner, OSError) and not isinstance(inner, TimeoutError) else None
