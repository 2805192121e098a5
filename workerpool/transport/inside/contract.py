"""What the pool needs of aiohttp beyond its public names, looked at once, when it is imported.

Where a release has moved a name, the parts of the pool that need it stay away: plain aiohttp does the work, with what
is lost by that, and one line in the log says so. tests/transport/test_contract.py pins what is relied on more exactly.
"""

import asyncio
import inspect
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from http.cookies import Morsel, SimpleCookie
from importlib import import_module
from typing import TYPE_CHECKING, Any

import aiohttp

__all__ = [
    "EMPTY_PAYLOAD",
    "HttpProcessingError",
    "HttpResponseParser",
    "ResponseHandler",
    "TimerNoop",
    "holds",
    "parse_set_cookie_headers",
    "serialize_headers",
]

log: logging.Logger = logging.getLogger("workerpool.transport")

# part: (what is lost without it, what it needs). "Class.method(parameters)" is called or replaced by name; what
# "Class:attribute" names is set by the class's __init__.
_NEEDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "idle": (
        "answers that nobody asked for are not noticed on idle connections",
        ("BaseConnector._get(key, traces)", "client_proto.ResponseHandler.should_close"),
    ),
    "stages": (
        "errors tell less exactly how far a request came",
        ("BaseConnector:_loop", "TCPConnector._resolve_host(host, port, traces)"),
    ),
    "bodies": (
        "some bodies that are cut are not told from whole ones",
        (
            "BaseConnector:_factory",
            "BaseConnector:_loop",
            "BaseConnector._create_connection(req, traces, timeout)",
            "client_proto.ResponseHandler:_payload",
            "client_proto.ResponseHandler.connection_lost(exc)",
            "client_proto.ResponseHandler.eof_received()",
            "client_proto.ResponseHandler.set_exception(exc)",
            "client_proto.ResponseHandler.feed_data(data)",
            "client_proto.ResponseHandler.close()",
            "client_proto.ResponseHandler.abort()",
            "http_exceptions.HttpProcessingError",
        ),
    ),
    "tunnel": (
        "a proxy's faults are not told from the server's",
        (
            "TCPConnector._create_proxy_connection(req, traces, timeout)",
            "TCPConnector._create_direct_connection(req, traces, timeout)",
        ),
    ),
    "sockets": (
        "a connection that is reset while it is made may close another's descriptor under uvloop",
        ("TCPConnector:_socket_factory", "TCPConnector._wrap_create_connection()"),
    ),
    "routes": (
        "SOCKS proxies of the environment are refused, and WebSockets need TLS behind a proxy",
        (
            "TCPConnector._create_connection(req, traces, timeout)",
            "TCPConnector._create_proxy_connection(req, traces, timeout)",
            "TCPConnector._start_tls_connection(underlying_transport)",
            "BaseConnector:_factory",
        ),
    ),
    "guard": (
        "lanes with address rules are refused",
        (
            "BaseConnector._create_connection(req, traces, timeout)",
            "BaseConnector:_conns",
            "TCPConnector:_socket_factory",
            "TCPConnector._create_proxy_connection(req, traces, timeout)",
            "TCPConnector._wrap_create_connection()",
        ),
    ),
    "once": (
        "a request whose connection is lost may arrive twice",
        ("ClientSession:_retry_connection",),
    ),
    "request": (
        "requests are aiohttp's own: slower, and a proxy is told the lane's headers",
        (
            "ClientRequest.update_headers(headers)",
            "ClientRequest.update_auto_headers(skip_auto_headers)",
            "ClientRequest.update_cookies(cookies)",
            "ClientRequest.update_proxy(proxy, proxy_auth, proxy_headers)",
            "ClientRequest.update_auth(auth)",
            "ClientRequest.is_ssl()",
            "ClientRequest.connection_key",
            "ClientRequest.send(conn)",
            "ClientRequest.write_bytes()",
            "ClientRequest.session",
            "ClientRequest._body",
            "ClientRequest._continue",
        ),
    ),
    "tls": (
        "TLS sessions are not resumed: new connections cost more",
        ("connector._SSL_CONTEXT_VERIFIED", "connector._SSL_CONTEXT_UNVERIFIED"),
    ),
    "cookies": (
        "cookies are read as Python's own library reads them",
        ("_cookie_helpers.parse_set_cookie_headers(headers)",),
    ),
    "fast path": (
        "each request is aiohttp's own: slower",
        (
            "BaseConnector._get(key, traces)",
            "BaseConnector.connect(req, traces, timeout)",
            "BaseConnector:_keepalive_timeout",
            "BaseConnector:_waiters",
            "ClientSession:_loop",
            "ClientSession:_middlewares",
            "ClientRequest:_session",
            "ClientRequest:_timer",
            "ClientRequest:_traces",
            "ClientRequest:_ssl",
            "ClientRequest:original_url",
            "ClientRequest:response_class",
            "client_proto.ResponseHandler.set_response_params(timer, skip_payload, read_until_eof)",
            "client_proto.ResponseHandler.set_parser(parser, payload)",
            "client_proto.ResponseHandler.resume_reading(resume_parser)",
            "client_proto.ResponseHandler.data_received(data)",
            "client_proto.ResponseHandler:_should_close",
            "client_proto.ResponseHandler:_read_timeout",
            "base_protocol.BaseProtocol:_parser",
            "base_protocol.BaseProtocol:_reading_paused",
            "base_protocol.BaseProtocol:_buffer_paused",
            "http_parser.HttpResponseParserC",  # there is no need for speed with the one in Python
            "http_parser.HttpResponseParser.feed_data",
            "http_parser.HttpResponseParser.feed_eof()",
            "http_writer._serialize_headers(status_line, headers)",
            "streams.EMPTY_PAYLOAD",
            "streams.StreamReader:_buffer",
            "streams.StreamReader:_eof",
            "helpers.TimerNoop",
        ),
    ),
}


