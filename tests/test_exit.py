"""Ctrl-C, interpreter exit, fork and signals: each in a process of its own, whose stderr stays empty."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 40  # seconds after which a child hangs
_NO_FORK_WARNING = """
import warnings
warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork.*")
"""

# `announce` prints "ready" once the main thread waits in threading.py, so that the signal finds it there.
ANNOUNCE = """
import sys, threading, time, workerpool

def _is_waiting(main):
    frame = sys._current_frames()[main]
    waits = ("wait", "join", "_wait_for_tstate_lock")
    return frame.f_code.co_filename == threading.__file__ and frame.f_code.co_name in waits

def _watch(main):
    seen = 0
    while seen < 5:
        seen = seen + 1 if _is_waiting(main) else 0
        time.sleep(0.002)
    print("ready", flush=True)

def announce():
    threading.Thread(target=_watch, args=(threading.main_thread().ident,), daemon=True).start()

url = sys.argv[1]
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
        first = child.stdout.readline().strip()
        if first == "ready":
            child.send_signal(signal.SIGINT)
        code, out, err = ended(child)
        return code, f"{first} {out}", err


class TestCtrlC:
    """KeyboardInterrupt comes out at once, and the pool can be closed afterwards."""

    def test_in_result(self, site):
        """The wait ends; the job is still the caller's to cancel, and shutdown is bounded."""
        code = """
pool = workerpool.WorkerPool(workers=2)
job = pool.submit(url)
announce()
try:
    job.result()
except KeyboardInterrupt:
    assert not job.done()
    assert job.cancel()
    pool.shutdown(timeout=5)
    print("interrupted", pool.stats().in_flight, pool.stats().cancelled)
"""
        assert (0, "ready interrupted 0 1", "") == interrupted(code, site.url_for("/hold/1"))
        site.wait_in_flight(0)

    def test_in_result_and_a_shutdown_with_a_timeout(self, site):
        """A job that nobody cancels gets PoolClosed from the bounded shutdown."""
        code = """
pool = workerpool.WorkerPool(workers=2)
job = pool.submit(url)
announce()
try:
    job.result()
except KeyboardInterrupt:
    pool.shutdown(timeout=0.1)
    print(type(job.exception(0)).__name__)
"""
        assert (0, "ready PoolClosed", "") == interrupted(code, site.url_for("/hold/1"))

    def test_in_get(self, site):
        """A blocking call that is interrupted takes its request along."""
        code = """
pool = workerpool.WorkerPool()
announce()
try:
    pool.get(url)
except KeyboardInterrupt:
    assert pool.drain(10)
    print("interrupted", pool.stats().cancelled)
    pool.shutdown(timeout=5)
"""
        assert (0, "ready interrupted 1", "") == interrupted(code, site.url_for("/hold/1"))
        site.wait_in_flight(0)

    @pytest.mark.parametrize("how", ["ordered=True", "ordered=False"])
    def test_in_fetch_many(self, site, how):
        """A loop that is interrupted cancels everything in flight."""
        code = f"""
pool = workerpool.WorkerPool(workers=2)
announce()
try:
    for result in pool.fetch_many([url] * 20, {how}):
        raise SystemExit("nothing could have answered")
except KeyboardInterrupt:
    assert pool.drain(10)
    print("interrupted", pool.stats().cancelled)
    pool.shutdown(timeout=5)
"""
        assert (0, "ready interrupted 20", "") == interrupted(code, site.url_for("/hold/1"))
        site.wait_in_flight(0)

    def test_in_the_body_of_a_stream(self, site):
        """A reader that is interrupted closes the download."""
        code = """
pool = workerpool.WorkerPool()
try:
    with pool.stream("GET", url, timeout=None) as response:
        with pool.stream("GET", sys.argv[2]) as held:
            raise SystemExit("nothing could have answered")
except workerpool.DeadlineExceeded:
    raise SystemExit("no")
except KeyboardInterrupt:
    assert pool.drain(10)
    pool.shutdown(timeout=5)
    print("interrupted")
"""
        code = code.replace("\ntry:", "\nannounce()\ntry:", 1)
        urls = site.url_for("/large/100000"), site.url_for("/hold/1")
        assert (0, "ready interrupted", "") == interrupted(code, *urls)
        site.wait_in_flight(0)

    def test_in_a_with_block_that_waits(self, site):
        """The end of a with block lets go; the jobs go on until shutdown(timeout=) stops them."""
        code = """
announce()
try:
    with workerpool.WorkerPool(workers=2) as pool:
        jobs = [pool.submit(url) for _ in range(4)]
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
announce()
with workerpool.WorkerPool(workers=2) as pool:
    pool.submit(url)
"""
        status, out, err = interrupted(code, site.url_for("/hold/1"))
        assert (-signal.SIGINT, "ready ") == (status, out)
        assert 1 == err.count("Traceback")
        assert err.endswith("KeyboardInterrupt\n")
        site.wait_in_flight(0)

    def test_in_drain(self, site):
        """drain lets go and cancels nothing."""
        code = """
pool = workerpool.WorkerPool(workers=2)
job = pool.submit(url)
announce()
try:
    pool.drain()
except KeyboardInterrupt:
    assert not job.done()
    pool.shutdown(timeout=0.1)
    print(type(job.exception(0)).__name__)
"""
        assert (0, "ready PoolClosed", "") == interrupted(code, site.url_for("/hold/1"))
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


