"""What `import workerpool` loads, and what comes only with the first pool."""

import subprocess
import sys

import pytest

_LATER = "aiohttp uvloop isal brotli zstandard rich difflib encodings.idna workerpool.transport workerpool.worker workerpool.policies.robots"


def loaded(code: str) -> set[str]:
    """Return the modules that are there after the code."""
    told = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(told.stdout.split())


@pytest.mark.parametrize("code", ["import workerpool", "from workerpool import *", "import workerpool.errors"])
def test_an_import_loads_neither_aiohttp_nor_workers(code):
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
    assert {"aiohttp", "encodings.idna", "workerpool.transport"} <= there
    new = loaded(f"{before}; {after}") - there
    assert set() == {
        name for name in new if name.startswith(("workerpool.transport", "workerpool.worker", "workerpool.handover"))
    }
