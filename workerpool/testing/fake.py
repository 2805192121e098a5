"""A pool whose connections lead nowhere but to a script: no names are resolved and no sockets opened."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Unpack, cast

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ..caller.pool import WorkerPool
from ..caller.session import PoolSession
from ..lane import Lane, LaneOptions
from ..transport.memory import Handler, MemoryConnector, MemoryTransport
from .script import Received, Reply, Script, Scripted, Target, unless_gone

__all__ = ["FakePool", "UnexpectedRequest"]

_HTTP = {"ws": "http", "wss": "https"}  # what WebSockets are opened by


class UnexpectedRequest(AssertionError):
    """A request was made that nobody has scripted an answer for."""


class FakePool(Scripted, WorkerPool):  # type: ignore[misc]  # as in WorkerPool
    """Answer every request from a script; all else is the pool's own code: redirects, retries, limits, deadlines.

    Takes the keywords of WorkerPool. A target is a whole URL, its fragment left aside, or a pattern that is searched
    for in the URL. A request without a reply raises UnexpectedRequest, and is noted in `unexpected`. An OSError that
    is scripted as an `error` fails the making of the connection, one that says that a connection was lost ends it
    when the request has been read; any other exception is raised as it is.
    """

    def __init__(self, *, lanes: Iterable[Lane] = (), **options: Any) -> None:
        self._script = Script(_same_url)
        self._unexpected: list[str] = []  # only ever appended to
        super().__init__(lanes=self._all_in_memory(lanes), **{**options, "connector": self._connector})

    @property
    def unexpected(self) -> tuple[str, ...]:
        """What was asked that nobody has scripted, a text for each. Thread-safe."""
        return tuple(self._unexpected)

    def session(self, **lane_options: Unpack[LaneOptions]) -> PoolSession:
        """Open a private "browser", as a pool does; it is answered from the script, too."""
        lane_options["connector"] = self._connector
        return super().session(**lane_options)

    def like(self, lane: str, **lane_options: Unpack[LaneOptions]) -> PoolSession:
        """Open a lane like another one, as a pool does; it is answered from the script, too."""
        lane_options["connector"] = self._connector
        return super().like(lane, **lane_options)

    def _all_in_memory(self, lanes: Iterable[Lane]) -> Iterator[Lane]:
        yield from map(self._in_memory, lanes)  # when the pool reads them, which tells what is no list of lanes

    def _in_memory(self, lane: Lane) -> Lane:
        # What is no lane is told by the pool.
        return replace(lane, connector=self._connector) if isinstance(lane, Lane) else lane

    def _connector(self) -> MemoryConnector:
        return MemoryConnector(self._meet)

    async def _meet(self, request: aiohttp.ClientRequest) -> Handler:
        """Choose the reply when the connection is made: it may be that this fails."""
        url = _plain(request.url)
        reply = self._script.take(request.method, url)
        if reply is None:
            raise self._not_scripted(request.method, url)
        if reply.error is not None and not reply.loses_the_connection:
            self._script.note(Received(request.method, str(url), _frozen(request.headers), b""))
            await asyncio.sleep(reply.delay)
            raise reply.error.with_traceback(None)

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            return await self._answer(request, url, reply)

        return handler

    async def _answer(self, request: web.BaseRequest, url: URL, reply: Reply) -> web.StreamResponse:
        self._script.note(Received(request.method, str(url), request.headers, await request.read()))
        answer = await unless_gone(request, reply.answer(request))
        if reply.error is not None and request.transport is not None:
            cast(MemoryTransport, request.transport).reset(reply.error.with_traceback(None))
        return answer

    def _not_scripted(self, method: str, url: URL) -> UnexpectedRequest:
        self._unexpected.append(f"{method} {url}")
        return UnexpectedRequest(f"unexpected request {method} {url}; scripted: {self._script}")


def _same_url(target: Target, url: URL) -> bool:
    if isinstance(target, re.Pattern):
        return target.search(str(url)) is not None
    return _plain(URL(target)) == url


def _plain(url: URL) -> URL:
    """Return the URL as it is compared: without what is not sent, or goes without saying."""
    if not url.absolute:
        return url
    url = url.with_fragment(None).with_user(None).with_scheme(_HTTP.get(url.scheme, url.scheme))
    return url.with_port(None) if url.is_default_port() else url


def _frozen(headers: "CIMultiDict[str]") -> "CIMultiDictProxy[str]":
    return CIMultiDictProxy(headers.copy())
