"""Jobs over HTTP: submitted, run, read, cancelled, done again."""

import hashlib
import json
import re

import pytest
from servers import Scripted, ok

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_job_is_run_and_its_answers_are_kept(shared, site):
    """Status, headers, body and attempts are there, one Result for each request."""
    urls = [site.url_for("/fast/1"), {"url": site.url_for("/status/404"), "ref": "row 17"}]
    job = shared.done(shared.submit(*urls, labels={"team": "tea"}))
    assert job["state"] == "partial"
    assert job["counts"] == {
        "total": 2,
        "queued": 0,
        "running": 0,
        "succeeded": 1,
        "failed": 1,
        "cancelled": 0,
        "expired": 0,
    }
    assert all(MOMENT.fullmatch(job[name]) for name in ("created_at", "started_at", "finished_at"))
    good, bad = sorted(shared.results(job["id"]), key=lambda each: each["n"])
    assert (good["status"], good["ok"], good["error"]) == (200, True, None)
    assert (bad["status"], bad["ok"], bad["ref"]) == (404, False, "row 17")
    assert ["200"] == [each["outcome"] for each in good["attempts"]]
    body = shared.call("GET", good["body"]["href"])
    assert hashlib.sha256(body.content).hexdigest() == good["body"]["sha256"]
    assert len(body.content) == good["body"]["size"]
    assert body.headers["Content-Disposition"].startswith("attachment")
    assert body.headers["Content-Security-Policy"] == "sandbox"


def test_one_request_may_stand_at_the_top(shared, site):
    """Its method, headers, params and body are sent as given."""
    one = {
        "url": site.url_for("/echo"),
        "method": "POST",
        "headers": {"X-A": "1"},
        "params": {"q": "tea"},
        "json": {"n": 1},
    }
    answer = shared.call("POST", "/v1/jobs", json=one)
    assert answer.status_code == 202
    id = answer.json()["id"]
    assert answer.headers["Location"] == f"/v1/jobs/{id}"
    shared.done(id)
    sent = shared.call("GET", f"/v1/jobs/{id}/results/0/body").json()
    assert (sent["method"], sent["args"], json.loads(sent["body"])) == ("POST", {"q": "tea"}, {"n": 1})
    assert {name.lower(): value for name, value in sent["headers"].items()}["x-a"] == "1"


@pytest.mark.parametrize(("field", "body"), [
    ({"data": "text"}, "text"), ({"data_base64": "AAEC"}, "\x00\x01\x02"), ({"json": None}, "null"),
])  # fmt: skip
def test_a_body_is_sent_in_each_form(shared, site, field, body):
    """As text, base64 or JSON, null included."""
    id = shared.submit({"url": site.url_for("/echo"), "method": "POST", **field})
    shared.done(id)
    assert body == shared.call("GET", f"/v1/jobs/{id}/results/0/body").json()["body"]


def test_lines_are_taken_as_a_job(shared, site):
    """Fields come as query parameters, each line is a URL or an object."""
    lines = "\n".join(
        [json.dumps(site.url_for("/fast/1")), json.dumps({"url": site.url_for("/fast/2"), "ref": "b"}), ""]
    )
    answer = shared.call("POST", "/v1/jobs?label=team:tea&label=x:y:z&priority=3&id=of-lines", data=lines,
                         headers={"Content-Type": "application/x-ndjson"})  # fmt: skip
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["id"], job["labels"], job["priority"]) == ("of-lines", {"team": "tea", "x": "y:z"}, 3)
    assert shared.done("of-lines")["state"] == "succeeded"
    assert {"b", None} == {each["ref"] for each in shared.results("of-lines")}


