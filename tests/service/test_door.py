"""The door: what hostile or clumsy clients send, on the bare wire; and calls that are sent twice."""

import asyncio
import json
import re
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import ClassVar

import pytest
from inside import Inside
from served import served

from workerpool.service import connection, patience
from workerpool.service.access import Access
from workerpool.service.guard import is_long
from workerpool.service.postgres import jobs as jobs_of_postgres
from workerpool.service.problems import Problem
from workerpool.service.sqlite import jobs

TOKENS = "read:read-token,submit:submit-token,submit:other-token,admin:admin-token"
JOB = {"url": "http://127.0.0.1:1/", "retry": {"attempts": 1}}


def raw(service, *parts):
    """Send bytes, and return all that is answered until the service closes the connection."""
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as client:
        for part in parts:
            client.sendall(part.replace(b"HOST", f"{host}:{port}".encode()))
        answer = b""
        while data := client.recv(2**16):
            answer += data
    return answer


def statuses(answer):
    return [int(each) for each in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]


def ask(head, body=b"", method=b"POST", path=b"/v1/jobs"):
    return method + b" " + path + b" HTTP/1.1\r\nHost: HOST\r\n" + head + b"\r\n" + body


@pytest.mark.parametrize(("id", "expected"), [
    ("%2e%2e", {404, 422}), ("..%2f..%2fetc", {404}), ("%00", {422}), ("a%00", {422}), ("%0a", {422}), ("a%0d%0ab", {422}), ("%C3%A9", {422}),
    ("%EF%BC%8E%EF%BC%8E", {422}), ("%ff", {422}), ("x" * 65, {422}), ("x" * 64, {404}), ("a%20b", {422}), ("a;b", {422}), ("-", {404}), ("_", {404}),
    ("%25", {422}), ("'%20OR%201=1--", {422}), ("a\\b", {422, 400}), ("%E2%80%AE", {422}), ("a%0A", {422}), ("%", {422}), ("~root", {422}),
])  # fmt: skip
def test_a_path_trick_is_no_id(shared, id, expected):
    """Whatever it is encoded as."""
    for path in (f"/v1/jobs/{id}", f"/v1/jobs/{id}/results", f"/v1/jobs/{id}/results/0/body"):
        answer = raw(shared, ask(b"Connection: close\r\n", method=b"GET", path=path.encode()))
        assert set(statuses(answer)) <= expected, answer
        assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "=",
        "é",
        "ag",
        "ajE",
        "cjA=",
        "cjE5",
        "%00",
        "a" * 201,
        "cg",
        "ci0x",
        "cjk5OTk5OTk5OTk5OTk5OTk5OTk5",
        "Y3Ix",
    ],
)
def test_a_forged_cursor_is_refused_or_names_a_place(shared, cursor):
    """Never more than that."""
    answer = shared.call("GET", "/v1/jobs", params={"cursor": cursor})
    assert answer.status_code in (200, 422)


