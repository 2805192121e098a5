"""Many threads at the same objects at once: nothing is mixed up, lost or told twice.

On free-threaded CPython these run truly side by side; `pytest --parallel-threads=4 tests/behaviour/test_parallel.py`, with
pytest-run-parallel, lets every test meet itself as well.
"""

import sys
import sysconfig
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from itertools import chain, count
from subprocess import run as run_process

import pytest

import workerpool
from workerpool import Job, Lane, PoolClosed, Request, WorkerPool

THREADS = 8
ROUNDS = 12


@pytest.fixture(scope="module")
def common():
    """One pool for all tests of this file, and all their threads."""
    lanes = [Lane("cookies", cookies={}), Lane("hosts", per_host=4), Lane("full", queue=2, connections=2)]
    with WorkerPool(workers=2, lanes=lanes, name="common") as pool:
        yield pool


@pytest.fixture(autouse=True, scope="module")
def often():
    """Under the GIL, let the threads change places a thousand times more often than usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(usual)


def together(step):
    """Call step(n) in eight threads, which begin at once; return their results, or raise what one raised."""
    barrier = threading.Barrier(THREADS)

    def begin(n):
        barrier.wait(30)
        return step(n)

    with ThreadPoolExecutor(THREADS) as threads:
        return [*threads.map(begin, range(THREADS))]


def page(n):
    return f"fast page {n} ".ljust(1024, ".")


def test_each_way_of_asking_gets_its_own_answer(common, shared_site):
    """Verbs, futures, functions, bulk, streams and lanes side by side: each answer belongs to its question."""

    async def fetch(session, url):
        async with session.get(url) as response:
            return await response.text()

    def ask(n):
        numbers = [1000 * n + i for i in range(ROUNDS)]
        for number in numbers:
            url = shared_site.url_for(f"/fast/{number}")
            jobs = [common.submit(url), common.submit(Request("GET", url)), common.lane("hosts").submit(url)]
            function = common.submit(fetch, url)
            assert page(number) == common.get(url).text == function.result()
            assert {page(number)} == {job.result().text for job in jobs}
            with common.stream("GET", url) as answer:
                assert page(number).encode() == answer.read()
        urls = [shared_site.url_for(f"/fast/{number}") for number in numbers]
        for result in common.fetch_many(urls):
            assert page(numbers[result.index]) == result.unwrap().text

    together(ask)


def test_one_job_has_one_outcome_for_all_who_ask(common, shared_site):
    """Eight threads wait for, cancel and watch the same jobs: all are told the same, callbacks once each."""
    told = count()
    callbacks = 0

    def outcome(job):
        try:
            return job.result(30).status_code
        except CancelledError:
            return "cancelled"

    for i in range(ROUNDS):
        jobs = [common.submit(shared_site.url_for(f"/fast/{n}")) for n in range(10)]

        def watch(n, jobs=jobs, i=i):
            for job in jobs:
                job.add_done_callback(lambda _job: next(told))
            if n < 2 and i % 2:
                jobs[n].cancel()
            return [outcome(job) for job in jobs]

        seen = together(watch)
        callbacks += THREADS * len(jobs)
        assert [seen[0]] * THREADS == seen
        assert set(jobs) == {*as_completed(jobs)}
    assert common.drain(30)
    assert callbacks == next(told)


def test_one_answer_read_by_many(common, shared_site):
    """What an answer works out when it is asked for is the same for all threads."""
    for _ in range(ROUNDS):
        answer = common.post(shared_site.url_for("/echo"), json={"a": [1, 2, 3]})
        packed = common.get(shared_site.url_for("/gzip/7"))

        def read(_n, answer=answer, packed=packed):
            headers = sorted(answer.headers.items())
            return answer.json()["body"], answer.text, answer.cookies, headers, repr(answer), packed.json()

        seen = together(read)
        assert [seen[0]] * THREADS == seen
        assert {"n": 7} == seen[0][-1]


def test_one_request_sent_by_many(common, shared_site):
    """A Request is frozen: eight threads that send the same one get eight right answers."""
    request = Request("POST", shared_site.url_for("/echo"), data={"a": "b"}, headers={"X-One": "1"}, params={"q": "1"})
    seen = together(lambda _n: [common.submit(request).result().json() for _ in range(ROUNDS)])
    assert all([each[0]] * ROUNDS == each for each in seen)
    assert "a=b" == seen[0][0]["body"]


def test_one_iterator_of_results_for_many(common, shared_site):
    """Eight threads that share one fetch_many get each result once."""
    results = common.fetch_many(shared_site.url_for(f"/fast/{n}") for n in range(200))
    lock, iterator = threading.Lock(), iter(results)

    def take(_n):
        taken = []
        while True:
            with lock:
                result = next(iterator, None)
            if result is None:
                return taken
            taken.append(result.index)

    assert [*range(200)] == sorted(chain.from_iterable(together(take)))


def test_sessions_are_private(common, shared_site):
    """Browsers opened and closed at once on the same workers know their own cookies only."""

    def browse(n):
        for i in range(ROUNDS):
            with common.session() as browser:
                browser.get(shared_site.url_for(f"/cookies/set?name={n}-{i}"))
                assert {"name": f"{n}-{i}"} == browser.get(shared_site.url_for("/cookies")).json()

    together(browse)
    assert {} == common.get(shared_site.url_for("/cookies")).json()


def test_lanes_come_and_go_while_others_look():
    """Sessions are opened and closed in four threads while four others read the numbers."""
    with WorkerPool(workers=2) as pool:

        def come_and_go_or_look(n):
            for _ in range(200):
                if n % 2:
                    pool.session().close()
                else:
                    assert "open" == pool.stats().state
                    assert pool.drain(30)

        together(come_and_go_or_look)


def test_a_full_queue_lets_everybody_in_at_last(common, shared_site):
    """Threads that block on a full queue are all let in, and the room is given back."""

    def submit(n):
        jobs = [common.lane("full").submit(shared_site.url_for(f"/fast/{n}")) for _ in range(ROUNDS)]
        return [job.result().status_code for job in jobs]

    assert [[200] * ROUNDS] * THREADS == together(submit)


def test_the_numbers_add_up_whoever_reads_them(shared_site):
    """Statistics read all the while never go backwards, and are exact in the end."""
    with WorkerPool(workers=2) as pool:

        def work(n):
            last = 0
            for i in range(ROUNDS):
                job = pool.submit(shared_site.url_for(f"/fast/{n}"))
                if i % 4 == 0:
                    job.cancel()
                stats = pool.stats()
                assert last <= stats.submitted
                last = stats.submitted
            assert pool.drain(30)

        together(work)
        assert pool.drain(30)
        stats = pool.stats()
    assert THREADS * ROUNDS == stats.submitted == stats.succeeded + stats.cancelled + stats.failed
    assert (0, 0, 0) == (stats.failed, stats.queued, stats.in_flight)


def test_many_shut_one_pool_down(shared_site):
    """Submits that meet a shutdown are done or refused, and every shutdown returns."""
    for _ in range(ROUNDS):
        pool = WorkerPool(workers=2)

        def leave(n, pool=pool):
            jobs: list[Job] = []
            try:
                for i in range(20):
                    jobs.append(pool.submit(shared_site.url_for(f"/fast/{i}")))
                    if (n, i) == (0, 10):
                        pool.shutdown()
            except PoolClosed:
                pass
            pool.shutdown()
            return {job.result(0).status_code for job in jobs}

        assert all(statuses <= {200} for statuses in together(leave))


def test_the_registry_makes_one_pool():
    """Eight threads that ask for a pool of a name at once get the same one."""
    name = f"parallel-{threading.get_ident()}"
    pools = together(lambda _n: workerpool.get_pool(name))
    assert [pools[0]] * THREADS == pools
    pools[0].shutdown()


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this CPython has no free-threaded build")
def test_the_gil_stays_off():
    """Nothing that core and [speed] load switches the GIL back on, and the pool uses all cores."""
    code = (
        "import os, sys, workerpool, uvloop, isal, brotlicffi; pool = workerpool.WorkerPool();"
        "from workerpool.testing import Site; site = Site().__enter__(); pool.get(site.url_for('/gzip/1'));"
        "print(sys._is_gil_enabled(), len(pool.stats().workers) == os.cpu_count())"
    )
    done = run_process([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "False True" == done.stdout.strip(), done.stderr
