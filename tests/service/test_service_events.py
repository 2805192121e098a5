"""Events: every one is a stored row, replayed and followed."""

import asyncio
import itertools
from types import SimpleNamespace

from workerpool.service.following import _events
from workerpool.service.records import Event


def test_a_jobs_events_end_with_it(shared, site):
    """New states, each result, and the end."""
    id = shared.submit(site.url_for("/fast/1"), site.url_for("/fast/2"))
    events = list(shared.events(f"/v1/jobs/{id}/events"))
    assert [each["event"] for each in events] == ["job", "job", "result", "result", "done"]
    assert {0, 1} == {each["data"]["n"] for each in events if each["event"] == "result"}
    assert events[-1]["data"]["state"] == "succeeded"
    assert [int(each["id"]) for each in events] == sorted({int(each["id"]) for each in events})


def test_what_was_missed_is_replayed(shared, site):
    """A line that is cut after each event sees every event once."""
    id = shared.submit(*[site.url_for(f"/fast/{n}") for n in range(20)])
    seen = []
    while True:
        last = int(seen[-1]["id"]) if seen else None
        event = next(shared.events(f"/v1/jobs/{id}/events", last), None)
        if event is None:
            break
        seen.append(event)
    assert seen == list(shared.events(f"/v1/jobs/{id}/events"))
    assert list(range(20)) == sorted(each["data"]["n"] for each in seen if each["event"] == "result")


def test_all_events_follow_from_now_on(shared, site):
    """Those of every job, behind those that were."""
    old = shared.submit(site.url_for("/fast/1"))
    shared.done(old)
    stream = shared.events("/v1/events", 0)
    first = next(stream)
    stream.close()
    assert first["event"] == "job"
    last = max(int(each["id"]) for each in shared.events(f"/v1/jobs/{old}/events"))
    new = shared.submit(site.url_for("/fast/1"))
    mine = (each for each in shared.events("/v1/events", last) if each["data"]["job"] == new)
    assert ["job", "job", "result", "done"] == [each["event"] for each in itertools.islice(mine, 4)]
    assert shared.call("GET", "/v1/events", headers={"Last-Event-ID": "x"}).status_code == 422


class _Store:
    """A store whose job is finished between two questions, and which has not told of it yet."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def last_event(self):
        return 1

    async def events(self, after, *, limit, job):
        return [each for each in self.answers.pop(0) if each.id > after]

    async def job(self, job):
        return SimpleNamespace(state="succeeded")


def test_no_event_is_lost_between_the_questions():
    """The job is not done yet when its events are read, and done when it is asked for."""
    end = Event(id=2, job="a", at=0.0, kind="done", data={})
    service = SimpleNamespace(store=_Store([], [end], [end]), event_clients=0, stopping=False)

    async def read():
        return b"".join([each async for each in _events(service, 1, "a")])

    assert b"event: done" in asyncio.run(read())
