"""Ctrl-C, interpreter exit, fork and signals: each in a process of its own, whose stderr stays empty."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_websocket import server  # noqa: F401  the fixture

PATIENCE = 120  # seconds after which a child hangs, a multiple of what it takes on a machine that is busy
pytestmark = pytest.mark.timeout(2 * PATIENCE)
_NO_FORK_WARNING = "import warnings; warnings.filterwarnings('ignore', '.*fork', DeprecationWarning)"

# `announce` prints "ready" once the main thread waits for a lock, so that the signal finds it there.
ANNOUNCE = """
import sys, threading, time, workerpool.bells, workerpool.handover.job, workerpool.handover.work
url = sys.argv[1]
def _is_waiting(main):
    frame = sys._current_frames()[main]
    waits = ("wait", "join", "_wait_for_tstate_lock", "_block", "_opens_by")
    files = [module.__file__ for module in (threading, workerpool.bells, workerpool.handover.job, workerpool.handover.work)]
    return frame.f_code.co_filename in files and frame.f_code.co_name in waits
def _watch(main, begun):
    begun.wait()  # else it might see the main thread wait for this one's beginning
    seen = 0
    while seen < 5:
        seen = seen + 1 if _is_waiting(main) else 0
        time.sleep(0.002)
    print("ready", flush=True)
def announce():
    begun = threading.Event()
    threading.Thread(target=_watch, args=(threading.main_thread().ident, begun), daemon=True).start()
    begun.set()
"""


@contextmanager
def started(code, *arguments):
    """Start a child that runs the code; it is killed if the test leaves it running."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as child:
        try:
            yield child
        finally:
            child.kill()


def ended(child):
    """Return exit code, output and stderr; a child that hangs fails the test."""
    try:
        out, err = child.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        pytest.fail(f"the child hangs; stdout {out!r}, stderr {err!r}")
    return child.returncode, out.strip(), err


def script(code, *arguments):
    with started(code, *arguments) as child:
        return ended(child)


def interrupted(code, *arguments):
    """Run the code, send Ctrl-C once it waits, and return how it ended."""
    with started(ANNOUNCE + code, *arguments) as child:
        if (first := child.stdout.readline().strip()) == "ready":
            child.send_signal(signal.SIGINT)
        code, out, err = ended(child)
        return code, f"{first} {out}", err


# What the main thread waits in, and the outcome that the interrupt gives to what it waited for.
CTRL_C = {
    "job.result()": "PoolClosed",
    "pool.drain()": "PoolClosed",
    "wait([job])": "PoolClosed",
    "pool.get(url)": "cancelled",
    "pool.stream('GET', url).__enter__()": "cancelled",
    "for result in pool.fetch_many([url] * 20): raise SystemExit('nothing could have answered')": "cancelled",
    "list(pool.fetch_many([url] * 20, ordered=True))": "cancelled",
    "list(pool.map(held, range(20)))": "cancelled",
}


