"""What is interrupted, lost or closed at the worst moment has an outcome all the same, and leaves no place taken."""

import asyncio
import sys
import threading
from time import sleep

import pytest

from workerpool import DeadlineExceeded, Lane, PoolClosed, Timeout, WorkerLost, WorkerPool
from workerpool.caller import switchboard
from workerpool.caller.client import board_of
from workerpool.handover.inbox import Inbox
from workerpool.handover.outstanding import Outstanding
from workerpool.worker.loop import WorkerLoop

PATIENCE = 60


async def nothing(_session):
    return "done"


def test_a_loop_that_is_lost_while_a_session_closes_leaves_no_job(caplog):
    """Neither what ran there nor what waited."""
    began = threading.Event()

    async def stubborn(_session):
        began.set()
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_soon(sys.exit)
            await asyncio.sleep(PATIENCE)

    with WorkerPool(workers=1) as pool:
        browser = pool.session(connections=1)
        first = browser.submit(stubborn)
        began.wait(PATIENCE)
        second = browser.submit(nothing)
        browser.close()
        assert isinstance(first.exception(PATIENCE), WorkerLost)
        assert isinstance(second.exception(PATIENCE), PoolClosed)
        assert "done" == pool.submit(nothing).result(PATIENCE)
    assert "was lost and is replaced" in caplog.text


def test_a_shutdown_answers_for_a_session_that_does_not_close():
    """Its jobs fail, and who waits for its end goes on."""
    began, on = threading.Event(), threading.Event()

    async def stubborn(_session):
        began.set()
        while not on.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    pool = WorkerPool(workers=1)
    browser = pool.session(connections=1)
    jobs = [browser.submit(stubborn)]
    began.wait(PATIENCE)
    jobs.append(browser.submit(nothing))
    closing = threading.Thread(target=browser.close)
    closing.start()
    while browser.route.lane.name in board_of(pool)._routes:
        sleep(0.001)
    pool.shutdown(timeout=0.05)
    assert all(isinstance(job.exception(PATIENCE), PoolClosed) for job in jobs)
    closing.join(PATIENCE)
    assert not closing.is_alive()
    on.set()
    pool.shutdown()


def test_a_session_that_is_closed_without_waiting_is_counted_right():
    """Its numbers are those of its end."""
    began = threading.Event()

    async def slow(_session):
        began.set()
        await asyncio.sleep(PATIENCE)

    with WorkerPool(workers=1) as pool:
        browser = pool.session()
        job = browser.submit(slow)
        began.wait(PATIENCE)
        browser.close(wait=False)
        assert isinstance(job.exception(PATIENCE), PoolClosed)
        assert pool.drain(PATIENCE)
        while (last := pool.stats().lanes[-1]).name != "session (closed)":
            sleep(0.001)
        assert (1, 1, 0) == (last.submitted, last.failed, last.in_flight)


