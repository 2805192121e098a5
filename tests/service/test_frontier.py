"""One polite frontier for all who submit: limits, pauses, priorities, and why something waits."""

from served import served


def test_a_hosts_limit_holds_for_all_jobs(service, site):
    """However many ask for it."""
    service.call("PUT", "/v1/lanes/default", json={"per_host": 2})
    service.wait_for(lambda: service.get("/v1/lanes")["lanes"][0]["per_host"] == 2)
    ids = [service.submit(*[site.url_for(f"/slow/{n}?delay=0.02") for n in range(5)]) for _ in range(4)]
    assert {"succeeded"} == {service.done(id)["state"] for id in ids}
    assert site.max_in_flight <= 8  # what it was, until the runner has heard of it


def test_a_retry_after_holds_the_host(workerpool_server, service):
    """Nothing else goes there meanwhile, and the job says why."""
    workerpool_server.reply("/busy", status=503, headers={"Retry-After": "1000"})
    first = service.submit(workerpool_server.url_for("/busy"))
    found = service.wait_for(
        lambda: service.job(first)["waiting_for"] if service.job(first)["counts"]["running"] else None
    )
    assert "asked for" in found
    second = service.submit(workerpool_server.url_for("/fast/1"))
    found = service.wait_for(
        lambda: (service.job(second)["waiting_for"] or "").startswith("host ") and service.job(second)
    )
    assert found["waiting_for"].startswith("host 127.0.0.1:")
    assert found["counts"]["queued"] == 1
    assert ["/busy"] == [each.path for each in workerpool_server.requests]


def test_a_paused_lane_begins_nothing(service, site):
    """It says so, and goes on when it is let go on."""
    service.call("PUT", "/v1/lanes/night", json={"paused": True})
    id = service.submit(site.url_for("/fast/1"), lane="night")
    assert service.job(id)["waiting_for"] == "lane night is paused"
    service.call("PUT", "/v1/lanes/night", json={"paused": False})
    assert service.done(id)["state"] == "succeeded"


def test_a_lane_does_not_wait_for_another(service, site):
    """What is full is that lane only; it says so."""
    service.call("PUT", "/v1/lanes/bulk", json={"connections": 1})
    full = service.submit(site.url_for("/hold/1"), lane="bulk")
    waits = service.submit(site.url_for("/hold/2"), lane="bulk")
    site.wait_in_flight(1)
    assert service.done(service.submit(site.url_for("/fast/1")))["state"] == "succeeded"
    assert service.wait_for(lambda: service.job(waits)["waiting_for"] == "lane bulk is full")
    site.release()
    assert ["succeeded"] * 2 == [service.done(id)["state"] for id in (full, waits)]


def test_the_higher_priority_goes_first(workerpool_server, service):
    """Before what waits already, in a lane that does one thing at a time."""
    service.call("PUT", "/v1/lanes/one", json={"connections": 1})
    held = service.submit(workerpool_server.url_for("/hold/1"), lane="one")
    workerpool_server.wait_in_flight(1)
    low = service.submit(*[workerpool_server.url_for(f"/fast/{n}") for n in range(40)], lane="one")
    high = service.submit(workerpool_server.url_for("/fast/high"), lane="one", priority=5)
    service.wait_for(lambda: service.job(high)["waiting_for"] == "lane one is full")
    workerpool_server.release()
    for id in (held, low, high):
        service.done(id)
    assert ["/hold/1", "/fast/high"] == [each.path for each in workerpool_server.requests[:2]]


def test_robots_are_obeyed_on_wish(workerpool_server, database, tmp_path):
    """What they refuse is not asked for, and its Result says so."""
    workerpool_server.reply("/robots.txt", text="User-agent: *\nDisallow: /status/\n")
    with served(database, tmp_path, "--robots") as service:
        id = service.submit(workerpool_server.url_for("/status/200"), workerpool_server.url_for("/fast/1"))
        assert service.done(id)["state"] == "partial"
        refused = next(each for each in service.results(id) if each["n"] == 0)
    assert (refused["error"]["type"], refused["attempts"]) == ("Forbidden", [])
    assert ["/robots.txt", "/fast/1"] == [each.path for each in workerpool_server.requests]
