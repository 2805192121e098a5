"""The pace of hosts: times are given, so that nothing is waited for."""

from dataclasses import FrozenInstanceError, replace
from email.utils import formatdate
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workerpool.errors import InvalidRequest
from workerpool.scraping.hosts import Hosts, Politeness, retry_after_seconds


def hosts(**settings):
    return Hosts(Politeness(**settings))


def ask(known, at, until=None, **outcome):
    """Have a request start, and end as told."""
    known.started("h", at)
    known.ended("h", at if until is None else until, **{"status": 200, **outcome})


def test_an_unknown_host_is_ready():
    """Nothing is known of it that would hold it up."""
    known = hosts()
    assert (-inf, "", 0) == (known.ready_at("h"), known.why("h", 0), len(known))


def test_per_host_bounds_what_is_under_way():
    """The next one waits for an end, whenever that is; other hosts do not."""
    known = hosts(per_host=2)
    known.started("h", 1)
    assert known.ready_at("h") <= 1
    known.started("h", 1)
    assert (inf, "per-host", -inf) == (known.ready_at("h"), known.why("h", 99), known.ready_at("other"))
    known.ended("h", 2, status=200)
    assert (True, "") == (known.ready_at("h") <= 2, known.why("h", 2))


def test_a_crawl_delay_is_kept_between_starts():
    """One at a time, whatever per_host allows."""
    known = hosts(per_host=8)
    known.set_floor("h", 5)
    known.started("h", 10)
    assert (inf, "crawl-delay") == (known.ready_at("h"), known.why("h", 99))
    known.ended("h", 11, status=200)
    assert (15, "crawl-delay", "") == (known.ready_at("h"), known.why("h", 14.9), known.why("h", 15))


@pytest.mark.parametrize("settings", [{"delay": 5}, {"per_host_rate": 0.2}])
def test_what_was_sent_late_counts_from_then(settings):
    """From its start the next one would follow too closely; what the start says after all is not undone."""
    known = hosts(**settings)
    known.started("h", 10)
    known.ended("h", 18, status=200, sent=17)
    assert 22 == known.ready_at("h")
    ask(known, 30, 31, sent=30)
    assert 35 == known.ready_at("h")


def test_the_longer_of_both_delays_counts():
    """One's own and the site's."""
    known = hosts(delay=3)
    ask(known, 10)
    assert 13 == known.ready_at("h")
    known.set_floor("h", 5)
    assert 15 == known.ready_at("h")
    known.set_floor("h", 1)
    assert 13 == known.ready_at("h")


def test_a_rate_spaces_starts_out():
    """Several may be under way; what a timer is late is made up, a rest is not."""
    known = hosts(per_host_rate=10)
    known.started("h", 100)
    assert (100.1, "rate") == (known.ready_at("h"), known.why("h", 100.05))
    known.started("h", 100.104)
    assert pytest.approx(100.2) == known.ready_at("h")
    known.started("h", 200)
    assert pytest.approx(200.1) == known.ready_at("h")


@pytest.mark.parametrize("status", [200, 301, 429, 503])
def test_a_retry_after_holds_the_host(status):
    """Whatever the status; the longest counts."""
    known = hosts()
    ask(known, 10, status=status, retry_after=30)
    ask(known, 11, status=status, retry_after=5)
    assert (40, "retry-after", "") == (known.ready_at("h"), known.why("h", 39), known.why("h", 40))


def test_a_retry_after_has_bounds():
    """A year is not waited for, nor is a time that has passed."""
    known = hosts(max_retry_after=60)
    ask(known, 10, retry_after=1e9)
    assert 70 == known.ready_at("h")
    known = hosts()
    ask(known, 10, retry_after=-5)
    assert 10 >= known.ready_at("h")


def test_a_retry_after_can_be_passed_over():
    """On wish."""
    known = hosts(respect_retry_after=False)
    ask(known, 10, status=503, retry_after=30)
    assert 10 >= known.ready_at("h")


@pytest.mark.parametrize("status", [429, 503])
def test_a_host_that_complains_is_asked_half_as_often(status):
    """From what was measured; once for all that was under way then."""
    known = hosts(auto=True)
    for second in range(10):
        ask(known, second)
    known.started("h", 10)
    known.started("h", 10)
    known.ended("h", 11, status=status, took=1)
    slowed = known.ready_at("h") - 10
    assert 1 < slowed <= 2
    known.ended("h", 11, status=status, took=1)
    assert 10 + slowed == known.ready_at("h")
    assert "slowed" == known.why("h", 10.5)
    ask(known, 20, 20.5, status=status, took=0.5)
    assert 2 * slowed <= known.ready_at("h") - 20 <= 60


