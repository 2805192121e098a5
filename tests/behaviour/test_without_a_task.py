"""Requests that go out without a task: given up, late, cut or too large they end as all others do, and leave nothing."""

import asyncio
import gc
import gzip
import os
import threading
import warnings
from concurrent.futures import CancelledError, ThreadPoolExecutor
from importlib.util import find_spec

import pytest
from faults.wire import answer, chunk, head, read_head
from servers import Listening, ok

from workerpool import (
    BodyTooLarge,
    ConnectionLost,
    DeadlineExceeded,
    PoolClosed,
    ReadTimeout,
    Retry,
    Timeout,
    TruncatedBody,
    WorkerLost,
    WorkerPool,
)
from workerpool.caller.client import board_of
from workerpool.transport import Direct
from workerpool.worker.direct import DirectAttempts

LOOPS = ["asyncio", *(["uvloop"] if find_spec("uvloop") else [])]
PATIENCE = 60
AT_ONCE = Retry(attempts=3, wait_initial=0.001, wait_jitter=0)


class Held(Listening):
    """Answer /NAME by its name; hold /held until `release`, which lets it go on, and note what came and what closed."""

    def __init__(self, answers=()):
        self.answers = dict(answers)
        self.seen = []
        self.open = 0
        self.release = threading.Event()
        self._changed = threading.Condition()
        super().__init__(self._follow)

    def until(self, is_so):
        """Wait until it is so."""
        with self._changed:
            assert self._changed.wait_for(is_so, PATIENCE)

    def until_seen(self, path, times=1):
        """Wait until it was asked for the path so many times."""
        self.until(lambda: self.seen.count(path) >= times)

    def close(self):
        self.release.set()
        super().close()

    def _note(self, path=None, opened=0):
        with self._changed:
            self.open += opened
            self.seen += [] if path is None else [path]
            self._changed.notify_all()

    def _follow(self, connection):
        self._note(opened=1)
        try:
            while request := read_head(connection):
                path = request.split(b" ", 2)[1].decode()
                self._note(path)
                if path.startswith("/held"):
                    self.release.wait(PATIENCE)
                say = self.answers.get(path, ok(path.encode()))
                if callable(say):
                    if say(connection):
                        return
                else:
                    connection.sendall(say)
        finally:
            self._note(opened=-1)


@pytest.fixture
def held():
    with Held() as server:
        yield server


@pytest.fixture(params=LOOPS)
def pool(request):
    """A pool of one worker on each of the loops."""
    with WorkerPool(workers=1, name="tested", event_loop=request.param, retry=None) as pool:
        yield pool


@pytest.fixture
def sent(monkeypatch):
    """The requests that went out without a task, each by its URL."""
    seen = []
    send = Direct.send

    def noted(self, work, request, head):
        seen.append(request.url)
        send(self, work, request, head)

    monkeypatch.setattr(Direct, "send", noted)
    return seen


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Nobody forgets a connection."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [] == [str(each.message) for each in told if issubclass(each.category, ResourceWarning)]


def get_kept(pool, server):
    """Have an idle connection to the server."""
    assert pool.get(server.url + "first").ok


def test_a_request_on_a_kept_connection_has_no_task(pool, held, sent):
    """The first one makes the connection, in a task; others follow on it."""
    get_kept(pool, held)
    assert ["/second", "/third"] == [pool.get(held.url + path).text for path in ("second", "third")]
    assert [held.url + "second", held.url + "third"] == sent


@pytest.mark.parametrize("end", ["cancel", "total", "shutdown"])
def test_what_is_given_up_closes_its_connection(pool, held, sent, end):
    """Whoever gives it up: what comes of it later is nobody's answer."""
    get_kept(pool, held)
    job = pool.submit(held.url + "held", timeout=0.5 if end == "total" else PATIENCE)
    held.until_seen("/held")
    if end == "cancel":
        assert job.cancel()
        with pytest.raises(CancelledError):
            job.result(PATIENCE)
    elif end == "shutdown":
        pool.shutdown(timeout=0.01)
        assert isinstance(job.exception(PATIENCE), PoolClosed)
    else:
        assert ("headers", 1) == (error_of(job, DeadlineExceeded).stage, job.exception().attempts)
    assert [held.url + "held"] == sent
    held.release.set()
    held.until(lambda: not held.open)
    if end != "shutdown":
        assert "/next" == pool.get(held.url + "next").text
        assert pool.drain(PATIENCE)


