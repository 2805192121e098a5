"""A stream that was cut is never taken for a whole one, whoever cut it."""

import asyncio
import socket
import threading
from contextlib import contextmanager

import pytest

from workerpool import ConnectionLost, DeadlineExceeded, PoolClosed, WorkerPool
from workerpool.channels import Chunks, Closed

BOTH_FRAMINGS = pytest.mark.parametrize("framing", ["length", "chunked"])
HEADS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n",
}


@contextmanager
def stalling(framing):
    """Serve 1,000 bytes of a body that is announced to be longer, to everybody, and no more; yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                held.append(connection)
                connection.recv(65536)
                connection.sendall(HEADS[framing])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join()
            for connection in held:
                connection.close()


@contextmanager
def reading(client, url, **options):
    """Read a stream on a thread until its 1,000 bytes are there; yield what tells, afterwards, how it ended."""
    options.setdefault("timeout", None)
    began, outcome = threading.Event(), []

    def read():
        size = 0
        try:
            with client.stream("GET", url, **options) as answer:
                for piece in answer.iter_bytes():
                    size += len(piece)
                    if size == 1000:
                        began.set()
            outcome.append("whole")
        except BaseException as exc:
            outcome.append(exc)

    thread = threading.Thread(target=read)
    thread.start()
    assert began.wait(60)
    yield outcome
    thread.join(60)
    assert not thread.is_alive()


@BOTH_FRAMINGS
def test_a_shutdown_cuts_a_stream_with_an_error(framing):
    """What was read before the pool was shut down is not all, and the reader is told so."""
    with stalling(framing) as url, WorkerPool(workers=1) as pool:
        with reading(pool, url) as outcome:
            pool.shutdown(timeout=0)
        assert PoolClosed is type(outcome[0])


@BOTH_FRAMINGS
def test_a_closed_session_cuts_its_streams_with_an_error(pool, framing):
    """Closing a session ends its streams, and others' not."""
    with stalling(framing) as url, reading(pool, url, timeout=None) as spared:
        session = pool.session()
        with reading(session, url) as outcome:
            session.close()
        assert PoolClosed is type(outcome[0])
        assert [] == spared
        pool.shutdown(timeout=0)


@BOTH_FRAMINGS
def test_a_function_that_cancels_every_task_cuts_streams_with_an_error(framing):
    """Who reads a stream whose task was cancelled by others gets ConnectionLost."""

    async def cancel_others(session):
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    with stalling(framing) as url, WorkerPool(workers=1) as pool, reading(pool, url) as outcome:
        pool.submit(cancel_others).exception()
    assert ConnectionLost is type(outcome[0])
    assert "before its body had come to the end" in str(outcome[0])


@BOTH_FRAMINGS
def test_a_deadline_cuts_a_stream_with_an_error(pool, framing):
    """The total counts to the last byte."""
    with stalling(framing) as url, reading(pool, url, timeout=1) as outcome:
        pass
    assert DeadlineExceeded is type(outcome[0])


def test_the_first_end_of_a_channel_stands():
    """An end after an error is none, nor an error after the end."""
    failed, cut, whole = Chunks(), Chunks(), Chunks()
    failed.fail(LookupError("first"))
    failed.end()
    failed.fail(KeyError("second"))
    with pytest.raises(LookupError, match="first"):
        failed.get()
    cut.cut()
    cut.end()
    assert cut.given_up
    whole.end()
    whole.fail(KeyError("late"))
    whole.cut()
    for channel in (cut, whole):
        with pytest.raises(Closed):
            channel.get()
    assert not whole.given_up
