"""End thousands of streams in every way at random bytes, and see that none that was cut is taken for a whole one.

    python -m benchmarks.cuts --streams 10000

A server in a process of its own writes bodies in random pieces and ends them properly, early, by a reset, or not at
all. Threads and tasks read them in all ways; meanwhile deadlines fall, sessions and pools are closed, loops are lost,
tasks cancelled, responses closed by others or forgotten. A reader that is told that it has the whole body must have
every byte of it, one that is not must get an error of the pool's, and the same if it asks again. The exit code is 1 if
not.
"""

import argparse
import asyncio
import gc
import gzip
import json
import logging
import random
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from workerpool import PoolSession, Timeout, WorkerPool, WorkerPoolError
from workerpool.caller.streaming import StreamedResponse

AT_ONCE = 16  # streams of one round
SIZES = (0, 1, 1_000, 30_000, 300_000, 300_000)  # bytes, at most
PATIENCE = 60.0  # seconds that a round may take
FRAMINGS = ("length", "chunked", "gzip", "close")
AT_SERVER = ("whole", "fin", "reset", "tls fin", "tls cut", "tls whole")
HERE = ("session closed", "pool shut down", "deadline", "read timeout", "loop lost", "tasks cancelled",
        "closed by another thread", "reader cancelled", "forgotten", "max_body")  # fmt: skip
WAYS = (*AT_SERVER, *HERE)
ENDS = {"fin": "fin", "reset": "reset", "tls fin": "fin", "tls cut": "cut", "read timeout": "stall"}


def body_of(seed: int, size: int) -> bytes:
    """Return the body that the server sends for this seed."""
    return random.Random(seed).randbytes(size)


@dataclass(frozen=True)
class Plan:
    """One body and how the server ends it: properly, or after so many bytes on the wire."""

    seed: int
    size: int
    framing: str
    end: str  # whole, fin, reset, stall, cut
    at: int

    @property
    def path(self) -> str:
        """The path that asks the server for it."""
        return f"/{self.seed}/{self.size}/{self.framing}/{self.end}/{self.at}"

    def whole(self) -> bytes:
        """Return what a reader must have that is told that it has all."""
        body = body_of(self.seed, self.size)
        # Without a length the end of the connection is the proper end of the body.
        return body[: self.at] if (self.framing, self.end) == ("close", "fin") else body