def error_of(job, kind):
    error = job.exception(PATIENCE)
    assert type(error) is kind, repr(error)
    return error


def test_a_silent_server_is_a_read_timeout(pool, held):
    """Of the request that waits, while others go on."""
    get_kept(pool, held)
    late = pool.submit(held.url + "held", timeout=Timeout(total=PATIENCE, read=0.3))
    held.until_seen("/held")
    while not late.done():
        assert "/other" == pool.get(held.url + "other").text
    assert ("headers", 1) == (error_of(late, ReadTimeout).stage, late.exception().attempts)


def test_a_body_that_stops_is_a_read_timeout(pool, held):
    """At the stage that it stopped in."""
    held.answers["/held/stops"] = ok(b"x" * 100)
    held.answers["/stops"] = lambda connection: connection.sendall(ok(b"x" * 100)[:-50])
    get_kept(pool, held)
    error = error_of(pool.submit(held.url + "stops", timeout=Timeout(read=0.3)), ReadTimeout)
    assert "body" == error.stage


@pytest.mark.parametrize("error", [SystemExit, MemoryError, KeyboardInterrupt])
def test_a_lost_loop_loses_what_is_under_way(pool, held, caplog, error):
    """Each job has an outcome, each connection is closed, and the next loop serves what waits."""
    get_kept(pool, held)
    kept = [pool.submit(f"{held.url}warm/{n}") for n in range(5)]
    assert all(job.result(PATIENCE).ok for job in kept)
    jobs = [pool.submit(f"{held.url}held/{n}") for n in range(5)]
    for n in range(5):
        held.until_seen(f"/held/{n}")
    loop = board_of(pool).workers[0].loop
    loop.call_soon(loop.lose, error()) if error is MemoryError else loop.call_soon(strike, error)
    assert {WorkerLost} == {type(job.exception(PATIENCE)) for job in jobs}
    held.release.set()
    assert "/next" == pool.get(held.url + "next").text
    held.until(lambda: held.open == 1)
    assert pool.drain(PATIENCE)
    stats = pool.stats()
    assert (0, stats.submitted) == (stats.in_flight, stats.completed)
    assert "was lost and is replaced" in caplog.text


def strike(error):
    raise error


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_callbacks_that_end_the_loop_take_nobody_s_answer(held, caplog, error):
    """What callbacks of several jobs raise loses a loop; all jobs that one turn has decided are told."""
    with WorkerPool(workers=1, retry=None) as pool:
        get_kept(pool, held)
        jobs = [pool.submit(f"{held.url}held/{n}") for n in range(20)]
        for n, job in enumerate(jobs):
            held.until_seen(f"/held/{n}")
            if n % 2:
                job.add_done_callback(lambda _job: strike(error))
        held.release.set()
        for job in jobs:
            assert isinstance(job.exception(PATIENCE), WorkerLost | None)
        assert "/next" == pool.get(held.url + "next").text
        assert pool.drain(PATIENCE)


def test_an_answer_that_no_task_comes_to_read_is_closed(pool, held, monkeypatch):
    """It was left to a task, and given up before that began."""
    left = DirectAttempts.left

    def given_up(self, work):
        left(self, work)
        work.cancel()

    held.answers["/away"] = head("Location: /b", "Content-Length: 5", status="302 Found")  # whose body never comes
    get_kept(pool, held)
    monkeypatch.setattr(DirectAttempts, "left", given_up)
    job = pool.submit(held.url + "away")
    with pytest.raises(CancelledError):
        job.result(PATIENCE)
    held.until(lambda: not held.open)
    monkeypatch.undo()
    assert "/next" == pool.get(held.url + "next").text