@pytest.mark.parametrize(("body", "status"), [
    (b'{"url": "http://a.example/", "url": "http://b.example/"}', 422), (b'{"url": "http://a.example/", "headers": {"a": "b", "a": "c"}}', 422),
    (b'{"url": "http://a.example/", "json": {"a": [{"b": 1, "b": 2}]}}', 422), (b"[" * 100_000, 400), (b'{"a":' * 50_000, 400), (b"[" * 150 + b"]" * 150, 422),
    (b'{"url": "http://a.example/", "json": ' + b"9" * 5000 + b"}", 422), (b'{"url": "http://a.example/", "priority": 1e999}', 422),
    (b'{"url": "http://a.example/", "priority": ' + b"9" * 400 + b"}", 422), (b'{"url": "http://a.example/", "timeout": NaN}', 422),
    (b'{"url": "http://a.example/", "json": [Infinity]}', 422), (b'{"url": "http://a.example/", "expires_in": -Infinity}', 422),
    (b'\xff\xfe{\x00}\x00', 400), (b'\xef\xbb\xbf{"url": "http://a.example/"}', 400), (b'{"url": "http://a.example/"} x', 400), (b"null", 422), (b'"\\ud800"', 400),
    (b'{"url": "http://a.example/", "ref": "\\ud800"}', 400), (b'{"url": "http://a.example/", "not_before": "0001-01-01T00:00:00+23:59"}', 422),
    (b'{"url": "http://a.example/", "not_before": "9999-12-31T23:59:59-23:59"}', 422), (b'{"url": "http://a.example/", "timeout": 1e-400}', 422),
])  # fmt: skip
def test_hostile_json_is_refused(shared, body, status):
    """Names that come twice, depth, numbers that are none, other encodings."""
    answer = shared.call("POST", "/v1/jobs", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    lane = shared.call("PUT", "/v1/lanes/x", data=body, headers={"Content-Type": "application/json"})
    assert lane.status_code in (400, 413, 422), lane.text


@pytest.mark.parametrize("headers", [
    {"Content-Type": "application/json; charset=utf-16"}, {"Content-Type": "application/json; charset=latin-1"},
    {"Content-Type": "application/json", "Content-Encoding": "gzip"}, {"Content-Type": "application/json", "Content-Encoding": "br, gzip"},
    {"Content-Type": "text/json"}, {"Content-Type": "multipart/form-data; boundary=a"}, {"Content-Type": ""},
])  # fmt: skip
def test_what_is_sent_otherwise_is_refused(shared, headers):
    """Other charsets, compressed bodies, other types: 415, and what would be taken."""
    answer = shared.call("POST", "/v1/jobs", data=b"{}", headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (415, "application/problem+json")
    assert "Accept-Post" in answer.headers or "Accept-Encoding" in answer.headers


def test_utf_8_by_its_name_is_taken(shared):
    """Also in capitals and quotes."""
    for kind in ("application/json;charset=UTF-8", 'Application/JSON; charset="utf-8"'):
        assert shared.call("POST", "/v1/jobs", data=json.dumps(JOB), headers={"Content-Type": kind}).status_code == 202


def test_chunks_are_taken_and_bounded(shared):
    """Without a length, too."""
    head = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    body = json.dumps(JOB).encode()
    good = raw(shared, ask(head, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)))
    assert [202] == statuses(good)
    answer = shared.call(
        "POST", "/v1/jobs", data=(b" " * 2**20 for _ in range(17)), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert [400] == statuses(raw(shared, ask(head, b"zz\r\nabc\r\n"))[:20])


@pytest.mark.parametrize(("sent", "status"), [
    (b"GARBAGE\r\n\r\n", 400), (b"GET /healthz HTTP/1.1\r\n\r\n", 400), (b"GET /healthz HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n", 400),
    (b"GET /healthz HTTP/1.1\r\nHost: HOST\r\nX: " + b"a" * 100_000, 431), (b"GET http://evil.example/healthz HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", 404),
    (ask(b"Content-Length: -1\r\n"), 400), (ask(b"Content-Length: 1\r\nContent-Length: 2\r\n"), 400), (ask(b"Transfer-Encoding: gzip, chunked\r\n"), 501),
    (ask(b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\nConnection: close\r\n", method=b"GET"), 400),
    (ask(b"Origin: http://HOST\r\nOrigin: http://evil.example\r\nConnection: close\r\n", method=b"GET"), 400),
    (ask(b"Content-Type: application/json\r\nContent-Length: 99999999999999999999999\r\nConnection: close\r\n"), 400),
    (b"GET /healthz HTTP/1.0\r\n\r\n", 403), (ask(b"X: a\r\n b\r\nConnection: close\r\n", method=b"GET"), 200),
])  # fmt: skip
def test_what_is_no_request_is_a_problem(shared, sent, status):
    """And the connection is closed."""
    answer = raw(shared, sent)
    assert [status] == statuses(answer), answer[:500]
    assert status == 200 or b"application/problem+json" in answer


def test_old_clients_are_served(shared):
    """HTTP/1.0, with the Host that its clients send as well."""
    answer = raw(shared, b"GET /healthz HTTP/1.0\r\nHost: HOST\r\n\r\n")
    assert [200] == statuses(answer)
    assert answer.endswith(b"ok\n")


def test_piped_requests_are_answered_in_their_order(shared):
    """Each by its own answer."""
    paths = [b"/healthz", b"/nothing", b"/v1/lanes", b"/healthz"]
    last = b"Connection: close\r\n"
    answer = raw(
        shared,
        b"".join(ask(last if number == 3 else b"", method=b"GET", path=each) for number, each in enumerate(paths)),
    )
    assert [200, 404, 200, 200] == statuses(answer)


def test_an_upgrade_is_no_way_in(shared):
    """There are no WebSockets: it is answered as any call."""
    head = b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    assert [200] == statuses(raw(shared, ask(head, method=b"GET")))
    assert [403] == statuses(raw(shared, ask(head, method=b"GET").replace(b"HOST", b"evil.example")))


def test_a_slow_head_or_body_is_given_up(monkeypatch, database, tmp_path):
    """However many bytes come meanwhile; others are served."""
    monkeypatch.setattr(connection, "_HEAD", 0.3)
    monkeypatch.setattr(patience, "_SILENCE", 0.3)
    with Inside(database, tmp_path) as service:
        assert [408] == statuses(raw(service, b"GET /healthz HT"))
        assert [408] == statuses(raw(service, b""))
        head = b"Content-Type: application/json\r\nContent-Length: 100\r\n"
        assert [408] == statuses(raw(service, ask(head, b"{")))
        assert service.call("GET", "/healthz").status_code == 200


def test_more_connections_than_are_kept_are_answered_once(monkeypatch, database, tmp_path):
    """Whoever comes beyond them is not turned away, and does not stay."""
    monkeypatch.setattr(connection, "_KEPT", 2)
    get = ask(b"Connection: keep-alive\r\n", method=b"GET")
    with Inside(database, tmp_path) as service, ExitStack() as stack:
        host, port = service.url.removeprefix("http://").split(":")
        for _ in range(2):
            stack.enter_context(socket.create_connection((host, int(port)), 30))
        answer = raw(service, get + get)
        assert [200] == statuses(answer)
        assert b"connection: close" in answer.lower()


def test_a_body_that_trickles_is_given_up(monkeypatch, database, tmp_path):
    """A byte now and then is not enough."""
    monkeypatch.setattr(patience, "_START", 0.3)
    with Inside(database, tmp_path) as service:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 30) as client:
            client.sendall(
                ask(b"Content-Type: application/json\r\nContent-Length: 1000000\r\n").replace(
                    b"HOST", f"{host}:{port}".encode()
                )
            )
            ended = threading.Event()

            def trickle():
                while not ended.wait(0.02):
                    try:
                        client.sendall(b" ")
                    except OSError:
                        return

            thread = threading.Thread(target=trickle)
            thread.start()
            assert b" 408 " in client.recv(2**16)
            ended.set()
            thread.join()


def test_a_refused_body_is_not_read_for_ever(monkeypatch, shared, database, tmp_path):
    """The answer is there before the rest, and the connection ends."""
    monkeypatch.setattr(connection, "_REST", 0.3)
    with Inside(database, tmp_path) as service:
        answer = raw(service, ask(b"Content-Type: text/plain\r\nContent-Length: 1000000\r\n", b"x"))
        assert [415] == statuses(answer)


def test_a_query_does_not_get_around_the_limit(shared):
    """What calls itself a stream and is none counts like any other call."""
    scope = {"method": "GET", "path": "/v1/jobs", "query_string": b"follow=true&wait=1"}
    assert not is_long(scope)
    assert not is_long(scope | {"method": "POST"})
    assert is_long(scope | {"path": "/v1/jobs/a/results"})


def test_pages_of_others_may_link_but_not_post(shared):
    """A navigation from elsewhere reads; it does nothing."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert shared.call("GET", "/docs", headers=link).status_code == 200
    for method in ("POST", "DELETE", "PUT"):
        assert shared.call(method, "/v1/jobs", headers=link).status_code == 403


# Tokens.


def test_a_token_in_a_url_is_ignored_and_told_nowhere(database, tmp_path):
    """Neither in an answer, nor in the log, nor on a page; and not one that is wrong."""
    with served(database, tmp_path, "-vv", tokens=TOKENS) as service:
        for path in (
            "/v1/jobs?token=admin-token",
            "/v1/jobs?access_token=admin-token",
            "/docs?token=admin-token",
            "/v1/admin-token",
        ):
            answer = service.call("GET", path)
            assert "admin-token" not in answer.text
            assert answer.status_code != 200 or path.startswith("/docs")
        service.call("GET", "/v1/jobs", headers={"Authorization": "Bearer wrong-secret"})
        service.call("GET", "/v1/jobs", headers={"Authorization": "Bearer admin-token"})
        assert not re.search("admin-token|wrong-secret", service.log)


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "Basic admin-token",
        "admin-token",
        "Bearer admin-token x",
        "Bearer admin-toke",
        "Bearer ADMIN-TOKEN",
        "Bearer\tadmin-token",
    ],
)
def test_what_is_no_token_is_refused(guarded, value):
    """By a 401 that says how."""
    answer = guarded.call("GET", "/v1/jobs", headers={"Authorization": value})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="workerpool"')


@pytest.mark.parametrize(("needed", "status"), [(False, None), (True, 401)])
def test_without_the_last_token_nobody_is_admin(needed, status):
    """Where others than this machine reach the service: it does not open when its tokens are removed."""

    class Empty:
        async def tokens(self):
            return ()

    class Call:
        headers: ClassVar = {}

    try:
        asyncio.run(Access(Empty(), needed=needed).caller(Call()))
        found = None
    except Problem as exc:
        found = exc.status
    assert found == status


@pytest.fixture(scope="module")
def guarded(new_database, tmp_path_factory):
    with served(new_database(), tmp_path_factory.mktemp("door"), tokens=TOKENS) as service:
        yield service


# Idempotency.


def submit(service, key, body=JOB, token=None, **options):
    headers = {"Idempotency-Key": key, **({} if token is None else {"Authorization": f"Bearer {token}"})}
    return service.call("POST", "/v1/jobs", json=body, headers=headers, **options)


def test_a_key_makes_one_job(service):
    """The same body is answered by the same job, another one refused; a restart, and a kill, change nothing."""
    first = submit(service, "k")
    assert (first.status_code, "Idempotent-Replayed" in first.headers) == (202, False)
    for number in (signal.SIGTERM, signal.SIGKILL):
        again = submit(service, "k")
        assert (again.status_code, again.headers["Idempotent-Replayed"], again.json()["id"]) == (
            200,
            "true",
            first.json()["id"],
        )
        assert again.headers["Location"] == first.headers["Location"]
        assert submit(service, "k", {**JOB, "priority": 1}).status_code == 422
        service.stop(number)
        service.start()
    assert len(service.get("/v1/jobs")["jobs"]) == 1


def test_a_key_is_its_tokens_own(guarded):
    """What another token sends by it is another job."""
    first, second = (submit(guarded, "same", token=token) for token in ("submit-token", "other-token"))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] != second.json()["id"]


def test_a_key_is_known_for_a_day(monkeypatch, database, tmp_path):
    """After that it is a new one."""
    with Inside(database, tmp_path) as service:
        first = submit(service, "k").json()["id"]
        monkeypatch.setattr(jobs, "_DAY", 0.0)
        monkeypatch.setattr(jobs_of_postgres, "_DAY", 0.0)
        later = submit(service, "k", {**JOB, "priority": 1})
        assert (later.status_code, later.json()["id"] != first) == (202, True)


def test_many_at_once_make_one_job(service):
    """By one key: the others are told that it is being stored, or of the job."""
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: submit(service, "k"), range(64)))
    assert {each.status_code for each in answers} <= {200, 202, 409}
    assert len([each for each in answers if each.status_code == 202]) == 1
    assert len({each.json()["id"] for each in answers if each.status_code != 409}) == 1
    assert len(service.get("/v1/jobs")["jobs"]) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_what_is_no_key_is_refused(shared, key):
    """1 to 255 printable characters."""
    assert submit(shared, key).status_code == 422
