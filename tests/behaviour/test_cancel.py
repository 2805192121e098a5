"""Cancels at any moment: 10,000 of them over a few pools, and nothing is left of what was given up."""

import asyncio
import gc
import multiprocessing
import random
import socket
import threading
from collections import Counter
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from time import sleep

import psutil
import pytest

from workerpool import DeadlineExceeded, Retry, WorkerPool

PATIENCE = 120  # seconds after which something hangs; nothing is to take so long
CANCELS = 10_000
DRIVERS = 5
SEED = 20_261_123
QUICK = Retry(attempts=3, wait_initial=0.02, wait_jitter=0.01)
KINDS = ("fast", "fast", "hold", "hold", "drip", "drip", "busy", "busy", "late", "stuck")


class Answers(asyncio.Protocol):
    """One connection of the server: fast, held, dripping, late and 503 answers, and the count of open requests."""

    open = 0  # requests that are being answered, of all connections
    quiet = None  # an asyncio.Event: no request is open

    def connection_made(self, transport):
        self.transport = transport
        self.task = None

    def connection_lost(self, exc):
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data):
        _method, path, _ = data.decode().split(" ", 2)
        _, kind, nonce = path.split("/")
        self.task = asyncio.get_running_loop().create_task(self.answer(kind, nonce))

    async def answer(self, kind, nonce):
        if kind == "quiet":
            await Answers.quiet.wait()
            return self.send("200 OK", nonce)
        Answers.open += 1
        Answers.quiet.clear()
        try:
            await getattr(self, kind)(nonce)
        finally:
            Answers.open -= 1
            if Answers.open == 0:
                Answers.quiet.set()

    async def fast(self, nonce):
        self.send("200 OK", nonce)

    async def busy(self, nonce):
        self.send("503 Service Unavailable", nonce)

    async def late(self, nonce):
        await asyncio.sleep(int(nonce) % 7 / 1000)
        self.send("200 OK", nonce)

    async def hold(self, nonce):
        await asyncio.Event().wait()

    async def drip(self, nonce):
        """Send the head at once and a byte now and then; the body never comes to its end."""
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            self.transport.write(b"x")
            await asyncio.sleep(0.01)

    def send(self, status, text):
        self.transport.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


async def _serve(pipe):
    loop = asyncio.get_running_loop()
    Answers.quiet = asyncio.Event()
    Answers.quiet.set()
    stopped = asyncio.Event()
    loop.add_reader(pipe.fileno(), stopped.set)
    server = await loop.create_server(Answers, "127.0.0.1", 0, backlog=4096)
    pipe.send(server.sockets[0].getsockname()[1])
    await stopped.wait()


def _serving(pipe):
    asyncio.run(_serve(pipe))


@pytest.fixture
def far_url():
    """The server in a process of its own, so that the file descriptors here are the pools'."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serving, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    yield f"http://127.0.0.1:{ours.recv()}"
    ours.close()
    process.join(PATIENCE)
    assert 0 == process.exitcode


@contextmanager
def unconnectable():
    """Yield a URL whose connections are never made: the queue of the listener is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


