"""A TCP proxy that spoils good connections, with the toxics of Toxiproxy.

    with Proxy(port) as proxy:
        proxy.toxic = Latency(0.1)      # for the connections made from now on
        pool.get(proxy.url)

One thread with a loop of its own. A toxic sees what the server sends; what the client sends passes as it is. The
eighth toxic, "down", is `proxy.down()`, until `proxy.up()`.
"""

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from typing import Self

__all__ = [
    "Bandwidth",
    "Latency",
    "LimitData",
    "Proxy",
    "ResetPeer",
    "Slicer",
    "SlowClose",
    "Timeout",
    "Toxic",
]

_HOST = "127.0.0.1"


class Toxic:
    """Pass everything on; each toxic changes one thing about it."""

    async def opened(self, client: asyncio.StreamWriter) -> None:
        """Do what is to be done before the first byte."""

    async def passes(self, data: bytes, client: asyncio.StreamWriter) -> None:
        """Pass on what the server sent."""
        client.write(data)
        await client.drain()

    async def ended(self, client: asyncio.StreamWriter) -> None:
        """Pass the server's end on."""
        client.close()


@dataclass
class Latency(Toxic):
    """Pass data on after so many seconds."""

    seconds: float

    async def passes(self, data: bytes, client: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.seconds)
        await super().passes(data, client)


@dataclass
class Bandwidth(Toxic):
    """Pass so many bytes a second on."""

    rate: int

    async def passes(self, data: bytes, client: asyncio.StreamWriter) -> None:
        step = max(1, self.rate // 100)
        for n in range(0, len(data), step):
            await super().passes(data[n : n + step], client)
            await asyncio.sleep(step / self.rate)


@dataclass
class SlowClose(Toxic):
    """Pass the end on after so many seconds."""

    seconds: float

    async def ended(self, client: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.seconds)
        await super().ended(client)


@dataclass
class Timeout(Toxic):
    """Pass nothing on, and end after so many seconds; 0 for never."""

    seconds: float

    async def opened(self, client: asyncio.StreamWriter) -> None:
        if self.seconds:
            await asyncio.sleep(self.seconds)
            client.close()

    async def passes(self, data: bytes, client: asyncio.StreamWriter) -> None:
        return

    async def ended(self, client: asyncio.StreamWriter) -> None:
        return


@dataclass
class ResetPeer(Toxic):
    """Reset the connection after so many seconds; until then data passes."""

    seconds: float
    done: threading.Event = field(default_factory=threading.Event)

    async def opened(self, client: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.seconds)
        handle = client.get_extra_info("socket")
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.transport.abort()
        try:
            await client.wait_closed()
        finally:
            self.done.set()


@dataclass
class Slicer(Toxic):
    """Pass data on in pieces of so many bytes, with so many seconds between them."""

    size: int
    seconds: float = 0.0

    async def passes(self, data: bytes, client: asyncio.StreamWriter) -> None:
        for n in range(0, len(data), self.size):
            await super().passes(data[n : n + self.size], client)
            await asyncio.sleep(self.seconds)


@dataclass
class LimitData(Toxic):
    """End after so many bytes, of each connection."""

    limit: int

    async def passes(self, data: bytes, client: asyncio.StreamWriter) -> None:
        await super().passes(data[: self.limit], client)
        self.limit -= len(data)
        if self.limit <= 0:
            client.close()


class Proxy:
    """Stand before a port of this machine; `toxic` holds for the connections made after it was set."""

    def __init__(self, upstream: int) -> None:
        self.toxic = Toxic()
        self._upstream = upstream
        self._place = _bound(0)  # never listens; kept so that the port stays ours while the proxy is down
        self.port: int = self._place.getsockname()[1]
        self.url = f"http://{_HOST}:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="toxic-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.up()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._place.close()

    def up(self) -> None:
        """Listen."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def down(self) -> None:
        """Listen no more, and end what is connected."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, sock=_bound(self.port))

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports close

    async def _connected(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):  # cancelled by the proxy's end only, and ending anyway
                await self._carry(reader, client)
        finally:
            client.close()
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        toxic = copy(self.toxic)  # a connection's own, since it may count
        source, server = await asyncio.open_connection(_HOST, self._upstream)
        beside = [asyncio.create_task(_pass_on(reader, server)), asyncio.create_task(toxic.opened(client))]
        try:
            while data := await source.read(2**16):
                await toxic.passes(data, client)
            await toxic.ended(client)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            server.close()


async def _pass_on(reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        server.write(data)
        await server.drain()
    server.close()


def _bound(port: int) -> socket.socket:
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind((_HOST, port))
    return place