class TestCtrlC:
    """KeyboardInterrupt comes out at once, and the pool can be closed afterwards."""

    @pytest.mark.parametrize("call", CTRL_C)
    def test_in_a_call_that_waits(self, site, call):
        """The wait ends, what a blocking call asked for is given up, other jobs are not, and shutdown is bounded."""
        code = f"""
import asyncio
from concurrent.futures import wait
async def held(session, n):
    await asyncio.sleep(60)
pool = workerpool.WorkerPool(workers=2)
job = pool.submit(url) if {CTRL_C[call] != "cancelled"} else None
announce()
try:
    {call}
except KeyboardInterrupt:
    if job is None:
        assert pool.drain({PATIENCE // 2})
        assert pool.stats().cancelled == pool.stats().submitted > 0
        print("cancelled")
    else:
        assert not job.done()
        pool.shutdown(timeout=0.1)
        print(type(job.exception(0)).__name__)
    pool.shutdown(timeout=5)
"""
        assert (0, f"ready {CTRL_C[call]}", "") == interrupted(code, site.url_for("/hold/1"))
        site.wait_in_flight(0)

    def test_in_a_with_block_that_waits(self, site):
        """The end of a with block lets go; the jobs go on until shutdown(timeout=) stops them."""
        code = """
try:
    with workerpool.WorkerPool(workers=2) as pool:
        jobs = [pool.submit(url) for _ in range(4)]
        announce()
except KeyboardInterrupt:
    assert not any(job.done() for job in jobs)
    pool.shutdown(timeout=0.1)
    print(*{type(job.exception(10)).__name__ for job in jobs})
    assert not any("workerpool" in thread.name for thread in threading.enumerate())
"""
        assert (0, "ready PoolClosed", "") == interrupted(code, site.url_for("/hold/1"))
        site.wait_in_flight(0)

    def test_in_a_with_block_and_out_of_the_program(self, site):
        """An interrupted program that does nothing more ends by the interrupt, with one traceback."""
        code = """
with workerpool.WorkerPool(workers=2) as pool:
    pool.submit(url)
    announce()
"""
        status, out, err = interrupted(code, site.url_for("/hold/1"))
        assert (-signal.SIGINT, "ready ") == (status, out)
        assert 1 == err.count("Traceback")
        assert err.endswith("KeyboardInterrupt\n")
        site.wait_in_flight(0)

    def test_in_shutdown_twice(self, site):
        """Each shutdown can be interrupted, and the last one is bounded and does its work."""
        code = """
pool = workerpool.WorkerPool()
job = pool.submit(url)
announce()
try:
    pool.shutdown()
except KeyboardInterrupt:
    print("interrupted", flush=True)
announce()
try:
    pool.shutdown(timeout=30)
except KeyboardInterrupt:
    pool.shutdown(timeout=0.1)
    print(type(job.exception(10)).__name__)
"""
        with started(ANNOUNCE + code, site.url_for("/hold/1")) as child:
            for expected in ("ready", "interrupted", "ready"):
                assert expected == child.stdout.readline().strip()
                if expected == "ready":
                    child.send_signal(signal.SIGINT)
            assert (0, "PoolClosed", "") == ended(child)


# A program by what it shows, with its exit code and output.
EXITS = {
    "the main thread returns": ("", 0, "True"),
    "sys.exit keeps its code": ("sys.exit(7)", 7, "True"),
    "sys.exit in a thread": (
        "t = threading.Thread(target=lambda: (pool.submit(held), sys.exit(3))); t.start(); t.join()", 0, "True"
    ),
    "sessions and idle connections, never closed": (
        "pool.lane('other').get(fast); session = pool.session(); session.get(fast)", 0, "True"
    ),
    "atexit after the import may use the pool": (
        # Both pools are open by then: 3.12 lets no thread be started in such a handler.
        "workerpool.get(fast); atexit.register(lambda: print(pool.lane('other').get(fast).status, workerpool.get(fast).status))",
        0, "200 200\nTrue",
    ),
    "atexit before the import finds it closed": ("last_words.append(lambda: pool.get(fast))", 0, "True\nPoolClosed"),
    "a function that does not let go of its loop": (
        "async def stuck(session): began.set(); threading.Event().wait()\n"
        "began = threading.Event(); jobs.append(pool.lane('other').submit(stuck)); began.wait()", 0, "True"
    ),
    "get_pool() in such a handler answers, or Python refuses a new thread": (
        "def late():\n with contextlib.suppress(RuntimeError): workerpool.get(fast)\nlast_words.append(late)", 0, "True"
    ),
}  # fmt: skip
PENDING = """
import atexit, contextlib, sys
last_words = []
@atexit.register  # before the import, so that it runs after the pool's own
def too_late():
    print(all(job.done() for job in jobs))
    for words in last_words:
        try:
            words()
        except RuntimeError as exc:
            print(type(exc).__name__)

import threading, workerpool
held, fast, *_ = *sys.argv[1:], None
pool = workerpool.WorkerPool(workers=2, connections=3, lanes=[workerpool.Lane("other")])
jobs = [pool.submit(held) for _ in range(20)]
"""


