"""Retries, their budget, and the circuit of a host that cannot be reached."""

import socket
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic

import pytest
from servers import Scripted, ok

from workerpool import ConnectError, InvalidRequest, Retry, TruncatedBody, WorkerPool
from workerpool.messages.request import Request
from workerpool.messages.response import Response
from workerpool.policies.retry import wait_before_retry

QUICK = Retry(attempts=3, wait_initial=0.001, wait_jitter=0.0)


def busy(*headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 503 Busy\r\n" + lines + b"Content-Length: 0\r\nConnection: close\r\n\r\n"


def test_a_dead_server_is_not_asked_for_ever_more(site):
    """Where everything fails, the server sees at most 1.2 times the first attempts, whatever Retry allows."""
    with WorkerPool(retry=Retry(attempts=5, wait_initial=0.001)) as pool:
        results = list(pool.fetch_many([site.url_for("/status/503")] * 200))
    assert {503} == {result.unwrap().status_code for result in results}
    assert 200 < site.hits <= 240
    assert site.hits == sum(result.unwrap().attempts for result in results)


def test_good_answers_pay_for_retries(site):
    """A server that fails now and then is asked again as often as it takes."""
    urls = [site.url_for(f"/flaky/{n}") if n % 4 == 0 else site.url_for(f"/fast/{n}") for n in range(200)]
    with WorkerPool(connections=8, retry=QUICK) as pool:
        assert all(result.unwrap().ok for result in pool.fetch_many(urls))


def test_the_hook_is_told_and_harms_nobody(caplog):
    """on_retry gets what failed and what comes; what it raises is logged."""
    told = []

    def hook(details):
        told.append(details)
        raise LookupError("in the hook")

    retry = Retry(attempts=3, wait_initial=0.001, wait_jitter=0, on_retry=hook)
    with Scripted([busy()], [b""], [ok(b"fine")], closes=True) as server, WorkerPool(retry=retry) as pool:
        assert b"fine" == pool.get(server.url).content
    assert [(1, 503), (2, None)] == [(details.attempt, details.status) for details in told]
    assert told[1].error.stage == "headers"
    assert "in the hook" in caplog.text


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(form):
    """As seconds or as a date (RFC 9110, 10.2.3)."""
    request = Request("http://host.test/")
    value = "7" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=7), usegmt=True)
    with Scripted([busy(b"Retry-After: " + value.encode())], closes=True) as server, WorkerPool(retry=None) as pool:
        answer: Response = pool.get(server.url)
    wait = wait_before_retry(QUICK, request, 1, answer)
    assert wait is not None
    assert 5 < wait <= 7


def test_a_pause_beyond_the_deadline_is_not_begun():
    """The answer is handed out at once instead."""
    with Scripted([busy(b"Retry-After: 3600")], closes=True) as server, WorkerPool(timeout=20) as pool:
        began = monotonic()
        assert 503 == pool.get(server.url).status_code
    assert monotonic() - began < 10
    assert 1 == len(server.seen)


def test_what_cannot_be_sent_twice_is_sent_once():
    """A body from an iterator is not tried again, and the error says so; neither is a POST."""
    with Scripted([b""], [b""], closes=True) as server, WorkerPool(retry=QUICK) as pool:
        with pytest.raises(Exception, match="lost") as caught:
            pool.put(server.url, data=iter([b"once"]))
        assert ["Not tried again"] == [note[:15] for note in caught.value.__notes__]
        with pytest.raises(Exception, match="lost"):
            pool.post(server.url, data=b"twice?")
    assert 2 == len(server.seen)


def test_a_post_may_be_tried_again_where_the_caller_says_so():
    """Retry.methods decides."""
    retry = Retry(attempts=2, wait_initial=0.001, methods=frozenset({"POST"}))
    with Scripted([busy()], [ok(b"done")], closes=True) as server, WorkerPool(retry=retry) as pool:
        response = pool.post(server.url, data=b"x")
    assert (b"done", 2) == (response.content, response.attempts)


def test_a_truncated_body_is_tried_again():
    """The whole body comes the second time; attempts is what the server saw."""
    with Scripted([ok(b"x" * 100)[:-50]], [ok(b"x" * 100)], closes=True) as server, WorkerPool(retry=QUICK) as pool:
        response = pool.get(server.url)
    assert (100, 2) == (len(response.content), response.attempts)


def test_an_error_that_no_retry_mends_is_raised_at_once():
    """Retry does not hide errors: after the last attempt it is the error itself."""
    with Scripted(*[[ok(b"x" * 100)[:-50]]] * 3, closes=True) as server, WorkerPool(retry=QUICK) as pool:
        with pytest.raises(TruncatedBody) as caught:
            pool.get(server.url)
    assert 3 == caught.value.attempts == len(server.seen)


def test_the_circuit_of_an_unreachable_host_opens_and_closes(site, free_port):
    """After ten failures it is refused at once, said so; a probe that gets through closes it."""
    url = f"http://127.0.0.1:{free_port}/"
    with WorkerPool(retry=None) as pool:
        for _ in range(10):
            with pytest.raises(ConnectError) as refused:
                pool.get(url)
            assert 1 == refused.value.attempts
        with pytest.raises(ConnectError, match="not tried, since the last connections") as open_now:
            pool.get(url)
        assert (0, "queued") == (open_now.value.attempts, open_now.value.stage)
        assert pool.get(site.url_for("/fast/1")).ok  # another host
        with closing(socket.create_server(("127.0.0.1", free_port))) as server:
            answer_once(server)
            end = monotonic() + 20
            while monotonic() < end:
                try:
                    assert b"back" == pool.get(url).content
                    break
                except ConnectError:
                    continue


def answer_once(server):
    import threading

    def serve():
        connection, _peer = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(ok(b"back"))

    threading.Thread(target=serve, daemon=True).start()


def test_a_retry_in_the_wrong_place_is_refused(pool):
    """retry= takes a Retry or None."""
    with pytest.raises(InvalidRequest, match="Retry"):
        pool.get("http://host.test/", retry=3)
