"""The adaptive pace at a real server: it grows slow and complains when it is asked much, and the pace follows.

Judged by what the server counts and by the run's own causes of waiting; no time is bounded.
"""

import threading
from contextlib import suppress
from itertools import count
from time import sleep

import pytest
from servers import Handler, handled

from workerpool.scraping import Crawl, Politeness

ROOM = 2  # requests that it does at once without being slower for it


class Labouring(Handler):
    """Take longer the more is under way; say 429 or 503, with a Retry-After, where that is too much."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind = type(self)
        with kind.lock:
            kind.under_way += 1
            load = kind.under_way
            kind.log.append(load)
            complains = kind.labours and load > 2 * ROOM and kind.complaint is not None
            kind.complaints += complains
        if not complains:
            sleep(kind.seconds * (1 if not kind.labours else max(1, load - ROOM) ** 2))
        with kind.lock:
            kind.under_way -= 1
        with suppress(ConnectionError):  # the run was stopped
            if complains:
                self.answer(kind.complaint, b"", {"Retry-After": "0"})
            else:
                self.answer(200, b"page")


@pytest.fixture
def labouring():
    kind = type("OneServer", (Labouring,), {
        "log": [], "lock": threading.Lock(), "under_way": 0, "complaints": 0, "complaint": None, "labours": True,
        "seconds": 0.004,
    })  # fmt: skip
    with handled(kind) as url:
        yield kind, url


@pytest.mark.parametrize("status", [429, 503])
def test_complaints_bring_the_pace_down_and_good_answers_up_again(labouring, status):
    """Each page comes in the end; without `auto` the same server complains far more often."""
    kind, url = labouring
    kind.complaint = status
    kind.seconds = 0.02  # so that 12 are under way at once on a busy machine, too
    counts = {}
    for auto in (False, True):
        kind.log.clear()
        kind.complaints = 0
        crawl = Crawl([f"{url}{n}" for n in range(150)], politeness=Politeness(per_host=12, auto=auto), retry=None)
        statuses = [outcome.response.status_code for outcome in crawl]
        assert len(statuses) == len(kind.log) == 150
        counts[auto] = kind.complaints
        assert statuses.count(status) == kind.complaints
    assert 1 <= counts[True] < counts[False]


@pytest.mark.parametrize("complaint", [None, 429, 503])
def test_the_pace_goes_down_and_comes_up_again(labouring, complaint):
    """It labours until the run waits since it has slowed down, and is at ease until places are all that it waits for."""
    kind, url = labouring
    kind.complaint = complaint
    crawl = Crawl((f"{url}{n}" for n in count()), politeness=Politeness(per_host=12, auto=True), retry=None)
    eased, is_up = 0, False
    for number, _ in enumerate(crawl):
        causes = crawl.progress.causes
        if kind.labours and "slowed" in causes:
            kind.labours, eased = False, number
        elif not kind.labours and number > eased + 50 and "per-host" in causes:
            is_up = True
            crawl.stop()
    assert eased
    assert is_up
    assert (kind.complaints > 0) is (complaint is not None)
