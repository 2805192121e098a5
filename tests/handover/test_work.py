"""The work's life: decided and recorded in one step, told to whoever waits, whatever interrupts it where."""

import gc
import linecache
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed, wait

import pytest

from workerpool import PoolClosed, WorkerPool
from workerpool.bells import ThreadBell
from workerpool.caller.client import board_of
from workerpool.handover.errand import Call
from workerpool.handover.job import Job
from workerpool.handover.outstanding import Outstanding

PATIENCE = 60


def raise_at_line(number, action):
    """Do the action with KeyboardInterrupt raised at the n-th line of the package; return where, None if it has fewer.

    Lines of `with` do not count: a tracer that raises where one ends keeps its `__exit__` from being called, which a
    signal does not.
    """
    seen, where = 0, None

    def trace(frame, event, _arg):
        nonlocal seen, where
        file = frame.f_code.co_filename
        if "workerpool" not in file or _is_cleaning_up(frame):
            return None
        if event == "line" and not linecache.getline(file, frame.f_lineno).lstrip().startswith("with "):
            seen += 1
            if seen == number:
                sys.settrace(None)
                where = f"{file.rpartition('/')[2]}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return trace

    def run():
        sys.settrace(trace)
        try:
            action()
        except KeyboardInterrupt:
            assert where is not None
        finally:
            sys.settrace(None)

    # On a thread of its own: a tracer that raises where an `except` begins leaves that error behind as the thread's.
    with ThreadPoolExecutor(1) as executor:
        executor.submit(run).result()
    return where


def _is_cleaning_up(frame):
    """Whether the frame is within a `__del__` or a finalizer, of which Python swallows all that is raised."""
    while frame is not None:
        if frame.f_code.co_name in ("__del__", "_end_unheld"):
            return True
        frame = frame.f_back
    return False


def every_line(action, check):
    """Interrupt the action at each of its lines, one after the other, and check what is left behind; return how many."""
    number = 1
    while (where := raise_at_line(number, action)) is not None:
        check(where)
        number += 1
    return number - 1


async def hold(session, event):
    import asyncio

    while not event.is_set():
        await asyncio.sleep(0.001)
    return "done"


@pytest.mark.parametrize("state", ["queued", "in flight"])
def test_ctrl_c_at_every_line_of_a_cancel(state):
    """The job is cancelled or goes on, and its outcome comes; the pool goes on in either case."""
    with WorkerPool(workers=1, connections=1) as pool:
        lines = 0
        while True:
            event = threading.Event()
            first = pool.submit(hold, event)
            job = first if state == "in flight" else pool.submit(hold, event)
            done = threading.Event()
            job.add_done_callback(lambda _job, done=done: done.set())
            has_line = raise_at_line(lines + 1, job.cancel)
            event.set()
            assert done.wait(PATIENCE)
            assert wait([job, first], PATIENCE).not_done == set()
            assert job.cancelled() or "done" == job.result(0)
            if not has_line:
                break
            lines += 1
        assert lines > 5
        assert pool.drain(PATIENCE)


def test_a_collection_while_a_job_is_decided_harms_nobody(monkeypatch):
    """Garbage that cancels the very job which its thread is delivering: nothing spins, the next job runs."""

    class Cancels:
        def __init__(self, job):
            self.job, self.itself = job, self

        def __del__(self):
            self.job.cancel()

    tell = Job._tell

    def collecting(self, verdict):
        gc.collect()
        tell(self, verdict)

    async def one(session):
        return 1

    with WorkerPool(workers=1) as pool:
        started = threading.Event()
        job = pool.submit(hold, started)
        Cancels(job)
        monkeypatch.setattr(Job, "_tell", collecting)
        started.set()
        wait([job], PATIENCE)
        assert 1 == pool.submit(one).result(PATIENCE)


def test_work_that_was_decided_and_not_told_is_told_by_its_worker(monkeypatch):
    """An interrupt between the two steps strands nobody."""
    tell = Job._tell
    struck = []

    def interrupted(self, verdict):
        if len(struck) < 2:  # the first telling, and the second that follows an interrupt at once
            struck.append(self)
            raise KeyboardInterrupt
        tell(self, verdict)

    event = threading.Event()
    with WorkerPool(workers=1) as pool:
        job = pool.submit(hold, event)
        monkeypatch.setattr(Job, "_tell", interrupted)
        with pytest.raises(KeyboardInterrupt):
            job.cancel()
        assert job.cancelled()
        assert {job} == wait([job], PATIENCE).done
        event.set()
        assert pool.drain(PATIENCE)
        assert 1 == pool.stats().cancelled
    assert 2 == len(struck)


def test_who_waits_for_no_work_hears_of_it_whoever_was_last():
    """Many threads settle while others wait: nobody is told too early, and nobody is left."""
    for _ in range(50):
        outstanding = Outstanding()
        works = [Job("lane", None, Call(print)) for _ in range(60)]
        for work in works:
            outstanding.add(work)
        bells = [ThreadBell() for _ in range(3)]
        early = []

        def settle(part, works=works, outstanding=outstanding):
            for work in works[part::3]:
                outstanding.remove(work)

        def wait_for(bell, outstanding=outstanding, early=early):
            outstanding.when_none(bell.ring)
            assert bell.wait(PATIENCE)
            early.extend(outstanding.all())

        threads = [threading.Thread(target=settle, args=(part,)) for part in range(3)]
        threads += [threading.Thread(target=wait_for, args=(bell,)) for bell in bells]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)
        assert not early


