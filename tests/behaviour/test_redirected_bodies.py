"""What becomes of a request's body when the server redirects, or a middleware sends the request once more."""

import io
import socket
import threading

import aiohttp
import pytest
from servers import Scripted

from workerpool import InvalidRequest, Request, WorkerPool

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


FOUND = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfound"


def redirect(status, location):
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("elsewhere", [True, False], ids=["elsewhere", "same"])
@pytest.mark.parametrize("status", [301, 302, 303])
def test_no_byte_of_a_body_goes_on_with_the_get(pool, status, elsewhere, kind):
    """A POST that becomes a GET has no body any more, at no origin, nor a word about one in its head."""
    with Scripted([FOUND], closes=True) as other:
        host = f"http://localhost:{other.port}" if elsewhere else ""
        there = [redirect(status, f"{host}/to")], *([] if elsewhere else [[FOUND]])
        with Scripted(*there, closes=True) as server:
            answer = pool.post(server.url, **BODIES[kind]())
        assert b"found" == answer.content
    head, _, body = (other.seen[0] if elsewhere else server.seen[1]).partition(b"\r\n\r\n")
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
    """A redirect that is given as soon as the head is there, and no connection after it."""

    def answer(connection):
        while b"\r\n\r\n" not in connection.recv(65536):
            pass
        connection.sendall(redirect(status, location))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):  # a close before the rest has come is a reset, which may take the answer away
            pass

    return answer


def _late(status, location):
    """A redirect that is given when all of the body is there."""
    return redirect(status, location)


def storing(first):
    """Answer with what is given first, then store one request."""
    return Scripted([first], [FOUND], closes=True)


def stored(server):
    """Return the bodies that came to where the redirect leads."""
    requests = [request.partition(b"\r\n\r\n") for request in server.seen]
    return [body for head, _, body in requests if head.split(b" ")[1] == b"/to"]


@pytest.mark.parametrize("first", [_early, _late], ids=["early", "late"])
@pytest.mark.parametrize(("method", "status"), [("POST", 307), ("POST", 308), ("PUT", 301), ("PUT", 302)])
def test_a_file_is_sent_again_from_where_it_stood(pool, method, status, first):
    """Whoever stores what a redirect leads to stores all of it."""
    file = io.BytesIO(b"before " + WHOLE)
    file.seek(7)
    with storing(first(status, "/to")) as server:
        assert 200 == pool.request(method, server.url, data=file).status_code
    assert [WHOLE] == stored(server)


@pytest.mark.parametrize("first", [_early, _late], ids=["early", "late"])
@pytest.mark.parametrize("status", [307, 308])
def test_a_source_that_cannot_go_back_is_not_sent_in_part(pool, status, first):
    """The tail of an upload, or nothing, is never sent as if it were the whole."""
    for source in ((WHOLE[n : n + 1024] for n in range(0, len(WHOLE), 1024)), Unseekable(WHOLE)):
        with storing(first(status, "/to")) as server, pytest.raises(InvalidRequest, match="new source") as caught:
            pool.post(server.url, data=source)
        assert "send" == caught.value.stage
        assert [] == stored(server)


def test_a_list_is_sent_again(pool):
    """What begins anew whenever it is asked is no source that was read."""
    with storing(_late(307, "/to")) as server:
        pool.post(server.url, data=[b"12", b"345"])
    assert [b"2\r\n12\r\n3\r\n345\r\n0\r\n\r\n"] == stored(server)


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
        connection.recv(65536)
        connection.sendall(redirect(307, "/to"))
        connection.shutdown(socket.SHUT_WR)
        go_on.set()
        while connection.recv(65536):
            pass

    with storing(first) as server:
        assert 200 == pool.post(server.url, data=Slow(WHOLE)).status_code
    assert [WHOLE] == stored(server)


def challenge(qop):
    """The answer to a request without a digest, when all of it is there."""
    fields = f'realm="r", nonce="n", qop="{qop}", algorithm=MD5'
    return (
        f"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest {fields}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ).encode()


def _early_challenge(connection):
    """The same as soon as the head is there."""
    while b"\r\n\r\n" not in connection.recv(65536):
        pass
    connection.sendall(challenge("auth"))
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass


def _digest():
    return WorkerPool(retry=None, middlewares=[aiohttp.DigestAuthMiddleware("me", "mine")])


def _came(server):
    """Return what came with a digest: each body, a chunked one put together."""
    requests = [request.partition(b"\r\n\r\n") for request in server.seen]
    return [body for head, _, body in requests if b"authorization: digest" in head.lower()]


@pytest.mark.parametrize(
    "first", [_early_challenge, challenge("auth"), challenge("auth-int")], ids=["early", "late", "int"]
)
@pytest.mark.parametrize(
    "source",
    [lambda: WHOLE[:1000], lambda: WHOLE * 4, lambda: io.BytesIO(WHOLE * 4)],
    ids=["small", "large", "file"],
)
def test_a_middleware_sends_the_whole_once_more(first, source):
    """What asks for a digest first gets all of the body then, not its tail, and not nothing."""
    body = source()
    with Scripted([first], [FOUND], closes=True) as server, _digest() as pool:
        assert b"found" == pool.post(server.url, data=body).content
    whole = body if isinstance(body, bytes) else body.getvalue()
    assert [whole] == _came(server)


@pytest.mark.parametrize("first", [_early_challenge, challenge("auth")], ids=["early", "late"])
def test_a_middleware_sends_no_source_in_part(first):
    """What cannot go back is refused, with the cure, and the server sees nothing of it."""
    for source in ((WHOLE[n : n + 1024] for n in range(0, len(WHOLE), 1024)), Unseekable(WHOLE)):
        with Scripted([first], [FOUND], closes=True) as server, _digest() as pool:
            with pytest.raises(InvalidRequest, match=r"middleware sends the request once more.*new source") as caught:
                pool.post(server.url, data=source)
            assert "send" == caught.value.stage
        assert [] == _came(server)


def test_a_file_goes_back_for_each_send():
    """Of a middleware, and of the next request."""
    file = io.BytesIO(WHOLE)

    async def twice(request, handler):
        (await handler(request)).close()
        return await handler(request)

    with Scripted([FOUND], again=True) as server, WorkerPool(middlewares=[twice]) as pool:
        request = Request("POST", server.url, data=file)
        assert [b"found"] * 2 == [pool.send(request).content for _ in range(2)]
    assert [WHOLE] * 4 == [request.partition(b"\r\n\r\n")[2] for request in server.seen]