@pytest.mark.parametrize(("line", "status"), [
    ('{"url": 5}', 422), ('{"url": "http://a.example/", "x": 1}', 422), ('"ftp://a.example/"', 422), ('"http://[@/"', 422), ("{", 400), ("5", 422),
])  # fmt: skip
def test_a_bad_line_refuses_all(shared, site, line, status):
    """It is named by its number, and nothing is stored."""
    lines = f'"{site.url_for("/fast/1")}"\n{line}\n"{site.url_for("/fast/2")}"\n'
    answer = shared.call("POST", "/v1/jobs?id=refused", data=lines, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == status
    assert answer.json()["detail"].startswith("line 2: ")
    assert answer.json()["errors"][0]["line"] == 2
    assert shared.call("GET", "/v1/jobs/refused").status_code == 404


def test_many_lines_are_one_job(service, site):
    """More than one transaction takes are there as a whole, in their order."""
    lines = "".join(f'"{site.url_for("/fast/")}{n}"\n' for n in range(3000))
    service.call("PUT", "/v1/lanes/default", json={"paused": True})
    answer = service.call("POST", "/v1/jobs", data=lines, headers={"Content-Type": "application/x-ndjson"})
    assert answer.json()["counts"]["queued"] == 3000


def test_a_cancelled_job_ends_at_once(service, site):
    """What runs is aborted, what waits is not sent; each request has its Result."""
    id = service.submit(site.url_for("/hold/1"), *[site.url_for(f"/fast/{n}") for n in range(3)], lane="one")
    service.call("PUT", "/v1/lanes/one", json={"connections": 1})
    site.wait_in_flight(1)
    answer = service.call("POST", f"/v1/jobs/{id}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    site.wait_in_flight(0)
    results = service.results(id)
    assert sorted(each["n"] for each in results) == [0, 1, 2, 3]
    assert {"Cancelled"} >= {each["error"]["type"] for each in results if each["error"]}
    assert service.call("POST", f"/v1/jobs/{id}/cancel").status_code == 200


def test_what_has_failed_is_done_again(service, site):
    """A retry is a new run, of what did not succeed, or of all."""
    id = service.submit(site.url_for("/flaky/1"), site.url_for("/fast/1"), retry={"attempts": 1})
    assert service.done(id)["state"] == "partial"
    answer = service.call("POST", f"/v1/jobs/{id}/retry", json={"only": "failed"})
    assert (answer.json()["run"], answer.json()["counts"]["queued"]) == (2, 1)
    assert service.done(id)["state"] == "succeeded"
    assert service.call("POST", f"/v1/jobs/{id}/retry", json={"only": "failed"}).status_code == 409
    assert service.call("POST", f"/v1/jobs/{id}/retry", json={"only": "all"}).json()["counts"]["queued"] == 2
    assert service.done(id)["counts"]["succeeded"] == 2
    assert site.hits == 5


def test_each_try_is_an_attempt(shared, site):
    """A 503 is tried again; both sendings are told."""
    id = shared.submit(site.url_for("/flaky/7"))
    shared.done(id)
    assert ["503", "200"] == [each["outcome"] for each in shared.results(id)[0]["attempts"]]
    assert site.hits == 2


def test_a_job_that_is_done_is_deleted(shared, site):
    """With 204; one that runs is not, with 409."""
    id = shared.submit(site.url_for("/hold/1"))
    assert shared.call("DELETE", f"/v1/jobs/{id}").status_code == 409
    site.release()
    shared.done(id)
    assert shared.call("DELETE", f"/v1/jobs/{id}").status_code == 204
    assert shared.call("GET", f"/v1/jobs/{id}").status_code == 404
    assert shared.call("DELETE", f"/v1/jobs/{id}").status_code == 404


def test_a_job_expires(service, site):
    """What has no Result by then gets one that says so."""
    id = service.submit(site.url_for("/hold/1"), expires_in=0.2)
    assert service.done(id)["state"] == "expired"
    assert ["Expired"] == [each["error"]["type"] for each in service.results(id)]
    site.wait_in_flight(0)


def test_a_job_waits_for_its_moment(shared, site):
    """And says so."""
    id = shared.submit(site.url_for("/fast/1"), not_before="2030-01-01T00:00:00Z")
    job = shared.job(id)
    assert (job["state"], job["not_before"]) == ("queued", "2030-01-01T00:00:00.000Z")
    assert job["waiting_for"].startswith("not before 2030")


def test_jobs_are_listed_by_pages(service, site):
    """The newest first; a cursor stays valid while jobs come and go."""
    ids = [service.submit(site.url_for("/fast/1"), labels={"k": str(n % 2)}) for n in range(5)]
    page = service.get("/v1/jobs", params={"limit": 2})
    assert ids[:2:-1] == [each["id"] for each in page["jobs"]]
    for id in ids:
        service.done(id)
    service.submit(site.url_for("/fast/1"))
    service.call("DELETE", f"/v1/jobs/{ids[3]}")
    rest = service.get("/v1/jobs", params={"limit": 3, "cursor": page["next"]})
    assert (ids[2::-1], None) == ([each["id"] for each in rest["jobs"]], rest["next"])
    assert [ids[1]] == [each["id"] for each in service.get("/v1/jobs", params={"label": "k:1"})["jobs"]]
    assert [ids[2]] == [each["id"] for each in service.get("/v1/jobs", params={"q": ids[2]})["jobs"]]
    assert [] == service.get("/v1/jobs", params={"state": "failed"})["jobs"]


def test_results_are_waited_for(shared, site):
    """`wait` answers once there is one, and the cursor goes on behind it."""
    id = shared.submit(site.url_for("/fast/1"), site.url_for("/hold/2"))
    page = shared.get(f"/v1/jobs/{id}/results", params={"wait": 30})
    assert [0] == [each["n"] for each in page["results"]]
    site.release()
    page = shared.get(f"/v1/jobs/{id}/results", params={"wait": 30, "cursor": page["next"]})
    assert [1] == [each["n"] for each in page["results"]]
    shared.done(id)
    assert shared.results(id, ok="false") == []


def test_results_are_followed_until_the_job_is_done(shared, site):
    """As lines; the stream ends by itself."""
    id = shared.submit(*[site.url_for(f"/slow/{n}?delay=0.0{n}") for n in range(9)])
    with shared.http.get(f"{shared.url}/v1/jobs/{id}/results?follow=true", headers={"Accept": "application/x-ndjson"},
                         stream=True, timeout=60) as answer:  # fmt: skip
        assert answer.headers["Content-Type"].startswith("application/x-ndjson")
        found = [json.loads(line)["n"] for line in answer.iter_lines()]
    assert sorted(found) == list(range(9))


def test_bodies_are_kept_if_wanted(shared, site):
    """Without `keep_bodies` there is the answer's head only."""
    id = shared.submit(site.url_for("/fast/1"), keep_bodies=False)
    shared.done(id)
    assert shared.results(id)[0]["body"] is None
    assert shared.call("GET", f"/v1/jobs/{id}/results/0/body").status_code == 404


def test_actions_are_previewed_and_done(service, site):
    """First how many, then done to all that match and may be."""
    ids = [service.submit(site.url_for("/hold/1"), labels={"k": "v"}) for _ in range(3)]
    service.submit(site.url_for("/hold/2"))
    act = {"action": "cancel", "filter": {"labels": {"k": "v"}}}
    assert service.call("POST", "/v1/jobs/actions", json=act).json()["changed"] == 3
    assert service.job(ids[0])["state"] != "cancelled"
    assert service.call("POST", "/v1/jobs/actions", json={**act, "dry_run": False}).json()["changed"] == 3
    assert ["cancelled"] * 3 == [service.job(id)["state"] for id in ids]


def test_a_key_makes_one_job(service, site):
    """Again the same with the same body, also after a restart; 422 with another one."""
    job = {"url": site.url_for("/fast/1")}
    first = service.call("POST", "/v1/jobs", json=job, headers={"Idempotency-Key": "k1"})
    again = service.call("POST", "/v1/jobs", json=job, headers={"Idempotency-Key": "k1"})
    other = service.call("POST", "/v1/jobs", json={**job, "priority": 1}, headers={"Idempotency-Key": "k1"})
    assert [202, 200, 422] == [first.status_code, again.status_code, other.status_code]
    assert again.headers["Idempotent-Replayed"] == "true"
    service.stop()
    service.start()
    again = service.call("POST", "/v1/jobs", json=job, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


def test_an_id_is_taken_once(shared, site):
    """A second job of the same id is a conflict."""
    shared.submit(site.url_for("/fast/1"), id="mine")
    assert shared.call("POST", "/v1/jobs", json={"url": site.url_for("/fast/1"), "id": "mine"}).status_code == 409


def test_headers_that_are_no_utf_8_hold_nothing_up(service, site):
    """They are kept as Latin-1, and what else is done beside them is stored, too."""
    with Scripted([ok(b"", b"X-Name: caf\xe9", b"Content-Type: te\xe9xt")]) as server:
        id = service.submit(server.url, site.url_for("/fast/1"))
        assert "succeeded" == service.done(id)["state"]
    odd = next(each for each in service.results(id) if each["n"] == 0)
    assert ["X-Name", "café"] in odd["headers"]