class TestInterpreterExit:
    """Whatever is under way at exit, it is quick and says nothing."""

    PENDING = """
import sys, threading, workerpool
pool = workerpool.WorkerPool(workers=2, connections=3)
jobs = [pool.submit(sys.argv[1]) for _ in range(20)]
"""

    def test_a_thread_leaves_with_sys_exit(self, site):
        """sys.exit in a thread ends that thread only; the pool is closed at the program's end."""
        code = """
thread = threading.Thread(target=lambda: (pool.submit(sys.argv[1]), sys.exit(3)))
thread.start()
thread.join()
print("ends")
"""
        assert (0, "ends", "") == script(self.PENDING + code, site.url_for("/hold/1"))

    def test_sys_exit_keeps_its_code(self, site):
        """sys.exit with jobs pending gives the code that was asked for."""
        assert (7, "", "") == script(self.PENDING + "sys.exit(7)", site.url_for("/hold/1"))

    def test_an_unhandled_exception_is_all_that_is_said(self, site):
        """stderr holds the traceback of the error and nothing else."""
        status, out, err = script(self.PENDING + "raise LookupError('mine')", site.url_for("/hold/1"))
        assert (1, "") == (status, out)
        first, *_, last = err.splitlines()
        assert ("Traceback (most recent call last):", "LookupError: mine") == (first, last)
        assert 1 == err.count("Traceback")
        assert len(err.splitlines()) <= 4

    def test_a_pool_that_was_used_and_never_closed(self, shared_site):
        """A pool with idle connections is closed without a word."""
        code = """
import sys, workerpool
pool = workerpool.WorkerPool(workers=3)
assert all(result.ok for result in pool.fetch_many([sys.argv[1]] * 50))
session = pool.session()
assert session.get(sys.argv[1]).ok
"""
        assert (0, "", "") == script(code, shared_site.url_for("/fast/1"))

    def test_callers_learn_the_outcome(self, site):
        """Every pending job has an outcome by the end, and callbacks have run."""
        code = """
import atexit, sys
told = []
def report():
    print(len(told), all(job.done() for job in told))
atexit.register(report)  # before the import, so that it runs after the pool's own
import workerpool
pool = workerpool.WorkerPool(workers=2, connections=3)
for _ in range(20):
    pool.submit(sys.argv[1]).add_done_callback(told.append)
"""
        assert (0, "20 True", "") == script(code, site.url_for("/hold/1"))

    def test_an_atexit_handler_after_the_import_can_use_the_pool(self, shared_site):
        """What is registered after the import runs before the pool is closed."""
        code = """
import atexit, sys, workerpool
pool = workerpool.WorkerPool()
def last_words():
    print(pool.get(sys.argv[1]).status, workerpool.get(sys.argv[1]).status)
atexit.register(last_words)
"""
        assert (0, "200 200", "") == script(code, shared_site.url_for("/fast/1"))

    def test_an_atexit_handler_before_the_import_is_refused(self, shared_site):
        """What is registered before the import runs afterwards: the pool says that it is closed."""
        code = """
import atexit, sys
def too_late():
    try:
        pool.get(sys.argv[1])
    except workerpool.PoolClosed:
        print("closed")
atexit.register(too_late)
import workerpool
pool = workerpool.WorkerPool()
assert pool.get(sys.argv[1]).ok
"""
        assert (0, "closed", "") == script(code, shared_site.url_for("/fast/1"))

    def test_the_registry_after_the_end(self, shared_site):
        """get_pool that late answers or raises RuntimeError, and the process ends either way."""
        code = """
import atexit, sys
def too_late():
    try:
        print(workerpool.get(sys.argv[1]).status)
    except RuntimeError as exc:
        print(type(exc).__name__)
atexit.register(too_late)
import workerpool
assert workerpool.get(sys.argv[1]).ok
"""
        status, out, err = script(code, shared_site.url_for("/fast/1"))
        assert (0, "") == (status, err)
        assert out in ("200", "PoolClosed", "RuntimeError")

    @pytest.mark.parametrize("call", ["pool.get(url)", "list(pool.fetch_many([url] * 9))", "pool.submit(url).result()"])
    def test_daemon_threads_that_wait(self, site, call):
        """Daemon threads blocked in the pool neither hold up the exit nor print what they are told then."""
        code = f"""
import sys, threading, workerpool
url = sys.argv[1]
pool = workerpool.WorkerPool(workers=2)
for _ in range(8):
    threading.Thread(target=lambda: {call}, daemon=True).start()
sys.stdin.read()
print("ends")
"""
        with started(code, site.url_for("/hold/1")) as child:
            site.wait_in_flight(72 if "many" in call else 8)
            assert (0, "ends", "") == ended(child)

    def test_daemon_threads_that_handle_it(self, site):
        """Daemon threads blocked in the pool get a typed error that they can handle."""
        code = """
import sys, threading, workerpool
pool = workerpool.WorkerPool(workers=2)
def fetch():
    try:
        pool.get(sys.argv[1])
    except workerpool.PoolClosed:
        pass
for _ in range(8):
    threading.Thread(target=fetch, daemon=True).start()
sys.stdin.read()
"""
        with started(code, site.url_for("/hold/1")) as child:
            site.wait_in_flight(8)
            assert (0, "", "") == ended(child)

    def test_a_function_that_does_not_let_go(self):
        """A function that blocks its loop delays the exit for a bounded time only."""
        code = """
import threading, workerpool
began = threading.Event()
async def stuck(session):
    began.set()
    threading.Event().wait()
pool = workerpool.WorkerPool()
job = pool.submit(stuck)
began.wait()
"""
        assert (0, "", "") == script(code)

    def test_sigterm_ends_the_process_at_once(self, site):
        """The default SIGTERM is the system's own: no handler of the pool's is in its way."""
        with started(self.PENDING + "print('ready', flush=True)\njobs[0].result()", site.url_for("/hold/1")) as child:
            assert "ready" == child.stdout.readline().strip()
            child.send_signal(signal.SIGTERM)
            assert (-signal.SIGTERM, "", "") == ended(child)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
