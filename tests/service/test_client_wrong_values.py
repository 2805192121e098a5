"""What a stranger gives the client by mistake: each is refused by the name of its argument, and nothing is sent."""

import logging
import pickle
from datetime import datetime

import pytest

from workerpool import Request, Retry, Timeout, WorkerPoolError
from workerpool.service import BadArgument, BadSubmission, Client, ClientError

NOWHERE = "http://127.0.0.1:1"
URL = "http://a.example/"
TOKEN = "wp_5ecret-t0ken"
SUBMISSIONS = {
    "requests": [None, 5, b"http://a.example/", [], iter(()), object()],
    "id": [5, "", "a b", "x" * 65, "../x"],
    "lane": [1, "a/b", b"bulk"],
    "priority": ["1", 1.5, True, 1001, 10**400],
    "labels": ["team:tea", {"a": 1}, {1: "a"}, {"a:b": "c"}, {"": "x"}, [("a", "b")]],
    "not_before": [5, "tomorrow", datetime(2030, 1, 1), "2030-01-01T00:00:00"],
    "expires_in": ["1", 0, -1, float("nan"), float("inf"), True, 10**400],
    "retry": ["3", 0, 21, Retry(), {"tries": 3}, True],
    "webhook": [5, "", {"href": URL}, {"url": 5}],
    "keep_bodies": ["yes", 1, 0],
    "idempotency_key": [5, "", "x" * 256, "a\nb", "\u00e9"],
}
REQUESTS = {
    "url": [5, None, "", b"http://a.example/", {"method": "GET"}, "x" * 20_000, "http://a.example/\ud800"],
    "verify": [{"url": URL, "verify": False}],
    "method": [{"url": URL, "method": 5}],
    "headers": [{"url": URL, "headers": [("a", "b")]}, {"url": URL, "headers": {"a": 1}}],
    "params": [{"url": URL, "params": "a=b"}],
    "json": [{"url": URL, "json": object()}, {"url": URL, "json": float("nan")}],
    "data": [{"url": URL, "data": 5}, Request("POST", URL, data=iter([b"a"]))],
    "data_base64": [{"url": URL, "data_base64": b"aa"}],
    "timeout": [
        {"url": URL, "timeout": "5"},
        {"url": URL, "timeout": 0},
        Request(URL, timeout=Timeout(total=5, read=1)),
    ],
    "max_body": [{"url": URL, "max_body": 1.5}, {"url": URL, "max_body": 0}],
    "ref": [{"url": URL, "ref": 5}],
    "allow_redirects": [Request(URL, allow_redirects=False)],
    "retry": [Request(URL, retry=None)],
    "priority": [Request(URL, priority=1)],
    "meta": [Request(URL, meta={"row": 1})],
}
CALLS = {
    "wait-job": lambda client: client.wait(5),
    "job-job": lambda client: client.job("../etc"),
    "cancel-job": lambda client: client.cancel(None),
    "retry-job": lambda client: client.retry(""),
    "retry-only": lambda client: client.retry("a", only="some"),
    "delete-job": lambda client: client.delete(b"a"),
    "results-job": lambda client: client.results(5),
    "results-follow": lambda client: client.results("a", follow="yes"),
    "results-ok": lambda client: client.results("a", ok=1),
    "results-limit": lambda client: client.results("a", limit=1001),
    "results-timeout": lambda client: client.results("a", timeout=0),
    "wait-timeout": lambda client: client.wait("a", timeout="5"),
    "as_completed-jobs": lambda client: client.as_completed("abc"),
    "as_completed-job": lambda client: client.as_completed([5]),
    "as_completed-timeout": lambda client: client.as_completed([], timeout=-1),
    "jobs-state": lambda client: client.jobs(state="done"),
    "jobs-labels": lambda client: client.jobs(labels="a:b"),
    "jobs-q": lambda client: client.jobs(q=5),
    "jobs-lane": lambda client: client.jobs(lane="a b"),
    "jobs-limit": lambda client: client.jobs(limit=0),
    "body-n": lambda client: client.body("a", "0"),
    "body-job": lambda client: client.body(0, 0),
    "events-job": lambda client: client.events(5),
    "events-last_id": lambda client: client.events(last_id="5"),
    "put_lane-name": lambda client: client.put_lane(""),
    "put_lane-connections": lambda client: client.put_lane("a", connections=-1),
    "put_lane-per_host": lambda client: client.put_lane("a", per_host="8"),
    "put_lane-rate": lambda client: client.put_lane("a", rate="fast"),
    "put_lane-per_host_rate": lambda client: client.put_lane("a", per_host_rate=-1),
    "put_lane-paused": lambda client: client.put_lane("a", paused=1),
    "explain-url": lambda client: client.explain(5),
    "deliveries-job": lambda client: client.deliveries(5),
    "replay-delivery": lambda client: client.replay("a", 5),
    "map-requests": lambda client: client.map(URL),
    "map-id": lambda client: client.map([URL], id="a"),
    "map-timeout": lambda client: client.map([URL], timeout="5"),
    "Client-url": lambda _client: Client(5),
    "Client-token": lambda _client: Client(NOWHERE, 5),
    "Client-timeout": lambda _client: Client(NOWHERE, timeout=0),
    "Client-pool": lambda _client: Client(NOWHERE, pool="mine"),
}


