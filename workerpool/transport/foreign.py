"""The errors of aiohttp, ssl and the system as ours: translated once, by one table."""

import asyncio
import encodings.idna  # noqa: F401  a fork amid a later import of it would leave the child its lock
import ssl
from collections.abc import Iterator
from traceback import walk_tb

import aiohttp
from yarl import URL

from ..errors import (
    BEFORE_THE_BODY,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DNSError,
    InvalidRequest,
    ProtocolError,
    ProxyError,
    ReadTimeout,
    Reason,
    RequestError,
    Stage,
    TLSError,
    TruncatedBody,
)
from ..handover.job import Work
from ..lane import Lane
from ..settings import Timeout
from .inside.answer import AnyAnswer
from .inside.connection import TunnelError
from .inside.contract import HttpProcessingError
from .inside.patches import sessions_are_patched
from .struck import LIBRARIES, has_struck

__all__ = ["FOREIGN", "adopt", "fault_of_head", "raised_by_user"]

FOREIGN = (aiohttp.ClientError, HttpProcessingError, asyncio.TimeoutError, OSError)
# What aiohttp makes of an error that a hook or a middleware of the user's raises within it.
_WRAPPERS = (aiohttp.ClientOSError, aiohttp.ClientConnectionError, aiohttp.ConnectionTimeoutError)
_FRAMING = frozenset({"chunked", "identity"})  # the latter is RFC 2616's, and some still send it

