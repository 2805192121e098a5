"""A misbehaving server, one kind of fault at a time: what the caller gets, and that the next request is right."""

import asyncio
import importlib.util
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

import workerpool
from faults import EXPECTED, FAULTS, FaultServer
from faults.certificates import client_context
from faults.document import document
from workerpool import Request, Response, WorkerPool

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
SHORT = 0.5
LONG = 30  # for what is not to meet its deadline
SLOWER = (1, 4, 16)  # times the deadline, where this machine does not get as far as the fault within it
MAX_BODY = 2**20
# Answers that are right whatever follows; what comes later by itself may meet the next request on its way.
AT_ONCE = [kind for kind in EXPECTED if not EXPECTED[kind].errors and not kind.endswith(("-idle", "-later", "-behind"))]


@pytest.fixture(params=LOOPS)
def one_worker(request):
    """A pool whose requests share their connections as much as they can.

    Without hooks requests go a shorter way, so one of the loops has a hook, which does nothing.
    """
    lane = {"ssl": client_context(), "event_loop": request.param, "retry": None}
    if request.param == "asyncio":
        lane["trace_configs"] = [aiohttp.TraceConfig()]
    with WorkerPool(workers=1, name="tested", **lane) as pool:
        yield pool


@pytest.fixture
def serve():
    """Start servers of faults, and stop them."""
    servers = []

    def start(kind):
        fault = FAULTS[kind]
        if fault.needs:
            pytest.importorskip(fault.needs)
        servers.append(FaultServer(fault))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog):
    """Nothing that goes wrong on the wire is an error in the log: the caller has been told."""
    yield
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def outcome_of(pool, server, timeout):
    """Return the response or the error, whatever it is."""
    try:
        outcome = pool.request(server.fault.method, server.url, timeout=timeout, max_body=MAX_BODY)
    except Exception as error:
        outcome = error
    server.read.set()
    if not server.fault.spoils_port:
        server.done.wait(5)  # what comes later is to be there before the next request
    return outcome


def meet(kind, pool, serve):
    """Return a server, and what comes of asking it once, with a deadline that lets the fault happen."""
    expected = EXPECTED[kind]
    for times in SLOWER:
        server = serve(kind)
        outcome = outcome_of(pool, server, times * expected.timeout)
        if workerpool.DeadlineExceeded not in expected.errors or got_there(outcome, server, expected):
            break
    return server, outcome


def got_there(outcome, server, expected):
    """Tell whether the deadline ended what it was to end, and not something before it."""
    stage = getattr(outcome, "stage", None)
    return len(server.seen) == expected.hits and (not expected.stages or stage in expected.stages)


def assert_as_expected(outcome, expected):
    if expected.errors:
        assert isinstance(outcome, workerpool.RequestError), repr(outcome)
        assert type(outcome) in expected.errors, repr(outcome)
        assert not expected.stages or outcome.stage in expected.stages
        assert str(outcome) == str(pickle.loads(pickle.dumps(outcome)))
    else:
        assert isinstance(outcome, Response), repr(outcome)
        assert (expected.status, expected.content) == (outcome.status_code, outcome.content)
        assert isinstance(outcome.text, str)
        assert {} == dict(outcome.cookies)


def assert_next_is_right(pool, server):
    for n in range(3):
        assert b"/good/%d" % n == pool.get(server.good(n), timeout=LONG).content


@pytest.mark.parametrize("kind", FAULTS)
def test_faults(kind, one_worker, serve):
    """The caller gets what the table says, by the deadline if nothing else ends it, and the next requests are right."""
    expected = EXPECTED[kind]

    server, outcome = meet(kind, one_worker, serve)

    assert_as_expected(outcome, expected)
    assert (1, expected.hits) == (outcome.attempts, len(server.seen))
    assert one_worker.drain(LONG)
    assert 0 == one_worker.stats().in_flight
    assert_next_is_right(one_worker, server)


@pytest.mark.parametrize("kind", AT_ONCE)
def test_what_is_right_is_right_at_any_speed(kind, serve):
    """One request right behind the other, without a turn of the loop between them, get their own answers."""
    server, expected = serve(kind), EXPECTED[kind]
    requests = [Request(server.fault.method, server.url), *(Request(server.good(n)) for n in range(5))]
    with WorkerPool(workers=1, connections=1, ssl=client_context(), retry=None) as narrow:
        first, *others = narrow.fetch_many(requests, ordered=True)
    assert expected.content == first.unwrap().content
    assert [b"/good/%d" % n for n in range(5)] == [result.unwrap().content for result in others]


@pytest.mark.parametrize("loop", LOOPS)
def test_an_answer_that_waits_in_the_kernel_is_never_taken(loop, serve):
    """What is there before the next request is sent is not its answer, however busy the loop is."""
    server = serve("unasked-while-idle")

    async def be_busy(request, handler):
        if "/good/" in str(request.url):
            server.read.set()  # now the server pushes
            server.done.wait(5)
        return await handler(request)

    urls = [server.url, *(server.good(n) for n in range(3))]
    lane = {"connections": 1, "middlewares": [be_busy], "event_loop": loop, "retry": None}
    with WorkerPool(workers=1, **lane) as narrow:
        first, *others = narrow.fetch_many(urls, ordered=True)
    assert EXPECTED["unasked-while-idle"].content == first.unwrap().content
    assert [b"/good/0", b"/good/1", b"/good/2"] == [result.unwrap().content for result in others]


