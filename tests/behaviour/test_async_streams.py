"""Streams and uploads on the caller's own loop: no thread, no byte lost to a cancel, woken from anywhere."""

import asyncio
import contextlib
import gzip
import json
import os
import threading

import httpx
import pytest
from streams import event_server, stalling, written

from workerpool import ConnectionLost, InvalidRequest, PoolClosed, Request, RequestError, ServerSentEvent, WorkerPool
from workerpool.adapters.httpx import AsyncPoolTransport
from workerpool.messages.body import Upload


def _default_threads():
    return min(32, (os.cpu_count() or 1) + 4)


def test_a_stream_is_opened_and_read_on_a_loop(pool, site):
    """`async with` waits for the head, `aiter_bytes` yields the body, in pieces if asked, `aread` all of it."""

    async def main():
        async with pool.stream("GET", site.url_for("/large/300")) as answer:
            assert 200 == answer.status_code
            assert 300 * 1024 == sum([len(piece) async for piece in answer.aiter_bytes()])
        async with pool.stream("GET", site.url_for("/large/300")) as answer:
            sizes = [len(piece) async for piece in answer.aiter_bytes(100_000)]
            assert [100_000, 100_000, 100_000, 7_200] == sizes
        async with pool.stream("GET", site.url_for("/gzip/3")) as answer:
            assert b'{"n": 3}' == await answer.aread()
            assert {"n": 3} == answer.json()
            assert '{"n": 3}' == answer.text
        async with pool.stream("GET", site.url_for("/fast/3")) as answer:
            assert ["fast page 3 ".ljust(1024, ".")] == [line async for line in answer.aiter_lines()]

    asyncio.run(main())
    assert pool.drain(10)


def test_a_stream_is_read_on_several_loops(pool, site):
    """A body is no loop's: one may begin, another go on, and a thread end."""

    async def some():
        return await anext(answer.aiter_bytes(1000))

    with pool.stream("GET", site.url_for("/large/300")) as answer:
        sizes = [len(asyncio.run(some())) for _ in range(5)]
        assert 300 * 1024 == sum(sizes) + sum(map(len, answer.iter_bytes()))


def test_a_submitted_function_reads_a_stream(pool, site):
    """On a worker's own loop reading waits and does not block, even where the body comes by the same loop."""

    async def read(session, answer):
        return sum([len(piece) async for piece in answer.aiter_bytes()])

    async def fetch(session):
        async with pool.stream("GET", site.url_for("/large/300")) as answer:
            return await read(session, answer)

    with pool.stream("GET", site.url_for("/large/300")) as answer:
        assert 300 * 1024 == pool.submit(read, answer).result()
    assert [300 * 1024] * 4 == [pool.submit(fetch).result() for _ in range(4)]


def test_idle_streams_take_no_thread(pool):
    """With more of them than asyncio has threads, the program's own threads and look-ups go on."""

    async def main(url):
        async with httpx.AsyncClient(transport=AsyncPoolTransport(pool), timeout=None) as client:
            began = asyncio.Semaphore(0)

            async def read():
                async with client.stream("GET", url) as answer:
                    async for _ in answer.aiter_bytes():
                        began.release()

            readers = [asyncio.create_task(read()) for _ in range(_default_threads() + 4)]
            for _ in readers:
                await began.acquire()
            assert threading.active_count() < before + len(readers)
            assert 5 == await asyncio.to_thread(int, "5")
            assert await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    with stalling("chunked") as url:
        before = threading.active_count()
        asyncio.run(main(url))
        assert pool.drain(10)


@pytest.mark.parametrize("way", ["bytes", "pieces", "lines", "all"])
def test_a_cancel_of_the_reader_loses_no_byte(pool, way):
    """Whoever reads on after a cancel, or after leaving early, gets all that comes."""
    lines = [f"line {n}" for n in range(2000)]
    whole = "\n".join(lines).encode()
    parts = [whole[at : at + 7] for at in range(0, len(whole), 7)]

    async def read(answer, seen):
        if way == "bytes":
            async for piece in answer.aiter_bytes():
                seen.append(piece)
        elif way == "pieces":
            async for piece in answer.aiter_bytes(10):
                seen.append(piece)
        elif way == "lines":
            async for line in answer.aiter_lines():
                seen.append(line)
        else:
            seen.append(await answer.aread())

    async def main(url):
        seen, cancels = [], 0
        async with pool.stream("GET", url) as answer:
            while True:
                try:
                    await asyncio.wait_for(read(answer, seen), 0.005 * (cancels % 3))
                    break
                except TimeoutError:
                    cancels += 1
        assert cancels
        assert (lines if way == "lines" else whole) == (seen if way == "lines" else b"".join(seen))

    with written(parts, 0.0002) as url:
        asyncio.run(main(url))


def test_readers_take_turns_in_every_way(pool):
    """What one way of reading has not handed out the next one has."""
    whole = "\n".join(f"zeile {n} ä" for n in range(3000)).encode()

    async def main(answer):
        got = []
        async for line in answer.aiter_lines():
            got.append(f"{line}\n".encode())
            break
        async for piece in answer.aiter_bytes(9):
            got.append(piece)
            break
        return got

    with written([whole]) as url, pool.stream("GET", url) as answer:
        got = [f"{next(answer.iter_lines())}\n".encode(), next(answer.iter_bytes(5)), answer.raw.read(7)]
        got += asyncio.run(main(answer))
        got += [answer.raw.readline(), answer.raw.peek(1)[:0], f"{next(answer.iter_lines())}\n".encode(), answer.read()]
    assert whole == b"".join(got)


