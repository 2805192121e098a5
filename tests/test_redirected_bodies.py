"""What becomes of a request's body when the server redirects."""

import io
import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from workerpool import InvalidRequest

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


class Unseekable(io.BytesIO):
    """A file that cannot go back."""

    def seekable(self):
        return False


WHOLE = bytes(range(256)) * 4096  # 1 MiB, no two places of it alike within a piece


def _early(status, location):
    """A redirect that is given as soon as the head is there, and the connection closed."""

    def answer(connection):
        while b"\r\n\r\n" not in connection.recv(65536):
            pass
        connection.sendall(redirect(status, location))
        connection.shutdown(socket.SHUT_WR)
        threading.Thread(target=_read_on, args=(connection.dup(),), daemon=True).start()

    return answer


def _read_on(connection):
    """Read what is still on its way: a close before that is a reset, which may take the answer away from the client."""
    with connection, suppress(OSError):
        while connection.recv(65536):
            pass


def _late(status, location):
    """A redirect that is given when all of the body is there."""

    def answer(connection):
        _request_of(connection)
        connection.sendall(redirect(status, location))

    return answer


@contextmanager
def storing(first):
    """Answer with the function first, then store one request; yield the port and what was stored."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stored = []

        def serve():
            for answer in (first, None):
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    if answer is not None:
                        answer(connection)
                        continue
                    stored.append(_request_of(connection)[1])
                    connection.sendall(FOUND)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], stored
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("first", [_early, _late], ids=["early", "late"])
@pytest.mark.parametrize(("method", "status"), [("POST", 307), ("POST", 308), ("PUT", 301), ("PUT", 302)])
def test_a_file_is_sent_again_from_where_it_stood(pool, method, status, first):
    """Whoever stores what a redirect leads to stores all of it."""
    file = io.BytesIO(b"before " + WHOLE)
    file.seek(7)
    with storing(first(status, "/to")) as (port, stored):
        assert 200 == pool.request(method, f"http://127.0.0.1:{port}/", data=file).status_code
    assert [WHOLE] == stored


@pytest.mark.parametrize("first", [_early, _late], ids=["early", "late"])
@pytest.mark.parametrize("status", [307, 308])
def test_a_source_that_cannot_go_back_is_not_sent_in_part(pool, status, first):
    """The tail of an upload, or nothing, is never sent as if it were the whole."""
    for source in ((WHOLE[n : n + 1024] for n in range(0, len(WHOLE), 1024)), Unseekable(WHOLE)):
        with (
            storing(first(status, "/to")) as (port, stored),
            pytest.raises(InvalidRequest, match="new source") as caught,
        ):
            pool.post(f"http://127.0.0.1:{port}/", data=source)
        assert "send" == caught.value.stage
        assert [] == stored


def test_a_list_is_sent_again(pool):
    """What begins anew whenever it is asked is no source that was read."""
    with storing(_late(307, "/to")) as (port, stored):
        pool.post(f"http://127.0.0.1:{port}/", data=[b"12", b"345"])
    assert [b"2\r\n12\r\n3\r\n345\r\n0\r\n\r\n"] == stored


def test_a_redirect_waits_for_a_reader_that_is_still_in_the_source(pool):
    """Two never read one file at once: the second begins when the first has gone."""
    inside, go_on, at_once = threading.Event(), threading.Event(), []

    class Slow(io.BytesIO):
        def read(self, size=-1):
            at_once.append(threading.current_thread().name)
            if len(at_once) == 3:
                inside.set()
                assert go_on.wait(60)
            return super().read(size)

    def first(connection):
        assert inside.wait(60)
        _early(307, "/to")(connection)
        go_on.set()

    with storing(first) as (port, stored):
        assert 200 == pool.post(f"http://127.0.0.1:{port}/", data=Slow(WHOLE)).status_code
    assert [WHOLE] == stored
