"""The short way: what a session does for a request without body, proxy and hooks, and nothing else.

Half of what aiohttp costs per request is spent in `ClientSession._request`, where a request like that has nothing to
be done (measured: 75,000 of 280,000 instructions). The connections, cookies and parsers are the session's all the same.
"""

from types import FunctionType
from typing import Any

import aiohttp

from ...handover.job import Work
from ...lane import Lane
from ...messages.hop import Hop
from ...messages.request import Request
from .contract import holds
from .request import BODILESS, CUT, READ_AHEAD, WireRequest

__all__ = ["ShortWay", "sessions_are_patched", "sessions_are_traced"]

_NO_TRACES: list[Any] = []  # aiohttp only reads it


def _genuine(name: str) -> Any:
    """Return the session's method, None if somebody has put another in its place already."""
    method = getattr(aiohttp.ClientSession, name)
    return method if type(method) is FunctionType and method.__globals__ is vars(aiohttp.client) else None


_REQUEST, _PUBLIC, _INIT = _genuine("_request"), _genuine("request"), _genuine("__init__")


def sessions_are_traced() -> bool:
    """Whether somebody has patched the session to give each new one hooks, as OpenTelemetry's instrumentation does."""
    return aiohttp.ClientSession.__init__ is not _INIT


def sessions_are_patched() -> bool:
    """Whether somebody has put code of his own into the session, as aioresponses, vcrpy and tracers do."""
    session = aiohttp.ClientSession
    return session._request is not _REQUEST or session.request is not _PUBLIC or session.__init__ is not _INIT


class ShortWay:
    """Send requests through a session's connector; used on its loop only."""

    def __init__(self, session: aiohttp.ClientSession, lane: Lane, jar: aiohttp.abc.AbstractCookieJar | None) -> None:
        self._session = session
        self._connector = session.connector
        self._lane = lane
        self._ssl = lane.ssl
        self._jar = jar
        # Hooks are the lane's, or of an instrumentation that gives every session some.
        known = holds("express", "request")
        self._open = known and not session._middlewares and not session.trace_configs

    def takes(self, method: str) -> bool:
        """Whether the short way will do: there are no hooks, and nobody has patched the session to watch or to fake it.

        The latter is how aioresponses, vcrpy and tracers work; it may happen at any time.
        """
        session = aiohttp.ClientSession
        return self._open and method in BODILESS and session._request is _REQUEST and session.request is _PUBLIC

    async def send(
        self, hop: Hop, timeout: aiohttp.ClientTimeout, asked: Request, work: Work
    ) -> aiohttp.ClientResponse:
        """Send one request and wait for the head of its answer; raises what aiohttp or the system raises.

        On a connection that is there, or on a new one. What meets a closing one goes out on the next, as by
        `send_anew`; where a Retry says how often the server is asked, it says that here, too.
        """
        request = WireRequest.without_body(self._session, hop.method, hop.url, hop.headers, self._ssl)
        if self._jar is not None:
            request.update_cookies(self._jar.filter_cookies(hop.url))
        assert self._connector is not None
        while True:
            connection = await self._connector.connect(request, _NO_TRACES, timeout)
            try:
                answer = await _answer(request, connection, timeout)
                break
            except CUT as exc:
                connection.close()
                if not request.met_closing(exc) or self._lane.retry_for(asked) is not None:
                    raise
                work.attempts += 1  # it may be that the server has seen it
            except BaseException:
                connection.close()
                raise
        if self._jar is not None and answer._raw_cookie_headers:
            self._jar.update_cookies_from_headers(answer._raw_cookie_headers, answer.url)
        return answer


async def _answer(request: WireRequest, connection: Any, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
    connection.protocol.set_response_params(
        timer=request._timer,
        skip_payload=request.method == "HEAD",
        read_until_eof=True,
        auto_decompress=False,
        read_timeout=timeout.sock_read,
        read_bufsize=READ_AHEAD,
    )
    answer: aiohttp.ClientResponse = await request.send(connection)
    try:
        return await answer.start(connection)
    except BaseException:
        answer.close()
        raise