class TestFork:
    """A forked child has pools of its own, and its parent is not disturbed."""

    PREFORK = (
        _NO_FORK_WARNING
        + """
import gc, os, sys, workerpool
url = sys.argv[1]
def exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
    )

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
    assert workerpool.get(url, timeout=5).attempts == 1
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
            if "forked" == (first := child.stdout.readline().strip()):
                site.release()
            assert ("forked",) == (first,)
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
results._refill(block=True)
held = pool.stream("GET", sys.argv[2], timeout=None).__enter__()
def raise_(error):
    raise error
pid = os.fork()
if pid == 0:
    import signal
    signal.alarm(5)
    try:
        {wait}
    except workerpool.ForkedPool:
        os._exit(0)
    except BaseException as exc:
        sys.stderr.write(repr(exc))
        sys.stderr.flush()
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
import threading, time
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
for _ in range(25):
    pid = os.fork()
    if pid == 0:
        import faulthandler
        faulthandler.dump_traceback_later(8, exit=True)
        assert workerpool.get(url).ok
        gc.collect()
        faulthandler.cancel_dump_traceback_later()
        faulthandler.dump_traceback_later(8, exit=True)
        {leave}
    assert exit_code(pid) == 0
stop.set()
for thread in threads:
    thread.join()
assert workerpool.get(url).ok
print("all")
"""
        assert (0, "all", "") == script(self.PREFORK + code, shared_site.url_for("/fast/1"))

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
    single = context.Process(target=fetch, args=(url,))
    single.start()
    single.join()
    assert single.exitcode == 0
    assert fetch(url) == 200
"""
        path = tmp_path / "program.py"
        path.write_text(code)
        command = [sys.executable, "-W", "error", str(path), shared_site.url_for("/fast/1")]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=env)
        assert (0, f"{[200] * 9}\n", "") == (done.returncode, done.stdout, done.stderr)