class Driver:
    """Submit and cancel at random, from one thread; what comes out of each job is checked."""

    def __init__(self, number, pools, urls, nonces):
        self.dice = random.Random(SEED + number)
        self.pools = pools
        self.url, self.stuck_url = urls
        self.nonces = nonces
        self.told = Counter()  # outcomes by nonce, as the callbacks count them
        self.ends = Counter()
        self.stages = Counter()  # where the cancelled jobs were
        self.cancels = 0

    def run(self, cancels):
        while self.cancels < cancels:
            jobs = [self.submit() for _ in range(self.dice.randrange(1, 40))]
            for moment in (self.now, self.soon, self.under_way, self.anywhen):
                self.cancel_some(jobs, moment)
            for _nonce, kind, job in jobs:
                if kind in ("hold", "drip", "stuck") and not job.done():
                    self.cancel(job)
            for nonce, kind, job in jobs:
                self.check(nonce, kind, job)

    def submit(self):
        kind, nonce = self.dice.choice(KINDS), str(next(self.nonces))
        base = self.stuck_url if kind == "stuck" else self.url
        timeout = 0.05 if self.dice.random() < 0.03 else 30
        job = self.dice.choice(self.pools).submit(f"{base}/{kind}/{nonce}", timeout=timeout)
        job.add_done_callback(lambda _: self.told.update([nonce]))
        return nonce, kind, job

    def cancel_some(self, jobs, moment):
        for _nonce, _kind, job in self.dice.sample(jobs, len(jobs) // 3):
            moment(job)
            self.cancel(job)

    def cancel(self, job):
        before, stage = job.done(), job.stage
        took = job.cancel()
        assert took == job.cancelled()
        assert job.done()
        if took and not before:
            self.cancels += 1
            self.stages[stage] += 1

    def now(self, job):
        """Cancel at once: most are queued."""

    def soon(self, job):
        """Cancel after a moment, in which most get as far as a connection."""
        sleep(self.dice.random() / 2000)

    def under_way(self, job):
        """Cancel once the job has got as far as a stage chosen at random, if it does within a moment."""
        stage = self.dice.choice(("connect", "headers", "body", "retry"))
        for _ in range(20):
            if job.done() or job.stage == stage:
                return
            sleep(0.0002)

    def anywhen(self, job):
        """Cancel at a moment that has nothing to do with the job, now and then just after it finished."""
        if job.stage in ("headers", "body") and self.dice.random() < 0.2:
            try:
                job.exception(0.01)
            except (TimeoutError, CancelledError):
                return

    def check(self, nonce, kind, job):
        """Wait for the outcome: it is cancelled, an answer of the job's own, or the error that can be."""
        try:
            response = job.result(PATIENCE)
        except CancelledError:
            self.ends["cancelled"] += 1
        except DeadlineExceeded:
            self.ends["expired"] += 1
        else:
            assert nonce == response.text
            assert (503 if kind == "busy" else 200) == response.status
            self.ends["answered"] += 1


def _pools(stack):
    """Pools of every make: narrow, wide, unbounded, on asyncio's own loop, limited per host."""
    makes = (
        {"workers": 1, "connections": 6},
        {"workers": 2, "connections": 40},
        {"workers": 2, "connections": 0},
        {"workers": 2, "connections": 30, "event_loop": "asyncio"},
        {"workers": 2, "connections": 20, "per_host": 5},
    )
    return [stack.enter_context(WorkerPool(name=f"cancel-{n}", retry=QUICK, **make)) for n, make in enumerate(makes)]


def _check_pool(pool, url, nonces):
    """Nothing is in flight or queued, the counts add up, and a hundred new jobs get their own answers."""
    assert pool.drain(PATIENCE), pool
    stats = pool.stats()
    assert (0, 0) == (stats.in_flight, stats.queued)
    assert stats.submitted == stats.completed
    canaries = {nonce: pool.submit(f"{url}/fast/{nonce}") for nonce in (str(next(nonces)) for _ in range(100))}
    assert all(nonce == job.result(PATIENCE).text for nonce, job in canaries.items())
    assert (0, 0) == (pool.stats().in_flight, pool.stats().queued)


class Nonces:
    """Numbers for many threads, each once."""

    def __init__(self):
        self._lock = threading.Lock()
        self._last = 0

    def __next__(self):
        with self._lock:
            self._last += 1
            return self._last


@pytest.mark.timeout(900)  # ten seconds where nothing else runs
def test_ten_thousand_cancels_at_random_moments(far_url):
    """Each job has one outcome, the server sees every connection closed, and the next hundred jobs are as ever."""
    process, nonces = psutil.Process(), Nonces()
    with ExitStack() as stack:  # what a process opens once, with its first loops
        for pool in _pools(stack):
            _check_pool(pool, far_url, nonces)
    gc.collect()
    fds = process.num_fds()
    with ExitStack() as stack:
        stuck_url = stack.enter_context(unconnectable())
        pools = _pools(stack)
        drivers = [Driver(n, pools, (far_url, stuck_url), nonces) for n in range(DRIVERS)]
        with ThreadPoolExecutor(DRIVERS) as threads:
            list(threads.map(lambda driver: driver.run(CANCELS // DRIVERS), drivers))
        told = sum((driver.told for driver in drivers), Counter())
        assert {1} == set(told.values())
        assert len(told) == sum(driver.ends.total() for driver in drivers)
        stages = sum((driver.stages for driver in drivers), Counter())
        assert {"queued", "connect", "headers", "body", "retry"} <= set(stages), stages
        for pool in pools:
            _check_pool(pool, far_url, nonces)
        assert "done" == pools[0].get(f"{far_url}/quiet/done", timeout=PATIENCE).text
        assert CANCELS <= sum(pool.stats().cancelled for pool in pools)
    gc.collect()
    assert process.num_fds() <= fds


@pytest.mark.parametrize("loop", ["asyncio", "auto"])
def test_a_cancel_that_overtakes_the_start(site, loop):
    """A job that is cancelled from another thread just as its task is made leaves its place to the next."""
    armed = threading.Event()

    def cancel_first(work):
        canceller = threading.Thread(target=work.cancel)
        canceller.start()
        canceller.join()

    def factory():
        base = _loop_class(loop)

        class Overtaken(base):
            def create_task(self, coro, **options):
                if armed.is_set() and (jobs := coro.cr_frame.f_locals.get("work")) is not None:
                    armed.clear()
                    cancel_first(jobs)
                return super().create_task(coro, **options)

        return Overtaken()

    with WorkerPool(workers=1, connections=1, event_loop=factory) as pool:
        armed.set()
        job = pool.submit(site.url_for("/hold/1"))
        with pytest.raises(CancelledError):
            job.result(PATIENCE)
        try:
            assert pool.get(site.url_for("/fast/1"), timeout=PATIENCE).ok
            assert pool.drain(PATIENCE)  # the answer is handed out before it is counted
            assert (1, 1) == (pool.stats().cancelled, pool.stats().succeeded)
        finally:
            pool.shutdown(timeout=0.1)


def _loop_class(kind):
    from workerpool.loops import loop_factory

    loop = loop_factory(kind)()
    loop.close()
    return type(loop)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("give_up", ["cancel", "deadline"])
def test_an_upload_that_was_given_up_is_not_sent_on(loop, give_up):
    """A server that takes its time gets what was on its way, then the end, and not the rest of the body."""
    pytest.importorskip(loop)
    size = 64 * 2**20
    with socket.create_server(("127.0.0.1", 0)) as server, WorkerPool(workers=1, event_loop=loop) as pool:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        job = pool.submit(url, method="PUT", data=bytes(size), timeout=3 if give_up == "deadline" else None)
        server.settimeout(PATIENCE)
        client, _ = server.accept()
        with client:
            assert client.recv(1) == b"P"
            if give_up == "cancel":
                assert job.cancel()
            wait([job])
            assert pool.drain(PATIENCE)
            client.settimeout(PATIENCE)
            got = 0
            while data := client.recv(2**20):
                got += len(data)
        assert got < size / 2
