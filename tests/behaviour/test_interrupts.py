"""Ctrl-C at each line of what a caller does: the pool goes on afterwards, and every job has an outcome."""

import sys
import threading
from concurrent.futures import wait
from contextlib import suppress

import pytest
from handover.test_work import every_line
from tracing import traced

from workerpool import Lane, PoolClosed, WorkerPool
from workerpool.caller.results import Results

PATIENCE = 60


async def double(session, number):
    return 2 * number


def _stream(pool, url, jobs):
    with pool.stream("GET", url) as response:
        response.read()


WAYS = {
    "get": lambda pool, url, jobs: pool.get(url),
    "submit": lambda pool, url, jobs: jobs.append(pool.submit(url)),
    "function": lambda pool, url, jobs: jobs.append(pool.submit(double, 1)),
    "result": lambda pool, url, jobs: (jobs.append(pool.submit(url)), jobs[-1].result()),
    "stream": _stream,
    "bounded": lambda pool, url, jobs: jobs.append(pool.lane("bounded").submit(url)),
    "cancel": lambda pool, url, jobs: (jobs.append(pool.submit(url)), jobs[-1].cancel()),
    "fetch_many": lambda pool, url, jobs: list(pool.fetch_many([url] * 3)),
    "map": lambda pool, url, jobs: list(pool.map(double, range(3))),
    "drain": lambda pool, url, jobs: pool.drain(),
    "stats": lambda pool, url, jobs: pool.stats(),
}


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_at_any_line_leaves_the_pool_usable(shared_site, loop, way):
    """Line by line, each with an interrupt of its own, in one pool."""
    url, jobs = shared_site.url_for("/fast/1"), []
    with WorkerPool(workers=1, event_loop=loop, lanes=[Lane("bounded", connections=1, queue=1)]) as pool:

        def check(line):
            assert pool.get(url, timeout=PATIENCE).ok, line
            assert pool.lane("bounded").get(url, timeout=PATIENCE).ok, line
            assert set() == wait(jobs, PATIENCE).not_done, line
            jobs.clear()

        assert every_line(lambda: WAYS[way](pool, url, jobs), check) > 5
        assert pool.drain(PATIENCE)
        stats = pool.stats()
        assert (0, 0) == (stats.in_flight, stats.queued)


def test_an_interrupt_at_any_line_of_a_constructor_leaves_nothing(capsys):
    """No thread of a worker's, and no complaint of a `__del__`."""
    made = []

    def make():
        with WorkerPool(workers=1) as pool:
            made.append(pool)

    def check(_line):
        made.clear()
        left = [thread for thread in threading.enumerate() if thread.name.startswith("workerpool")]
        for thread in left:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    assert every_line(make, check) > 5
    assert every_line(lambda: Results(None, None, [], {}, ordered=False, buffersize=1), lambda _line: None) > 5
    assert "" == capsys.readouterr().err


def _shut_down_at_line(number, pool, action):
    """Do the action, and let a handler shut the pool down at its n-th line; return whether it has so many."""
    seen = 0

    def note():
        nonlocal seen
        seen += 1
        if seen == number:
            sys.settrace(None)
            pool.shutdown(timeout=PATIENCE)

    traced(action, lambda file: "workerpool" in file, note)
    return seen >= number


def test_a_handler_that_shuts_the_pool_down_amid_anything(shared_site):
    """What a SIGTERM handler does, as a rule; at whichever line of a submit it comes, nothing waits for itself."""
    url, line, has_line = shared_site.url_for("/fast/1"), 0, True
    while has_line:
        line += 1
        pool, jobs = WorkerPool(workers=1), []

        def submit(pool=pool, jobs=jobs):
            with suppress(PoolClosed):
                jobs.append(pool.submit(url))

        has_line = _shut_down_at_line(line, pool, submit)
        pool.shutdown(timeout=PATIENCE)
        assert set() == wait(jobs, PATIENCE).not_done
    assert line > 10
