"""Bodies that cost more to unpack than they are worth, and those of many members that are."""

import gzip
import os
import struct
import sys
import threading
import zlib

import pytest
from faults.server import Listener
from faults.wire import answer, chunk, head, read_head

from workerpool import BodyTooLarge, DecodingError, WorkerPool
from workerpool.transport import decoding
from workerpool.transport.decoding import STEP, decoder_for

EMPTY = gzip.compress(b"", mtime=0)
ONE = gzip.compress(b"x", mtime=0)
NO_BLOCK = b"\x00\x00\x00\xff\xff"  # a stored block of deflate's without content


def zstd_of(data):
    zstd = pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    return zstd.compress(data)


def raw_deflate_of(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def skippable():
    return struct.pack("<II", 0x184D2A50, 0)


@pytest.fixture
def serve():
    """Serve a body with its codings; yields the URL."""
    listeners = []

    def start(body, coding, chunked=0):
        def talk(connection):
            while read_head(connection):
                if chunked:
                    pieces = b"".join(chunk(body[n : n + chunked]) for n in range(0, len(body), chunked))
                    lines = f"Content-Encoding: {coding}", "Transfer-Encoding: chunked"
                    connection.sendall(head(*lines) + pieces + b"0\r\n\r\n")
                else:
                    connection.sendall(answer(body, f"Content-Encoding: {coding}"))

        listeners.append(Listener(talk))
        return f"http://127.0.0.1:{listeners[-1].port}/"

    yield start
    for listener in listeners:
        listener.close()


EMPTY_BODIES = {
    "gzip members": ("gzip", lambda: EMPTY * 5000),
    "gzip members in gzip": ("gzip, gzip", lambda: gzip.compress(EMPTY * 50_000)),
    "gzip members in deflate in gzip": ("gzip, deflate, gzip", lambda: gzip.compress(zlib.compress(EMPTY * 50_000))),
    "zstd frames to skip": ("zstd", lambda: zstd_of(b"") + skippable() * 5000),
    "empty zstd frames": ("zstd", lambda: zstd_of(b"") * 5000),
    "blocks without content": ("deflate", lambda: NO_BLOCK * 500_000),
    "blocks without content in gzip": ("deflate, gzip", lambda: gzip.compress(NO_BLOCK * 500_000)),
    "garbage behind the end": ("gzip", lambda: gzip.compress(b"whole") + bytes(2**21)),
}


@pytest.mark.parametrize("kind", EMPTY_BODIES)
def test_a_body_that_unpacks_to_nothing_is_refused(kind, serve, pool):
    """However it is made: a fetch and a stream raise DecodingError, the worker goes on."""
    coding, make = EMPTY_BODIES[kind]
    url = serve(make(), coding)
    with pytest.raises(DecodingError, match="nothing"):
        pool.get(url, retry=None)
    with pool.stream("GET", url, retry=None) as stream, pytest.raises(DecodingError, match="nothing"):
        stream.read()
    assert pool.drain(30)


@pytest.mark.parametrize(("coding", "wrap"), [("gzip", bytes), ("gzip, gzip", gzip.compress)])
@pytest.mark.parametrize("chunked", [0, 1000])
def test_thousands_of_members_are_one_body(coding, wrap, chunked, serve, pool):
    """As logs and bgzip write them: each with something in it, a thousand without."""
    lines = [b"line %d\n" % n for n in range(5000)]
    body = b"".join(map(gzip.compress, lines)) + EMPTY * 1000
    url = serve(wrap(body), coding, chunked)
    assert b"".join(lines) == pool.get(url).content
    with pool.stream("GET", url) as stream:
        assert b"".join(lines) == stream.read()


def test_thousands_of_zstd_frames_are_one_body(serve, pool):
    """Frames of a few bytes, and one to skip before each, as pzstd writes them."""
    lines = [b"line %d\n" % n for n in range(5000)]
    body = b"".join(skippable() + zstd_of(line) for line in lines)
    assert b"".join(lines) == pool.get(serve(body, "zstd")).content


def test_others_have_their_turn_while_a_body_unpacks(serve):
    """A body of half a million members leaves the loop free: many jobs are done beside it on the same worker."""
    url = serve(gzip.compress(ONE * 500_000), "gzip, gzip")
    good = serve(b"good", "identity")
    with WorkerPool(workers=1) as pool:
        slow = pool.submit(url, timeout=None)
        beside = 0
        while not slow.done() and beside < 50:
            assert b"good" == pool.get(good, timeout=60).content
            beside += 1
        assert 50 == beside
        slow.cancel()


def test_what_a_coding_takes_counts_against_max_body(serve, pool):
    """A body whose inner coding is over the limit falls, little as it gives in the end."""
    url = serve(gzip.compress(ONE * 50_000), "gzip, gzip")
    with pytest.raises(BodyTooLarge, match="100000 bytes"):
        pool.get(url, max_body=100_000)
    assert b"x" * 50_000 == pool.get(url, max_body=2**20).content


@pytest.mark.parametrize("size", [1, 7, 2**14, 2**14 + 1, 10**6])
def test_slices_make_no_difference(size):
    """Fed in any pieces the result is the same, what follows the last member left aside."""
    text = os.urandom(1000) * (300 if size > 100 else 1)
    packed = gzip.compress(text[:500]) + gzip.compress(text[500:]) + b"\0\0\x1f\x8b padding \x1f"
    decoder = decoder_for("gzip")
    pieces = [piece for n in range(0, len(packed), size) for piece in decoder.feed(packed[n : n + size])]
    decoder.finish()
    assert text == b"".join(pieces)


PACKERS = {
    "gzip": ("gzip", gzip.compress),
    "gzip of two members": ("gzip", lambda data: gzip.compress(data) + gzip.compress(data)),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate_of),
    "br": ("br", lambda data: pytest.importorskip("brotlicffi").compress(data, quality=1)),
    "zstd": ("zstd", zstd_of),
}


@pytest.mark.parametrize("library", ["zlib", "isal.isal_zlib"])
@pytest.mark.parametrize("kind", PACKERS)
def test_a_body_of_any_size_is_whole(kind, library, monkeypatch):
    """Also where it is a few bytes larger than a step or two, and its last bytes have been taken when that is full."""
    decoding.load_inflater()
    monkeypatch.setattr(decoding, "fast_zlib", pytest.importorskip(library))
    coding, pack = PACKERS[kind]
    text = b"".join(b"%d some line of a log\n" % (n * n) for n in range(80_000))
    for data in (bytes(2 * STEP + 100), text):
        for size in (step + n for step in (STEP, 2 * STEP) for n in (-1, 0, 1, 2, 3, 5, 8, 13, 20, 100)):
            decoder, packed = decoder_for(coding), pack(data[:size])
            pieces = [piece for n in range(0, len(packed), 2**16) for piece in decoder.feed(packed[n : n + 2**16])]
            decoder.finish()
            assert size * (1 + ("two" in kind)) == sum(map(len, pieces))
            assert max(map(len, pieces)) <= STEP


def test_a_flood_of_members_does_not_stop_a_deadline(serve):
    """The deadline falls while the body unpacks, and a shutdown does not wait for it."""
    url = serve(gzip.compress(ONE * 500_000), "gzip, gzip")
    done = threading.Event()
    with WorkerPool(workers=1) as pool:
        job = pool.submit(url, timeout=0.5)
        job.add_done_callback(lambda _job: done.set())
        assert done.wait(60)
        assert "DeadlineExceeded" == type(job.exception()).__name__