@pytest.mark.parametrize("kind", ["continue-endless", "empty-lines-endless", "headers-endless", "body-endless-chunked"])
def test_a_flood_does_not_stall_the_others(kind, one_worker, serve):
    """While one server floods the worker, the requests to others are answered."""
    server, other = serve(kind), serve("connection-refused")
    flooded = one_worker.submit(server.url, timeout=2 * LONG)
    for n in range(20):
        assert b"/good/%d" % n == one_worker.get(other.good(n), timeout=LONG).content
    if kind == "empty-lines-endless":  # which only a deadline ends
        assert not flooded.done()
    assert flooded.cancel() or isinstance(flooded.exception(), workerpool.RequestError)


@pytest.mark.parametrize("loop", LOOPS)
def test_no_descriptor_of_another_is_closed(loop):
    """A connection reset while it is made is closed once: the number of its descriptor may be another's by now."""
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "faults.descriptors", loop],  # a process of its own: nobody else's are to be hit
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "0\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("kind", ["stall-after-head", "chunk-size-not-a-number-later", "close-in-body"])
def test_a_stream_ends_as_a_fetch_does(kind, one_worker, serve):
    """What a reader of a stream gets is what the table says too."""
    server, expected = serve(kind), EXPECTED[kind]
    late = workerpool.DeadlineExceeded in expected.errors
    with one_worker.stream("GET", server.url, timeout=3 if late else LONG) as streamed:
        with pytest.raises(expected.errors):
            streamed.read()


def test_both_tables_have_the_same_kinds():
    """What happens and what the caller gets are told of the same kinds, and there are many."""
    assert set(EXPECTED) == set(FAULTS)
    assert len(FAULTS) >= 45


def test_the_document_is_up_to_date():
    """docs/reliability.md is what the tables say."""
    path = Path(__file__).parents[2] / "docs" / "reliability.md"
    assert document() == path.read_text(encoding="utf-8")


# What bare aiohttp does with the same server: the hazards are real.


def bare(talk):
    """Run a conversation over one session of bare aiohttp."""

    async def main():
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LONG)) as session:
            return await talk(session)

    return asyncio.run(main())


async def content_of(session, url, **options):
    async with session.get(url, **options) as response:
        return await response.read()


def test_bare_aiohttp_takes_an_unasked_answer_for_the_next(serve):
    """The answer pushed onto the idle connection goes to whoever asks next."""
    server = serve("unasked-while-idle")

    async def talk(session):
        assert EXPECTED["unasked-while-idle"].content == await content_of(session, server.url)
        server.read.set()
        server.done.wait(5)
        return await content_of(session, server.good(1))

    assert b"nobody asked for this" == bare(talk)


def test_bare_aiohttp_takes_half_a_gzip_for_success(serve):
    """Half a gzip body gives part of the data and no error."""
    server = serve("gzip-half")
    part = bare(lambda session: content_of(session, server.url))
    assert (bytes(range(256)) * 40).startswith(part)


def test_bare_aiohttp_makes_up_a_status_for_garbage(serve):
    """Garbage is told as status 400, which the server never sent."""
    server = serve("another-protocol")
    with pytest.raises(aiohttp.ClientResponseError) as caught:
        bare(lambda session: content_of(session, server.url))
    assert 400 == caught.value.status


def test_bare_aiohttp_asks_twice_in_silence(serve):
    """One GET whose connection is lost arrives twice."""
    server = serve("close-before-head")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        bare(lambda session: content_of(session, server.url))
    assert 2 == len(server.seen)


SECRETS = {"X-Api-Key": "hunter2", "Authorization": "Bearer hunter2", "Cookie": "id=hunter2"}


def test_bare_aiohttp_takes_secrets_to_another_origin(serve):
    """A key in a header of its own follows the redirect."""
    server = serve("redirect-elsewhere")
    bare(lambda session: content_of(session, server.url, headers=SECRETS))
    assert b"hunter2" in server.seen_elsewhere[0]


def test_no_secret_goes_to_another_origin(serve, one_worker):
    """The pool's redirect takes none of them along."""
    server = serve("redirect-elsewhere")
    one_worker.get(server.url, headers=SECRETS)
    assert 3 == server.seen[0].count(b"hunter2")
    assert b"hunter2" not in server.seen_elsewhere[0]


def test_bare_aiohttp_takes_a_reset_for_the_end(serve):
    """A body that only the close would end is whole to it after an RST."""
    server = serve("reset-in-body-until-close")
    assert EXPECTED["body-until-close"].content == bare(lambda session: content_of(session, server.url))


def test_bare_aiohttp_waits_for_ever_for_a_broken_chunk(serve):
    """A chunk that is none, in a later segment, ends in nothing but the time limit."""
    server = serve("chunk-size-not-a-number-later")
    limit = aiohttp.ClientTimeout(total=SHORT)
    with pytest.raises(TimeoutError):
        bare(lambda session: content_of(session, server.url, timeout=limit))


def test_bare_aiohttp_undoes_one_coding_of_two(serve):
    """Codings in two header lines are half undone, and called a success."""
    server = serve("codings-the-same-in-two-lines")
    assert bare(lambda session: content_of(session, server.url)).startswith(b"\x1f\x8b")
