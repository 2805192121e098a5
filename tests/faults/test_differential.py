"""Random answers, valid, odd and broken: what comes of them on the fast path is what comes of them on aiohttp's way."""

import asyncio
import gzip
import random
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from importlib.util import find_spec
from itertools import cycle, islice, pairwise
from typing import Any, NamedTuple

import aiohttp
import pytest

from workerpool import Request, RequestError, Response, WorkerPool
from workerpool.handover.work import Work
from workerpool.transport import Direct

LOOPS = ["asyncio", *(["uvloop"] if find_spec("uvloop") else [])]
CASES = 2000
AGAIN = 10  # times that those are asked for which differ: whether two pieces are read together is chance
SEED = 23
THREADS = 4  # that ask, each with a connection of its own
PATIENCE = 20
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
WAYS: dict[str, dict[str, Any]] = {"fast": {}, "full": {"trace_configs": [aiohttp.TraceConfig()]}}

VERSIONS = ("HTTP/1.1",) * 50 + ("HTTP/1.0",) * 6 + ("HTTP/1.2", "HTTP/2.0", "http/1.1", "ICY", "")
STATUSES = (
    *("200 OK",) * 40, *("204 No Content", "302 Found", "304 Not Modified", "404 Not Found", "503 Busy") * 3,
    "201 Created", "206 Partial Content", "299 ", "301 Moved", "600 Odd", "101 Switching Protocols", "200", "99 Low",
    "1000 High", "two", " 200 OK", "200  OK", "200 G\xfcnstig", "-1 OK",
)  # fmt: skip
INTERIM = (
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 102 Processing\r\nX-Step: 1\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n",
    "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
)
LINES = (
    "Set-Cookie: a=b", "Set-Cookie: c=d; Path=/", "X-Empty:", "X-Space:   1  ", "X-Two: 1", "X-Two: 2", "X-Tab:\tt",
    "X-Latin: \xe9", "X-Long: " + "v" * 3000, "Connection: close", "Connection: keep-alive", "Connection: CLOSE",
    "Keep-Alive: timeout=5", "Upgrade: h2c", "Connection: upgrade", "Location: /good", "Location: /good#part",
    "Content-Type: text/plain; charset=odd",
)  # fmt: skip
ODD_LINES = (
    "X-Space : 1", "X-Folded: one\r\n two", "no colon", ": no name", "X-Over: " + "v" * 9000, "X-Null: \0", "X-Bell: \a",
    "Location: //", "Location: ftp://a/",
)  # fmt: skip
CODINGS = ("gzip", "x-odd", "identity", "gzip, gzip", "GZip", "deflate")

# Kinds of answers whose outcome depends on how the bytes come in, on aiohttp's way, too: why they may differ.
REASONS = {
    "stray": "bytes behind an answer spoil it where they come in the same read, and nothing where they come later",
    "spoilt": "a body that is spoilt is met at stage 'headers' where it comes in the same read as its head",
}


