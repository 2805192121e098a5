"""The page as a client without scripts sees it: what it sends along, who may do what, which forms it takes."""

import re
from contextlib import contextmanager
from html.parser import HTMLParser

import pytest
import requests
from page_site import HOSTILE
from served import Served, served

TOKENS = "read:reader-token,submit:submit-token,admin:admin-token"


@pytest.fixture(scope="module")
def guarded(new_database, tmp_path_factory):
    """A service with tokens."""
    with served(new_database(), tmp_path_factory.mktemp("guarded"), tokens=TOKENS) as service:
        yield service


class Forms(HTMLParser):
    """The forms of a page, as action and fields."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            self.found.append((given["action"], {}))
        elif tag == "input" and self.found and "name" in given:
            self.found[-1][1][given["name"]] = given.get("value", "")


class Visitor:
    """A browser without scripts."""

    def __init__(self, service: Served):
        self.service, self.http = service, requests.Session()
        self.http.trust_env = False

    def get(self, path, **options):
        return self.http.get(self.service.url + path, timeout=60, allow_redirects=False, **options)

    def post(self, path, form, **headers):
        return self.http.post(
            self.service.url + path,
            form,
            timeout=60,
            allow_redirects=False,
            headers={
                "Origin": self.service.url,
                "Sec-Fetch-Site": "same-origin",
                "Sec-Fetch-Mode": "navigate",
                **headers,
            },
        )

    def form(self, path, action=None):
        """Return the fields of a page's form."""
        page = self.get(path)
        assert page.status_code in (200, 401), page.text
        return next(fields for its, fields in Forms(page.text).found if its == (action or path))

    def key(self):
        return re.search(r'name="form_key" value="(\w+)"', self.get("/").text)[1]


@contextmanager
def signed_in(service, token):
    visitor = Visitor(service)
    answer = visitor.post("/sign-in", visitor.form("/sign-in") | {"token": token})
    assert answer.status_code == 303, answer.text
    yield visitor


def admin(service, method, path, **options):
    return service.call(method, path, headers={"Authorization": "Bearer admin-token"}, **options)


def submitted(service, **fields):
    job = {"requests": ["http://no-such-host.invalid/"], "not_before": "2030-01-01T00:00:00Z", **fields}
    answer = admin(service, "POST", "/v1/jobs", json=job)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


