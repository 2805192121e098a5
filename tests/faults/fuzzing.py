"""A server that says anything: what comes of it must be an answer or one of the pool's errors.

By hand, for as many seeds as there is time for:

    cd tests && python -m faults.fuzzing 1000 20000
"""

import asyncio
import gzip
import logging
import random
import socket
import struct
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import aiohttp

from workerpool import RequestError, Response, Retry, StreamedResponse, WorkerPool

from .server import Listener
from .wire import read_head

__all__ = ["WAYS", "FuzzServer", "outcomes", "pools", "url_of"]

QUICK = Retry(attempts=2, wait_initial=0.001, wait_max=0.01, wait_jitter=0)
SECONDS = 10.0  # for one request; the server never waits, so this is for a slow machine
STATUSES = [200] * 60 + [100, 101, 103, 199, 201, 204, 206, 226, 300, 301, 302, 303, 304, 307, 308, 399, 400, 401, 404]
STATUSES += [429, 500, 503, 503, 599, 600, 999, 0, 99, 1000, -1]
BYTES = [
    b"\0",
    b"\xff",
    b"\xc3\x28",
    "é€😀".encode(),
    b"\xed\xa0\x80",
    b"%",
    b"\x85",
    b"\xe2\x80\xa8",
    b"a" * 300,
    b"\t ",
]
LOCATIONS = [
    b"", b"/1", b"//", b"///", b"?", b"#", b"..", b"//[", b"http://", b"http:///x", b"http:1", b"http://[::1", b"http://[::1]:1/",
    b"http://[fe80::1%25eth0]:1/", b"http://a..b/", b"http://.invalid/", b"http://" + b"x" * 70 + b"/", b"http://127.0.0.1:0/",
    b"http://127.0.0.1:99999/", b"http://127.0.0.1:-1/", b"http://127.0.0.1:x/", b"http://u:p@127.0.0.1:1/", b"https://127.0.0.1:1/",
    b"ftp://h/", b"javascript:1", b"data:,x", b"mailto:x", b"ws://%25 ::1xn--[::1]@", b"http://xn--/", b"http://xn--a-ecp.ru:1/",
    b"http://\xe9:1/", b"/\xff\xfe", b"/%zz", b"/%", b"/\x7f", b"http://127.0.0.1:1/\t", b"\\\\127.0.0.1\\x", b"http://127.1:1/",
    b"http://0x7f000001:1/", b"http://127.0.0.1%00:1/", b"http://%31:1/", b"http://[::ffff:127.0.0.1]:1/", b"/" + b"a" * 9000,
    b"http://127.0.0.1:1#%", b"http://@127.0.0.1:1", b"http://:80/", b"HTTP://127.0.0.1:1/", b" /1 ", b"/a b", b"/?a=%26&b=\xc3\xa9",
]  # fmt: skip
COOKIES = [
    b"a=1", b"a", b"=1", b"=", b";", b"a=1; Path", b"a=1; Domain=", b"a=1; Domain=.", b"a=1; Domain=com", b"a=1; Domain=\xff",
    b"a=1; Max-Age=9" + b"9" * 400, b"a=1; Max-Age=-1", b"a=1; Max-Age=x", b"a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    b"a=1; Expires=1 Jan 99999999999 00:00:00 GMT", b"a=1; Expires=Thu, 99 Foo 0000 99:99:99 GMT", b'a="\\777"', b'a="', b'a="\\"',
    b"a=\xff\xfe", b"\xff=1", b"a b=1", b"a=1, b=2", b"a=1; Path=/\xe9", b"a=1; Path=//[", b"$Version=1", b"a=1; SameSite=",
    b"a=1; Secure=maybe; HttpOnly=x", b"a=" + b"x" * 9000, b"a=1;" * 500, b"__Host-a=1; Domain=x", b"a=1; Expires=\x7f", b"expires=1",
    b"a=1; Domain=[::1]", b"a=1; Domain=a..b", b"a=1; Partitioned; Priority=High", b"a=1\x01", b"path=/; a=1",
]  # fmt: skip
RETRY_AFTERS = [
    b"0", b"0", b"", b"-1", b"1e9", b"nan", b"9" * 5000, b"1 Jan 20000000000000000000 00:00:00 GMT", b"\xb2", b"Fri, 31 Dec 9999 23:59:59 +9999",
    b"Fri, 31 Dec 1999 23:59:59 +99999999999999", b"Mon, 00 Jan 0000", b",", b"0, 0", b"\xd9\xa3", b"Fri, 31 Dec 1999 23:59:59 -0000",
]  # fmt: skip
CODINGS = [
    b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"identity", b"", b",", b"x-gzip", b"snappy", b"gzip;q=1", b"GZIP", b"\xff",
    b"deflate, gzip, br", b"gzip," * 9, b"br, br", b"zstd, gzip", b"aws-chunked",
]  # fmt: skip
CHARSETS = [
    b"utf-8", b"UTF8", b"utf-16", b"utf-16le", b"utf-32", b"utf-7", b"punycode", b"idna", b"hex", b"base64", b"zlib", b"rot13", b"bz2",
    b"quopri", b"undefined", b"unicode_escape", b"raw_unicode_escape", b"mbcs", b"nosuch", b'"', b'"utf-8', b"\xff", b"\0", b"utf-8\0",
    b"utf-8-sig", b"cp037", b"shift_jis", b"iso2022_jp", b"gb18030", b"big5", b"utf-8; charset=x", b"", b"a" * 500, b"../../x", b"uu",
    b"oem", b"ascii", b"latin-1", b"johab", b"hz", b"string_escape", b"charmap", b"palmos",
]  # fmt: skip
TYPES = [
    b"text/html",
    b"text/plain",
    b"application/json",
    b"text/event-stream",
    b"",
    b"/",
    b";",
    b"multipart/x",
    b"\xff/\xff",
    b"text",
]
FRAMINGS = [
    b"chunked",
    b"Chunked",
    b"gzip",
    b"gzip, chunked",
    b"chunked, gzip",
    b"identity",
    b"",
    b"\xff",
    b"chunked, chunked",
    b"x",
]
SIZES = [
    b"0",
    b"1",
    b"-1",
    b"+5",
    b"5, 5",
    b"5, 6",
    b"9" * 30,
    b"0x5",
    b" 5 ",
    b"",
    b"5_0",
    b"\xd9\xa3",
    b"1e3",
    b"005",
]
LINKS = [
    b"</a>; rel=next",
    b"<",
    b"<>",
    b";",
    b"</a>;;;=;",
    b'</a>; rel="',
    b"</a>; rel*=\xff",
    b"," * 500,
    b"<//[>; rel=x",
]
FIELDS = [
    b"data: x", b"data", b"data:", b"data:  y", b"event: e\0", b"event", b"id: 1", b"id", b"id: a\x01b", b"id: \x7f", b"id: \xff", b"id: " + b"i" * 9000,
    b"retry: 0", b"retry: -1", b"retry: " + b"9" * 5000, b"retry: \xc2\xb2", b"retry:", b": c", b"", b"", b"", b"\xef\xbb\xbfdata: z", b"data\0: x",
    b"x" * 2000,
]  # fmt: skip
BODIES = [
    b"", b"x", b"{}", b"[1, 2", b'{"a": NaN}', b"[" * 3000, b"1" * 5000, b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b"\0\0\0{", b"1e999999", b'"\\ud800"',
    b"<meta charset=", b"<meta charset=nosuch>", b'<meta charset="utf-7">+ADw-', b"<meta charset=\xff>", b"\xfe\xff\xd8\x00", b"line\rline\r\n\n\x85\xe2\x80\xa8",
    b"\x1b$B\x21", b"=0G", b"\xff" * 300, b"\xed\xa0\x80", b"a" * 70_000, b"xn--\xff-", b"~{!!", b"\\N{x}\\x\\u", b"+AGE", b"\x81",
]  # fmt: skip


