"""Rates and limits per host, by a clock of the test's."""

import pytest

from workerpool import Rate, Request
from workerpool.handover.errand import Fetch
from workerpool.handover.job import Job
from workerpool.policies.host_limits import HostLimits
from workerpool.policies.pace import Pace


def job_for(url):
    """Return a job that would fetch the URL."""
    request = Request(url)
    return Job("lane", None, Fetch(request, request.target))


def test_what_was_given_up_takes_no_turn():
    """Parked work that was decided meanwhile is dropped; the next is due as if it had never been."""
    now, dropped, works = [100.0], [], []
    limits = HostLimits(0, Rate(1), dropped.append, clock=lambda: now[0])
    for _ in range(5):
        works.append(job_for("http://host/"))
        limits.offer(works[-1])
    works[1].cancel()
    works[2].cancel()
    assert limits.take() is None
    now[0] += 1.001
    assert (works[3], works[1:3]) == (limits.take(), dropped)
    works[4].cancel()
    now[0] += 1.001
    assert (None, works[4], 0, None) == (limits.take(), dropped[-1], limits.parked, limits.due_in())


def test_a_host_is_looked_at_once_however_many_wait_for_it():
    """The heap of when to look again has an entry for each host; else a queue of n would cost n times n."""
    clock = [0.0]
    limits = HostLimits(2, Rate(1000), lambda _work: None, clock=lambda: clock[0])
    for n in range(4000):
        limits.offer(job_for(f"http://host-{n % 4}/"))
    looked, started = 0, 0
    while limits.parked:
        clock[0] += 0.0005
        while (work := limits.take()) is not None:
            started += 1
            limits.release(work.host)
        looked = max(looked, len(limits._due))
    assert looked <= 8
    assert started == 4000 - 4


@pytest.mark.parametrize("late", [0.0, 0.0007, 0.004])
def test_late_timers_are_made_up_and_the_rate_is_never_passed(late):
    """The n-th start is never before its time, and no start is lost to a timer that rings late."""
    pace, now, starts = Pace(Rate(500)), 100.0, []
    while now < 102.0:
        wait = pace.wait(now)
        if wait > 0:
            now += wait + late
            continue
        starts.append(now)
        pace.reserve(now)
    assert 995 <= len(starts) <= 1001
    assert all(start >= starts[0] + n * 0.002 - 1e-9 for n, start in enumerate(starts))


def test_a_pace_that_rested_begins_anew():
    """What was not used is not saved up beyond the burst."""
    pace = Pace(Rate(10, burst=2))
    assert [0.0, 0.0] == [pace.reserve(100.0), pace.reserve(100.0)]
    assert 0.1 == pytest.approx(pace.wait(100.0))
    assert [0.0, 0.0] == [pace.reserve(200.0), pace.reserve(200.0)]
    assert 0.1 == pytest.approx(pace.wait(200.0))


def test_a_host_that_wants_to_be_asked_less_often_is():
    """The slower of its wish and the lane's rate counts, from the moment that it is known."""
    now = [100.0]
    for rate, delay, gap in ((None, 10.0, 10.0), (Rate(1), 10.0, 10.0), (Rate(1, per=60), 10.0, 60.0)):
        hosts = HostLimits(0, rate, lambda _work: None, clock=lambda: now[0])
        hosts.slow("host:80", delay)
        hosts.slow("host:80", delay)
        first = hosts.reserve("host:80")
        assert gap == hosts.reserve("host:80") - first
        assert first == (10.0 if gap == 10.0 else 0.0)
        assert (10.0 if gap == 10.0 else 0.0) == hosts.delay("host:80")
        assert 0.0 == hosts.reserve("other:80") == hosts.delay("other:80")


def test_what_goes_out_late_keeps_the_next_at_its_distance():
    """Its connection took its time, so the server has seen it then; as little as timers are late is made up."""
    pace = Pace(Rate(2))
    assert 0 == pace.reserve(100.0)
    pace.note_sent(100.004)
    assert 0.5 == pace.wait(100.0)
    pace.note_sent(100.2)
    assert 0.7 == pytest.approx(pace.wait(100.0))
    pace.note_sent(100.1)  # of another one, which ended later
    assert 0.7 == pytest.approx(pace.wait(100.0))


def test_a_host_is_asked_again_by_when_it_was_asked():
    """Not by when that was begun: a look-up and a handshake may take a second."""
    now = [100.0]
    limits = HostLimits(0, Rate(1), lambda _work: None, clock=lambda: now[0])
    first = job_for("http://host/1")
    assert limits.offer(first)
    second = job_for("http://host/2")
    assert not limits.offer(second)
    now[0] = 100.9
    limits.release(first.host, 100.8)
    now[0] = 101.5
    assert limits.take() is None
    assert 0.3 == pytest.approx(limits.due_in())
    now[0] = 101.801
    assert second is limits.take()