def test_an_interrupt_after_the_request_has_begun_gives_its_place_back(site, monkeypatch):
    """Ctrl-C comes when the loop has been rung, and is at it."""
    call, begun = WorkerLoop.call_soon, threading.Event()

    def interrupted(self, callback, *args):
        done = call(self, callback, *args)
        if not begun.is_set() and getattr(callback, "__name__", "") == "drain":
            site.wait_in_flight(1)
            begun.set()
            raise KeyboardInterrupt
        return done

    with WorkerPool(workers=1, connections=1, retry=None) as pool:
        monkeypatch.setattr(WorkerLoop, "call_soon", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pool.get(site.url_for("/hold/0"), timeout=PATIENCE)
        monkeypatch.undo()
        assert pool.drain(PATIENCE)
        assert "done" == pool.submit(nothing).result(PATIENCE)


def test_an_interrupt_before_a_websocket_is_waited_for_opens_none(site, monkeypatch):
    """What is queued is given up."""
    post = switchboard.Switchboard.post

    def interrupted(self, route, work, *, block=True):
        post(self, route, work, block=block)
        raise KeyboardInterrupt

    release = threading.Event()

    async def hold(_session):
        await asyncio.to_thread(release.wait, PATIENCE)

    with WorkerPool(workers=1, connections=1) as pool:
        held = pool.submit(hold)
        monkeypatch.setattr(switchboard.Switchboard, "post", interrupted)
        with pytest.raises(KeyboardInterrupt), pool.websocket(site.url_for("/ws").replace("http", "ws")):
            pass
        monkeypatch.undo()
        release.set()
        held.result(PATIENCE)
        assert "done" == pool.submit(nothing).result(PATIENCE)
    assert 0 == site.hits


def test_who_waits_for_room_outlives_a_lost_loop():
    """Only what was under way is lost."""
    began = threading.Event()

    async def kill(_session):
        began.set()
        await asyncio.to_thread(full.wait, PATIENCE)
        asyncio.get_running_loop().call_soon(sys.exit)
        await asyncio.sleep(PATIENCE)

    full, jobs = threading.Event(), []
    with WorkerPool(workers=1, connections=1, queue=1) as pool:
        jobs.append(pool.submit(kill))
        began.wait(PATIENCE)
        jobs.append(pool.submit(nothing))
        third = threading.Thread(target=lambda: jobs.append(pool.submit(nothing)))
        third.start()
        while pool.stats().submitted < 3:
            sleep(0.001)
        full.set()
        third.join(PATIENCE)
        assert isinstance(jobs[0].exception(PATIENCE), WorkerLost)
        assert ["done", "done"] == [job.result(PATIENCE) for job in jobs[1:]]


def test_the_last_work_is_taken_back_outside_the_lock(monkeypatch):
    """It ends the workers, and nothing is ended under the pool's lock."""
    held, gone, refused = [], threading.Event(), []
    stop, take_back = switchboard._stop, switchboard.Switchboard._take_back

    def noting(workers):
        held.append(board._lock._is_owned())
        stop(workers)

    def late(self, work):
        gone.set()
        for job in jobs:
            job.exception(PATIENCE)
        take_back(self, work)

    async def hold(_session):
        await asyncio.to_thread(gone.wait, PATIENCE)

    def third():
        try:
            pool.submit(nothing)
        except PoolClosed as exc:
            refused.append(exc)

    pool = WorkerPool(workers=1, connections=1, queue=1)
    board = board_of(pool)
    monkeypatch.setattr(switchboard, "_stop", noting)
    monkeypatch.setattr(switchboard.Switchboard, "_take_back", late)
    jobs = [pool.submit(hold), pool.submit(nothing)]
    thread = threading.Thread(target=third)
    thread.start()
    while pool.stats().submitted < 3:
        sleep(0.001)
    pool.shutdown()
    thread.join(PATIENCE)
    assert [True] == [isinstance(each, PoolClosed) for each in refused]
    assert not any(held)


@pytest.mark.parametrize("late", [False, True], ids=["its time is over", "and fell meanwhile"])
def test_an_input_whose_queue_time_is_over_is_an_error_and_no_more(site, monkeypatch, late):
    """However full the queue is of others' work, there is one result for it, in time, and no thread that spins."""
    if late:
        put = Inbox.put

        def slow(self, work, *args, **options):
            if work.deadline is not None:
                work.expire()
            return put(self, work, *args, **options)

        monkeypatch.setattr(Inbox, "put", slow)
    release = threading.Event()

    async def hold(_session):
        await asyncio.to_thread(release.wait, PATIENCE)

    with WorkerPool(workers=1, lanes=[Lane("narrow", connections=1, queue=1)]) as pool:
        lane = pool.lane("narrow")
        others = [lane.submit(hold), lane.submit(nothing)]
        results = lane.fetch_many([site.url_for("/fast/1")], timeout=Timeout(total=PATIENCE, queue=0.2))
        [result] = results
        assert isinstance(result.error, DeadlineExceeded)
        assert "not begun within 0.2 s" in str(result.error)
        release.set()
        for job in others:
            job.result(PATIENCE)


@pytest.mark.parametrize("error", [MemoryError, SystemExit])
def test_an_interrupted_telling_keeps_nobody_waiting(error):
    """What strikes while one turn's outcomes are told is told on, and so are the others, then or at the loop's end."""
    told = []

    class Decided:
        def tell(self):
            told.append(self)
            if told == first[:1]:
                raise error

    async def tell():
        loop.attach()
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        for each in first:
            loop.tell(each)
        await asyncio.sleep(0.01)
        for each in later:
            loop.tell(each)
        await asyncio.sleep(0.01)
        return {*told}

    first, later = [Decided() for _ in range(3)], [Decided()]
    loop = WorkerLoop("told", Outstanding(), lambda _loop: None)
    loop.ident, loop.posted = threading.get_ident(), 10
    if error is SystemExit:
        with pytest.raises(SystemExit):
            asyncio.run(tell())
        later.clear()
    else:
        assert {*first, *later} == asyncio.run(tell())
    loop.detach()
    assert {*first, *later} == {*told}
    assert 2 == told.count(first[0])