def test_waiters_and_callbacks_hear_of_each_job_once():
    """wait(), as_completed(), result() and callbacks of many threads, while others decide the same jobs."""
    for _ in range(30):
        jobs = [Job("lane", None, Call(print)) for _ in range(40)]
        heard, seen, orders = [], [], []
        start = threading.Barrier(6)

        def decide(offset, jobs=jobs, start=start):
            start.wait()
            for job in jobs[offset:] + jobs[:offset]:
                job.answer(offset) if offset % 2 else job.cancel()

        def listen(jobs=jobs, start=start, heard=heard):
            start.wait()
            for job in jobs:
                job.add_done_callback(heard.append)

        def follow(jobs=jobs, start=start, seen=seen):
            start.wait()
            seen.extend(as_completed(jobs, PATIENCE))

        def take(jobs=jobs, start=start, orders=orders):
            start.wait()
            orders.append(wait(jobs, PATIENCE).not_done)
            orders.extend(job.cancelled() or job.result(0) in (1, 21) for job in jobs)

        targets = [lambda: decide(0), lambda: decide(1), lambda: decide(21), listen, follow, take]
        threads = [threading.Thread(target=target) for target in targets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(id, jobs)) == sorted(map(id, heard))
        assert sorted(map(id, jobs)) == sorted(map(id, seen))
        assert [set(), *[True] * 40] == orders


def test_a_wait_that_was_interrupted_halfway_holds_up_no_worker():
    """What concurrent.futures.wait() has taken and Ctrl-C kept it from giving back is not waited for."""

    async def one(session):
        return 1

    event = threading.Event()
    with WorkerPool(workers=1) as pool:
        job = pool.submit(hold, event)
        assert job._condition.acquire()  # as `_AcquireFutures` does, which is then interrupted
        event.set()
        assert "done" == job.result(PATIENCE)
        assert 1 == pool.submit(one).result(PATIENCE)


def test_sys_exit_in_a_callback_at_a_deadline_keeps_no_other_deadline_from_falling():
    """Six jobs of one moment, three of them with a callback that wants to end the program."""
    event = threading.Event()
    with WorkerPool(workers=1) as pool:
        jobs = [pool.call(hold, event, timeout=0.2) for _ in range(6)]
        for job in jobs[::2]:
            job.add_done_callback(lambda _job: sys.exit(3))
        assert set() == wait(jobs, PATIENCE).not_done
        assert {"DeadlineExceeded"} == {type(job.exception(0)).__name__ for job in jobs}


def test_two_workers_that_shut_the_pool_down_do_not_wait_for_each_other():
    """`shutdown()` on a worker's thread of any pool returns at once."""
    barrier = threading.Barrier(2)
    pool = WorkerPool(workers=2)

    async def end(session):
        barrier.wait(PATIENCE)
        pool.shutdown()

    jobs = [pool.submit(end) for _ in range(2)]
    assert set() == wait(jobs, PATIENCE).not_done
    pool.shutdown(timeout=PATIENCE)
    assert all(not worker.alive for worker in board_of(pool).workers)


def test_a_session_that_is_closed_while_its_loop_is_lost_is_closed_by_the_next(monkeypatch):
    """`session.close()` returns whatever the loop is at."""
    import workerpool.worker.thread as module

    lost, go_on = threading.Event(), threading.Event()
    bounded = module._run_bounded

    def held(runner, close):
        lost.set()
        assert go_on.wait(PATIENCE)
        bounded(runner, close)

    async def end(session):
        raise SystemExit

    async def one(session):
        return 1

    with WorkerPool(workers=1) as pool:
        browser = pool.session()
        assert 1 == browser.submit(one).result(PATIENCE)
        monkeypatch.setattr(module, "_run_bounded", held)
        board_of(pool).workers[0].loop.call_soon(sys.exit, 3)
        assert lost.wait(PATIENCE)
        closing = threading.Thread(target=browser.close)
        closing.start()
        while browser.route.dispatchers[0] not in board_of(pool).workers[0]._closing:
            pass
        go_on.set()
        closing.join(PATIENCE)
        assert not closing.is_alive()
        assert 1 == pool.submit(one).result(PATIENCE)


def test_what_an_error_leaves_behind_is_cancelled():
    """An exception that leaves the block cancels what is queued and stops what runs; none waits for every job."""
    event = threading.Event()
    jobs = []

    def leave_by_an_error():
        with WorkerPool(workers=1, connections=2) as pool:
            jobs.extend(pool.submit(hold, event) for _ in range(20))
            while pool.stats().in_flight < 2:
                pass
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave_by_an_error()
    assert 18 == sum(job.cancelled() for job in jobs)
    assert {PoolClosed} == {type(job.exception(0)) for job in jobs if not job.cancelled()}


def test_a_signal_handler_may_shut_the_pool_down_where_its_lock_is_held(monkeypatch):
    """The handler runs on the thread that is amid a submit; nothing waits for itself."""
    from workerpool.caller.routing import Route

    async def one(session):
        return 1

    pool = WorkerPool(workers=2)
    choose = Route.choose

    def interrupted(self, work):
        monkeypatch.setattr(Route, "choose", choose)
        pool.shutdown(timeout=PATIENCE)
        return choose(self, work)

    monkeypatch.setattr(Route, "choose", interrupted)
    with pytest.raises(PoolClosed):
        pool.submit(one)
    pool.shutdown(timeout=PATIENCE)
    assert all(not worker.alive for worker in board_of(pool).workers)
