"""Events: every one is a stored row, replayed and followed."""

import itertools


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