@pytest.mark.parametrize("body", ["length", "chunked", "gzip", "parts"])
def test_a_body_over_the_limit(pool, held, sent, body):
    """The announced, the counted and the unpacked size are checked, to the byte."""
    text = b"0123456789" * 100
    held.answers["/body"] = {
        "length": ok(text),
        "chunked": head("Transfer-Encoding: chunked") + chunk(text[:500]) + chunk(text[500:]) + chunk(b""),
        "gzip": ok(gzip.compress(text), b"Content-Encoding: gzip"),
        "parts": lambda connection: [connection.sendall(part) for part in (ok(text)[:-500], text[-500:])].clear(),
    }[body]
    get_kept(pool, held)
    assert text == pool.get(held.url + "body", max_body=1000).content
    with pytest.raises(BodyTooLarge) as caught:
        pool.get(held.url + "body", max_body=999)
    assert ("body", 1) == (caught.value.stage, caught.value.attempts)
    get_kept(pool, held)
    assert text == pool.get(held.url + "body", max_body=1000).content
    assert 3 == sent.count(held.url + "body")


def test_head_and_get_take_turns_on_one_connection(pool, held, sent):
    """The length that a HEAD is told announces nothing."""

    def serve(connection):
        while request := read_head(connection):
            whole = ok(b"x" * 70)
            connection.sendall(whole[:-70] if request.startswith(b"HEAD") else whole)

    with Listening(serve) as server:
        for _ in range(3):
            for method, size in (("GET", 70), ("HEAD", 0), ("HEAD", 0), ("OPTIONS", 70)):
                assert size == len(pool.request(method, server.url).content)
    assert 11 == len(sent)


def test_a_bomb_does_not_keep_the_loop(pool, held):
    """What unpacks to much is unpacked in steps, between which others are served."""
    held.answers["/bomb"] = ok(gzip.compress(bytes(2**26), 9), b"Content-Encoding: gzip")
    get_kept(pool, held)
    bomb = pool.submit(held.url + "bomb", max_body=2**27)
    served = 0
    while not bomb.done():
        served += pool.get(held.url + "other").ok
    assert 2**26 == len(bomb.result().content)
    assert served > 1


def test_a_503_is_tried_again(pool, held, sent):
    """By a task, after its pause; attempts are counted from the first."""
    answers = iter([answer(b"", status="503 Busy"), answer(b"", status="503 Busy"), ok(b"there")])
    held.answers["/busy"] = lambda connection: connection.sendall(next(answers))
    get_kept(pool, held)
    response = pool.get(held.url + "busy", retry=AT_ONCE)
    assert (b"there", 3) == (response.content, response.attempts)
    assert [held.url + "busy"] == sent
    assert 4 == pool.stats().lanes[0].attempts


def test_a_lost_connection_is_tried_again(pool, held, sent):
    """As often as the Retry says, and once more where there is none and the server had closed."""
    held.answers["/gone"] = lambda _connection: True
    get_kept(pool, held)
    with pytest.raises(ConnectionLost) as caught:
        pool.get(held.url + "gone", retry=AT_ONCE)
    assert (3, 3) == (caught.value.attempts, held.seen.count("/gone"))
    get_kept(pool, held)
    with pytest.raises(ConnectionLost) as caught:
        pool.get(held.url + "gone")
    assert (2, 5) == (caught.value.attempts, held.seen.count("/gone"))
    assert 2 == sent.count(held.url + "gone")


def test_a_cut_body_is_said_to_be_cut(pool, held):
    """And is not tried again where there is no Retry."""
    held.answers["/cut"] = lambda connection: connection.sendall(ok(b"x" * 10)[:-5]) or True
    get_kept(pool, held)
    with pytest.raises(TruncatedBody) as caught:
        pool.get(held.url + "cut")
    assert ("body", 1) == (caught.value.stage, caught.value.attempts)


def test_redirects_are_followed_by_a_task(pool, held, sent):
    """The answer that led away is the first of the history, and its connection is used again."""
    held.answers["/a"] = answer(b"away", "Location: /b", status="302 Found")
    held.answers["/b"] = answer(b"away", "Location: /c", "Set-Cookie: a=b", status="307 Go on")
    get_kept(pool, held)
    response = pool.get(held.url + "a")
    assert ([(302, b"away"), (307, b"away")], b"/c", 1) == (
        [(each.status, each.content) for each in response.history],
        response.content,
        response.attempts,
    )
    assert (["/first", "/a", "/b", "/c"], 1) == (held.seen, held.open)
    unfollowed = pool.get(held.url + "a", allow_redirects=False)
    assert (302, b"away") == (unfollowed.status, unfollowed.content)


