"""The servers of the tests: scripted bytes, silence, functions of a connection, handlers of http.server, routes of aiohttp.

Each runs on threads of its own for a `with` block, and ends its connections and its threads with it. Faults have servers
of their own (faults/), and so have the tests whose server keeps books.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Self, TypeVar

from aiohttp import web
from faults.server import Listener
from faults.wire import read_head

__all__ = ["Handler", "Listening", "Scripted", "Silent", "handled", "ok", "read_request", "running", "served"]

_PATIENCE = 60  # seconds after which something hangs

Answer = bytes | Callable[[socket.socket], None]
ServerT = TypeVar("ServerT", bound=HTTPServer)


def ok(body: bytes, *headers: bytes) -> bytes:
    """Return a whole answer."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), lines, body)


def read_request(connection: socket.socket) -> bytes:
    """Return the next request, head and body, or nothing at the end; one that is cut as far as it came."""
    data = read_head(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    begin, fields = len(data) - len(body), head.lower()
    length = 0
    if b"content-length: " in fields:
        length = int(fields.split(b"content-length: ")[1].split(b"\r\n")[0])
    is_chunked = b"transfer-encoding: chunked" in fields
    while not data.endswith(b"0\r\n\r\n") if is_chunked else len(data) < begin + length:
        if not (piece := connection.recv(65536)):
            break
        data += piece
    return data


class Listening(Listener):
    """Serve each connection by the function, on a thread of its own; close it when the function returns."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def host(self) -> str:
        """The address."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The root."""
        return f"http://{self.host}/"


class Scripted(Listening):
    """Answer each connection's requests with its script's bytes, one after the other; `seen` are all requests, whole.

    A function in the place of bytes reads and writes by itself. Connections are ended all together when the last
    script is done, or each with its own if it `closes`. Those without a script are read and not answered; with `again`
    there are none, as the first script is everybody's, and each is ended with it.
    """

    def __init__(self, *scripts: Sequence[Answer], closes: bool = False, again: bool = False) -> None:
        self.scripts = [list(script) for script in scripts]
        self.seen: list[bytes] = []
        self._closes, self._again = closes or again, again
        self._counting = threading.Lock()
        self._came = self._done = 0
        self._held: list[socket.socket] = []
        super().__init__(self._follow)

    def _follow(self, connection: socket.socket) -> None:
        with self._counting:
            number = 0 if self._again else self._came
            self._came += 1
            self._held.append(connection)
        is_last = False
        if number < len(self.scripts):
            try:
                self._answer(connection, self.scripts[number])
            finally:
                is_last = self._count_done()
            if self._closes:
                return
        if is_last:
            self._end_all()
        else:
            self._note(connection)

    def _answer(self, connection: socket.socket, script: Sequence[Answer]) -> None:
        for answer in script:
            if not isinstance(answer, bytes):
                answer(connection)
            elif request := read_request(connection):
                self.seen.append(request)
                connection.sendall(answer)
            else:
                return

    def _note(self, connection: socket.socket) -> None:
        while request := read_request(connection):
            self.seen.append(request)

    def _count_done(self) -> bool:
        with self._counting:
            self._done += 1
            return self._done == len(self.scripts)

    def _end_all(self) -> None:
        for connection in self._held:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Silent(Listening):
    """Read whatever comes; say the greeting once, after the first piece of each connection, and no more."""

    def __init__(self, greeting: bytes = b"") -> None:
        self._greeting = greeting
        self._reached = threading.Semaphore(0)
        self._gone = threading.Semaphore(0)
        super().__init__(self._read)

    def wait_reached(self) -> None:
        """Wait until a client has sent something, one for each call."""
        assert self._reached.acquire(timeout=_PATIENCE)

    def wait_gone(self) -> None:
        """Wait until a client has closed its connection, one for each call."""
        assert self._gone.acquire(timeout=_PATIENCE)

    def _read(self, connection: socket.socket) -> None:
        try:
            if connection.recv(65536):
                connection.sendall(self._greeting)
                self._reached.release()
                while connection.recv(65536):
                    pass
        finally:
            self._gone.release()


class Handler(BaseHTTPRequestHandler):
    """A handler of http.server's that says nothing on stderr."""

    def answer(self, status: int, body: bytes, headers: Mapping[str, object] | None = None) -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in ({"Content-Length": len(body)} | dict(headers or {})).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running(server: ServerT) -> Iterator[ServerT]:
    """Let a server of http.server's run."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def handled(handler: type[BaseHTTPRequestHandler], *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve with the handler, a thread for each connection; yield the root's URL, of localhost for https."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with running(server):
        yield f"{'http://127.0.0.1' if tls is None else 'https://localhost'}:{server.server_port}/"


@contextmanager
def served(*routes: web.RouteDef) -> Iterator[str]:
    """Serve the routes with aiohttp, on a loop of its own; yield the root's URL."""
    started: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ended = asyncio.Event()
        started.set_result((runner.addresses[0][1], asyncio.get_running_loop(), ended))
        await ended.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    port, loop, ended = started.result(_PATIENCE)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
