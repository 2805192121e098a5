"""What becomes of a request's body when the server redirects."""

import io
import socket
import threading
from contextlib import contextmanager

import pytest

SECRET = b"SECRET of the first server's"
BODIES = {
    "bytes": lambda: {"data": SECRET},
    "form": lambda: {"data": {"a": SECRET.decode()}},
    "json": lambda: {"json": SECRET.decode()},
    "multipart": lambda: {"files": {"f": ("name", SECRET)}},
    "file": lambda: {"data": io.BytesIO(SECRET)},
    "generator": lambda: {"data": (SECRET for _ in range(1))},
    "large": lambda: {"data": SECRET * 100_000},
}


def _request_of(connection):
    """Read one request; return its head and its body."""
    got = b""
    while b"\r\n\r\n" not in got:
        if not (piece := connection.recv(65536)):
            return got, b""
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    fields = head.lower()
    if b"transfer-encoding: chunked" in fields:
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
    elif b"content-length: " in fields:
        length = int(fields.split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
    return head, body


@contextmanager
def serving(*answers):
    """Answer one request per connection; yield the port, and what came, head and body."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        came = []

        def serve():
            for answer in answers:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    came.append(_request_of(connection))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], came
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


FOUND = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfound"


def redirect(status, location):
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("elsewhere", [True, False], ids=["elsewhere", "same"])
@pytest.mark.parametrize("status", [301, 302, 303])
def test_no_byte_of_a_body_goes_on_with_the_get(pool, status, elsewhere, kind):
    """A POST that becomes a GET has no body any more, at no origin, nor a word about one in its head."""
    with serving(FOUND) as (other, came_there):
        host = f"http://localhost:{other}" if elsewhere else ""
        with serving(redirect(status, f"{host}/to"), *([] if elsewhere else [FOUND])) as (port, came):
            answer = pool.post(f"http://127.0.0.1:{port}/", **BODIES[kind]())
        assert b"found" == answer.content
    head, body = came_there[0] if elsewhere else came[1]
    assert head.startswith(b"GET /to HTTP/1.1\r\n")
    assert b"" == body
    for word in (b"content-", b"transfer-encoding", b"secret"):
        assert word not in head.lower()
