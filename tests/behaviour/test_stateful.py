"""Random interleavings of everything that a pool can be asked, against a server that keeps the books."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import CancelledError
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from workerpool import (
    ConnectionLost,
    DeadlineExceeded,
    Lane,
    PoolClosed,
    Request,
    Retry,
    WorkerLost,
    WorkerPool,
    WorkerPoolError,
)

PATIENCE = 60
WAIT = 10  # seconds after which something hangs
QUICK = Retry(attempts=3, wait_initial=0.002, wait_jitter=0)
CONNECTIONS = {"default": 5, "narrow": 2}
STATUSES = {"ok": 200, "slow": 200, "flaky": 200, "busy": 503, "held": 200}
KINDS = st.sampled_from([*STATUSES, "dropped"])
LANES = st.sampled_from(list(CONNECTIONS))


class Books:
    """A server on a thread of its own; `hits` by nonce and `most` in flight by lane are its books."""

    def __init__(self):
        self.hits = Counter()
        self.most = Counter()
        self.in_flight = Counter()
        self.connections = 0
        self.url = ""
        self._changed = threading.Condition()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="books", daemon=True)

    def __enter__(self):
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *exc_info):
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(WAIT)

    def open_doors(self):
        """Answer what is held, and hold nothing until the doors are shut."""
        self._loop.call_soon_threadsafe(self.doors.set)

    def shut_doors(self):
        self._loop.call_soon_threadsafe(self.doors.clear)

    def wait_until_left(self):
        """Block until no connection is open."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self.connections, WAIT), f"{self.connections} connections left"

    def move(self, step):
        with self._changed:
            self.connections += step
            self._changed.notify_all()

    async def _serve(self):
        self._loop, self.doors, self._stopped = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        server = await self._loop.create_server(lambda: Visit(self), "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        await self._stopped.wait()
        server.close()
        await server.wait_closed()


class Visit(asyncio.Protocol):
    """One connection to the server."""

    def __init__(self, books):
        self.books = books
        self.task = None

    def connection_made(self, transport):
        self.transport = transport
        self.books.move(+1)

    def connection_lost(self, exc):
        self.books.move(-1)
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data):
        _, kind, lane, nonce = data.decode().split(" ", 2)[1].split("/")
        self.books.hits[nonce] += 1
        self.task = asyncio.get_running_loop().create_task(self.answer(kind, lane, nonce))

    async def answer(self, kind, lane, nonce):
        for _ in range(4):  # connections that were closed before this request came are noticed first
            await asyncio.sleep(0)
        books = self.books
        books.in_flight[lane] += 1
        books.most[lane] = max(books.most[lane], books.in_flight[lane])
        try:
            if kind == "held":
                await books.doors.wait()
            elif kind == "slow":
                await asyncio.sleep(0.01)
        finally:
            books.in_flight[lane] -= 1
        if kind == "dropped":
            self.transport.close()
        else:
            passing = kind == "flaky" and books.hits[nonce] == 1
            self.send(503 if passing else STATUSES[kind], nonce)

    def send(self, status, text):
        self.transport.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


