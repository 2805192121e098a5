"""Uploads from files and generators: sent whole or not at all, and no thread of theirs outlives its pool."""

import copy
import io
import os
import pickle
import socket
import threading
from dataclasses import replace
from itertools import count

import pytest
from faults.wire import read_head
from servers import Listening, ok

from workerpool import DeadlineExceeded, InvalidRequest, Request, WorkerPool
from workerpool.messages.body import Upload

WHOLE = bytes(range(256)) * 1024


def _length(response):
    return response.json()["length"]


def _upload_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("workerpool-upload")]


def test_a_request_with_a_file_may_be_sent_again(pool, shared_site):
    """A file goes back to where it stood when it was sent first."""
    file = io.BytesIO(b"before " + WHOLE)
    file.seek(7)
    request = Request("POST", shared_site.url_for("/echo"), data=file)
    assert [len(WHOLE)] * 3 == [_length(pool.submit(request).result()) for _ in range(3)]


@pytest.mark.parametrize(
    "source", [(each for each in [b"12", b"345"]), iter([b"12", b"345"])], ids=["generator", "iterator"]
)
def test_a_spent_source_is_not_sent_as_nothing(pool, shared_site, source):
    """The second use of a Request whose source was read is refused."""
    request = Request("POST", shared_site.url_for("/echo"), data=source)
    assert 5 == _length(pool.submit(request).result())
    error = pool.submit(request).exception()
    assert isinstance(error, InvalidRequest)
    assert ("send", 0) == (error.stage, error.attempts)
    assert "a new source" in str(error)


def test_a_closed_file_is_refused(pool, shared_site):
    """A file that was closed after its first use says so."""
    file = io.BytesIO(WHOLE)
    request = Request("POST", shared_site.url_for("/echo"), data=file)
    assert len(WHOLE) == _length(pool.submit(request).result())
    file.close()
    assert isinstance(pool.submit(request).exception(), InvalidRequest)


def test_a_source_that_was_not_begun_may_be_tried_later(pool, shared_site, free_port):
    """Where no connection could be made nothing was read, and the same source is good for the next request."""
    source = (each for each in [b"12", b"345"])
    refused = Request("POST", f"http://127.0.0.1:{free_port}/", data=source)
    assert pool.submit(refused).exception() is not None
    assert 5 == _length(pool.post(shared_site.url_for("/echo"), data=refused.body))


def test_a_file_beyond_its_end_has_nothing_left(pool, shared_site):
    """As in requests: no bytes are sent, and none fewer."""
    file = io.BytesIO(b"12345")
    file.seek(100)
    assert 0 == _length(pool.post(shared_site.url_for("/echo"), data=file))


class Asked(io.BytesIO):
    """A file that says when it is asked for anything."""

    def __init__(self, content, note):
        super().__init__(content)
        self._note = note

    def seekable(self):
        self._note("seekable")
        return super().seekable()

    def tell(self):
        self._note("tell")
        return super().tell()

    def seek(self, *args):
        self._note("seek")
        return super().seek(*args)

    def read(self, *args):
        self._note("read")
        return super().read(*args)


def test_a_source_is_asked_on_a_thread_of_its_own(pool, shared_site):
    """To go somewhere may take its time, as it does where that means to unpack all before; no worker waits for it."""
    where = set()
    source = Asked(WHOLE, lambda _what: where.add(threading.current_thread().name.rstrip("0123456789")))
    request = Request("POST", shared_site.url_for("/echo"), data=source)
    assert [len(WHOLE)] * 2 == [_length(pool.send(request)) for _ in range(2)]
    assert {"workerpool-upload-"} == where


def test_a_source_that_blocks_where_it_is_asked_keeps_nobody_waiting(site):
    """The deadline falls, the worker goes on, and the source is free when it gives way."""
    inside, go_on = threading.Event(), threading.Event()

    def block(what):
        if what == "seek":
            inside.set()
            assert go_on.wait(60)

    request = Request("POST", site.url_for("/echo"), data=Asked(WHOLE, block), timeout=0.3)
    with WorkerPool(workers=1) as pool:
        job = pool.submit(request)
        assert inside.wait(60)
        assert pool.get(site.url_for("/fast/1")).ok
        assert "send" == job.exception(60).stage
        go_on.set()
        assert len(WHOLE) == _length(pool.send(replace(request, timeout=60)))
    assert 2 == site.hits


@pytest.mark.parametrize("nth", range(3, 10))
def test_a_source_that_raises_once_is_free_for_the_next(pool, shared_site, nth):
    """Whatever it raises, and when, is told as the cause; the next request has all of it and need not wait for it."""
    asked = count(1)

    def fail(_what):
        if next(asked) == nth:
            raise RuntimeError("mine")

    request = Request("POST", shared_site.url_for("/echo"), data=Asked(WHOLE, fail))
    with pytest.raises(InvalidRequest, match="raised RuntimeError") as caught:
        pool.send(request)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "send" == caught.value.stage
    assert len(WHOLE) == _length(pool.send(request))