class Case(NamedTuple):
    """An answer, in pieces, and whether the connection ends behind it."""

    method: str
    pieces: list[bytes]
    ends: bool
    kind: str

    @property
    def wire(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


@cache  # half of the test was to make the same ones again
def random_case(number: int) -> Case:
    """Return an answer, the same one for each number."""
    dice = random.Random(f"{SEED}-{number}")
    method = dice.choice(("GET",) * 8 + ("HEAD", "OPTIONS"))
    interim = "".join(dice.choices(INTERIM, (9, 9, 9, 1), k=dice.choice((0,) * 7 + (1, 2))))
    status = dice.choice(STATUSES)
    body = bytes(dice.choices(b"abc\r\n0:; ", k=dice.choice((0, 1, 5, 40, 2000, 70_000))))
    lines = dice.sample(LINES, dice.choice((0, 1, 1, 2, 3)))
    if dice.random() < 0.1:
        lines.append(dice.choice(ODD_LINES))
    if dice.random() < 0.2:
        coding = dice.choice(CODINGS)
        lines.append(f"Content-Encoding: {coding}")
        body = packed(body, dice) if "zip" in coding.lower() else body
    framing, body, kind = framed(body, dice)
    lines += framing
    if kind != "stray":
        dice.shuffle(lines)
    lines = [any_case(line, dice) for line in lines]
    eol = "\n" if dice.random() < 0.05 else "\r\n"
    head = interim + eol.join([f"{dice.choice(VERSIONS)} {status}", *lines, "", ""])
    wire = head.encode("latin-1") + body
    no_body = method == "HEAD" or status[:3] in ("204", "304") or "Content-Length: 5" in interim
    if no_body and (body or interim):
        kind = "stray"
    is_usual = kind == "whole" and eol == "\r\n" and wire.startswith(b"HTTP/1.1 ") and b"no colon" not in wire
    ends = not is_usual or dice.random() < 0.1
    if dice.random() < 0.15:
        wire, ends = wire[: dice.randrange(len(wire))], True
    return Case(method, split(wire, dice), ends, kind)


def packed(body: bytes, dice: random.Random) -> bytes:
    """Return the body as gzip packs it, now and then badly."""
    whole = gzip.compress(body, mtime=0)
    spoilt = bytearray(whole)
    spoilt[dice.randrange(len(spoilt))] ^= 0xFF
    return dice.choice((whole, whole, whole, whole[:-4], bytes(spoilt), body, whole + b"behind"))


def framed(body: bytes, dice: random.Random) -> tuple[list[str], bytes, str]:
    """Return header lines, the body on the wire, and whether that is whole, cut, or has something behind it."""
    size = len(body)
    way = dice.random()
    if way < 0.4:
        return [f"Content-Length: {size}"], body, "whole"
    if way < 0.65:
        return ["Transfer-Encoding: chunked"], chunked(body, dice), "whole"
    if way < 0.75:
        return [], body, "until close"
    odd: tuple[tuple[list[str], bytes, str], ...] = (
        ([f"Content-Length: {size + 3}"], body, "cut"),
        ([f"Content-Length: {size}"], body + dice.choice((b"\r\n", b"x", GOOD, GOOD[:20])), "stray"),
        ([f"Content-Length: {size}"] * 2, body, "odd"),
        ([f"Content-Length: {size}", f"Content-Length: {size + 1}"], body, "odd"),
        ([f"Content-Length: {dice.choice(('', '-1', '+5', '5, 5', '0x5', '1' * 30))}"], body, "odd"),
        (["Transfer-Encoding: chunked"], chunked(body, dice)[:-5], "cut"),
        (["Transfer-Encoding: chunked"], chunked(body, dice) + dice.choice((b"x", GOOD, GOOD[:20])), "stray"),
        (["Transfer-Encoding: chunked"], b"%x\r\n%sxx\r\n0\r\n\r\n" % (size, body), "odd"),
        (
            ["Transfer-Encoding: chunked"],
            dice.choice((b"zz\r\n", b"-1\r\n", b"\r\n", b"f" * 20 + b"\r\n")) + body,
            "odd",
        ),
        (["Transfer-Encoding: chunked", f"Content-Length: {size}"], chunked(body, dice), "odd"),
        (
            [f"Transfer-Encoding: {dice.choice(('identity', 'gzip', 'gzip, chunked', 'chunked, gzip', 'x'))}"],
            body,
            "odd",
        ),
        (["Transfer-Encoding: Chunked", "Transfer-Encoding: chunked"], chunked(body, dice), "odd"),
    )
    return dice.choice(odd)


def chunked(body: bytes, dice: random.Random) -> bytes:
    """Return the body in chunks, with extensions and trailers."""
    parts, rest = [], body
    while rest:
        size = dice.choice((1, 7, 1000, len(rest))) if len(rest) < 3000 else len(rest) // 2 + 1
        piece, rest = rest[:size], rest[size:]
        extension = dice.choice((b"", b"", b"", b";a=b", b' ; a="b"', b";"))
        parts.append(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece))
    trailers = dice.choice((b"", b"", b"", b"X-Sum: 1\r\n", b"X-Sum: 1\r\nX-More: 2\r\n", b"no colon\r\n"))
    return b"".join(parts) + b"0\r\n" + trailers + b"\r\n"


def any_case(line: str, dice: random.Random) -> str:
    """Return the line with its name in lower or upper case, or as it is."""
    name, colon, value = line.partition(":")
    return dice.choice((name, name, name.lower(), name.upper())) + colon + value


