"""A server that lets each request wait: what many in flight cost, and not how fast a server is."""

import asyncio
import sys
from collections.abc import Callable
from typing import cast

__all__: list[str] = []

_END = b"\r\n\r\n"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"


class _Late(asyncio.Protocol):
    """Answer what ends in an empty line, so many seconds later."""

    def __init__(self, size: int, latency: float) -> None:
        self._answer = _HEAD % size + bytes(size)
        self._latency = latency

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        # Requests without a body come whole, one after another.
        if data.endswith(_END):
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, self._answer)


async def _serve(port: int, size: int, latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Late(size, latency), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