def _asks_first(connection, *answers):
    """Read a head that asks whether to go on, and say the answers; return what comes then."""
    read_head(connection)
    for each in answers:
        connection.sendall(each)
    return connection.recv(65536)


EXPECTING = {"headers": {"Expect": "100-continue"}, "data": b"hello"}


@pytest.mark.parametrize("said", [(), (b"HTTP/1.1 100 Continue\r\n\r\n",)], ids=["nothing", "continue"])
def test_who_asks_before_the_body_does_not_wait_for_ever(said):
    """RFC 9110, 10.1.1: a server that does not know of the question gets the body all the same."""
    came = []

    def serve(connection):
        came.append(_asks_first(connection, *said))
        connection.sendall(ok(b"ok"))

    with Listening(serve) as server, WorkerPool(retry=None) as pool:
        assert "ok" == pool.post(server.url, **EXPECTING).text
    assert [b"hello"] == came


def test_who_asks_before_the_body_and_is_refused_sends_none(monkeypatch):
    """That is what the question is for."""
    monkeypatch.setattr("workerpool.transport.inside.request._PATIENCE", 60)
    came = []

    def serve(connection):
        came.append(_asks_first(connection, b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"))

    with Listening(serve) as server, WorkerPool(retry=None) as pool:
        assert 413 == pool.post(server.url, **EXPECTING).status_code
    assert [b""] == came


def test_a_file_that_does_not_block_is_no_empty_one(pool, shared_site):
    """Nothing to read just now is not the end."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "wb", buffering=0) as full, os.fdopen(reading, "rb", buffering=0) as source:
        full.write(b"12")
        with pytest.raises(InvalidRequest, match="BlockingIOError"):
            pool.post(shared_site.url_for("/echo"), data=source)


def test_requests_that_share_a_file_take_turns(pool, shared_site):
    """Many at once send it whole, one after the other."""
    request = Request("POST", shared_site.url_for("/echo"), data=io.BytesIO(WHOLE))
    jobs = [pool.submit(request) for _ in range(5)]
    assert {len(WHOLE)} == {_length(job.result()) for job in jobs}


def test_copies_of_an_upload_know_of_each_other():
    """A copy is the same upload; a pickle is refused where its source was begun."""
    upload = Upload(iter([b"12"]))
    assert upload is copy.copy(upload)
    assert b"12" == next(iter(pickle.loads(pickle.dumps(upload)).source))
    upload.begin()
    with pytest.raises(TypeError, match="begun"):
        pickle.dumps(upload)
    assert [b"1"] == pickle.loads(pickle.dumps(Upload([b"1"]))).source


def test_the_thread_of_an_upload_ends_with_its_pool(site):
    """A pool that is closed has waited for the generator that it was reading, which is closed then."""
    closed, never = threading.Event(), threading.Event()

    def slow():
        try:
            while not never.wait(0.01):
                yield b"x"
        finally:
            closed.set()

    with WorkerPool(workers=1) as pool:
        with pytest.raises(DeadlineExceeded):
            pool.post(site.url_for("/echo"), data=slow(), timeout=0.5)
    assert [] == _upload_threads()
    assert closed.is_set()


def test_a_source_that_blocks_does_not_block_the_end_of_its_pool(site):
    """The pool's end waits within bounds for a source that gives nothing."""
    go_on = threading.Event()

    def stuck():
        yield b"1"
        go_on.wait(60)
        yield b"2"

    with WorkerPool(workers=1) as pool:
        with pytest.raises(DeadlineExceeded):
            pool.post(site.url_for("/echo"), data=stuck(), timeout=0.5)
    left = [thread for thread in threading.enumerate() if thread.name.startswith("workerpool-upload-")]
    assert 1 == len(left)
    assert left[0].daemon
    go_on.set()
    left[0].join(60)
    assert not left[0].is_alive()


def test_a_cut_upload_is_no_whole_one_at_the_server(pool, site):
    """A chunked upload that is given up never has its end mark."""
    got, began = [], threading.Event()

    def slow():
        yield b"x" * 100
        assert began.wait(60)
        while True:
            yield b"x" * 65536

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                while piece := connection.recv(65536):
                    got.append(piece)
                    if b"x" in piece:
                        began.set()

        thread = threading.Thread(target=serve)
        thread.start()
        job = pool.submit(Request("POST", f"http://127.0.0.1:{server.getsockname()[1]}/", data=slow()))
        assert began.wait(60)
        job.cancel()
        thread.join(60)
    assert not b"".join(got).endswith(b"0\r\n\r\n")
