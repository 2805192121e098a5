"""A small web site on 127.0.0.1, for tests, examples and the demo; no network is needed.

    with Site() as site:
        pool.get(site.url_for("/fast/1"))

Pages: `/` and `/page/N` (HTML with links), `/fast/N` (1 KiB), `/slow/N?delay=S`, `/flaky/N` (503 on the first
ask), `/redirect/N` (N + 1 hops to /fast/0), `/gzip/N`, `/large/KIB`, `/status/CODE`, `/echo` (what was sent, as
JSON), `/cookies`, `/cookies/set?NAME=VALUE`, `/hold/N` (answers when `release()` is called).
"""

import asyncio
import gzip
import json
import threading
from concurrent.futures import Future
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

__all__ = ["Site"]

_STOP = 10.0  # seconds that the site's thread gets to end
_PAGES = 31  # pages of the tree below /page/0


class Site:
    """Serve the pages from a thread of its own; for a `with` block. The counters may be read from any thread."""

    def __init__(self) -> None:
        self.url = ""
        self.hits = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self._changed = threading.Condition()  # guards the counters
        self._seen_flaky: set[str] = set()  # the site's loop only
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="site", daemon=True)

    def url_for(self, path: str) -> str:
        """Return the URL of a path."""
        return self.url + path

    def release(self) -> None:
        """Answer everything that is held, now and from now on."""
        self._loop.call_soon_threadsafe(self._released.set)

    def wait_in_flight(self, number: int, timeout: float = 10.0) -> None:
        """Block until exactly so many requests are being served; raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.in_flight == number, timeout):
                raise TimeoutError(f"{self.in_flight} requests are being served, not {number}")

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.result()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_STOP)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._released, self._stopped = asyncio.Event(), asyncio.Event()
        runner = web.AppRunner(self._application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        try:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        except BaseException as exc:
            self._started.set_exception(exc)
            raise
        self._started.set_result(None)
        await self._stopped.wait()
        await runner.cleanup()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._count], client_max_size=2**30)
        app.router.add_get("/", _index)
        app.router.add_get("/page/{n}", _page)
        app.router.add_get("/fast/{n}", _fast)
        app.router.add_get("/slow/{n}", _slow)
        app.router.add_get("/flaky/{n}", self._flaky)
        app.router.add_get("/redirect/{n}", _redirect)
        app.router.add_get("/gzip/{n}", _gzip)
        app.router.add_get("/large/{kib}", _large)
        app.router.add_route("*", "/status/{code}", _status)
        app.router.add_route("*", "/echo", _echo)
        app.router.add_get("/cookies", _cookies)
        app.router.add_get("/cookies/set", _set_cookies)
        app.router.add_get("/hold/{n}", self._hold)
        return app

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._move(+1)
        try:
            answer: web.StreamResponse = await handler(request)
            return answer
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


async def _index(request: web.Request) -> web.Response:
    links = "".join(f'<li><a href="{path}">{path}</a>' for path in ("/page/0", "/fast/1", "/slow/1", "/gzip/1"))
    return web.Response(text=f"<!doctype html><title>A small site</title><ul>{links}</ul>", content_type="text/html")


async def _page(request: web.Request) -> web.Response:
    number = int(request.match_info["n"])
    children = [child for child in (2 * number + 1, 2 * number + 2) if child < _PAGES]
    links = "".join(f'<li><a href="/page/{child}">page {child}</a>' for child in children)
    return web.Response(text=f"<!doctype html><title>Page {number}</title><ul>{links}</ul>", content_type="text/html")


async def _fast(request: web.Request) -> web.Response:
    return web.Response(text=f"fast page {request.match_info['n']} ".ljust(1024, "."))


async def _slow(request: web.Request) -> web.Response:
    await asyncio.sleep(float(request.query.get("delay", "0.2")))
    return web.Response(text=f"slow page {request.match_info['n']}")


async def _redirect(request: web.Request) -> web.Response:
    left = int(request.match_info["n"])
    return web.Response(status=302, headers={"Location": f"/redirect/{left - 1}" if left else "/fast/0"})


async def _gzip(request: web.Request) -> web.Response:
    body = gzip.compress(json.dumps({"n": int(request.match_info["n"])}).encode())
    return web.Response(body=body, content_type="application/json", headers={"Content-Encoding": "gzip"})


async def _large(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(int(request.match_info["kib"])):
        await answer.write(b"x" * 1024)
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
    for name, value in request.query.items():
        answer.set_cookie(name, value)
    return answer
