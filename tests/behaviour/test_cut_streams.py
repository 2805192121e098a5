"""A stream that was cut is never taken for a whole one, whoever cut it."""

import asyncio
import gc
import linecache
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from streams import stalling

from workerpool import ConnectionLost, DeadlineExceeded, PoolClosed, WorkerPool
from workerpool.handover.channel import Chunks, Closed
from workerpool.handover.errand import Call
from workerpool.handover.job import Job

BOTH_FRAMINGS = pytest.mark.parametrize("framing", ["length", "chunked"])


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


@pytest.mark.parametrize("way", ["thread", "loop"])
def test_a_deadline_falls_where_the_workers_loop_is_blocked(way):
    """Whoever reads a stream keeps the time, too."""
    go_on, blocked = threading.Event(), threading.Event()

    async def block(session):
        blocked.set()
        go_on.wait(60)

    async def read(answer):
        return [piece async for piece in answer.aiter_bytes()]

    with stalling("length") as url, WorkerPool(workers=1, slow_callback=None) as pool:
        with pool.stream("GET", url, timeout=1) as answer:
            assert 1000 == len(next(answer.iter_bytes()))
            job = pool.submit(block)
            assert blocked.wait(60)
            with pytest.raises(DeadlineExceeded):
                asyncio.run(read(answer)) if way == "loop" else answer.read()
            assert not job.done()
            go_on.set()


def test_the_first_end_of_a_channel_stands():
    """An end after an error is none, nor an error after the end."""
    failed, cut, whole = Chunks(), Chunks(), Chunks()
    failed.fail(LookupError("first"))
    failed.end()
    failed.fail(KeyError("second"))
    with pytest.raises(LookupError, match="first"):
        failed.get()
    cut.fail()
    cut.end()
    assert cut.given_up
    whole.end()
    whole.fail(KeyError("late"))
    whole.fail()
    for channel in (cut, whole):
        with pytest.raises(Closed):
            channel.get()
    assert not whole.given_up


def test_a_stream_that_nobody_holds_is_given_up(site):
    """A response that was forgotten without a close gives its place back."""
    with WorkerPool(workers=1, connections=1) as pool:
        for _ in range(3):
            answer = pool.stream("GET", site.url_for("/large/1000000"), timeout=None).__enter__()
            assert 65536 == len(next(answer.iter_bytes(65536)))
            del answer
            gc.collect()
        assert pool.drain(30)


def test_a_result_that_was_taken_is_held_by_nobody_else():
    """Whether its caller takes it before or after all has been told."""
    for late in (True, False):
        job = Job("lane", None, Call(print))
        if late:  # the caller saw the verdict before whoever decided has come to tell
            job._verdicts.append(("succeeded", "response", 0.0))
            job.hand_out()
            assert "response" == job.result()
            job.tell()
            job.drop_value()
        else:
            job.answer("response")
            job.hand_out()
        assert job.result() is None


@pytest.mark.parametrize("way", ["read", "bytes", "pieces", "lines", "raw", "loop"])
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, LookupError], ids=["Ctrl-C", "of a handler"])
def test_an_interrupt_while_reading_ends_the_stream(pool, site, way, interrupt):
    """Wherever it strikes, a chunk in nobody's hand is not left out silently."""
    whole = 300 * 1024

    def read(answer, got):
        if way == "raw":
            while piece := answer.raw.read(100_000):
                got.append(piece)
        elif way == "loop":
            asyncio.run(read_on_a_loop(answer, got))
        else:
            ways = {
                "bytes": answer.iter_bytes,
                "pieces": lambda: answer.iter_bytes(100_000),
                "lines": answer.iter_lines,
            }
            got.extend(ways.get(way, lambda: [answer.read()])())

    async def read_on_a_loop(answer, got):
        async for piece in answer.aiter_bytes():
            got.append(piece)

    lines, more = 1, True
    while more:
        # On a thread of its own: a tracer that raises where an `except` begins leaves that error behind as the thread's.
        with ThreadPoolExecutor(1) as executor:
            more = executor.submit(_interrupted_at, lines, interrupt, pool, site, read, whole).result()
        lines += 1 if lines < 20 else 9


def _interrupted_at(line, interrupt, pool, site, read, whole):
    """Interrupt at the so-manieth line of the reading code; returns whether there were so many."""
    left, got = [line], []

    def trace(frame, event, _argument):
        code, callers = frame.f_code, {frame.f_code.co_name, frame.f_back.f_code.co_name}
        if not code.co_filename.endswith(("streaming.py", "pieces.py", "channel.py")) or "__del__" in callers:
            return None
        # At a "with" there are two, one of them between the block's end and the lock's release, where no signal strikes.
        if event == "line" and not linecache.getline(code.co_filename, frame.f_lineno).lstrip().startswith("with"):
            left[0] -= 1
            if not left[0]:
                raise interrupt
        return trace

    with pool.stream("GET", site.url_for(f"/large/{whole // 1024}")) as answer:
        sys.settrace(trace)
        try:
            read(answer, got)
        except interrupt:
            sys.settrace(None)
            try:
                rest = answer.read()
            except ConnectionLost:
                with pytest.raises(ConnectionLost):
                    answer.raw.read(1)
            else:
                assert whole == sum(map(len, got)) + len(rest)
            return True
        finally:
            sys.settrace(None)
    return left[0] <= 0