def each_of(table):
    """Return the parameters, with names that are the same in every process."""
    rows = [(name, number, value) for name, values in table.items() for number, value in enumerate(values)]
    return [pytest.param(name, value, id=f"{name}-{number}") for name, number, value in rows]


@pytest.fixture
def client():
    with Client(NOWHERE, TOKEN, timeout=0.01) as client:
        yield client


@pytest.mark.parametrize(("name", "value"), each_of(SUBMISSIONS))
def test_a_wrong_field_of_a_job_is_named(client, name, value):
    """With a pointer to it, as the service would; where the client cannot know, it has no say."""
    given = {"requests": URL} | {name: value}
    with pytest.raises(BadSubmission, match=f"^{name}") as caught:
        client.submit(**given)
    assert isinstance(caught.value, ValueError | WorkerPoolError)
    assert pickle.loads(pickle.dumps(caught.value)).errors == caught.value.errors


@pytest.mark.parametrize(("name", "value"), each_of(REQUESTS))
@pytest.mark.parametrize("number", [0, 700])
def test_a_wrong_request_is_named_by_its_number(client, name, value, number):
    """Among few, which go in one document, and many, which go by lines."""
    with pytest.raises(BadSubmission, match=rf"^requests\[{number}\]: {name}") as caught:
        client.submit([URL] * number + [value])
    assert f"/requests/{number}/{name}" == caught.value.errors[0]["pointer"]


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_argument_is_named(client, call):
    """At the call, also of what is read later."""
    with pytest.raises(BadArgument, match=f"^{call.partition('-')[2]}"):
        CALLS[call](client)


def test_what_the_inputs_raise_is_raised(client):
    """An error of the caller's own iterator is no error of a request."""

    def broken():
        yield URL
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        client.submit(broken())


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8765", "ftp://a.example", "http://", "http://u:secret@a.example", "http://a.example/?q=secret",
            "http://a.example/#secret", "http://a.example:99999", "http://a b/", "http://[@/"],
)  # fmt: skip
def test_a_url_that_is_no_services_is_refused(url):
    """Nothing that may be a secret is told."""
    with pytest.raises(BadArgument, match=r"^url") as caught:
        Client(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "a b", f"{TOKEN}\n", "\u00e9", "a\r\nX: y"])
def test_a_token_that_is_none_is_refused(token):
    """Its text is not told."""
    with pytest.raises(BadArgument, match=r"^token") as caught:
        Client(NOWHERE, token)
    assert "5ecret" not in str(caught.value)


def test_no_token_is_told(client, shared, caplog, capfd):
    """By no repr, error, its cause or its pickle, and no log line."""
    caplog.set_level(logging.DEBUG)
    told = [repr(client), str(vars(client).keys())]
    for where in (client, Client(shared.url, TOKEN), Client(f"{shared.url}/nowhere", TOKEN, timeout=0.1)):
        with where:
            for call in (where.stats, lambda where=where: where.job("x"), lambda where=where: list(where.events("x"))):
                try:
                    call()
                except ClientError as exc:
                    told += [repr(exc), str(exc), repr(exc.__cause__), str(vars(exc)), repr(pickle.dumps(exc))]
    told += [record.getMessage() for record in caplog.records] + list(capfd.readouterr())
    assert [] == [text for text in told if TOKEN in text]
    assert any("no connection" in text for text in told)
