"""Uploads from files and generators: sent whole or not at all, and no thread of theirs outlives its pool."""

import copy
import io
import os
import pickle
import socket
import threading

import pytest

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
