"""What `import workerpool` loads, and what comes only with the first pool."""

import subprocess
import sys

import pytest

_LATER = (
    "uvloop isal brotli zstandard rich difflib encodings.idna workerpool.transport.direct workerpool.worker"
    " workerpool.policies.robots"
)


def loaded(code: str) -> set[str]:
    """Return the modules that are there after the code."""
    told = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(told.stdout.split())


@pytest.mark.parametrize("code", ["import workerpool", "from workerpool import *", "import workerpool.errors"])
def test_an_import_loads_no_workers(code):
    """They come with the pool's constructor."""
    assert set() == loaded(code) & set(_LATER.split())


def test_the_constructor_loads_all_that_requests_need():
    """Nothing is imported on a worker's thread: a fork amid an import would leave the child its lock."""
    before = "from workerpool import WorkerPool; pool = WorkerPool(workers=1)"
    after = (
        "from workerpool.testing.site import Site; site = Site().__enter__();"
        " [pool.get(site.url_for(path)) for path in ('/fast/1', '/redirect/2', '/echo')]"
    )
    there = loaded(before)
    assert {"encodings.idna", "workerpool.transport.direct"} <= there
    new = loaded(f"{before}; {after}") - there
    assert set() == {
        name for name in new if name.startswith(("workerpool.transport", "workerpool.worker", "workerpool.handover"))
    }


_MOCKED = """
import aiohttp, logging, sys, workerpool
from unittest import mock
logging.basicConfig(level="WARNING", stream=sys.stdout)
async def fake(self, *args, **options):
    raise aiohttp.ClientError("mocked")
made = aiohttp.ClientSession.__init__
def traced(self, *args, **options):
    made(self, *args, **options)
with mock.patch.object(aiohttp.ClientSession, "_request", fake), mock.patch.object(aiohttp.ClientSession, "__init__", traced):
    with workerpool.WorkerPool(retry=None) as pool:
        try:
            pool.get(sys.argv[1])
        except workerpool.RequestError:
            print("mocked")
with workerpool.WorkerPool() as pool:
    for _ in range(5):
        pool.get(sys.argv[1])
    print(pool.stats().lanes[0].direct > 0)
"""


def test_a_first_pool_under_a_mock_leaves_nothing_behind(shared_site):
    """What aiohttp is without it is known by then: later pools are as fast and as safe as any, and nothing is logged."""
    url = shared_site.url_for("/fast/1")
    done = subprocess.run([sys.executable, "-c", _MOCKED, url], capture_output=True, text=True, check=True)
    assert ["mocked", "True"] == done.stdout.split()


_THREADS = """
import sys, threading
from workerpool import WorkerPool
begin, found = threading.Barrier(8), []
def fetch():
    begin.wait()
    with WorkerPool(workers=1) as pool:
        found.append(pool.get(sys.argv[1]).status_code)
threads = [threading.Thread(target=fetch) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(found)
"""


def test_eight_threads_may_make_the_first_pool(shared_site):
    """At the same moment."""
    url = shared_site.url_for("/fast/1")
    done = subprocess.run([sys.executable, "-c", _THREADS, url], capture_output=True, text=True, check=True)
    assert "[200, 200, 200, 200, 200, 200, 200, 200]" == done.stdout.strip()


_FORKS = """
import os, signal, sys, threading, time
from workerpool import WorkerPool
def first():
    with WorkerPool(workers=1) as pool:
        pool.get(sys.argv[1])
thread = threading.Thread(target=first)
thread.start()
children = []
for _ in range(20):
    if (pid := os.fork()) == 0:
        signal.alarm(60)
        with WorkerPool(workers=1) as pool:
            os._exit(0 if pool.get(sys.argv[1]).status_code == 200 else 1)
    children.append(pid)
    time.sleep(0.01)
thread.join()
print({os.waitpid(pid, 0)[1] for pid in children})
"""


def test_forks_amid_the_first_pool_leave_children_that_work(shared_site):
    """No lock of an import stays taken in them."""
    url = shared_site.url_for("/fast/1")
    code = ["-W", "ignore::DeprecationWarning", "-c", _FORKS, url]
    done = subprocess.run([sys.executable, *code], capture_output=True, text=True, check=True)
    assert "{0}" == done.stdout.strip()