class Server(asyncio.Protocol):
    """Answer one request per connection as its path says."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._dice = random.Random()
        self._task: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Begin to answer."""
        if self._task is None:
            seed, size, framing, end, at = data.split(b" ", 2)[1].decode()[1:].split("/")
            plan = Plan(int(seed), int(size), framing, end, int(at))
            self._task = asyncio.get_running_loop().create_task(self._answer(plan))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop to write."""
        if self._task is not None:
            self._task.cancel()

    async def _answer(self, plan: Plan) -> None:
        wire = body_of(plan.seed, plan.size)
        fields = {
            "length": f"Content-Length: {len(wire)}\r\n",
            "chunked": "Transfer-Encoding: chunked\r\n",
            "gzip": "Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n",
            "close": "",
        }
        if plan.framing == "gzip":
            wire = gzip.compress(wire, 1)
        self._transport.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\n{fields[plan.framing]}\r\n".encode())
        await self._write(wire if plan.end == "whole" else wire[: plan.at], plan)
        if plan.end == "whole" and plan.framing in ("chunked", "gzip"):
            self._transport.write(b"0\r\n\r\n")
        self._end(plan.end)

    async def _write(self, wire: bytes, plan: Plan) -> None:
        while wire:
            piece, wire = wire[: (size := self._dice.choice((1, 100, 5_000, 65_536)))], wire[size:]
            if plan.framing in ("chunked", "gzip"):
                piece = b"%x\r\n%b\r\n" % (len(piece), piece)
            self._transport.write(piece)
            await asyncio.sleep(self._dice.choice((0, 0, 0.001, 0.003)))

    def _end(self, end: str) -> None:
        handle = self._transport.get_extra_info("socket")
        if end == "reset":
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        elif end == "cut":  # TCP's end without TLS's
            with socket.fromfd(handle.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
                same.shutdown(socket.SHUT_RDWR)
        elif end != "stall":
            self._transport.close()


async def _serve() -> None:
    """Serve until the standard input ends."""
    import trustme  # an extra of the package's, "testing"

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    loop = asyncio.get_running_loop()
    urls = {}
    for scheme, tls in (("http", None), ("https", context)):
        server = await loop.create_server(Server, "127.0.0.1", 0, backlog=4096, ssl=tls)
        urls[scheme] = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(json.dumps(urls), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def _serving() -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "benchmarks.cuts", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.communicate("")


@dataclass
class Tally:
    """What came of the streams, by the way in which they were ended."""

    whole: "Counter[str]" = field(default_factory=Counter)
    cut: "Counter[str]" = field(default_factory=Counter)
    errors: "Counter[str]" = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)  # guards all of it

    @property
    def streams(self) -> int:
        """How many there were."""
        return self.whole.total() + self.cut.total() + len(self.wrong)

    def note(self, way: str, got: bytes | None, error: BaseException | None, plan: Plan) -> None:
        """Count a stream that ended with an error, or with all of its body."""
        with self.lock:
            if error is not None and isinstance(error, WorkerPoolError):
                self.cut[way] += 1
                self.errors[type(error).__name__] += 1
            elif error is not None:
                self.wrong.append(f"{way}: {error!r} for {plan}")
            elif got == plan.whole():
                self.whole[way] += 1
            else:
                self.wrong.append(f"{way}: {len(got or b'')} of {len(plan.whole())} bytes taken for whole, {plan}")


class Round:
    """Some streams at once, of one pool, ended in one way."""

    def __init__(self, way: str, urls: dict[str, str], number: int, tally: Tally) -> None:
        self._way = way
        self._dice = random.Random(number)
        self._url = urls["https" if way.startswith("tls") else "http"]
        self._tally = tally
        self._acted = threading.Lock()  # taken by whoever ends the streams of all
        loop = "asyncio" if number % 2 else "auto"
        self._pool = WorkerPool(workers=2, event_loop=loop, retry=None, timeout=None, ssl=False, name=f"cuts-{number}")
        self._session: PoolSession | None = None

    def run(self) -> None:
        """Read all streams of the round and count what came of them."""
        with self._pool, self._pool.session() as self._session:
            threads = [
                threading.Thread(target=self._one, args=(self._plan(), random.Random(self._dice.random())), daemon=True)
                for _ in range(AT_ONCE)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            stuck = sum(thread.is_alive() for thread in threads)
            gc.collect()
            if self._way != "pool shut down" and not self._pool.drain(PATIENCE):
                stuck += 1
            with self._tally.lock:
                self._tally.wrong += [f"{self._way}: stuck"] * stuck
            self._pool.shutdown(timeout=1)

    def _plan(self) -> Plan:
        size = self._dice.randrange(self._dice.choice(SIZES) + 1)
        framing = self._dice.choice(FRAMINGS)
        end = ENDS.get(self._way, "whole")
        return Plan(self._dice.randrange(10**9), size, framing, end, self._dice.randrange(size + 1))

    def _one(self, plan: Plan, dice: random.Random) -> None:
        got: list[bytes] = []
        answer: StreamedResponse | None = None
        options: dict[str, Any] = {}
        if self._way == "deadline":
            options["timeout"] = dice.choice((0.001, 0.01, 0.03, 0.1))
        elif self._way == "read timeout":
            options["timeout"] = Timeout(total=None, read=0.1)
        elif self._way == "max_body":
            options["max_body"] = dice.randrange(plan.size + 2)
        client = self._session if self._way == "session closed" else self._pool
        assert client is not None
        try:
            with client.stream("GET", self._url + plan.path, **options) as answer:
                self._read(answer, plan, dice, got)
        except BaseException as exc:
            again = None if answer is None else self._asked_again(answer)
            if answer is None and isinstance(exc, CancelledError):  # the job was cancelled, before there was a stream
                again = WorkerPoolError("cancelled")
            self._tally.note(self._way, None, again or exc, plan)
        else:
            self._tally.note(self._way, b"".join(got), None, plan)

    def _asked_again(self, answer: StreamedResponse) -> BaseException | None:
        """Return what is wrong if a body that has raised an error does not raise one again."""
        try:
            answer.read()
        except WorkerPoolError:
            return None
        except BaseException as exc:
            return exc
        return AssertionError("what was cut could be read to an end")

    def _read(self, answer: StreamedResponse, plan: Plan, dice: random.Random, got: list[bytes]) -> None:
        if self._way == "reader cancelled":
            asyncio.run(self._read_by_tasks(answer, dice, got))
            return
        threshold, size = dice.randrange(plan.size + 1), 0
        pieces = self._pieces(answer, dice)
        if self._way == "forgotten" and dice.random() < 0.5:
            del answer  # the iterator has it
        for piece in pieces:
            got.append(piece)
            size += len(piece)
            if size >= threshold:
                threshold = plan.size + 1
                self._act(answer if self._way == "closed by another thread" else None)
        if self._way == "forgotten" and plan.size == 0:
            self._forget()

    def _pieces(self, answer: StreamedResponse, dice: random.Random) -> Iterator[bytes]:
        way = dice.randrange(6)
        if way == 0:
            return iter([answer.read()])
        if way == 1:
            return iter(lambda: answer.raw.read(5_000), b"")
        if way == 2:
            return answer.iter_bytes(dice.choice((1_000, 50_000)))
        if way == 3:
            return _on_a_loop(answer)
        return answer.iter_bytes()

    def _act(self, answer: StreamedResponse | None) -> None:
        """End streams: one's own, or, by whoever comes first, those of all."""
        if answer is not None:
            threading.Thread(target=answer.close).start()
            return
        assert self._session is not None
        ways: dict[str, Callable[[], object]] = {
            "session closed": self._session.close,
            "pool shut down": lambda: self._pool.shutdown(timeout=0),
            "loop lost": lambda: [self._pool.submit(_lose) for _ in range(2)],
            "tasks cancelled": lambda: [self._pool.submit(_cancel_all) for _ in range(2)],
            "forgotten": self._forget,
        }
        if self._way in ways and self._acted.acquire(blocking=False):
            threading.Thread(target=ways[self._way]).start()

    def _forget(self) -> None:
        """Leave streams of another kind to the garbage."""
        for _ in range(3):
            plan = Plan(1, 10**6, "length", "stall", 1_000)
            try:
                opened = self._pool.stream("GET", self._url + plan.path).__enter__()
                next(opened.iter_bytes(1))
            except WorkerPoolError:
                return

    async def _read_by_tasks(self, answer: StreamedResponse, dice: random.Random, got: list[bytes]) -> None:
        """Read with tasks that are cancelled at any moment, each going on where the one before was."""

        async def read() -> None:
            async for piece in answer.aiter_bytes(dice.choice((None, 10, 10_000))):
                got.append(piece)  # noqa: PERF401  each as it comes: a cancel leaves it there

        async def read_all() -> None:
            got.append(await answer.aread())

        ways: tuple[Callable[[], Awaitable[None]], ...] = (read, read, read_all)
        for _ in range(dice.randrange(6)):
            task = asyncio.ensure_future(dice.choice(ways)())
            await asyncio.wait([task], timeout=dice.choice((0, 0.001, 0.004)))
            if task.done():
                break
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                break
        else:
            task = asyncio.ensure_future(read())
        await task


