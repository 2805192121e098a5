"""A service that is killed, stopped, or whose runner has gone, goes on: small runs of killed_service.py."""

import signal

from killed_service import torment_service


def test_a_killed_service_loses_nothing(database, tmp_path):
    """What was accepted is there, each request has one Result, and each sending is an attempt."""
    found = torment_service(database, tmp_path, requests=300, times=4)
    assert found.is_good, found
    assert (found.kills, found.accepted) == (4, 6)


def test_a_restart_goes_on_at_once(service, site):
    """What was under way is sent again, and the first sending stays as an attempt."""
    id = service.submit(site.url_for("/hold/1"), site.url_for("/hold/2"))
    site.wait_in_flight(2)
    service.stop(signal.SIGKILL)
    site.release()
    service.start()
    assert service.done(id)["state"] == "succeeded"
    for each in service.results(id):
        assert ["interrupted", "200"] == [attempt["outcome"] for attempt in each["attempts"]]
        assert [1, 2] == [attempt["number"] for attempt in each["attempts"]]
    assert site.hits == 4


def test_term_finishes_what_is_under_way(service, site):
    """What waits is kept for the next process; nothing is sent twice."""
    service.call("PUT", "/v1/lanes/default", json={"connections": 1})
    id = service.submit(site.url_for("/hold/1"), site.url_for("/fast/2"))
    site.wait_in_flight(1)
    service.process.send_signal(signal.SIGTERM)
    site.release()
    assert service.process.wait(60) == 0
    service.start()
    assert service.done(id)["state"] == "succeeded"
    assert [1, 1] == [len(each["attempts"]) for each in service.results(id)]
    assert site.hits == 2