def split(wire: bytes, dice: random.Random) -> list[bytes]:
    """Return the bytes in a few pieces, as they are sent."""
    most = dice.choice((0, 0, 1, 2, 4))
    places = sorted({0, len(wire), *(dice.randrange(len(wire) + 1) for _ in range(most))})
    return [wire[begin:end] for begin, end in pairwise(places)]


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request after the other: /good, and /<number of a case>."""
    with suppress(OSError, asyncio.IncompleteReadError):
        while True:
            target = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
            case = Case("GET", [GOOD], False, "") if target == b"/good" else random_case(int(target[1:]))
            for number, piece in enumerate(case.pieces):
                if number:
                    await asyncio.sleep(0.001)  # so that it is likely to be read alone
                writer.write(piece)
                await writer.drain()
            if case.ends:
                break
    writer.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The root of a server of all cases."""
    started: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
        ended = asyncio.Event()
        started.set_result((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), ended))
        await ended.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    port, loop, ended = started.result(PATIENCE)
    yield f"http://127.0.0.1:{port}"
    loop.call_soon_threadsafe(ended.set)
    thread.join()


def told(outcome: Any) -> tuple[Any, ...]:
    """Return all of an outcome that a caller may go by."""
    if isinstance(outcome, Response):
        went = [(each.status_code, each.content) for each in outcome.history]
        return (outcome.status_code, outcome.reason, outcome.http_version, [*outcome.headers.items()], outcome.content, outcome.attempts, went)  # fmt: skip
    return type(outcome).__name__, getattr(outcome, "stage", None), getattr(outcome, "attempts", None)


def outcomes(url: str, kept: bool, lane: dict[str, Any], cases: Iterable[int]) -> dict[int, tuple[Any, ...]]:
    """Return what comes of each case, on new connections or on such as have given a good answer."""

    def ask(pool: WorkerPool, numbers: Iterable[int]) -> dict[int, tuple[Any, ...]]:
        found = {}
        for number in numbers:
            if kept:
                for _ in range(2):  # the first may meet what still comes of the case before
                    with suppress(RequestError):
                        pool.get(f"{url}/good")
                assert pool.get(f"{url}/good").content == b"good"
            try:
                found[number] = told(pool.request(random_case(number).method, f"{url}/{number}"))
            except RequestError as error:
                found[number] = told(error)
        return found

    # A server that has sent what nobody asked for is not asked over a kept connection any more.
    numbers = sorted(cases, key=lambda number: random_case(number).kind == "stray")
    if not kept:
        lane = {**lane, "connector": partial(aiohttp.TCPConnector, force_close=True)}
    loops = islice(cycle(LOOPS), THREADS)
    pools = [
        WorkerPool(workers=1, connections=1, retry=None, timeout=PATIENCE, event_loop=loop, **lane) for loop in loops
    ]
    with ThreadPoolExecutor(THREADS) as threads:
        parts = threads.map(ask, pools, [numbers[n::THREADS] for n in range(THREADS)])
        found = {number: outcome for part in parts for number, outcome in part.items()}
    for pool in pools:
        pool.shutdown()
    return found


def is_the_same(number: int, fast: tuple[Any, ...], full: tuple[Any, ...]) -> bool:
    """Tell whether both came to the same, or the case is one of those that have a reason not to."""
    if fast == full or random_case(number).kind in REASONS:
        return True
    return "spoilt" in REASONS and fast[0] == full[0] == "ProtocolError" and {fast[1], full[1]} == {"headers", "body"}


@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
def test_random_answers_come_to_the_same(kept: bool, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status, headers, body, class and stage of the error are the same either way, with a task and without."""
    without_a_task = []
    send = Direct.send

    def noted(self: Direct, work: Work, request: Request, head: bytes) -> None:
        without_a_task.append(request.url)
        send(self, work, request, head)

    monkeypatch.setattr(Direct, "send", noted)
    fast, full = (outcomes(url, kept, lane, range(CASES)) for lane in WAYS.values())
    assert [] == [n for n, outcome in fast.items() if outcome[0] == "DeadlineExceeded"]
    assert not kept or CASES * 0.7 < len({url for url in without_a_task if not url.endswith("/good")})
    assert kept or not without_a_task
    for _ in range(AGAIN):
        if differ := {n: (fast[n], full[n]) for n in fast if not is_the_same(n, fast[n], full[n])}:
            fast, full = (outcomes(url, kept, lane, differ) for lane in WAYS.values())
    assert {} == differ