def _on_a_loop(answer: StreamedResponse) -> Iterator[bytes]:
    """Yield the body, each piece read on one loop of this thread's."""
    with asyncio.Runner() as runner:
        pieces = answer.aiter_bytes()

        async def following() -> bytes | None:
            return await anext(pieces, None)

        while (piece := runner.run(following())) is not None:
            yield piece


async def _lose(session: object) -> None:
    asyncio.get_running_loop().call_soon(sys.exit)
    await asyncio.sleep(PATIENCE)


async def _cancel_all(session: object) -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


def cuts(urls: dict[str, str], streams: int) -> Tally:
    """Run rounds, each way in turn, until there were so many streams."""
    tally = Tally()
    number = 0
    while tally.streams < streams:
        Round(WAYS[number % len(WAYS)], urls, number, tally).run()
        number += 1
    return tally


def _report(tally: Tally, seconds: float) -> bool:
    print(f"{tally.streams} streams in {seconds:.0f} s, {len(WAYS)} ways to end them, {AT_ONCE} at once")
    print(f"{'':>26}{'whole':>8}{'cut':>8}")
    for way in WAYS:
        print(f"{way:>26}{tally.whole[way]:>8}{tally.cut[way]:>8}")
    print(", ".join(f"{name} {count}" for name, count in tally.errors.most_common()))
    print(f"wrong {len(tally.wrong)}")
    for each in tally.wrong[:20]:
        print(f"  {each}")
    return not tally.wrong


def main() -> None:
    """Read the options, cut, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuts")
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--serve", action="store_true", help="be the server")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(_serve())
        return
    logging.getLogger("workerpool").setLevel(logging.CRITICAL)  # lost loops are the point
    began = monotonic()
    with _serving() as urls:
        tally = cuts(urls, options.streams)
    sys.exit(0 if _report(tally, monotonic() - began) else 1)


if __name__ == "__main__":
    main()
