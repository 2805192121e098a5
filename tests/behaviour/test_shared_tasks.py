"""Functions that wait for nothing share a task; each has its own context, its own cancel and its own deadline."""

import asyncio
from concurrent.futures import CancelledError
from contextvars import ContextVar, copy_context

import anyio
import pytest

from workerpool import WorkerPool
from workerpool.errors import DeadlineExceeded

NAME = ContextVar("NAME", default="nobody")


@pytest.fixture(params=["asyncio", "uvloop"])
def pool(request):
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    with WorkerPool(workers=1, event_loop=request.param) as pool:
        yield pool


def results(pool, *functions):
    """Submit all of them while the worker is busy, so that one comes right after the other; return what they return."""
    held = pool.submit(hold)
    jobs = [pool.submit(function) for function in functions]
    held.result(30)
    return [job.result(30) for job in jobs]


async def hold(session):
    await asyncio.sleep(0)


async def this_task(session):
    return id(asyncio.current_task())


def test_functions_that_wait_for_nothing_share_a_task(pool):
    assert len(set(results(pool, *[this_task] * 8))) == 1


def test_a_function_that_waits_keeps_its_task_for_itself(pool):
    kept = []

    async def waits(session):
        kept.append(asyncio.current_task())
        await asyncio.sleep(0)

    async def other(session):
        return asyncio.current_task() in kept

    assert results(pool, waits, other, waits, other)[1::2] == [False, False]
    assert all(task.done() for task in kept)


def test_each_sees_its_submitters_context_and_changes_only_its_own(pool):
    async def named(session):
        before = NAME.get()
        NAME.set("somebody else")
        return before

    def submitted(name):
        NAME.set(name)
        return pool.submit(named)

    held = pool.submit(hold)
    jobs = [copy_context().run(submitted, str(n)) for n in range(50)]
    held.result(30)
    assert [job.result(30) for job in jobs] == [str(n) for n in range(50)]
    assert pool.submit(named).result(30) == "nobody"


def test_each_step_runs_in_the_context_of_its_function(pool):
    async def in_steps(session):
        found = [NAME.get()]
        for _ in range(3):
            await asyncio.sleep(0)
            found.append(NAME.get())
        return found

    def submitted(name):
        NAME.set(name)
        return pool.submit(in_steps)

    jobs = [copy_context().run(submitted, str(n)) for n in range(20)]
    assert [job.result(30) for job in jobs] == [[str(n)] * 4 for n in range(20)]


def test_who_keeps_a_task_reaches_no_stranger_by_it(pool):
    kept = []

    async def keeps(session):
        kept.append(asyncio.current_task())

    async def cancels(session):
        for task in kept:
            task.cancel()
        await asyncio.sleep(0)
        return "not cancelled"

    assert results(pool, keeps, keeps, cancels)[-1] == "not cancelled"


def test_a_function_that_cancels_itself_takes_no_other_along(pool):
    async def cancels_itself(session):
        asyncio.current_task().cancel()
        return "done"

    async def waits(session):
        await asyncio.sleep(0)
        return "waited"

    assert results(pool, cancels_itself, waits, cancels_itself, waits) == ["done", "waited"] * 2


def test_timeouts_and_groups_keep_their_meaning(pool):
    async def by_asyncio(session):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0, n)) for n in range(3)]
        return [task.result() for task in tasks], asyncio.current_task().cancelling()

    async def by_anyio(session):
        with anyio.CancelScope():
            pass
        with anyio.move_on_after(0) as scope:
            await anyio.sleep(60)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)
            group.cancel_scope.cancel()
        return scope.cancelled_caught

    async def scope_only(session):
        with anyio.CancelScope() as scope:
            return scope.cancel_called

    found = results(pool, by_asyncio, scope_only, by_anyio, this_task, by_asyncio, scope_only, by_anyio)
    assert (found[0], found[1], found[2], found[5]) == (([0, 1, 2], 0), False, True, False)


def test_a_cancel_or_a_deadline_reaches_the_one_that_it_is_meant_for(pool):
    async def for_ever(session):
        await asyncio.Event().wait()

    async def at_once(session):
        return 1

    held = pool.submit(hold)
    before, stuck, after = pool.submit(at_once), pool.submit(for_ever), pool.submit(at_once)
    late = pool.call(for_ever, timeout=0.05)
    held.result(30)
    assert (before.result(30), after.result(30)) == (1, 1)
    assert stuck.cancel()
    with pytest.raises(CancelledError):
        stuck.result(30)
    with pytest.raises(DeadlineExceeded):
        late.result(30)
    assert results(pool, at_once, at_once) == [1, 1]


def test_errors_of_one_are_not_the_next_ones(pool):
    async def exits(session):
        raise SystemExit(3)

    async def raises(session):
        raise LookupError("mine")

    async def at_once(session):
        return 1

    held = pool.submit(hold)
    jobs = [pool.submit(each) for each in (exits, at_once, raises, at_once)]
    held.result(30)
    assert [type(job.exception(30)).__name__ for job in jobs] == ["WorkerLost", "NoneType", "LookupError", "NoneType"]


def test_a_long_row_of_them_lets_others_have_their_turn(pool):
    turns = 0
    most = 0

    async def counts(session):
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def looks(session):
        return turns

    counter = pool.submit(counts)
    seen = results(pool, *[looks] * 1000)
    counter.cancel()
    most = max(seen.count(each) for each in set(seen))
    assert most <= 40, f"{most} functions between two turns of another task"