class Asked:
    """One job with what is known of it."""

    def __init__(self, job, kind, nonce, *, session=None):
        self.job, self.kind, self.nonce, self.session = job, kind, nonce, session
        self.outcomes = 0
        self.told = threading.Event()
        self.may_stop = False  # something else than its own course may have ended it
        job.add_done_callback(self._count)

    def _count(self, _):
        self.outcomes += 1
        self.told.set()

    def check(self, books):
        """The job has one outcome, and it is one that its course allows."""
        assert self.job.done()
        assert self.told.wait(PATIENCE)  # callbacks are called by whoever decides, after the waiters were woken
        assert 1 == self.outcomes
        if self.job.cancelled():
            assert self.may_stop
            return
        error = self.job.exception(0)
        if isinstance(error, (PoolClosed, DeadlineExceeded)):
            assert self.may_stop
        elif self.kind in ("returns", "raises", "leaves"):
            assert {"returns": type(None), "raises": LookupError, "leaves": WorkerLost}[self.kind] is type(error)
            assert error is not None or self.nonce == self.job.result()
        else:
            self._check_answer(error, books.hits[self.nonce])

    def _check_answer(self, error, hits):
        assert hits == self.job.attempts
        usual = {"busy": QUICK.attempts, "dropped": QUICK.attempts, "flaky": 2}.get(self.kind, 1)
        # A retry that would come after the deadline is not made, nor one that the lane's budget does not grant.
        assert 1 <= hits <= usual
        if self.kind == "dropped":
            assert isinstance(error, ConnectionLost)
            assert hits == error.attempts
            return
        response = self.job.result()
        status = 503 if self.kind == "flaky" and hits == 1 else STATUSES[self.kind]
        assert (self.nonce, status, hits) == (response.text, response.status, response.attempts)


async def returns(session, value):
    return value


async def raises(session, value):
    raise LookupError(value)


async def leaves(session, value):
    raise SystemExit(value)


