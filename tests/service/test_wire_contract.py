"""The conventions of the wire: problems everywhere, strict bodies, roles, hosts and origins, limits."""

import json
import socket

import pytest
from served import served

TOKENS = "read:read-token,submit:submit-token,admin:admin-token"
JOB = {"url": "http://127.0.0.1:1/"}


def is_problem(answer, status):
    """Whether it is a problem of that status, as RFC 9457 has it."""
    return (
        answer.status_code == status
        and answer.headers["Content-Type"] == "application/problem+json"
        and answer.json()["status"] == status
        and {"type", "title", "detail"} <= answer.json().keys()
    )


@pytest.fixture(scope="module")
def guarded(new_database, tmp_path_factory):
    with served(new_database(), tmp_path_factory.mktemp("guarded"), tokens=TOKENS) as service:
        yield service


def as_(role):
    return {"Authorization": f"Bearer {role}-token"}


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/nothing", 404), ("GET", "/v1/jobs/none", 404), ("GET", "/v1/jobs/none/results", 404), ("GET", "/v1/jobs/none/events", 404),
    ("GET", "/v1/jobs/none/results/0/body", 404), ("POST", "/v1/jobs/none/cancel", 404), ("DELETE", "/v1/jobs/none", 404),
    ("PATCH", "/v1/jobs/none", 405), ("PUT", "/v1/jobs", 405), ("GET", "/v1/jobs?limit=0", 422), ("GET", "/v1/jobs?limit=1001", 422),
    ("GET", "/v1/jobs?limit=x", 422), ("GET", "/v1/jobs?state=odd", 422), ("GET", "/v1/jobs?label=odd", 422),
    ("GET", "/v1/jobs?cursor=forged", 422), ("GET", "/v1/jobs/none/results?wait=-1", 422), ("GET", "/v1/jobs/a%2Fb", 404),
    ("GET", "/v1/jobs/..", 404), ("GET", "/v1/jobs/" + "x" * 65, 422), ("GET", "/v1/jobs/none/results/-1/body", 422),
])  # fmt: skip
def test_every_error_is_a_problem(shared, method, path, status):
    """Of the routes, of those that are not there, and of fields."""
    accept = {"Accept": "text/event-stream"} if path.endswith("/events") else {}
    assert is_problem(shared.call(method, path, headers=accept), status)


