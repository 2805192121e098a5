"""Start, exit, fork, and what is left behind."""

import gc
import os
import resource
import subprocess
import sys
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic

import psutil
import pytest

from workerpool import PoolClosed, WorkerPool


def script(code: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout.strip(), done.stderr


def test_importing_loads_only_what_no_pool_can_do_without():
    """uvloop, isal and aiohttp's server cost an import nothing; a pool has the first two before it works."""
    code = """
import sys
def loaded():
    print("loaded:", *{"uvloop", "isal", "aiohttp.web"} & set(sys.modules))
import workerpool
loaded()
with workerpool.WorkerPool():
    loaded()
"""
    there = {name for name in ("uvloop", "isal") if find_spec(name)}
    status, said, errors = script(code)
    assert (0, "") == (status, errors)
    before, after = (set(line.split()) for line in said.splitlines())
    assert {"loaded:"} == before
    assert there == after - before


def test_a_thousand_pools_leave_nothing_behind(shared_site):
    """Threads, file descriptors and pools are back where they were."""
    process = psutil.Process()

    def use(number: int) -> None:
        with WorkerPool(workers=1) as pool:
            if number % 20 == 0:
                assert pool.get(shared_site.url_for("/fast/1")).ok

    use(0)
    gc.collect()
    threads, fds = threading.active_count(), process.num_fds()
    for number in range(1000):
        use(number)
    gc.collect()
    assert threads == threading.active_count()
    # The site in this process closes its ends of the connections a moment later.
    assert process.num_fds() <= fds + 5


def test_a_forgotten_pool_stops_its_threads():
    """A pool that nobody holds any more ends its threads without a word."""
    pool = WorkerPool(name="forgotten")
    worker = next(thread for thread in threading.enumerate() if thread.name == "forgotten-0")
    del pool
    gc.collect()
    worker.join(10)
    assert not worker.is_alive()


def test_a_failure_to_start_travels_to_the_caller():
    """What keeps the loop from starting is raised by the constructor, and no thread is left."""

    def broken():
        raise LookupError("no loop today")

    with pytest.raises(LookupError):
        WorkerPool(workers=3, event_loop=broken)


def test_the_interpreter_exits_with_jobs_pending(site):
    """Exit is quick and clean, whatever is under way."""
    code = """
import sys, workerpool
pool = workerpool.WorkerPool(workers=2)
jobs = [pool.submit(sys.argv[1]) for _ in range(20)]
workerpool.get_pool().submit(sys.argv[1])
print("ends")
"""
    assert (0, "ends", "") == script(code, site.url_for("/hold/1"))


def test_a_process_without_standard_files_is_not_aborted(site):
    """As some daemons run: libuv ends the process where it closes a socket that has such a number."""
    code = """
import os, sys, workerpool
for number in range(3):
    os.close(number)
with workerpool.WorkerPool(workers=1) as pool:
    good = all(pool.get(sys.argv[1], headers={"Connection": "close"}).ok for _ in range(5))
os._exit(7 if good else 1)
"""
    assert (7, "", "") == script(code, site.url_for("/fast/1"))


def test_a_forked_child_is_told_and_helped(shared_site):
    """In a child the parent's pool raises ForkedPool, and get_pool() makes a new one."""
    code = """
import os, sys, workerpool
pool = workerpool.get_pool()
assert pool.get(sys.argv[1]).ok
child = os.fork()
if child == 0:
    try:
        pool.get(sys.argv[1])
    except workerpool.ForkedPool:
        pool.shutdown()
        ok = workerpool.get(sys.argv[1]).ok
        sys.stdout.flush()
        workerpool.get_pool().shutdown()
        os._exit(0 if ok else 3)
    os._exit(4)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert pool.get(sys.argv[1]).ok
print("both")
"""
    if sys.version_info >= (3, 12):
        code = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + code
    assert (0, "both", "") == script(code, shared_site.url_for("/fast/1"))


HELD = """
import resource, sys
from workerpool.testing import Site
resource.setrlimit(resource.RLIMIT_NOFILE, (12000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
number = int(sys.argv[1])
with Site() as site:
    print(site.url, flush=True)
    site.wait_in_flight(number, 60)
    print("all", flush=True)
    sys.stdin.readline()
    site.release()
    sys.stdin.read()
"""


@contextmanager
def holding(number):
    """Run a site in a process of its own; yield it. Its first line is its URL, the next says that all have come."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12_000:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"{number} connections need more descriptors than {hard}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 12_000), hard))
    command = [sys.executable, "-c", HELD, str(number)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield server
        server.communicate("")
    assert 0 == server.returncode


def test_many_in_flight_from_one_thread():
    """5,000 requests in flight from one thread over 2 workers: each gets its own body."""
    with holding(5000) as server, WorkerPool(workers=2, connections=0, timeout=80) as pool:
        url = server.stdout.readline().strip()
        jobs = [pool.submit(f"{url}/hold/{n}") for n in range(5000)]
        assert "all\n" == server.stdout.readline()
        server.stdin.write("\n")
        server.stdin.flush()
        assert all(f"held page {n}" == job.result().text for n, job in enumerate(jobs))


def test_a_bounded_shutdown_with_many_in_flight():
    """2,000 held requests and a function that is stuck: shutdown(timeout=) ends, and every job has an outcome."""
    free, stuck_now = threading.Event(), threading.Event()

    async def stuck(session):
        stuck_now.set()
        free.wait(60)

    with holding(2000) as server:
        pool = WorkerPool(workers=2, connections=0, timeout=80)
        url = server.stdout.readline().strip()
        jobs = [pool.submit(f"{url}/hold/{n}") for n in range(2000)]
        assert "all\n" == server.stdout.readline()
        jobs.append(pool.submit(stuck))
        stuck_now.wait()
        began = monotonic()
        pool.shutdown(timeout=1)
        took = monotonic() - began
        assert {PoolClosed} == {type(job.exception(0)) for job in jobs}
        free.set()
        pool.shutdown()
    assert took < 10