class TestInterpreterExit:
    """Whatever is under way at exit, it is quick and says nothing."""

    def test_an_unhandled_exception_is_all_that_is_said(self, site):
        """stderr holds the traceback of the error and nothing else."""
        status, out, err = script(PENDING + "raise LookupError('mine')", site.url_for("/hold/1"))
        assert (1, "True") == (status, out)
        first, *_, last = err.splitlines()
        assert ("Traceback (most recent call last):", "LookupError: mine") == (first, last)
        assert len(err.splitlines()) <= 4

    @pytest.mark.parametrize("how", EXITS)
    def test_an_exit(self, site, how):
        """The exit code is the program's own, whatever is under way."""
        code, *expected = EXITS[how]
        assert (*expected, "") == script(PENDING + code, site.url_for("/hold/1"), site.url_for("/fast/1"))
        site.wait_in_flight(0)

    @pytest.mark.parametrize(
        ("call", "requests"),
        [
            ("pool.get(url)", 8),
            ("pool.submit(url).result()", 8),
            ("list(pool.fetch_many([url] * 9))", 72),
            ("get()", 8),
        ],
    )
    def test_daemon_threads_that_wait(self, site, call, requests):
        """Daemon threads blocked in the pool neither hold up the exit nor print what they are told then."""
        code = f"""
import contextlib, sys, threading, workerpool
url = sys.argv[1]
pool = workerpool.WorkerPool(workers=2)
def get():
    with contextlib.suppress(workerpool.PoolClosed):
        pool.get(url)
for _ in range(8):
    threading.Thread(target=lambda: {call}, daemon=True).start()
sys.stdin.read()
print("ends")
"""
        with started(code, site.url_for("/hold/1")) as child:
            site.wait_in_flight(requests)
            assert (0, "ends", "") == ended(child)

    def test_sigterm_ends_the_process_at_once(self, site):
        """The default SIGTERM is the system's own: no handler of the pool's is in its way."""
        with started(PENDING + "print('ready', flush=True)\njobs[0].result()", site.url_for("/hold/1")) as child:
            assert "ready" == child.stdout.readline().strip()
            child.send_signal(signal.SIGTERM)
            assert (-signal.SIGTERM, "", "") == ended(child)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
