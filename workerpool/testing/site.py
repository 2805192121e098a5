"""A small web site on 127.0.0.1, for tests, examples and the demo; no network is needed.

    with Site() as site:
        pool.get(site.url_for("/fast/1"))

or, for as long as the program runs, `site = Site().start()`.

It runs on a thread and a loop of its own, on a port that the system chooses. What it serves:

    /                     HTML that links to the pages below
    /page/N               a tree of 31 HTML pages for a crawl: N links to 2N+1 and 2N+2
    /fast/N               1 KiB of text that names its N
    /slow/N?delay=S       the same idea after S seconds, 0.2 if left out
    /flaky/N              503 on the first ask of each N, then 200; counted for this site alone
    /redirect/N           302 to /redirect/N-1, and from /redirect/0 to /fast/0: N + 1 hops
    /redirect-to?url=U    302 to U, on this site or another
    /gzip/N               JSON, gzip-encoded
    /large/KIB            so many KiB of streamed body
    /status/CODE          that status, 200 to 599
    /echo                 any method: method, headers, args, body (100,000 bytes at most) and length, as JSON
    /cookies              the cookies that came, as JSON
    /cookies/set?A=B      sets them
    /hold/N               answers when `release()` is called

`site.hits` counts all requests, `site.max_in_flight` tells how many were being served at once.
"""

import asyncio
import gzip
import json
import logging
import math
import socket
import ssl
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from http.cookies import CookieError
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .script import unless_gone

__all__ = ["Site"]

_log = logging.getLogger(__name__)

_STOP = 10.0  # seconds that the site's thread gets to end
_PAGES = 31  # pages of the tree below /page/0
_TURNS = 10  # of the loop, in which asyncio makes a connection of a socket that was accepted; it takes three
_CHUNK = 64  # KiB written at once by /large
_LINKS = ("/page/0", "/fast/1", "/slow/1", "/flaky/1", "/redirect/1", "/gzip/1", "/large/64", "/status/404", "/echo",
          "/cookies", "/cookies/set?name=value")  # fmt: skip