def test_good_answers_bring_a_host_up_again():
    """By equal steps of its pace; in the end nothing is left of it."""
    known, at, paces = hosts(auto=True), 0.0, []
    ask(known, at, status=503, took=0)
    for _ in range(40):
        at = known.ready_at("h")
        ask(known, at, took=0)
        if known.ready_at("h") > at:
            paces.append(1 / (known.ready_at("h") - at))
    steps = [later - sooner for sooner, later in pairwise(paces)]
    assert len(steps) > 10
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-6)
    assert "" == known.why("h", at)


def test_complaints_slow_a_host_down_to_a_minute():
    """And no further."""
    known, at = hosts(auto=True), 0.0
    for _ in range(50):
        ask(known, at, at, status=429, took=0)
        at = max(at + 1, known.ready_at("h"))
    ask(known, at, at, status=429, took=0)
    assert 60 == pytest.approx(known.ready_at("h") - at)


def test_a_host_that_takes_twice_as_long_is_slowed_down():
    """To one request at a time at most."""
    known, at = hosts(auto=True, per_host=8), 0.0
    for _ in range(20):
        ask(known, at, at + 0.1, took=0.1)
        at += 0.05
    assert "" == known.why("h", at)
    for _ in range(20):
        ask(known, at, at + 1, took=1)
        at = max(at + 0.05, known.ready_at("h"))
    known.started("h", at)
    assert 0.05 < known.ready_at("h") - at <= 1
    assert "slowed" == known.why("h", at)


def test_without_auto_nothing_adapts():
    """A complaint is an answer like any other."""
    known = hosts()
    ask(known, 0, status=429, took=1)
    assert 0 >= known.ready_at("h")


def test_a_host_that_cannot_be_reached_is_left_alone():
    """For a pause that doubles with each probe, up to a bound; one probe at a time; an answer ends it."""
    known = hosts(breaker_failures=3, breaker_pause=10, breaker_pause_max=25)
    for second in range(3):
        ask(known, second, status=None, failed=True)
    assert (12, "circuit", "") == (known.ready_at("h"), known.why("h", 11), known.why("h", 12))
    for at, pause in ((12, 20), (32, 25), (57, 25)):
        known.started("h", at)
        assert (inf, "circuit") == (known.ready_at("h"), known.why("h", at))
        known.ended("h", at, failed=True)
        assert at + pause == known.ready_at("h")
    ask(known, 82)
    assert 82 >= known.ready_at("h")
    ask(known, 83, status=None, failed=True)
    assert 83 >= known.ready_at("h")


def test_what_was_under_way_when_the_circuit_opened_is_no_probe():
    """It neither lengthens the pause nor lets another one start before it ends."""
    known = hosts(breaker_failures=2, breaker_pause=10)
    for _ in range(4):
        known.started("h", 0)
    for at in (1, 2, 3):
        known.ended("h", at, failed=True)
    assert inf == known.ready_at("h")
    known.ended("h", 4, failed=True)
    assert 12 == known.ready_at("h")


def test_failures_count_in_a_row():
    """An answer of any status comes between."""
    known = hosts(breaker_failures=2)
    for outcome in ({"failed": True, "status": None}, {"status": 500}, {"failed": True, "status": None}):
        ask(known, 0, **outcome)
    assert 0 >= known.ready_at("h")


def test_there_may_be_no_breaker():
    """With 0."""
    known = hosts(breaker_failures=0)
    for _ in range(100):
        ask(known, 0, status=None, failed=True)
    assert 0 >= known.ready_at("h")


def test_what_was_cancelled_only_gives_its_place_back():
    """It tells nothing of the host."""
    known = hosts(per_host=1, auto=True)
    ask(known, 0, status=None)
    assert 0 >= known.ready_at("h")


@pytest.mark.parametrize("settings", [{}, {"per_host_rate": 10}, {"delay": 2}, {"auto": True}, {"breaker_failures": 1}])
def test_hosts_that_rest_are_forgotten(settings):
    """However many there were."""
    known, most = hosts(**settings), 0
    for number in range(3000):
        known.started(f"h{number}", number)
        known.ended(f"h{number}", number + 0.5, status=200, took=0.5)
        most = max(most, len(known))
    assert most < 100


def test_what_robots_txt_has_set_is_not_forgotten():
    """Until that is said."""
    known = hosts()
    known.set_floor("h", 5)
    ask(known, 0)
    for number in range(1, 100):
        known.started(f"h{number}", 10 * number)
        known.ended(f"h{number}", 10 * number, status=200)
    ask(known, 2000)
    assert 2005 == known.ready_at("h")
    known.forget("h")
    assert -inf == known.ready_at("h")