def test_cookies_come_and_go(held, sent):
    """A lane with cookies sends without a task what it was told without a task."""
    told = []

    def serve(connection):
        while request := read_head(connection):
            told.append(request.partition(b"Cookie: ")[2].partition(b"\r\n")[0])
            connection.sendall(ok(b"", b"Set-Cookie: n=%d" % len(told), b"Set-Cookie: always=1; Path=/"))

    with Listening(serve) as server, WorkerPool(workers=1, cookies={}) as pool:
        for _ in range(3):
            assert pool.get(server.url).ok
    assert [b"", b"n=1; always=1", b"n=2; always=1"] == told
    assert 2 == len(sent)


def test_a_function_gets_the_connection_that_a_get_has_left(held):
    """One connection is one for all: what lies idle is not in use."""

    async def fetch(session, url):
        async with session.get(url) as response:
            return await response.text()

    with WorkerPool(workers=1, connections=1) as pool, ThreadPoolExecutor(4) as threads:
        get_kept(pool, held)
        stop = threading.Event()
        streams = [threads.submit(ask_until, stop, pool, held.url) for _ in range(4)]
        for _ in range(20):
            assert "/fn" == pool.submit(fetch, held.url + "fn").result(PATIENCE)
        stop.set()
        assert all(stream.result(PATIENCE) for stream in streams)
    assert 1 == held.seen.count("/first")


def test_a_connection_that_nobody_asks_for_goes_back(held):
    """It is kept at hand for the next request for a moment only; then the connector has it, which closes what is old."""

    async def idle(session):
        while not session.connector._conns:
            await asyncio.sleep(0.01)
        return session.connector.limit

    with WorkerPool(workers=1, connections=2) as pool:
        get_kept(pool, held)
        assert pool.get(held.url + "second").ok
        assert 2 == pool.submit(idle).result(PATIENCE)
        assert pool.get(held.url + "third").ok
        assert 1 == held.open


@pytest.mark.parametrize("connections", [1, 2])
def test_hosts_in_turn_share_the_connections(connections):
    """What lies idle at one host keeps nobody from another."""
    with Held() as one, Held() as other, WorkerPool(workers=1, connections=connections) as pool:
        for _ in range(10):
            assert pool.get(one.url + "a").ok
            assert pool.get(other.url + "b").ok
        assert all(result.ok for result in pool.fetch_many([one.url + "c", other.url + "d"] * 20))


def ask_until(stop, pool, url):
    """Ask one request after the other, as long as it takes."""
    while not stop.is_set():
        assert pool.get(url + "get").ok
    return True


def test_no_more_connections_than_places_per_host(held):
    """Limits per host count what goes without a task."""
    with WorkerPool(workers=1, per_host=2, retry=None) as pool:
        get_kept(pool, held)
        jobs = [pool.submit(f"{held.url}held/{n}") for n in range(6)]
        held.until(lambda: sum(path.startswith("/held") for path in held.seen) == 2)
        assert 2 == held.open
        held.release.set()
        assert [f"/held/{n}" for n in range(6)] == [job.result(PATIENCE).text for job in jobs]
        assert 2 == held.open


def test_a_shutdown_closes_what_lies_idle(pool, held):
    """All of it, and nobody waits for anything."""
    get_kept(pool, held)
    jobs = [pool.submit(f"{held.url}held/{n}") for n in range(20)]
    for n in range(20):
        held.until_seen(f"/held/{n}")
    held.release.set()
    assert all(job.result(PATIENCE).ok for job in jobs)
    pool.shutdown()
    held.until(lambda: not held.open)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_while_requests_are_under_way(pool, held):
    """The child leaves the parent's connections alone, and the parent goes on."""
    get_kept(pool, held)
    job = pool.submit(held.url + "held")
    held.until_seen("/held")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        del pool
        os._exit(0)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    held.release.set()
    assert "/held" == job.result(PATIENCE).text
    assert "/next" == pool.get(held.url + "next").text