@pytest.mark.parametrize("how", ["response", "session", "pool"])
def test_closing_from_another_thread_wakes_the_reader(how):
    """A reader that waits on its loop is told, and not left waiting."""

    async def main(client, url, close):
        async with client.stream("GET", url, timeout=None) as answer:
            pieces = answer.aiter_bytes()
            assert b"x" * 1000 == await anext(pieces)
            closer = threading.Thread(target=close, args=(answer,))
            closer.start()
            with pytest.raises((ConnectionLost, PoolClosed)):
                await anext(pieces)
            closer.join()

    with stalling("length") as url, WorkerPool(workers=1) as pool, pool.session() as session:
        ways = {
            "response": lambda answer: answer.close(),
            "session": lambda _: session.close(),
            "pool": lambda _: pool.shutdown(timeout=0),
        }
        asyncio.run(main(session, url, ways[how]))


def test_events_are_read_on_a_loop_and_asked_for_anew(pool):
    """`aiter_events` goes on where the connection before has ended, until the server says 204."""
    answers = (200, b"retry: 500\nid: 1\ndata: one\n\n"), (200, b"data: two\n\n"), (204, b"")

    async def main(url):
        async with pool.stream("GET", url, timeout=None) as stream:
            return [event async for event in stream.aiter_events()]

    with event_server(*answers) as (url, ids):
        events = asyncio.run(main(url))
    assert [ServerSentEvent("one", id="1"), ServerSentEvent("two", id="1")] == events
    assert [None, "1", "1"] == ids


def test_closing_ends_the_wait_for_the_next_connection(pool):
    """Another task that closes the response ends the iteration, however long the pause."""

    async def main(url):
        async with pool.stream("GET", url, timeout=None) as stream:

            async def read():
                return [event.data async for event in stream.aiter_events()]

            reader = asyncio.create_task(read())
            while not len(ids) or stream._left._waiting == []:
                await asyncio.sleep(0.001)
            stream.close()
            return await reader

    with event_server((200, b"retry: 100000\ndata: one\n\n")) as (url, ids):
        assert ["one"] == asyncio.run(main(url))


def test_a_cancelled_upload_closes_its_generator_at_once(pool, site):
    """An asynchronous source is read, and cleaned up, on its own loop, without a thread."""
    threads = []

    async def main():
        began, closed = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        async def source():
            try:
                yield b"1"
                threads.extend(thread.name for thread in threading.enumerate())
                began.set()
                await asyncio.Event().wait()
            finally:
                assert loop is asyncio.get_running_loop()
                closed.set()

        async with httpx.AsyncClient(transport=AsyncPoolTransport(pool), timeout=None) as client:
            sending = asyncio.create_task(client.post(site.url_for("/echo"), content=source()))
            await began.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await asyncio.wait_for(closed.wait(), 60)

    asyncio.run(main())
    assert not [name for name in threads if name.startswith("workerpool-upload")]
    assert pool.drain(10)


def test_an_upload_whose_server_answers_early_closes_its_generator(pool):
    """A full channel does not keep the source open."""

    async def main(url):
        closed = asyncio.Event()

        async def source():
            try:
                while True:
                    yield b"x" * 65536
            finally:
                closed.set()

        upload = Upload(source(), asyncio.get_running_loop())
        with contextlib.suppress(RequestError):
            assert 413 == (await pool.submit(Request("POST", url, data=upload))).status_code
        await asyncio.wait_for(closed.wait(), 60)

    with written([b"no"], status=413) as url:
        asyncio.run(main(url))


def test_what_an_asynchronous_source_raises_comes_out(pool, site):
    """The error of the source is the error of the request."""

    async def source():
        yield b"1"
        raise LookupError("the source broke")

    async def main():
        async with httpx.AsyncClient(transport=AsyncPoolTransport(pool)) as client:
            with pytest.raises(LookupError, match="the source broke"):
                await client.post(site.url_for("/echo"), content=source())

    asyncio.run(main())


def test_a_body_that_is_damaged_raises_on_the_loop(pool):
    """What came before the damage is handed out, and then the error."""
    whole = gzip.compress(json.dumps(list(range(5000))).encode())

    async def main(url):
        async with pool.stream("GET", url) as answer:
            with pytest.raises(ConnectionLost):
                await answer.aread()
            with pytest.raises(ConnectionLost):
                await answer.aread()

    with written([whole[:-20]], length=len(whole), headers={"Content-Encoding": "gzip"}) as url:
        asyncio.run(main(url))


def test_a_source_whose_loop_is_closed_is_refused(pool, site):
    """Nobody can read it any more, and nobody waits for it."""

    async def source():
        yield b"1"

    async def made():
        return Upload(source(), asyncio.get_running_loop())

    error = pool.submit(Request("POST", site.url_for("/echo"), data=asyncio.run(made()))).exception()
    assert isinstance(error, InvalidRequest)
    assert "loop" in str(error)


def test_a_stream_may_be_opened_anew(pool, site):
    """Each block sends a request of its own, and closes what it has opened; exit stacks of both kinds take it."""

    async def main():
        async with contextlib.AsyncExitStack() as stack:
            answers = [await stack.enter_async_context(stream) for _ in range(2)]
            first = answers[0]
            return [len(await answer.aread()) for answer in answers], first

    stream = pool.stream("GET", site.url_for("/large/1000"))
    sizes, first = asyncio.run(main())
    assert [1024000, 1024000] == sizes
    with stream as outer, stream as inner:
        assert outer is not inner
        assert outer is not first
    for answer in (outer, inner):
        with pytest.raises(ConnectionLost):
            answer.read()
    assert pool.drain(10)