class Site:
    """Serve the pages from a thread of its own; for a `with` block, once. Any thread may read the counters.

    With a server's `tls` context, over https.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.url: str = ""
        self.hits: int = 0
        self.in_flight: int = 0
        self.max_in_flight: int = 0
        self._tls = tls
        self._changed = threading.Condition()  # guards the counters
        self._seen_flaky: set[str] = set()  # the site's loop only
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="site", daemon=True)

    def url_for(self, path: str) -> str:
        """Return the URL of a path."""
        if not isinstance(path, str):
            raise TypeError(f"path must be a str such as '/fast/1', not {type(path).__name__}")
        return self.url + path

    def release(self) -> None:
        """Answer everything that is held, now and from now on."""
        self._loop.call_soon_threadsafe(self._released.set)

    def wait_in_flight(self, number: int, timeout: float = 30.0) -> None:
        """Block until exactly so many requests are being served; raises TimeoutError."""
        if not isinstance(number, int):
            raise TypeError(f"number must be a whole number, not {type(number).__name__}")
        with self._changed:
            if not self._changed.wait_for(lambda: self.in_flight == number, timeout):
                raise TimeoutError(f"{self.in_flight} requests are being served, not {number}")

    def start(self) -> Self:
        """Start; a failure to do so is raised here. Its thread keeps no program from ending."""
        self._thread.start()
        try:
            self._started.result()
        except BaseException:
            self._thread.join(_STOP)
            raise
        return self

    def stop(self) -> None:
        """Stop and join the thread, within bounds; repeatable."""
        with suppress(RuntimeError):  # the loop is closed: stopped before
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_STOP)
        if self._thread.is_alive():
            _log.warning("%s did not stop within %s s", self._thread.name, _STOP)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.get_loop()  # fails, if it must, before there is a coroutine to be left over
                runner.run(self._serve())
        except BaseException as exc:
            if self._started.done():
                raise
            self._started.set_exception(exc)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._released, self._stopped = asyncio.Event(), asyncio.Event()
        runner = web.AppRunner(self._application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
            await runner.setup()
            try:
                await web.SockSite(runner, listening, ssl_context=self._tls, backlog=4096).start()
                self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
                self._started.set_result(None)
                await self._stopped.wait()
                await _stop_accepting(listening)
            finally:
                await _close(runner)

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._count, *self._middlewares()], client_max_size=2**30)
        app.router.add_get("/", _index)
        app.router.add_get(r"/page/{n:\d+}", _page)
        app.router.add_get(r"/fast/{n:\d+}", _fast)
        app.router.add_get(r"/slow/{n:\d+}", _slow)
        app.router.add_get(r"/flaky/{n:\d+}", self._flaky)
        app.router.add_get(r"/redirect/{n:\d+}", _redirect)
        app.router.add_get("/redirect-to", _redirect_to)
        app.router.add_get(r"/gzip/{n:\d+}", _gzip)
        app.router.add_get(r"/large/{kib:\d+}", _large)
        app.router.add_route("*", r"/status/{code:[2-5]\d\d}", _status)
        app.router.add_route("*", "/echo", _echo)
        app.router.add_get("/cookies", _cookies)
        app.router.add_get("/cookies/set", _set_cookies)
        app.router.add_get(r"/hold/{n:\d+}", self._hold)
        return app

    def _middlewares(self) -> list[Middleware]:
        """Return what else is asked before the pages."""
        return []

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._move(+1)
        try:
            return await unless_gone(request, handler(request))
        finally:
            self._move(-1)

    def _move(self, step: int) -> None:
        with self._changed:
            self.hits += step > 0
            self.in_flight += step
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            self._changed.notify_all()

    async def _flaky(self, request: web.Request) -> web.Response:
        number = request.match_info["n"]
        if number in self._seen_flaky:
            return web.Response(text=f"flaky page {number}")
        self._seen_flaky.add(number)
        return web.Response(status=503, text="not yet")

    async def _hold(self, request: web.Request) -> web.Response:
        await self._released.wait()
        return web.Response(text=f"held page {request.match_info['n']}")


async def _stop_accepting(listening: socket.socket) -> None:
    """Accept no more, and wait for the connections that are being made: CPython 3.11 loses those of a closed server."""
    asyncio.get_running_loop().remove_reader(listening)
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def _close(runner: web.AppRunner) -> None:
    """Close every connection, those whose client reads no more included."""
    transports = [] if runner.server is None else [handler.transport for handler in runner.server.connections]
    await runner.cleanup()
    for transport in transports:
        if transport is not None:
            transport.abort()  # closing alone waits for the client to read what was written
    await asyncio.sleep(0)  # a connection is told its end a turn later


async def _index(request: web.Request) -> web.Response:
    return _html("A small site", _LINKS)


async def _page(request: web.Request) -> web.Response:
    number = int(request.match_info["n"])
    if number >= _PAGES:
        raise web.HTTPNotFound
    return _html(f"Page {number}", [f"/page/{n}" for n in (2 * number + 1, 2 * number + 2) if n < _PAGES])


def _html(title: str, paths: Iterable[str]) -> web.Response:
    links = "".join(f'<li><a href="{path}">{path}</a></li>' for path in paths)
    text = f"<!doctype html><title>{title}</title><h1>{title}</h1><ul>{links}</ul>"
    return web.Response(text=text, content_type="text/html")


async def _fast(request: web.Request) -> web.Response:
    return web.Response(text=f"fast page {request.match_info['n']} ".ljust(1024, "."))


async def _slow(request: web.Request) -> web.Response:
    await asyncio.sleep(_seconds(request.query.get("delay", "0.2")))
    return web.Response(text=f"slow page {request.match_info['n']}")


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if math.isfinite(seconds := float(text)):
            return seconds
    raise web.HTTPBadRequest(text=f"delay must be a number of seconds, not {text!r}")


async def _redirect(request: web.Request) -> web.Response:
    left = int(request.match_info["n"])
    return web.Response(status=302, headers={"Location": f"/redirect/{left - 1}" if left else "/fast/0"})


async def _redirect_to(request: web.Request) -> web.Response:
    if not (url := request.query.get("url")):
        raise web.HTTPBadRequest(text="say where to with ?url=")
    return web.Response(status=302, headers={"Location": url})


async def _gzip(request: web.Request) -> web.Response:
    body = gzip.compress(json.dumps({"n": int(request.match_info["n"])}).encode(), mtime=0)
    return web.Response(body=body, content_type="application/json", headers={"Content-Encoding": "gzip"})


async def _large(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    kib = int(request.match_info["kib"])
    for done in range(0, kib, _CHUNK):
        await answer.write(b"x" * 1024 * min(_CHUNK, kib - done))
    await answer.write_eof()
    return answer


async def _status(request: web.Request) -> web.Response:
    return web.Response(status=int(request.match_info["code"]))


async def _echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "headers": dict(request.headers),
            "args": dict(request.query),
            "body": body[:100_000].decode("utf-8", "replace"),
            "length": len(body),
        }
    )


async def _cookies(request: web.Request) -> web.Response:
    return web.json_response(dict(request.cookies))


async def _set_cookies(request: web.Request) -> web.Response:
    answer = web.json_response(dict(request.query))
    try:
        for name, value in request.query.items():
            answer.set_cookie(name, value)
    except CookieError as exc:
        raise web.HTTPBadRequest(text=str(exc)) from None
    return answer