def mutated(chance: random.Random, data: bytes) -> bytes:
    """Return the bytes with a few of them changed, cut, doubled, or others put in."""
    out = bytearray(data)
    for _ in range(chance.choice([0, 0, 0, 1, 1, 2, 5])):
        place = chance.randrange(len(out) + 1)
        kind = chance.randrange(5)
        if kind == 0 and place < len(out):
            out[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del out[place : place + chance.randrange(1, 30)]
        elif kind == 2:
            out[place:place] = chance.choice(BYTES)
        elif kind == 3:
            out[place:place] = out[place : place + chance.randrange(1, 60)]
        elif chance.random() < 0.3:
            del out[place:]
    return bytes(out)


def pick(chance: random.Random, values: Sequence[bytes]) -> bytes:
    """Return one of the values, as it is or mutated; those that name hosts are left alone."""
    value = chance.choice(values)
    return value if values is LOCATIONS or chance.random() < 0.85 else mutated(chance, value)


def body_of(chance: random.Random, coding: bytes) -> bytes:
    """Return a body, packed as the coding says or as something else says."""
    if chance.random() < 0.3:
        end = chance.choice([b"\n", b"\r\n", b"\r"])
        body = end.join(pick(chance, FIELDS) for _ in range(chance.randrange(1, 30))) + end * chance.randrange(3)
    else:
        body = pick(chance, BODIES)
    if b"gzip" in coding.lower():
        body = gzip.compress(body, mtime=0)
    elif b"deflate" in coding.lower():
        body = zlib.compress(body)[chance.choice([0, 0, 2]) :]
    return mutated(chance, body) if chance.random() < 0.3 else body


def chunks_of(chance: random.Random, body: bytes) -> bytes:
    """Return the body in chunks, well made or not."""
    out = b""
    while body:
        size = chance.choice([1, 7, 100, 10**5])
        piece, body = body[:size], body[size:]
        out += b"%x%b\r\n%b\r\n" % (len(piece), chance.choice([b"", b"", b"; x=y", b" ", b";" + b"e" * 300]), piece)
    out += chance.choice(
        [b"0\r\n\r\n"] * 5 + [b"0\r\nX-T: \xff\r\n\r\n", b"0\r\n", b"", b"-1\r\n", b"f" * 40 + b"\r\n"]
    )
    return mutated(chance, out) if chance.random() < 0.2 else out


def said(seed: int) -> bytes:
    """Return what the server says for a seed."""
    chance = random.Random(seed)
    lines: list[bytes] = []

    def maybe(share: float, name: bytes, values: Sequence[bytes], prefix: bytes = b"") -> None:
        if chance.random() < share:
            lines.append(name + b": " + prefix + pick(chance, values))

    coding = pick(chance, CODINGS) if chance.random() < 0.3 else b""
    if coding:
        lines.append(b"Content-Encoding: " + coding)
    status = chance.choice(STATUSES)
    maybe(1 if 300 <= status < 400 else 0.05, b"Location", LOCATIONS)
    maybe(0.5 if status in (429, 503) else 0.05, b"Retry-After", RETRY_AFTERS)
    for _ in range(chance.choice([0, 0, 1, 1, 3])):
        maybe(0.8, b"Set-Cookie", COOKIES)
    maybe(
        0.6,
        b"Content-Type",
        CHARSETS,
        chance.choice(TYPES) + chance.choice([b"; charset=", b";charset=", b"; CHARSET = ", b"; x="]),
    )
    maybe(0.1, b"Link", LINKS)
    body = body_of(chance, coding)
    framing = chance.random()
    if framing < 0.5:
        lines.append(b"Content-Length: %d" % (len(body) + chance.choice([0] * 18 + [1, -1])))
    elif framing < 0.8:
        lines.append(b"Transfer-Encoding: chunked")
        body = chunks_of(chance, body)
    elif framing < 0.9:
        maybe(1, b"Content-Length", SIZES)
        maybe(0.5, b"Transfer-Encoding", FRAMINGS)
    for _ in range(chance.choice([0] * 6 + [1, 200])):
        name = chance.choice([b"X-A"] * 300 + [b"Connection"] * 9 + [b"Upgrade", b"", b"\xff", b"A B"])
        lines.append(name + b": " + chance.choice(BYTES[1:]))
    chance.shuffle(lines)
    first = chance.choice([b"HTTP/1.1"] * 50 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.12", b"ICY", b""])
    first += b" %d " % status + chance.choice([b"OK", b"", b"\xff\xfe", b"x" * 200])
    head = chance.choice([b"\r\n"] * 19 + [b"\n"]).join([first, *lines, b"", b""])
    named = any(line.startswith(b"Location: http") for line in lines)
    return (head if named or chance.random() < 0.85 else mutated(chance, head)) + body


def frames(seed: int) -> bytes:
    """Return what a server says after it has opened a WebSocket."""
    chance = random.Random(seed)
    out = b""
    for _ in range(chance.randrange(1, 6)):
        data = pick(chance, BODIES)[:60_000]
        first = chance.choice(
            [0x81, 0x82, 0x88, 0x89, 0x8A, 0x01, 0x00, 0x80, 0xC1, 0xF1, 0x83, 0x8F, chance.randrange(256)]
        )
        length = chance.choice([len(data)] * 6 + [len(data) + 1, 0, 2**16, 2**31])
        if chance.random() < 0.2:
            data = struct.pack("!H", chance.choice([1000, 1005, 0, 999, 65535])) + data[:100]
            length = min(length, len(data))
        size = (
            bytes([length])
            if length < 126
            else b"\x7e" + struct.pack("!H", length)
            if length < 2**16
            else b"\x7f" + struct.pack("!Q", length)
        )
        out += bytes([first]) + size + data
    return mutated(chance, out)


class FuzzServer:
    """Say what the seed in the path says, and close; as an origin, an HTTP proxy, a SOCKS proxy or a WebSocket."""

    def __init__(self) -> None:
        self._listener = Listener(self._serve)
        self.port = self._listener.port
        self.url = f"http://127.0.0.1:{self.port}"
        self.close = self._listener.close

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        begin = connection.recv(1, socket.MSG_PEEK)
        if begin in (b"\x04", b"\x05"):
            self._serve_socks(connection)
        elif request := read_head(connection):
            self._answer(connection, request)
        # A reset would take away what was said before it is read.
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(2**16):
                pass

    def _answer(self, connection: socket.socket, request: bytes) -> None:
        method, target = request.split(b" ", 2)[:2]
        number = target.rpartition(b"/")[2].partition(b":")[0]
        seed = int(number) if number.isdigit() else 1
        key = next(
            (line[19:].strip() for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: ")),
            b"",
        )
        if method == b"CONNECT":
            seed = int(target.rpartition(b":")[2])
        if key and seed % 4:
            connection.sendall(opened(key) + frames(seed))
        elif key:
            connection.sendall(mutated(random.Random(seed), opened(key)) + frames(seed))
        else:
            connection.sendall(said(seed))

    def _serve_socks(self, connection: socket.socket) -> None:
        connection.settimeout(0.2)  # a client that was told too little waits for the rest
        first = connection.recv(2**10)
        for reply in (b"\x05\x00", b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x01"):
            reply = b"\x00\x5a" + bytes(6) if first[:1] == b"\x04" else reply
            if (reply := mutated(random.Random(self._next()), reply)) == b"":
                return
            connection.sendall(reply)
            if not (more := connection.recv(2**10)):
                return
            if more.startswith((b"GET", b"POST")):
                connection.sendall(said(self._next()))
                return

    _count, _lock = 0, threading.Lock()

    def _next(self) -> int:
        with self._lock:
            self._count += 1
            return self._count


def opened(key: bytes) -> bytes:
    """Return the head that opens a WebSocket (RFC 6455, 4.2.2)."""
    from base64 import b64encode
    from hashlib import sha1

    accept = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Up\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


# What a program does with it


def look(response: Response | StreamedResponse) -> int:
    """Ask a response for all that it can say; json() may find that it is none."""
    for name in (
        "text",
        "encoding",
        "apparent_encoding",
        "cookies",
        "reason",
        "url",
        "links",
        "history",
        "ok",
        "http_version",
        "is_redirect",
    ):
        getattr(response, name, None)
    repr(response)
    with suppress(RequestError):
        response.json()
    with suppress(RequestError):
        response.raise_for_status()
    return len(response.content)


def by_get(pool: WorkerPool, url: str) -> int:
    return look(pool.get(url, timeout=SECONDS, max_body=2**20))


def by_post(pool: WorkerPool, url: str) -> int:
    return look(pool.post(url, data=b"body", timeout=SECONDS, max_body=2**20))


def by_submit(pool: WorkerPool, url: str) -> int:
    (result,) = pool.fetch_many([url])
    return look(result.unwrap())


def by_bytes(pool: WorkerPool, url: str) -> int:
    with pool.stream("GET", url, timeout=SECONDS) as stream:
        return sum(map(len, stream.iter_bytes()))


def by_lines(pool: WorkerPool, url: str) -> int:
    with pool.stream("GET", url, timeout=SECONDS) as stream:
        return sum(1 for _ in stream.iter_lines(max_line=10_000))


def by_events(pool: WorkerPool, url: str) -> int:
    with pool.stream("GET", url, timeout=SECONDS) as stream:
        return sum(1 for _ in stream.iter_events(reconnect=False, max_line=10_000))


def by_text_pieces(pool: WorkerPool, url: str) -> int:
    with pool.stream("GET", url, timeout=SECONDS) as stream:
        return sum(map(len, stream.iter_content(1000, decode_unicode=True)))


def by_raw(pool: WorkerPool, url: str) -> int:
    with pool.stream("GET", url, timeout=SECONDS) as stream:
        return len(stream.raw.read())


def by_async(pool: WorkerPool, url: str) -> int:
    async def read() -> int:
        with pool.stream("GET", url, timeout=SECONDS) as stream:
            lines = [line async for line in stream.aiter_lines(max_line=10_000)]
        with pool.stream("GET", url, timeout=SECONDS) as stream:
            pieces = [piece async for piece in stream.aiter_bytes()]
        with pool.stream("GET", url, timeout=SECONDS) as stream:
            return len(lines) + len(pieces) + len([e async for e in stream.aiter_events(reconnect=False)])

    return asyncio.run(read())


def by_stream_text(pool: WorkerPool, url: str) -> int:
    with pool.stream("GET", url, timeout=SECONDS) as stream:
        return look(stream)


def by_session(pool: WorkerPool, url: str) -> int:
    with pool.session() as session:
        look(session.get(url, timeout=SECONDS, max_body=2**20))
        return look(session.get(url, timeout=SECONDS, max_body=2**20))


def by_websocket(pool: WorkerPool, url: str) -> int:
    with pool.websocket(url, timeout=SECONDS, max_message=50_000) as socket:
        return sum(1 for _ in socket)


Way = Callable[[WorkerPool, str], int]
Road = Callable[[FuzzServer, str], WorkerPool]
WAYS: tuple[Way, ...] = (
    by_get,
    by_post,
    by_submit,
    by_bytes,
    by_lines,
    by_events,
    by_async,
    by_text_pieces,
    by_raw,
    by_stream_text,
    by_session,
    by_websocket,
)


async def hand_on(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Take part, and leave all as it is."""
    return await handler(request)


class Connector(aiohttp.TCPConnector):
    """Take part, and leave all to aiohttp."""

    async def connect(self, *args: Any, **options: Any) -> Any:
        return await super().connect(*args, **options)


def _road(**options: Any) -> Road:
    def make(server: FuzzServer, loop: str) -> WorkerPool:
        filled: dict[str, Any] = {
            name: value.format(server.port) if isinstance(value, str) else value for name, value in options.items()
        }
        return WorkerPool(workers=1, event_loop=loop, retry=QUICK, **filled)

    return make


pools = {  # each makes a pool that reaches the server by its road
    "origin": _road(),
    "proxy": _road(proxy="http://127.0.0.1:{}"),
    "tunnel": _road(proxy="http://127.0.0.1:{}"),
    "socks5h": _road(proxy="socks5h://127.0.0.1:{}"),
    "socks4": _road(proxy="socks4://127.0.0.1:{}"),
    "middleware": _road(middlewares=[hand_on]),
    "connector": _road(connector=Connector),
}


def url_of(server: FuzzServer, road: str, seed: int) -> str:
    """Return the URL that is answered with what the seed says."""
    if road == "tunnel":
        return f"https://127.0.0.1:{seed % 65_535 + 1}/"
    port = server.port if road in ("origin", "middleware", "connector") else 1
    return f"http://127.0.0.1:{port}/{seed}"


def outcomes(
    pool: WorkerPool, server: FuzzServer, road: str, seeds: Iterable[int], ways: Iterable[Way] = WAYS
) -> Iterator[tuple[int, str, int | Exception]]:
    """Yield (seed, way, outcome) for each: a number, or the error."""
    for seed in seeds:
        for way in ways:
            outcome: int | Exception
            try:
                outcome = way(pool, url_of(server, road, seed))
            except Exception as exc:
                outcome = exc
            yield seed, way.__name__, outcome


def main(first: int, last: int) -> None:
    """Tell every outcome that is none of the pool's, and how many of each there were."""
    began = monotonic()
    server = FuzzServer()
    counts, found = Counter[str](), Counter[str]()
    logging.disable(logging.WARNING)  # aiohttp's, of cookies
    for number, loop in enumerate(("asyncio", "uvloop")):
        for road, make in pools.items():
            step = {"origin": 2, "socks4": 32, "socks5h": 32}.get(road, 8)
            with make(server, loop) as pool:
                for seed, way, outcome in outcomes(pool, server, road, range(first + number, last, step)):
                    kind = "answer" if isinstance(outcome, int) else type(outcome).__name__
                    counts[kind] += 1
                    if not isinstance(outcome, int | RequestError):
                        found[f"{way} {kind}"] += 1
                        if found[f"{way} {kind}"] < 4:
                            print(f"{road} {loop} seed {seed} {way}: {outcome!r:.300}", flush=True)
                assert pool.drain(20)
            print(f"{monotonic() - began:.1f} s, {road} {loop}, {sum(counts.values())} calls", flush=True)
    server.close()
    print(sum(counts.values()), "calls", dict(counts.most_common()))
    print("foreign:", dict(found) or "none")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