PAGES = ("/", "/jobs", "/lanes", "/lanes/default", "/submit", "/bulk?action=delete", "/live.json")


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_kept_nowhere_framed_by_nobody_and_run_nothing_else(shared, path):
    answer = Visitor(shared).get(path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = dict(each.strip().partition(" ")[::2] for each in answer.headers["Content-Security-Policy"].split(";"))
    assert ("'none'", "'self'", "'self'") == (policy["default-src"], policy["script-src"], policy["style-src"])
    assert ("'none'", "'none'", "'self'") == (policy["frame-ancestors"], policy["base-uri"], policy["form-action"])
    if path != "/live.json":
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert not re.search(r"<script(?![^>]* src=)|<[^>]* style=|<style|<[^>]* on\w+=", answer.text)


def test_files_may_be_kept_since_their_name_changes_with_them(shared):
    visitor = Visitor(shared)
    found = re.findall(r'(?:src|href)="(/assets/\w+/[\w.]+)"', visitor.get("/").text)
    assert {"htmx.min.js", "uPlot.iife.min.js", "page.js", "page.css", "uPlot.min.css", "icon.svg"} == {
        each.rpartition("/")[2] for each in found
    }
    for each in found:
        answer = visitor.get(each)
        assert (200, True) == (answer.status_code, "immutable" in answer.headers["Cache-Control"])
    for each in ("/assets/x/nothing.js", "/assets/x/..%2f..%2fdoor.py", "/assets/x/__init__.py"):
        assert visitor.get(each).status_code == 404


@pytest.mark.parametrize(
    "path", [*PAGES, "/jobs/any", "/jobs/any/requests/0", "/jobs/any/requests/0/body", "/jobs/any/cancel"]
)
def test_without_a_token_there_is_only_the_way_to_sign_in(guarded, path):
    answer = Visitor(guarded).get(path)
    assert (303, True) == (answer.status_code, answer.headers["Location"].startswith("/sign-in?next="))
    answer = Visitor(guarded).get(path, headers={"HX-Request": "true"})
    assert (401, "/sign-in", b"") == (answer.status_code, answer.headers["HX-Redirect"], answer.content)


def test_the_cookie_is_of_no_use_to_scripts_or_others_and_is_not_the_token(guarded):
    visitor = Visitor(guarded)
    answer = visitor.post("/sign-in", visitor.form("/sign-in?next=/jobs", "/sign-in") | {"token": "submit-token"})
    assert (303, "/jobs") == (answer.status_code, answer.headers["Location"])
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "submit-token" not in cookie
    for path in ("/", "/jobs", "/submit"):
        page = visitor.get(path)
        assert page.status_code == 200
        assert "submit-token" not in page.text
    assert "submit-token" not in guarded.log
    assert guarded.call("GET", "/v1/jobs", headers={"Cookie": cookie.partition(";")[0]}).status_code == 401


def test_a_wrong_token_and_a_forged_cookie_are_nobody(guarded):
    visitor = Visitor(guarded)
    answer = visitor.post("/sign-in", visitor.form("/sign-in") | {"token": HOSTILE})
    assert (401, None) == (answer.status_code, answer.headers.get("Set-Cookie"))
    assert "<script>window" not in answer.text
    with signed_in(guarded, "reader-token") as known:
        name, value = next((each.name, each.value) for each in known.http.cookies if "session" in each.name)
    id, until, seal = value.rsplit(".", 2)
    for forged in (
        f"{id}.{int(until) + 9}.{seal}",
        f"{id}x.{until}.{seal}",
        f"{id}.{until}.",
        "..",
        "",
        "a.b.c",
        f"{id}.²³.{seal}",
    ):
        answer = visitor.get("/", headers={"Cookie": f"{name}={forged}".encode()})
        assert answer.status_code == 303, forged
    assert known.get("/").status_code == 200


@pytest.mark.parametrize(
    "path", ["//evil.example/", "/\\evil.example", "https://evil.example/", "/jobs\r\nX: 1", "javascript:alert(1)"]
)
def test_after_signing_in_one_stays_here(guarded, path):
    visitor = Visitor(guarded)
    answer = visitor.post("/sign-in", visitor.form("/sign-in") | {"token": "reader-token", "next": path})
    assert (303, "/") == (answer.status_code, answer.headers["Location"])


def test_signing_out_takes_the_cookie(guarded):
    with signed_in(guarded, "reader-token") as visitor:
        answer = visitor.post("/sign-out", {"form_key": visitor.key()})
        assert (303, "/sign-in") == (answer.status_code, answer.headers["Location"])
        assert visitor.get("/").status_code == 303


def test_a_reader_sees_no_buttons_and_may_do_nothing(guarded):
    id = submitted(guarded)
    with signed_in(guarded, "reader-token") as visitor:
        key = visitor.key()
        for path in ("/", "/jobs", "/lanes", "/lanes/default", f"/jobs/{id}"):
            actions = {action for action, _ in Forms(visitor.get(path).text).found}
            assert actions <= {"/theme", "/sign-out", "/jobs"}
            assert not re.search(r'href="/(submit|bulk|jobs/\w+/(cancel|retry|delete))', visitor.get(path).text)
        for path in ("/submit", "/bulk?action=delete", f"/jobs/{id}/cancel", f"/jobs/{id}/delete"):
            assert visitor.get(path).status_code == 403
        for path in (
            "/submit",
            "/bulk",
            f"/jobs/{id}/cancel",
            f"/jobs/{id}/retry",
            f"/jobs/{id}/delete",
            "/lanes/default",
            "/lanes/default/pause",
            f"/jobs/{id}/deliveries/x/replay",
        ):
            answer = visitor.post(path, {"form_key": key, "urls": "http://a.example/", "do": "delete"})
            assert answer.status_code == 403, path
    assert admin(guarded, "GET", f"/v1/jobs/{id}").json()["state"] == "queued"


def test_who_submits_may_cancel_and_not_delete_or_pause(guarded):
    id = submitted(guarded)
    with signed_in(guarded, "submit-token") as visitor:
        key = visitor.key()
        for path in ("/bulk", "/lanes/default", "/lanes/default/pause", f"/jobs/{id}/delete"):
            assert visitor.post(path, {"form_key": key, "do": "delete"}).status_code == 403
        assert visitor.post(f"/jobs/{id}/cancel", visitor.form(f"/jobs/{id}/cancel")).status_code == 303
    assert admin(guarded, "GET", f"/v1/jobs/{id}").json()["state"] == "cancelled"


def test_only_forms_of_this_session_are_taken(guarded):
    id = submitted(guarded)
    with signed_in(guarded, "admin-token") as visitor, signed_in(guarded, "admin-token") as other:
        path, key = f"/jobs/{id}/cancel", visitor.key()
        evil = "http://evil.example"
        for form, headers in (
            ({}, {}),
            ({"form_key": ""}, {}),
            ({"form_key": other.key() if other.key() != key else "0"}, {}),
            ({"form_key": HOSTILE.encode()}, {}),
            ({"form_key": key}, {"Origin": evil}),
            ({"form_key": key}, {"Origin": "null"}),
            ({"form_key": key}, {"Sec-Fetch-Site": "cross-site"}),
            ({"form_key": key}, {"Sec-Fetch-Site": "same-site"}),
            ({"form_key": key}, {"Sec-Fetch-Site": "none"}),
            ({"form_key": key}, {"Host": "evil.example"}),
            ({"form_key": key}, {"Content-Type": "text/plain"}),
        ):
            answer = visitor.post(path, form, **headers)
            assert answer.status_code == 403, (form, headers, answer.text)
        assert admin(guarded, "GET", f"/v1/jobs/{id}").json()["state"] == "queued"
        assert visitor.post(path, {"form_key": key}).status_code == 303
    assert admin(guarded, "GET", f"/v1/jobs/{id}").json()["state"] == "cancelled"


def test_a_form_without_tokens_needs_its_key_too(shared):
    assert Visitor(shared).post("/submit", {"urls": "http://a.example/"}).status_code == 403


def test_a_form_that_is_sent_twice_makes_one_job(guarded):
    with signed_in(guarded, "submit-token") as visitor:
        form = visitor.form("/submit") | {
            "urls": "http://no-such-host.invalid/1\r\n\r\n http://no-such-host.invalid/2",
            "labels": "team: tea",
        }
        first, second = visitor.post("/submit", form), visitor.post("/submit", form)
        assert (303, first.headers["Location"]) == (second.status_code, second.headers["Location"])
    job = admin(guarded, "GET", f"/v1{first.headers['Location']}").json()
    assert (2, {"team": "tea"}) == (job["counts"]["total"], job["labels"])


@pytest.mark.parametrize(("field", "value", "told"), [
    ("urls", "http://a.example/\nftp://b.example/\njavascript:alert(1)", "line 2, ftp://b.example/"),
    ("urls", "", "at least one URL"),
    ("labels", "tea", "NAME:VALUE"),
    ("priority", "1e9", "whole number"),
    ("priority", "5000", "less than or equal to 1000"),
    ("attempts", "0", "greater than or equal to 1"),
    ("webhook", "javascript:alert(1)", "http or https"),
    ("id", "a/b", "pattern"),
    ("lane", "a b", "pattern"),
])  # fmt: skip
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(shared, field, value, told):
    visitor = Visitor(shared)
    form = visitor.form("/submit") | {"urls": "http://a.example/", "labels": "", field: value}
    answer = visitor.post("/submit", form)
    assert answer.status_code == 422
    assert told in answer.text
    assert value.split("\n")[0] in answer.text


def test_all_that_match_are_counted_first_and_done_then(guarded):
    ids = [submitted(guarded, labels={"batch": "one"}) for _ in range(3)]
    kept = submitted(guarded, labels={"batch": "two"})
    with signed_in(guarded, "admin-token") as visitor:
        page = "/bulk?action=cancel&label=batch%3Aone"
        assert "3 jobs match" in visitor.get(page).text
        answer = visitor.post("/bulk", visitor.form(page, "/bulk"))
        assert (303, "/jobs?label=batch%3Aone") == (answer.status_code, answer.headers["Location"])
        assert "3 jobs were cancelled." in visitor.get(answer.headers["Location"]).text
        assert "3 jobs were cancelled." not in visitor.get(answer.headers["Location"]).text
    states = [admin(guarded, "GET", f"/v1/jobs/{id}").json()["state"] for id in (*ids, kept)]
    assert ["cancelled"] * 3 + ["queued"] == states


@pytest.mark.parametrize(
    "query",
    [
        "state=nothing",
        "label=tea",
        "cursor=forged",
        "q=%00%1b%e2%80%ae",
        "lane=" + "x" * 500,
        "state=queued&state=failed",
    ],
)
def test_filters_that_are_none_are_no_fault_of_the_service(shared, query):
    assert Visitor(shared).get(f"/jobs?{query}").status_code == 200
    assert Visitor(shared).get(f"/bulk?action=nothing&{query}").status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/jobs/none",
        "/jobs/none/requests/0",
        "/jobs/none/cancel",
        "/lanes/none",
        "/jobs/%3Cscript%3E",
        "/jobs/a/requests/x",
    ],
)
def test_what_is_not_there_has_a_page_of_its_own(shared, path):
    answer = Visitor(shared).get(path)
    assert answer.status_code in (404, 422)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<script>" not in answer.text


