"""A slow server of two uses: it lets each request wait, so that many are in flight, or takes uploads to their end."""

import asyncio
import re
import sys
from collections.abc import Callable
from typing import cast

__all__ = ["serve"]

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"


class _Server(asyncio.Protocol):
    """Answer each request so many seconds after its last byte."""

    def __init__(self, size: int, latency: float) -> None:
        self._answer = _HEAD % size + bytes(size)
        self._latency = latency
        self._to_come = 0  # bytes of a body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        # A head comes whole, and nothing comes with it but the beginning of its body.
        if self._to_come:
            self._to_come -= len(data)
        else:
            head, _, body = data.partition(_END)
            length = _LENGTH.search(head)
            self._to_come = (0 if length is None else int(length[1])) - len(body)
        if not self._to_come:
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, self._answer)


def serve(port: int, factory: Callable[[], asyncio.Protocol]) -> None:
    """Serve with protocols of this kind, on uvloop where it is installed, until the process is killed."""

    async def forever() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, "127.0.0.1", port, backlog=4096)
        await server.serve_forever()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(forever())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    serve(int(sys.argv[1]), lambda: _Server(int(sys.argv[2]), float(sys.argv[3])))