class TestFork:
    """A forked child has pools of its own, and its parent is not disturbed."""

    PREFORK = f"""
{_NO_FORK_WARNING}
import faulthandler, gc, os, sys, threading, workerpool
url = sys.argv[1]
def exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""

    @pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)"])
    @pytest.mark.parametrize("warm", [True, False])
    def test_prefork(self, shared_site, leave, warm):
        """Children forked from a parent with a pool work, exit cleanly, and leave the parent's pool alone."""
        code = f"""
if {warm}:
    assert workerpool.get(url).ok
children = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        assert workerpool.get(url).ok
        assert all(result.ok for result in workerpool.get_pool().fetch_many([url] * 20))
        gc.collect()
        {leave}
    children.append(pid)
    assert workerpool.get(url).ok
assert [0] * 4 == [exit_code(pid) for pid in children]
for _ in range(20):
    assert workerpool.get(url, timeout={PATIENCE}).attempts == 1
print("all", workerpool.get_pool().stats().failed)
"""
        assert (0, "all 0", "") == script(self.PREFORK + code, shared_site.url_for("/fast/1"))

    @pytest.mark.parametrize("loop", ["auto", "asyncio"])
    def test_a_child_that_has_nothing_to_do_with_it(self, shared_site, loop):
        """A child of a parent whose pool was used exits with the code that it gives, without using a pool."""
        code = f"""
pool = workerpool.WorkerPool(event_loop="{loop}")
assert pool.get(url).ok
pid = os.fork()
if pid == 0:
    sys.exit(5)
print(exit_code(pid))
assert pool.get(url).ok
"""
        assert (0, "5", "") == script(self.PREFORK + code, shared_site.url_for("/fast/1"))

    def test_jobs_in_flight_stay_the_parents(self, site):
        """A fork with jobs in flight: the child forgets them, the parent gets its answers."""
        code = """
pool = workerpool.get_pool()
jobs = [pool.submit(url) for _ in range(10)]
results = pool.fetch_many([url] * 10)
sys.stdin.readline()
pid = os.fork()
if pid == 0:
    del pool, jobs, results
    gc.collect()
    os._exit(0)
assert exit_code(pid) == 0
print("forked", flush=True)
assert all(job.result().ok for job in jobs)
print(sum(result.ok for result in results))
"""
        with started(self.PREFORK + code, site.url_for("/hold/1")) as child:
            site.wait_in_flight(10)
            child.stdin.write("\n")
            child.stdin.flush()
            assert "forked" == child.stdout.readline().strip()
            site.release()
            assert (0, "10", "") == ended(child)

    @pytest.mark.parametrize(
        "wait",
        ["job.result()", "raise_(job.exception())", "pool.drain()", "list(results)", "held.read()", "session.get(url)"],
    )
    def test_a_child_does_not_wait_for_threads_that_stayed_behind(self, site, wait):
        """What only the parent's threads could answer raises ForkedPool in the child instead of hanging."""
        code = f"""
pool = workerpool.WorkerPool()
session = pool.session()
job = pool.submit(url)
results = pool.fetch_many([url] * 3)
results._refill()
held = (stream := pool.stream("GET", sys.argv[2], timeout=None)).__enter__()
def raise_(error):
    raise error
pid = os.fork()
if pid == 0:
    import signal
    signal.alarm({PATIENCE // 2})
    try:
        {wait}
    except workerpool.ForkedPool:
        os._exit(0)
    finally:
        os._exit(3)
print(exit_code(pid))
"""
        urls = site.url_for("/hold/1"), site.url_for("/large/100000")
        assert (0, "0", "") == script(self.PREFORK + code, *urls)

    @pytest.mark.parametrize("first", ["workerpool.get_pool()", "pass"], ids=["warm", "cold"])
    @pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)"])
    def test_a_fork_in_the_middle_of_submits(self, shared_site, leave, first):
        """Locks that other threads hold at the moment of the fork stop neither the child nor its exit."""
        code = f"""
{first}
stop = threading.Event()
def submit_all_the_time():
    pool = workerpool.get_pool()
    while not stop.is_set():
        jobs = [pool.submit(url) for _ in range(20)]
        jobs[0].cancel()
        for job in jobs[1:]:
            job.result()
threads = [threading.Thread(target=submit_all_the_time) for _ in range(4)]
for thread in threads:
    thread.start()
try:
    for _ in range(15):
        pid = os.fork()
        if pid == 0:
            faulthandler.dump_traceback_later({PATIENCE // 2}, exit=True)
            assert workerpool.get(url).ok
            gc.collect()
            {leave}
        assert exit_code(pid) == 0
finally:
    stop.set()
    for thread in threads:
        thread.join()
assert workerpool.get(url).ok
"""
        assert (0, "", "") == script(self.PREFORK + code, shared_site.url_for("/fast/1"))

    @pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
    def test_a_first_call_imports_nothing_that_a_fork_could_cut(self, shared_site, loop):
        """What is not imported with the library is loaded under the lock that a fork waits for.

        The child of a fork amid an import has the module's lock for ever, and its first call would wait for it.
        """
        code = f"""
import workerpool.loading
unguarded = []
def look(event, arguments):
    if event == "import" and arguments[0] not in sys.modules and not workerpool.loading._loading._is_owned():
        unguarded.append(arguments[0])
sys.addaudithook(look)
with workerpool.WorkerPool(workers=2, event_loop="{loop}") as pool:
    assert pool.get(url).ok
    pool.post(url.replace("127.0.0.1", "LOCALHOST"), json=[1])
    assert all(result.ok for result in pool.fetch_many([url] * 5))
    with pool.stream("GET", url) as response:
        response.read()
print(*unguarded)
"""
        assert (0, "", "") == script(self.PREFORK + code, shared_site.url_for("/fast/1"))

    @pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)"])
    def test_a_fork_while_a_queue_is_locked(self, shared_site, leave):
        """A child leaves the locks of its parent's pool alone, also where it exits."""
        code = f"""
class Slow(workerpool.Request):
    @property
    def priority(self):  # asked for while the queue is locked
        inside.set()
        forked.wait()
        return 0
inside, forked = threading.Event(), threading.Event()
pool = workerpool.WorkerPool(event_loop="asyncio")
thread = threading.Thread(target=lambda: pool.submit(Slow(url)).result())
thread.start()
inside.wait()
pid = os.fork()
if pid == 0:
    faulthandler.dump_traceback_later({PATIENCE // 2}, exit=True)
    assert workerpool.get(url).ok
    {leave}
forked.set()
assert exit_code(pid) == 0
thread.join()
"""
        assert (0, "", "") == script(self.PREFORK + code, shared_site.url_for("/fast/1"))

    def test_a_child_closes_nothing_of_its_parents(self, site, server):  # noqa: F811
        """WebSockets and streams: closed in a child, also at the end of their blocks, they go on in the parent."""
        code = f"""
from workerpool.caller import websocket
websocket.GOODBYE = {PATIENCE}  # seconds that the child is not to wait
pool = workerpool.WorkerPool()
def hold():
    with socket._link.outgoing._lock, stream._chunks._lock, stream._left._lock:
        inside.set()
        forked.wait()
inside, forked = threading.Event(), threading.Event()
with pool.stream("GET", url, timeout=None) as stream, pool.websocket(sys.argv[2]) as socket:
    threading.Thread(target=hold).start()
    inside.wait()
    if (pid := os.fork()) == 0:
        import signal
        signal.alarm({PATIENCE // 2})
    else:
        forked.set()
        assert exit_code(pid) == 0
        websocket.GOODBYE = 3
        socket.send("still here", timeout={PATIENCE})
        print(socket.recv({PATIENCE}), len(stream.read()))
if pid == 0:
    os._exit(0)
"""
        urls = site.url_for("/large/10000"), server
        assert (0, "still here 10240000", "") == script(self.PREFORK + code, *urls)

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_multiprocessing(self, shared_site, tmp_path, method):
        """Processes of multiprocessing use get_pool() of their own beside the parent's."""
        code = f"""
import multiprocessing, sys, workerpool
{_NO_FORK_WARNING}
def fetch(url):
    return workerpool.get(url).status

if __name__ == "__main__":
    url = sys.argv[1]
    assert fetch(url) == 200
    context = multiprocessing.get_context("{method}")
    with context.Pool(3) as processes:
        print(processes.map(fetch, [url] * 9))
        processes.close()
        processes.join()
    assert fetch(url) == 200
"""
        path = tmp_path / "program.py"
        path.write_text(code)
        command = [sys.executable, "-W", "error", str(path), shared_site.url_for("/fast/1")]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=env)
        assert (0, f"{[200] * 9}\n", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_that_a_job_forks_has_pools_of_its_own(shared_site):
    """The thread that lives on in it is nobody's worker; blocking calls are no longer refused there."""
    code = f"""
{_NO_FORK_WARNING}
import multiprocessing, sys, workerpool
url = sys.argv[1]
def child():
    assert workerpool.get(url).ok
    workerpool.get_pool().shutdown()
async def job(session):
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join({PATIENCE})
    return process.exitcode
with workerpool.WorkerPool(workers=1, slow_callback=None) as pool:
    print(pool.submit(job).result())
"""
    assert (0, "0", "") == script(code, shared_site.url_for("/fast/1"))


def test_a_pool_says_so_where_gevent_has_patched_the_threads():
    """A call would wait for ever there."""
    code = """
import sys, types
monkey = types.ModuleType("gevent.monkey")
monkey.is_module_patched = lambda name: name == "threading"
sys.modules["gevent.monkey"] = monkey
import workerpool
try:
    workerpool.WorkerPool()
except workerpool.WorkerPoolError as error:
    print("gthread" in str(error))
"""
    assert (0, "True", "") == script(code)
