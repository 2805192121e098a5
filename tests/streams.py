"""Servers for the tests of streams."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from servers import Handler, handled

HEADS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n",
}


@contextmanager
def stalling(framing: str) -> Iterator[str]:
    """Serve 1,000 bytes of a body that is announced to be longer, to everybody, and no more; yield the URL.

    On one thread, however many come: tests count the threads.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                held.append(connection)
                connection.recv(65536)
                connection.sendall(HEADS[framing])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join()
            for connection in held:
                connection.close()


@contextmanager
def written(
    parts: Sequence[bytes],
    pause: float = 0.0,
    *,
    status: int = 200,
    length: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Serve a body of these parts, each in a write of its own; yield the URL."""
    length = sum(map(len, parts)) if length is None else length

    class Written(Handler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            with suppress(OSError):
                for part in parts:
                    self.wfile.write(part)
                    if pause:
                        time.sleep(pause)

        do_POST = do_GET

    with handled(Written) as url:
        yield url


@contextmanager
def event_server(*answers: tuple[int, bytes | int]) -> Iterator[tuple[str, list[str | None]]]:
    """Serve one (status, body) after the other as event streams; yield the URL and the Last-Event-IDs that came.

    A number in the place of a body is announced as its length, and less comes: the connection is lost.
    """
    ids: list[str | None] = []
    waiting = list(answers)

    class Events(Handler):
        def do_GET(self) -> None:
            ids.append(self.headers["Last-Event-ID"])
            status, body = waiting.pop(0)
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream; charset=latin-1")
            if isinstance(body, int):
                self.send_header("Content-Length", str(body))
                body = b"id: cut\ndata: cut\n\n"
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

    with handled(Events) as url:
        yield url, ids