def test_what_is_no_http_is_a_problem(shared):
    """And the connection is closed."""
    port = int(shared.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as answer:
        connection.sendall(b"\x00\x01\r\n\r\n")
        head, _, body = answer.read().partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == 400


def test_what_is_not_allowed_says_what_is(shared):
    """A 405 names all methods of its path."""
    assert {"GET", "DELETE"} == set(shared.call("PATCH", "/v1/jobs/none").headers["Allow"].split(", "))


@pytest.mark.parametrize(("accept", "status"), [
    ("text/html", 406), ("application/xml, text/*", 406), ("application/json;q=0", 406), ("application/*", 200), ("*/*;q=0.1", 200),
    ("text/html, application/json;q=0.5", 200),
])  # fmt: skip
def test_what_cannot_be_had_is_refused(shared, accept, status):
    """By the Accept of the call."""
    assert shared.call("GET", "/v1/jobs", headers={"Accept": accept}).status_code == status


@pytest.mark.parametrize(("body", "kind", "status"), [
    ("{", "application/json", 400), ("", "application/json", 400), (b"\xff", "application/json", 400), ('{"url": "http://a.example/"}', "text/plain", 415),
    ("url=http://a.example/", "application/x-www-form-urlencoded", 415), ("[]", "application/json", 422), ("", "application/x-ndjson", 422),
    ('{"url": "http://a.example/", "json": ' + "[" * 100 + "]" * 100 + "}", "application/json", 422),
    ('{"url": "http://a.example/", "json": NaN}', "application/json", 422),
])  # fmt: skip
def test_a_body_that_is_none_is_refused(shared, body, kind, status):
    """Malformed, of another type, or of another shape."""
    assert is_problem(shared.call("POST", "/v1/jobs", data=body, headers={"Content-Type": kind}), status)


@pytest.mark.parametrize(("change", "pointer"), [
    ({"foo": 1}, "/foo"), ({"priority": "1"}, "/priority"), ({"priority": 1e9}, "/priority"), ({"priority": True}, "/priority"),
    ({"id": "a/b"}, "/id"), ({"id": ""}, "/id"), ({"lane": "a b"}, "/lane"), ({"labels": {"a": 1}}, "/labels/a"), ({"expires_in": 0}, "/expires_in"),
    ({"not_before": "tomorrow"}, "/not_before"), ({"not_before": "2026-12-01T08:00:00"}, "/not_before"), ({"retry": {"attempts": 0}}, "/retry/attempts"),
    ({"retry": 3}, "/retry"), ({"webhook": {"url": "ftp://a"}}, ""), ({"webhook": {}}, "/webhook/url"), ({"keep_bodies": 1}, "/keep_bodies"),
    ({"timeout": -1}, "/timeout"), ({"max_body": 0}, "/max_body"), ({"headers": {"a": 1}}, "/headers/a"), ({"method": "G T"}, "/method"),
    ({"url": "file:///etc/passwd"}, "/url"), ({"url": 5}, "/url"), ({"url": "http://"}, "/url"), ({"data": "a", "json": 1}, ""),
    ({"data_base64": "?"}, "/data_base64"), ({"requests": ["http://a.example/"]}, ""),
])  # fmt: skip
def test_a_field_that_is_wrong_is_named(shared, change, pointer):
    """By a JSON pointer."""
    answer = shared.call("POST", "/v1/jobs", json=JOB | change)
    assert is_problem(answer, 422)
    assert pointer in [each["pointer"] for each in answer.json()["errors"]]


@pytest.mark.parametrize(("method", "path", "pointer"), [
    ("GET", "/v1/jobs?stat=failed", "/stat"), ("GET", "/v1/jobs?state=failed&state=partial", "/state"), ("GET", "/v1/jobs/a?x=", "/x"),
    ("GET", "/v1/jobs/a/results?limits=5", "/limits"), ("GET", "/v1/events?last-event-id=5", "/last-event-id"), ("POST", "/v1/jobs?priorty=5", "/priorty"),
    ("POST", "/v1/jobs?priority=5&priority=6", "/priority"), ("POST", "/v1/jobs/a/retry?only=all", "/only"), ("GET", "/v1/lanes?name=x", "/name"),
])  # fmt: skip
def test_a_query_parameter_that_would_do_nothing_is_refused(shared, method, path, pointer):
    """Misspelt, of another call, or given twice."""
    body = (
        {} if method == "GET" else {"data": b'"http://a.example/"', "headers": {"Content-Type": "application/x-ndjson"}}
    )
    answer = shared.call(method, path, **body)
    assert is_problem(answer, 422)
    assert [pointer] == [each["pointer"] for each in answer.json()["errors"]]


@pytest.mark.parametrize(("request_", "pointer"), [
    ("ftp://x", "/requests/1"), ({"url": "http://a.example/", "x~/": 1}, "/requests/1/x~0~1"), (5, "/requests/1"),
    ({"url": "ftp://x"}, "/requests/1/url"), ({}, "/requests/1/url"), ({"url": "http://a.example/", "headers": {"a b": "c"}}, "/requests/1/url"),
])  # fmt: skip
def test_a_request_that_is_wrong_is_named(shared, request_, pointer):
    """By its place in the list."""
    answer = shared.call("POST", "/v1/jobs", json={"requests": ["http://a.example/", request_]})
    assert is_problem(answer, 422)
    assert [pointer] == [each["pointer"] for each in answer.json()["errors"]]


@pytest.mark.parametrize(("role", "statuses"), [
    (None, [401] * 5), ("wrong", [401] * 5), ("read", [200, 403, 403, 403, 403]), ("submit", [200, 202, 404, 403, 403]),
    ("admin", [200, 202, 404, 404, 200]),
])  # fmt: skip
def test_a_role_may_do_what_it_may(guarded, role, statuses):
    """Read, submit, admin; nothing without a token."""
    headers = {} if role is None else as_(role)
    calls = [("GET", "/v1/jobs", None), ("POST", "/v1/jobs", JOB), ("POST", "/v1/jobs/none/cancel", None), ("DELETE", "/v1/jobs/none", None),
             ("PUT", "/v1/lanes/x", {})]  # fmt: skip
    assert statuses == [
        guarded.call(method, path, json=body, headers=headers).status_code for method, path, body in calls
    ]


def test_a_token_is_nowhere_but_in_its_header(guarded):
    """Neither in a query, nor in the log; a challenge says what is wanted."""
    answer = guarded.call("GET", "/v1/jobs?token=admin-token")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert is_problem(answer, 401)
    assert "admin-token" not in guarded.log


def test_health_needs_no_token(guarded):
    """Nor does readiness, which tells nothing else."""
    assert [200, 200] == [guarded.call("GET", path).status_code for path in ("/healthz", "/readyz")]


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Host": "127.0.0.1.evil.example:80"}, {"Origin": "https://evil.example"},
    {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
def test_foreign_hosts_and_origins_are_refused(shared, method, headers):
    """For every method."""
    assert is_problem(shared.call(method, "/v1/jobs", headers=headers), 403)


def test_the_services_own_names_and_pages_may_call(shared):
    """Its address, and localhost."""
    port = shared.url.rpartition(":")[2]
    for headers in ({"Host": f"localhost:{port}"}, {"Origin": shared.url}, {"Origin": f"http://localhost:{port}"}):
        assert shared.call("GET", "/v1/jobs", headers=headers).status_code == 200


def test_what_is_too_large_is_refused(shared):
    """Bodies, lines, headers, and more of them than anybody needs."""
    large = shared.call("POST", "/v1/jobs", data=b" " * (17 * 2**20), headers={"Content-Type": "application/json"})
    line = shared.call("POST", "/v1/jobs", data=b"x" * (2 * 2**20), headers={"Content-Type": "application/x-ndjson"})
    many = shared.call("GET", "/v1/jobs", headers={f"X-{n}": "" for n in range(200)})
    assert [413, 413, 431] == [large.status_code, line.status_code, many.status_code]


def test_answers_protect_browsers(shared):
    """No script from elsewhere, no sniffing, no frame."""
    headers = shared.call("GET", "/docs").headers
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_document_tells_every_call(shared):
    """OpenAPI, with the problems that each may answer with; and a page made of it."""
    document = shared.get("/openapi.json")
    assert {"/v1/jobs", "/v1/jobs/{id}/results", "/v1/events", "/v1/lanes/{name}", "/healthz"} <= document[
        "paths"
    ].keys()
    assert "application/problem+json" in document["paths"]["/v1/jobs"]["post"]["responses"]["422"]["content"]
    assert "/v1/jobs/actions" in shared.call("GET", "/docs").text


def test_lanes_are_set_and_listed(shared):
    """What is left out stays as it is; what cannot be is refused."""
    assert shared.call("PUT", "/v1/lanes/slow", json={"connections": 2, "rate": 0.5}).status_code == 200
    lane = shared.call("PUT", "/v1/lanes/slow", json={"paused": True}).json()
    assert (lane["connections"], lane["rate"], lane["paused"]) == (2, 0.5, True)
    assert "slow" in [each["name"] for each in shared.get("/v1/lanes")["lanes"]]
    assert is_problem(shared.call("PUT", "/v1/lanes/slow", json={"rate": -1}), 422)
    assert is_problem(shared.call("PUT", "/v1/lanes/slow", json={"odd": 1}), 422)


def test_numbers_are_told(shared):
    """As JSON, and as Prometheus has them."""
    assert {"jobs", "queued", "running", "results", "bytes"} <= shared.get("/v1/stats").keys()
    assert "workerpool_service_queued" in shared.call("GET", "/metrics").text


def test_a_url_is_explained(shared):
    """Whether address rules let it through, and what it resolves to."""
    found = shared.get("/v1/policy/explain", params={"url": "http://10.0.0.1/"})
    assert (found["allowed"], found["addresses"]) == (False, ["10.0.0.1"])
    assert shared.get("/v1/policy/explain", params={"url": "http://127.0.0.1/"})["allowed"]


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://[::ffff:10.0.0.1]/", "http://0x0a000001/", "http://169.254.169.254/"]
)
def test_what_address_rules_forbid_is_refused(shared, site, url):
    """At once where the URL tells it, for webhooks too; and where only a redirect leads there, nothing is sent."""
    assert is_problem(shared.call("POST", "/v1/jobs", json={"url": url}), 403)
    assert is_problem(shared.call("POST", "/v1/jobs", json={**JOB, "webhook": {"url": url}}), 403)
    lines = shared.call("POST", "/v1/jobs", data=f'"{url}"', headers={"Content-Type": "application/x-ndjson"})
    assert is_problem(lines, 403)
    id = shared.submit({"url": site.url_for("/redirect-to"), "params": {"url": url}})
    assert shared.done(id)["state"] == "failed"
    assert shared.results(id)[0]["error"]["type"] in ("Forbidden", "ProtocolError")  # that one for what is no host


def test_other_addresses_need_tokens(database, tmp_path):
    """The service refuses to listen where others are, as long as everybody is admin."""
    with pytest.raises(RuntimeError, match="no tokens"), served(database, tmp_path, "--host", "0.0.0.0"):
        pass


def test_text_of_any_kind_comes_back_as_it_was(shared):
    """Nothing of it is markup, SQL or a path."""
    odd = "<script>alert(1)</script>'\";--%_\\\u2028é"
    id = shared.submit({"url": "http://127.0.0.1:1/", "ref": odd}, labels={"a b<": odd}, retry={"attempts": 1})
    assert shared.done(id)["labels"] == {"a b<": odd}
    assert shared.results(id)[0]["ref"] == odd
    assert [id] == [each["id"] for each in shared.get("/v1/jobs", params={"q": odd})["jobs"]]
    assert [id] == [each["id"] for each in shared.get("/v1/jobs", params={"label": f"a b<:{odd}"})["jobs"]]