class PoolMachine(RuleBasedStateMachine):
    """Ask one pool for one thing after the other."""

    books: Books
    nonces = count()

    @initialize(workers=st.integers(1, 3), ending=st.sampled_from(["wait", "cancel queued", "time out", "leave"]))
    def open(self, workers, ending):
        self.books.shut_doors()
        lanes = [Lane("narrow", connections=CONNECTIONS["narrow"], retry=QUICK)]
        connections = CONNECTIONS["default"]
        self.pool = WorkerPool(workers=workers, lanes=lanes, connections=connections, retry=QUICK, name="stateful")
        self.ending = ending
        self.run = next(self.nonces)  # distinguishes this pool's lanes in the books
        self.asked = []
        self.sessions = []

    def url(self, kind, lane, nonce):
        return f"{self.books.url}/{kind}/{lane}-{self.run}/{nonce}"

    def ask(self, client, kind, lane, session=None, **options):
        nonce = str(next(self.nonces))
        asked = Asked(client.submit(self.url(kind, lane, nonce), **options), kind, nonce, session=session)
        self.asked.append(asked)
        return asked

    @rule(kind=KINDS, lane=LANES, priority=st.integers(-1, 1))
    def submit(self, kind, lane, priority):
        self.ask(self.pool.lane(lane), kind, lane, priority=priority)

    @rule(kind=KINDS, lane=LANES, timeout=st.sampled_from([0.001, 0.01, 0.03]))
    def submit_with_a_short_timeout(self, kind, lane, timeout):
        self.ask(self.pool.lane(lane), kind, lane, timeout=timeout).may_stop = True

    @rule(lane=LANES, function=st.sampled_from([returns, raises, leaves]))
    def submit_a_function(self, lane, function):
        nonce = str(next(self.nonces))
        job = self.pool.lane(lane).submit(function, nonce)
        self.asked.append(Asked(job, function.__name__, nonce))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def cancel(self, data):
        asked = data.draw(st.sampled_from(self.asked[-8:]))
        asked.may_stop = True
        assert asked.job.cancel() == asked.job.cancelled()
        assert asked.job.done()

    @rule()
    def release(self):
        self.books.open_doors()
        self.books.shut_doors()

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def wait_for_one(self, data):
        asked = data.draw(st.sampled_from(self.asked))
        self.books.open_doors()
        try:
            asked.job.exception(WAIT)
        except CancelledError:
            assert asked.may_stop
        self.books.shut_doors()
        asked.check(self.books)

    @rule(kinds=st.lists(KINDS.filter("held".__ne__), min_size=1, max_size=8), lane=LANES,
          ordered=st.booleans(), buffersize=st.integers(1, 9), leave_after=st.integers(1, 9))  # fmt: skip
    def fetch_many(self, kinds, lane, ordered, buffersize, leave_after):
        self.books.open_doors()
        nonces = [str(next(self.nonces)) for _ in kinds]
        inputs = [Request(self.url(*each)) for each in zip(kinds, [lane] * len(kinds), nonces, strict=True)]
        seen = []
        for result in self.pool.lane(lane).fetch_many(inputs, ordered=ordered, buffersize=buffersize):
            seen.append(result.index)
            self.check_result(result, kinds[result.index], nonces[result.index])
            if len(seen) == leave_after:
                break
        assert min(leave_after, len(kinds)) == len(set(seen)) == len(seen)
        assert not ordered or seen == sorted(seen)
        self.books.shut_doors()

    def check_result(self, result, kind, nonce):
        if kind == "dropped":
            assert isinstance(result.error, ConnectionLost)
            assert self.books.hits[nonce] == result.error.attempts <= QUICK.attempts
        else:
            response = result.unwrap()
            status = 503 if kind == "flaky" and response.attempts == 1 else STATUSES[kind]
            assert (nonce, status) == (response.text, response.status)
            assert self.books.hits[nonce] == response.attempts

    @precondition(lambda self: len(self.sessions) < 3)
    @rule()
    def open_a_session(self):
        self.sessions.append(self.pool.session(connections=2))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), kinds=st.lists(KINDS, min_size=1, max_size=5))
    def submit_to_a_session(self, data, kinds):
        session = data.draw(st.sampled_from(self.sessions))
        for kind in kinds:
            self.ask(session, kind, session.name, session)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def close_a_session(self, data):
        session = self.sessions.pop(data.draw(st.integers(0, len(self.sessions) - 1)))
        mine = [asked for asked in self.asked if asked.session is session]
        for asked in mine:
            asked.may_stop = True
        session.close()
        for asked in mine:
            asked.check(self.books)
        with pytest.raises((PoolClosed, WorkerPoolError)):
            session.submit(self.books.url)

    @rule()
    def drain(self):
        self.books.open_doors()
        assert self.pool.drain(WAIT), self.pool
        self.books.shut_doors()
        for asked in self.asked:
            asked.check(self.books)
        self.check_stats()

    def check_stats(self):
        """Nothing is under way, and each job is in one count."""
        stats = self.pool.stats()
        assert (0, 0) == (stats.in_flight, stats.queued)
        assert stats.submitted == stats.succeeded + stats.failed + stats.cancelled

    def teardown(self):
        if not hasattr(self, "pool"):
            return
        self.shut_down()
        for asked in self.asked:
            asked.check(self.books)
        self.check_stats()
        assert not any(thread.name.startswith("stateful-") for thread in threading.enumerate())
        self.books.wait_until_left()
        for lane, connections in CONNECTIONS.items():
            assert self.books.most[f"{lane}-{self.run}"] <= connections
        assert all(most <= 2 for lane, most in self.books.most.items() if lane.startswith("session"))
        with pytest.raises(PoolClosed):
            self.pool.submit(self.books.url)

    def shut_down(self):
        if self.ending == "wait":
            self.books.open_doors()
            self.pool.shutdown()
            return
        for asked in self.asked:
            asked.may_stop = True
        if self.ending == "cancel queued":
            self.pool.shutdown(wait=False, cancel_futures=True)
            self.books.open_doors()
        elif self.ending == "leave":
            self.pool.shutdown(wait=False)
        self.pool.shutdown(timeout=WAIT if self.ending == "cancel queued" else 0.01)


def test_a_pool_keeps_its_promises_in_any_order():
    """Whatever is asked in whatever order: one outcome per job, its own body, exact counts, kept limits."""
    bounds = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # add Phase.shrink for a short example: it takes longer than a test may
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with Books() as books:
        PoolMachine.books = books
        run_state_machine_as_test(PoolMachine, settings=bounds)
