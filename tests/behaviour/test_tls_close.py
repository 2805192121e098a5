"""https answers whose server closes the connection: it is closed once, without an error in a log or a leak."""

import asyncio
import gc
import logging
import ssl
import threading
from contextlib import contextmanager

import pytest
import trustme

from workerpool import WorkerPool

HEADS = {
    "close": b"HTTP/1.1 200 OK\r\n\r\n",
    "length": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n",
}


@contextmanager
def closing(framing):
    """Serve 300,000 bytes over TLS to everybody, and close in the same breath; yield the URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    started, urls = threading.Event(), []

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEADS[framing])
        for _ in range(6):
            writer.write(b"x" * 50_000)
            await asyncio.sleep(0)
        writer.close()

    async def serve():
        stopped.append((asyncio.get_running_loop(), asyncio.Event()))
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
            urls.append(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            started.set()
            await stopped[0][1].wait()

    stopped = []
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(60)
    yield urls[0]
    stopped[0][0].call_soon_threadsafe(stopped[0][1].set)
    thread.join()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("framing", HEADS)
def test_a_connection_that_both_sides_close_is_no_error(caplog, loop, framing):
    """Read at once or as a stream, the loop's own TLS may be closing when we do."""
    caplog.set_level(logging.WARNING)
    with closing(framing) as url, WorkerPool(workers=1, event_loop=loop, ssl=False) as pool:
        for _ in range(20):
            assert 300_000 == len(pool.get(url).content)
            with pool.stream("GET", url) as answer:
                assert 300_000 == len(answer.read())
    gc.collect()
    assert [] == [record.getMessage() for record in caplog.records if "eof" in record.getMessage()]
