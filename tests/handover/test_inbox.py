"""The inbox between many threads and one loop: nothing lost, nothing twice, in order."""

import threading

import pytest

from workerpool import PoolClosed, QueueFull, Request
from workerpool.handover.errand import Fetch
from workerpool.handover.inbox import Inbox
from workerpool.handover.job import Job

PUTTERS, EACH = 6, 3000


def ring():
    """Wake nobody: these loops look by themselves."""


def _works(thread, priority=0):
    request = Request("http://127.0.0.1/")
    works = [Job("lane", None, Fetch(request, request.target), priority=priority) for _ in range(EACH)]
    for n, work in enumerate(works):
        work.index = (thread, n)
    return works


def _in_threads(function, number):
    threads = [threading.Thread(target=function, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize("room", [0, 50], ids=["any number", "bounded"])
def test_all_that_many_threads_put_in_comes_out_once_and_in_each_threads_order(room):
    """A taker that keeps emptying the inbox, so that parcels are closed all the time, gets everything in order."""
    inbox = Inbox("inbox", room, ring)
    taken = []
    threads = _in_threads(lambda n: [inbox.put(work) for work in _works(n)], PUTTERS)
    while len(taken) < PUTTERS * EACH:
        if (work := inbox.take()) is not None:
            taken.append(work.index)
            inbox.release(work)
    for thread in threads:
        thread.join()
    assert inbox.take() is None
    for n in range(PUTTERS):
        assert [(n, m) for m in range(EACH)] == [index for index in taken if index[0] == n]


def test_what_is_put_in_beside_the_closing_is_refused_or_taken():
    """Each put is either refused with PoolClosed or comes out."""
    accepted, taken = [[] for _ in range(PUTTERS)], []
    inbox = Inbox("inbox", 0, ring)

    def put(n):
        for work in _works(n):
            try:
                inbox.put(work)
            except PoolClosed:
                return
            accepted[n].append(work)

    threads = _in_threads(put, PUTTERS)
    closer = threading.Thread(target=inbox.close)
    while any(thread.is_alive() for thread in threads) or len(inbox):
        if (work := inbox.take()) is not None:
            taken.append(work)
        if len(taken) == EACH and not closer.ident:
            closer.start()
    closer.join()
    assert len(taken) == len(set(taken))
    assert {work for works in accepted for work in works} == set(taken)


def test_room_is_held_from_the_put_to_the_leaving():
    """What was taken and set aside keeps its place; what was given up makes way at once, and no waiter is forgotten."""
    inbox = Inbox("inbox", 2, ring)
    first, second, third, fourth = _works(0)[:4]
    inbox.put(first)
    inbox.put(second)
    assert first is inbox.take()
    with pytest.raises(QueueFull, match=r"was full \(2 waiting\)"):
        inbox.put(third, block=False)
    with pytest.raises(QueueFull, match=r"was full for 0.01 s \(2 waiting\)"):
        inbox.put(third, 0.01)
    threads = _in_threads(lambda n: inbox.put((third, fourth)[n]), 2)
    inbox.release(second)  # given up while it is still in the queue
    inbox.release(second)
    inbox.release(first)
    for thread in threads:
        thread.join()
    assert {second, third, fourth} == {inbox.take() for _ in range(3)}


def test_a_blocked_put_is_refused_when_the_inbox_closes():
    """Nobody waits for room in a queue that is closed."""
    inbox = Inbox("inbox", 1, ring)
    inbox.put(_works(0)[0])
    refused = []

    def put(n):
        with pytest.raises(PoolClosed):
            inbox.put(_works(n)[0])
        refused.append(n)

    threads = _in_threads(put, 3)
    inbox.close()
    for thread in threads:
        thread.join()
    assert [0, 1, 2] == sorted(refused)


def test_urgent_work_overtakes_what_is_in_a_parcel():
    """Priorities hold between single work and work that travels together, and the count is right throughout."""
    inbox = Inbox("inbox", 0, ring)
    plain, urgent, late = (_works(n, priority)[:2] for n, priority in enumerate([0, 1, -1]))
    for work in (plain[0], late[0], plain[1]):
        inbox.put(work)
    assert plain[0] is inbox.take()
    inbox.put(urgent[0])
    assert 3 == len(inbox)
    assert {plain[1], late[0], urgent[0]} == inbox.waiting()
    assert [urgent[0], plain[1], late[0], None] == [inbox.take() for _ in range(4)]
    assert 0 == len(inbox)