# Narrow before wide: the first match wins. (theirs, ours, stage, what to say)
_TABLE: tuple[tuple[type[BaseException], type[RequestError], Stage, str], ...] = (
    (
        aiohttp.ClientConnectorDNSError,
        DNSError,
        "dns",
        "the host's name could not be resolved",
    ),
    (TunnelError, ProxyError, "proxy", "the proxy was reached, and gave no tunnel"),
    (
        aiohttp.ClientProxyConnectionError,
        ProxyError,
        "connect",
        "the proxy could not be reached",
    ),
    (
        aiohttp.ClientHttpProxyError,
        ProxyError,
        "proxy",
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
        "",
        "no connection{connect}; raise Timeout.connect",
    ),
    (
        aiohttp.ServerTimeoutError,
        ReadTimeout,
        "",
        "the server sent nothing{read}; raise Timeout.read",
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
    (
        aiohttp.RedirectClientError,
        ProtocolError,
        "headers",
        "the server redirects to what is not an http or https URL",
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
        "",
        "no connection{connect}; raise Timeout.connect",
    ),
    (
        OSError,
        ConnectionLost,
        "",
        "the connection was lost before the answer was complete",
    ),
    (UnicodeError, InvalidRequest, "dns", "the host's name cannot be one: IDNA does not encode it"),
    # The net: what no library should raise, and one does. User code that takes part is not led here.
    (Exception, RequestError, "", "the request failed by an error of the libraries below"),
)


def adopt(
    exc: BaseException, work: Work, url: URL, timeout: Timeout | None = None, *, redirected: bool = False
) -> RequestError:
    """Return our error for a foreign one, its cause chained as far as it tells no secret.

    `timeout` is what the request was given, where it is known; `redirected` whether the URL is not the caller's.
    """
    exc = _alert_in(exc, work.stage) or exc
    theirs, ours, stage, text = next(row for row in _TABLE if isinstance(exc, row[0]))
    ours, stage, text, reason = _in_particular(exc, work.stage, url, (ours, stage, text), redirected=redirected)
    cause = _harmless(exc)
    detail = f" ({cause})" if cause is not None and str(cause) else f" ({_kind(exc)})" if theirs is Exception else ""
    error = ours.about(work.facts(url), f"{_with_times(text, timeout)}{detail}", stage=stage, reason=reason)
    error.__cause__ = cause
    error.__suppress_context__ = True
    return error


def raised_by_user(exc: Exception, lane: Lane) -> Exception | None:
    """Return what code of the user's, which raises what it likes, has raised; None for what comes from below it."""
    if not (lane.has_hooks or lane.connector is not None or sessions_are_patched()):
        return None
    cause = exc.__cause__
    own = cause if type(exc) in _WRAPPERS and isinstance(cause, Exception) else exc
    return None if _tells_of_network(own, lane) or _raised_below(own) else own


def _tells_of_network(exc: Exception, lane: Lane) -> bool:
    """Whether it does so whoever has raised it: aiohttp's own, and any OSError of a connector or a mock."""
    if isinstance(exc, aiohttp.ClientError | HttpProcessingError):
        return not isinstance(exc, aiohttp.ClientResponseError)  # which code of the user's makes of a status
    only_hooks = lane.has_hooks and lane.connector is None
    return isinstance(exc, OSError) and not only_hooks


def _raised_below(exc: BaseException) -> bool:
    """Whether the error comes from below all code of the user's, which takes part in the request.

    That is where no frame is theirs, or the last one that is has handed on to aiohttp, as a middleware does.
    """
    handed_on = False
    for frame, _line in reversed([*walk_tb(exc.__traceback__)]):
        module = frame.f_globals.get("__name__", "")
        if module.startswith("workerpool.testing") or module.partition(".")[0] not in LIBRARIES:
            return handed_on
        handed_on = module in ("aiohttp.client", "aiohttp.connector")
    return True


def fault_of_head(answer: AnyAnswer) -> str | None:
    """Say what is wrong with a head that aiohttp takes for one; None if nothing is."""
    # Without a version it was never on a wire: it is a recorder's or a mock's, which have their own ideas of an answer.
    if answer.status < 100 or (answer.version is not None and answer.version.major != 1):
        return "the server's answer is not valid HTTP/1"
    # aiohttp hands out what is compressed on the way as if it were the body (RFC 9112, 6.1); nobody has asked for it.
    if "Transfer-Encoding" in answer.headers and _codings(answer.headers.getall("Transfer-Encoding")) - _FRAMING:
        return "the server's answer has a transfer coding that was not asked for"
    return None


def _codings(lines: list[str]) -> set[str]:
    return {coding.strip().lower() for line in lines for coding in line.split(",") if coding.strip()}


def _in_particular(
    exc: BaseException, at: Stage, url: URL, row: tuple[type[RequestError], Stage, str], *, redirected: bool
) -> tuple[type[RequestError], Stage, str, Reason]:
    """Return what the table says, mended where the class of an error is not all that there is to know."""
    ours, stage, text = row
    if isinstance(exc, aiohttp.ClientConnectorDNSError) and exc.host != url.raw_host:
        return ProxyError, "connect", "the proxy's name could not be resolved", ""
    if isinstance(exc, aiohttp.ServerDisconnectedError) and not isinstance(exc.message, str):
        return ours, stage, "the connection was closed within the head of the answer", "head-cut"
    if ours is ConnectError and at == "tls":
        return ours, "tls", "the connection ended within the TLS handshake", ""
    if ours is ProtocolError and "Content-Length" in str(getattr(exc, "message", "")):
        return ours, stage, "the Content-Length of the server's answer is not valid HTTP", "bad-length"
    if isinstance(exc, UnicodeError) and at not in ("connect", "dns", "proxy"):
        ours, stage, text = ProtocolError, "", "the server's answer cannot be read"
    elif isinstance(exc, UnicodeError) and redirected and not _is_encodable(url.raw_host or ""):
        ours, stage, text = ProtocolError, "headers", "the server redirects to a host whose name cannot be one"
    elif ours is RequestError and at in ("headers", "body"):
        ours, text = ProtocolError, "the server's answer cannot be read"
    return ours, stage, text, ""


def _is_encodable(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _with_times(text: str, timeout: Timeout | None) -> str:
    """Return the text with the seconds that were waited in vain."""
    if "{" not in text:
        return text
    read = connect = None
    if timeout is not None:
        read, connect = timeout.read, timeout.connect
    return text.format(
        read=" for too long" if read is None else f" for {read:g} s",
        connect=" in time" if connect is None else f" within {connect:g} s",
    )


def _alert_in(exc: BaseException, stage: Stage) -> ssl.SSLError | None:
    """Return the alert that the server has answered the handshake with.

    In TLS 1.3 it comes when the handshake is over for this side, as the error of a connection that was open by then.
    """
    if stage not in BEFORE_THE_BODY:
        return None
    found = (each for each in _chain(exc) if isinstance(each, ssl.SSLError) and _is_alert(each))
    return next(found, None)


def _is_alert(exc: ssl.SSLError) -> bool:
    return "ALERT" in (getattr(exc, "reason", None) or "")  # aiohttp's own kinds have none


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    for _ in range(8):
        if exc is None:
            return
        yield exc
        exc = getattr(exc, "os_error", None) or exc.__cause__ or exc.__context__


def _kind(exc: BaseException) -> str:
    """Return the class of an error; what it says may hold a secret."""
    return f"{type(exc).__module__}.{type(exc).__qualname__}".removeprefix("builtins.")


def _harmless(exc: BaseException) -> BaseException | None:
    """Return what has struck, or the operating system's part of an error; never a URL or a header."""
    for each in (exc, exc.__cause__):
        if has_struck(each):
            return each
    inner = exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc
    if isinstance(inner, aiohttp.ClientError | HttpProcessingError):
        inner = inner.__cause__ if isinstance(inner.__cause__, OSError) else None  # type: ignore[assignment]
    return inner if isinstance(inner, OSError) and not isinstance(inner, TimeoutError) else None