OUTCOMES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([200, 200, 304, 404, 429, 500, 503]),
        "retry_after": st.floats(0, 50),
        "took": st.floats(0, 5),
        "failed": st.booleans(),
    },
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.sampled_from("ab")),
        st.tuples(st.just("end"), st.sampled_from("ab"), OUTCOMES),
        st.tuples(st.just("rest"), st.floats(0, 30)),
        st.tuples(st.just("floor"), st.sampled_from("ab"), st.floats(0, 10)),
    ),
    max_size=60,
)
SETTINGS = st.fixed_dictionaries(
    {"per_host": st.integers(1, 4), "auto": st.booleans(), "breaker_failures": st.integers(0, 3)},
    optional={"delay": st.floats(0, 5), "per_host_rate": st.floats(0.1, 100)},
)


def test_a_floor_counts_from_the_last_start_also_of_a_forgotten_host():
    """Nothing was to be known of it any more, until robots.txt has set it a delay."""
    known = hosts()
    known.started("a", 1000.0)
    known.ended("a", 1000.0)
    known.started("b", 1000.5)
    assert known.ready_at("a") == -inf
    known.set_floor("a", 1.0)
    assert known.ready_at("a") >= 1001.0


@given(settings=SETTINGS, steps=STEPS)
@example(settings={"per_host": 1, "auto": False, "breaker_failures": 0}, steps=[
    ("start", "b"), ("end", "b", {}), ("floor", "b", 1.0), ("start", "b"),
])  # fmt: skip
def test_no_bound_is_ever_passed(settings, steps):
    """Whatever happens in whatever order: places, delays and Retry-After hold, and no host waits for ever."""
    known, now = hosts(**settings), 1000.0
    under_way, floors, last, held = (dict.fromkeys("ab", value) for value in (0, 0.0, -inf, -inf))
    for action, subject, *details in steps:
        if action == "rest":
            now += subject
        elif action == "floor":
            known.set_floor(subject, details[0])
            floors[subject] = details[0]
        elif action == "end" and under_way[subject]:
            under_way[subject] -= 1
            known.ended(subject, now, **details[0])
            held[subject] = max(held[subject], now + details[0].get("retry_after", 0))
        elif action == "start" and known.ready_at(subject) < inf:
            assert (known.why(subject, now) == "") is (known.ready_at(subject) <= now)
            now = max(now, known.ready_at(subject))
            floor = max(floors[subject], settings.get("delay", 0))
            assert under_way[subject] < (1 if floor else settings["per_host"])
            assert now >= last[subject] + floor
            assert now >= held[subject]
            known.started(subject, now)
            under_way[subject] += 1
            last[subject] = now
        for name in "ab":
            assert under_way[name] or known.ready_at(name) < inf


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120), (" 0 ", 0), ("9" * 400, 999999999999), (formatdate(1060, usegmt=True), 60),
        (formatdate(900, usegmt=True), 0), ("Thu, 01 Jan 1970 00:20:00 -0000", 200),
        (None, None), ("", None), ("-5", None), ("soon", None), ("1.5", None), ("٣", None),
        ("Thu, 99 Jan 1970 00:00:00 GMT", None), ("Thu, 01 Jan 99999999 00:00:00 GMT", None),
    ],
)  # fmt: skip
def test_a_retry_after_is_seconds_or_a_date(value, seconds):
    """What is neither says nothing."""
    assert seconds == retry_after_seconds(value, now=1000.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("per_host", -1), ("per_host", 1.5), ("per_host", True), ("per_host", None), ("per_host_rate", 0),
        ("per_host_rate", -1), ("per_host_rate", nan), ("per_host_rate", inf), ("per_host_rate", "2"), ("delay", -1),
        ("delay", nan), ("delay", 1e9), ("auto", 1), ("robots", None), ("respect_retry_after", "yes"),
        ("max_retry_after", -1), ("max_retry_after", inf), ("breaker_failures", -1), ("breaker_failures", 2.0),
        ("breaker_pause", nan), ("breaker_pause_max", 1), ("respect", "noai"), ("respect", {"nothing"}),
        ("respect", [["noai"]]), ("contact", ""), ("contact", "me"), ("contact", "a@b\r\nX: y"), ("contact", "http://ü"),
        ("contact", 5),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(field, value):
    """With the name of the field, and what it may be."""
    with pytest.raises(InvalidRequest, match=rf"^{field} must be .*, not "):
        Politeness(**{field: value})


def test_politeness_is_a_value():
    """Frozen, with copies that differ."""
    settings = Politeness(respect={"noai"}, contact="https://example.org/bot")
    assert frozenset({"noai"}) == settings.respect
    assert "bot@example.org" == replace(settings, contact="bot@example.org").contact
    with pytest.raises(FrozenInstanceError):
        settings.per_host = 3
