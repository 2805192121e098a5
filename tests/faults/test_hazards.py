"""Traps that bare aiohttp leaves open, each shown at a raw socket."""

import gzip

import pytest
from servers import Scripted, ok

from workerpool import DecodingError, InvalidRequest, ProtocolError, TruncatedBody, WorkerPool


def test_an_unasked_answer_is_never_taken_for_the_next(pool):
    """An answer pushed onto an idle connection costs that connection, and nobody's answer (aiohttp#13656)."""
    with Scripted([ok(b"first") + ok(b"unasked")], [ok(b"second")]) as server:
        assert b"first" == pool.get(server.url).content
        assert b"second" == pool.get(server.url).content


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_half_a_gzip_is_no_success(pool, cut):
    """A gzip body cut short, its length announced to fit, is a DecodingError."""
    packed = gzip.compress(bytes(range(256)) * 40)[:-cut]
    with Scripted([ok(packed, b"Content-Encoding: gzip")]) as server, pytest.raises(DecodingError):
        pool.get(server.url)


def test_a_gzip_of_two_members_is_whole(pool):
    """Members follow each other (RFC 1952, 2.2)."""
    with Scripted([ok(gzip.compress(b"one ") + gzip.compress(b"two"), b"Content-Encoding: gzip")]) as server:
        assert b"one two" == pool.get(server.url).content


def test_a_body_that_ends_early_is_truncated(pool):
    """Fewer bytes than announced are no body."""
    with Scripted([ok(b"x" * 100)[:-50]]) as server, pytest.raises(TruncatedBody) as caught:
        pool.get(server.url, retry=None)
    assert "body" == caught.value.stage


def test_garbage_is_a_protocol_error_not_a_400(pool):
    """What is no HTTP is said to be none; no status is made up."""
    with Scripted([b"220 smtp ready\r\n\r\n"]) as server, pytest.raises(ProtocolError):
        pool.get(server.url)


@pytest.mark.parametrize("status", [b"307", b"302"])
def test_a_redirect_to_another_origin_takes_no_secret_along(pool, status):
    """Own headers, credentials and cookies stay with the origin they were meant for."""
    with Scripted([ok(b"there")]) as other:
        answer = b"HTTP/1.1 " + status + b" Go\r\nLocation: " + other.url.encode() + b"\r\nContent-Length: 0\r\n\r\n"
        with Scripted([answer]) as server:
            secret = {"X-Api-Key": "hunter2", "Accept-Language": "en"}
            response = pool.get(server.url, headers=secret, cookies={"s": "hunter2"}, auth=("u", "hunter2"))
    assert b"there" == response.content
    assert b"hunter2" in server.seen[0]
    assert b"Accept-Language: en" in other.seen[0]
    for name in (b"hunter2", b"Authorization", b"Cookie", b"X-Api-Key"):
        assert name not in other.seen[0]


def test_no_body_goes_to_another_origin(pool):
    """A 307 to elsewhere is refused when a body would go there."""
    with Scripted([]) as other:
        answer = b"HTTP/1.1 307 Go\r\nLocation: " + other.url.encode() + b"\r\nContent-Length: 0\r\n\r\n"
        with Scripted([answer]) as server, pytest.raises(InvalidRequest):
            pool.post(server.url, data=b"secret")
    assert [] == other.seen


def test_one_attempt_is_one_request(pool):
    """A lost connection is not silently asked again: attempts is what the server saw."""
    with Scripted([b""], [b""], [b""]) as server, WorkerPool(retry=None) as once:
        with pytest.raises(Exception) as caught:
            once.get(server.url, timeout=0.5)
        assert 1 == caught.value.attempts == len(server.seen)
