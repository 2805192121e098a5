"""Servers for the tests of streams."""

import socket
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HEADS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n",
}


@contextmanager
def stalling(framing):
    """Serve 1,000 bytes of a body that is announced to be longer, to everybody, and no more; yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve():
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
def written(parts, pause=0.0, *, status=200, length=None, headers=None):
    """Serve a body of these parts, each in a write of its own; yield the URL."""
    length = sum(map(len, parts)) if length is None else length

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
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

        def log_message(self, *args):
            pass

    with _serving(Handler) as url:
        yield url


@contextmanager
def event_server(*answers):
    """Serve one (status, body) after the other as event streams; yield the URL and the Last-Event-IDs that came."""
    ids, waiting = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            ids.append(self.headers["Last-Event-ID"])
            status, body = waiting.pop(0)
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with _serving(Handler) as url:
        yield url, ids


@contextmanager
def _serving(handler):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