def _find(path: str) -> Any:
    """Return what a path below aiohttp leads to; raises ImportError or AttributeError."""
    found: Any = aiohttp
    for name in path.split("."):
        if not hasattr(found, name) and inspect.ismodule(found):
            import_module(f"{found.__name__}.{name}")
        found = getattr(found, name)
    return found


def _is_there(need: str) -> bool:
    path, _, parameters = need.partition("(")
    try:
        if ":" in path:
            owner, _, attribute = path.partition(":")
            return attribute in _find(owner).__init__.__code__.co_names
        found = _find(path)
        if not (wanted := [each for each in parameters.strip(")").split(", ") if each]):
            return True
        given = [*inspect.signature(found).parameters]
        given = given[1:] if given[:1] == ["self"] else given
        return given[: len(wanted)] == wanted
    except (ImportError, AttributeError, TypeError, ValueError):
        return False


_lacking = {part: [need for need in needs if not _is_there(need)] for part, (_, needs) in _NEEDS.items()}


def holds(*parts: str) -> bool:
    """Whether aiohttp has all that these parts need."""
    return not any(_lacking[part] for part in parts)


def _tell() -> None:
    names = sorted({need for needs in _lacking.values() for need in needs})
    if names:
        lost = "; ".join(_NEEDS[part][0] for part, needs in _lacking.items() if needs)
        log.warning(
            "aiohttp %s lacks %s, which workerpool knows it by; plain aiohttp is used instead: %s",
            aiohttp.__version__, ", ".join(names), lost,
        )  # fmt: skip


_tell()


if TYPE_CHECKING:
    from aiohttp._cookie_helpers import parse_set_cookie_headers
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.helpers import TimerNoop
    from aiohttp.http_exceptions import HttpProcessingError
    from aiohttp.http_parser import HttpResponseParser
    from aiohttp.http_writer import _serialize_headers as serialize_headers
    from aiohttp.streams import EMPTY_PAYLOAD
else:

    def _found_or(path: str, instead: Any) -> Any:
        try:
            return _find(path)
        except (ImportError, AttributeError):  # said in the log
            return instead

    class _NeverRaised(Exception):
        pass

    def _read_cookies(headers: Sequence[str]) -> list[tuple[str, "Morsel[str]"]]:
        return [item for header in headers for item in SimpleCookie(header).items()]

    parse_set_cookie_headers = _found_or("_cookie_helpers.parse_set_cookie_headers", _read_cookies)
    ResponseHandler = _found_or("client_proto.ResponseHandler", asyncio.Protocol)
    TimerNoop = _found_or("helpers.TimerNoop", nullcontext)
    HttpProcessingError = _found_or("http_exceptions.HttpProcessingError", _NeverRaised)
    HttpResponseParser = _found_or("http_parser.HttpResponseParser", None)
    serialize_headers = _found_or("http_writer._serialize_headers", None)
    EMPTY_PAYLOAD = _found_or("streams.EMPTY_PAYLOAD", None)