def test_jobs_are_turned_page_by_page(shared):
    for number in range(51):
        shared.submit(
            "http://no-such-host.invalid/",
            id=f"paged-{number}",
            labels={"set": "paged"},
            not_before="2030-01-01T00:00:00Z",
        )
    visitor, path, seen = Visitor(shared), "/jobs?label=set%3Apaged", []
    while path:
        text = visitor.get(path).text
        seen += re.findall(r'id="job-(paged-\d+)"', text)
        found = re.search(r'rel="next" href="([^"]+)"', text)
        path = found and found[1].replace("&amp;", "&")
    assert [f"paged-{number}" for number in reversed(range(51))] == seen


def test_lanes_are_limited_and_paused(guarded):
    submitted(guarded, lane="slow")
    with signed_in(guarded, "admin-token") as visitor:
        form = visitor.form("/lanes/slow")
        answer = visitor.post("/lanes/slow", form | {"connections": "-1", "rate": HOSTILE})
        assert answer.status_code == 422
        assert "<script>window" not in answer.text
        assert visitor.post("/lanes/slow", form | {"connections": "5", "rate": "2.5"}).status_code == 303
        assert (
            visitor.post("/lanes/slow/pause", {"form_key": visitor.key(), "next": "//evil.example"}).headers["Location"]
            == "/"
        )
        lane = next(each for each in admin(guarded, "GET", "/v1/lanes").json()["lanes"] if each["name"] == "slow")
        assert (5, 2.5, None, True) == (lane["connections"], lane["rate"], lane["per_host_rate"], lane["paused"])
        assert visitor.post("/lanes/slow/resume", {"form_key": visitor.key()}).status_code == 303
    lane = next(each for each in admin(guarded, "GET", "/v1/lanes").json()["lanes"] if each["name"] == "slow")
    assert not lane["paused"]


def test_a_session_is_known_after_a_restart_and_no_longer_once_its_token_is_gone(new_database, tmp_path):
    database = new_database()
    with served(database, tmp_path, tokens=TOKENS) as first, signed_in(first, "reader-token") as visitor:
        session = next(each.value for each in visitor.http.cookies if "session" in each.name)
        first.stop()
        assert asked_again(first.start(), session) == 200
        first.stop()
        with served(database, tmp_path, tokens="admin:admin-token") as second:
            assert asked_again(second, session) == 303


def asked_again(service, session):
    """Ask with the cookie of another port: a browser would come back to the same one."""
    name = f"workerpool-session-{service.url.rpartition(':')[2]}"
    return Visitor(service).get("/", headers={"Cookie": f"{name}={session}"}).status_code
