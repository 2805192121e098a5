"""Webhooks: signed by Standard Webhooks, tried until they are taken, logged, replayed; never where they may not go."""

import base64
import hashlib
import hmac
import json
import signal
import threading
from datetime import UTC, datetime

import pytest
from inside import Inside
from receiver import receiving
from served import served
from standardwebhooks import Webhook, WebhookVerificationError

from workerpool.service.webhooks import schedule

TOKENS = "read:read-token,submit:submit-token,admin:admin-token"


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture
def hurried(monkeypatch, database, tmp_path):
    """A service that tries again after a moment."""
    monkeypatch.setattr(schedule, "DELAYS", (0.01,) * 7)
    with Inside(database, tmp_path) as service:
        yield service


def deliveries(service, id):
    return service.get(f"/v1/jobs/{id}/deliveries")["deliveries"]


def delivery(service, id, *states):
    """Wait for a job's one delivery to be in one of these states."""
    return service.wait_for(lambda: next((each for each in deliveries(service, id) if each["state"] in states), None))


def tell(service, receiver, site, **fields):
    return service.submit(site.url_for("/fast/1"), webhook={"url": receiver.url}, **fields)


def test_a_message_is_signed_and_tells_of_the_job(shared, receiver, site):
    """The library's verifying side takes it, and so does a computation by the specification."""
    id = tell(shared, receiver, site, labels={"a": "é<"})
    [message] = receiver.wait_for(1)
    secret = shared.get("/v1/webhooks/secret")["secret"]
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    Webhook(secret).verify(message.body, message.headers)
    signed = b".".join(
        [message.headers["webhook-id"].encode(), message.headers["webhook-timestamp"].encode(), message.body]
    )
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert message.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    told = json.loads(message.body)
    assert (told["type"], told["data"]) == ("job.finished", shared.done(id))
    assert told["timestamp"].endswith("Z")
    assert message.headers["content-type"] == "application/json"
    found = delivery(shared, id, "delivered")
    assert (found["id"], found["due_at"], found["gives_up_at"]) == (message.headers["webhook-id"], None, None)
    assert [(204, None)] == [(each["status"], each["error"]) for each in found["tries"]]


def test_a_changed_message_is_not_verified(shared, receiver, site):
    """Nor one by another secret."""
    tell(shared, receiver, site)
    [message] = receiver.wait_for(1)
    secret = shared.get("/v1/webhooks/secret")["secret"]
    for body, key in ((message.body + b" ", secret), (message.body, "whsec_" + base64.b64encode(b"x" * 32).decode())):
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(body, message.headers)


def test_a_rotated_secret_overlaps(service, receiver, site):
    """Two signatures for a time, one after it; each secret that counts verifies."""
    old = service.get("/v1/webhooks/secret")["secret"]
    answer = service.call("POST", "/v1/webhooks/secret/rotate", json={"overlap": 3600})
    assert answer.headers["Cache-Control"] == "no-store"
    new = answer.json()
    assert (new["previous"][0]["secret"], new["secret"] != old) == (old, True)
    tell(service, receiver, site)
    [message] = receiver.wait_for(1)
    assert len(message.headers["webhook-signature"].split()) == 2
    for each in (old, new["secret"]):
        Webhook(each).verify(message.body, message.headers)
    last = service.call("POST", "/v1/webhooks/secret/rotate", json={"overlap": 0}).json()
    assert [old] == [each["secret"] for each in last["previous"]]
    service.stop()
    service.start()
    assert service.get("/v1/webhooks/secret") == last


@pytest.mark.parametrize("answer", [500, 302, 404, (301, {"Location": "/else"}), 429])
def test_what_is_not_taken_is_tried_again(hurried, receiver, site, answer):
    """By the same id, each time signed anew; a redirect is not followed, it is a failure."""
    receiver.answers = (answer, answer, 200)
    id = tell(hurried, receiver, site)
    messages = receiver.wait_for(3)
    assert len({each.headers["webhook-id"] for each in messages}) == 1
    assert len({each.body for each in messages}) == 1
    assert {"/"} == {each.path for each in messages}
    status = answer if isinstance(answer, int) else answer[0]
    assert [status, status, 200] == [each["status"] for each in delivery(hurried, id, "delivered")["tries"]]


def test_the_last_try_is_the_eighth(hurried, receiver, site):
    """Then it has failed; a replay begins anew, by the original id."""
    receiver.answers = (503,)
    id = tell(hurried, receiver, site)
    found = delivery(hurried, id, "failed")
    assert (len(found["tries"]), found["due_at"]) == (8, None)
    receiver.answers = (200,)
    answer = hurried.call("POST", f"/v1/jobs/{id}/deliveries/{found['id']}/replay")
    assert (answer.status_code, answer.json()["id"]) == (202, found["id"])
    assert len(delivery(hurried, id, "delivered")["tries"]) == 9
    assert {found["id"]} == {each.headers["webhook-id"] for each in receiver.messages}


def test_a_replay_is_signed_by_the_present_secret(service, receiver, site):
    """Of what was delivered, too; it is told what the job was then."""
    id = tell(service, receiver, site)
    found = delivery(service, id, "delivered")
    new = service.call("POST", "/v1/webhooks/secret/rotate", json={"overlap": 0}).json()["secret"]
    service.call("POST", f"/v1/jobs/{id}/deliveries/{found['id']}/replay")
    first, second = receiver.wait_for(2)
    Webhook(new).verify(second.body, second.headers)
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


def test_gone_disables(hurried, receiver, site):
    """After a 410 the URL is asked no more by jobs of before; a replay asks it again."""
    hurried.call("PUT", "/v1/lanes/later", json={"paused": True})
    later = tell(hurried, receiver, site, lane="later")
    receiver.answers = (410, 200)
    id = tell(hurried, receiver, site)
    found = delivery(hurried, id, "disabled")
    assert [410] == [each["status"] for each in found["tries"]]
    hurried.call("POST", f"/v1/jobs/{later}/cancel")
    assert delivery(hurried, later, "disabled")["tries"] == []
    assert len(receiver.messages) == 1
    hurried.call("POST", f"/v1/jobs/{id}/deliveries/{found['id']}/replay")
    delivery(hurried, id, "delivered")


def test_the_window_is_told(shared, receiver, site):
    """In the answer: how often, after which pauses, and until when for a message that waits."""
    receiver.answers = (503,)
    id = tell(shared, receiver, site)
    found = shared.wait_for(
        lambda: next(
            (each for each in deliveries(shared, id) if each["tries"][-1:] and each["tries"][-1]["status"]), None
        )
    )
    retry = shared.get(f"/v1/jobs/{id}/deliveries")["retry"]
    assert (retry["tries"], retry["delays"]) == (8, [5, 300, 1800, 7200, 18_000, 36_000, 36_000])
    assert retry["window"][0] < sum(retry["delays"]) < retry["window"][1]
    begun, ends = (datetime.fromisoformat(found[name]) for name in ("created_at", "gives_up_at"))
    assert retry["window"][0] < (ends - begun).total_seconds() < retry["window"][1] + 60


def test_a_receiver_may_ask_for_more_time(shared, receiver, site):
    """By Retry-After, in seconds or as a date, within bounds."""
    receiver.answers = ((503, {"Retry-After": "3000"}),)
    id = tell(shared, receiver, site)
    found = shared.wait_for(
        lambda: next(
            (each for each in deliveries(shared, id) if each["tries"][-1:] and each["tries"][-1]["status"]), None
        )
    )
    assert (datetime.fromisoformat(found["due_at"]) - datetime.now(UTC)).total_seconds() > 2900


@pytest.mark.parametrize(("failed", "asked", "least", "most"), [
    (1, None, 4.5, 5.5), (2, None, 270, 330), (7, None, 32_400, 39_600), (1, 60, 60, 60), (2, 1, 270, 330), (1, 1e9, 36_000, 36_000),
])  # fmt: skip
def test_the_pauses_grow(failed, asked, least, most):
    """A tenth more or less, the same for a message each time; what is asked for is never undercut."""
    assert least <= schedule.delay_after("msg_a", failed, asked) <= most
    assert schedule.delay_after("msg_a", failed, asked) == schedule.delay_after("msg_a", failed, asked)
    assert schedule.delay_after("msg_a", 8, asked) is None


def test_a_kill_loses_no_message(service, receiver, site):
    """One that was under way is sent again by its id, and its log says that it was interrupted."""
    receiver.hold = threading.Event()
    id = tell(service, receiver, site)
    receiver.wait_for(1)
    service.stop(signal.SIGKILL)
    receiver.hold.set()
    service.start()
    first, second = receiver.wait_for(2)[:2]
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    tries = delivery(service, id, "delivered")["tries"]
    assert ["interrupted", None] == [each["error"] for each in tries]


def test_a_slow_receiver_holds_up_nobody(service, receiver, site):
    """Neither what is fetched, nor other receivers, however many messages wait for it."""
    receiver.hold = threading.Event()
    for _ in range(100):
        tell(service, receiver, site)
    receiver.wait_for(8)
    with receiving() as other:
        id = tell(service, other, site)
        other.wait_for(1)
    assert service.job(id)["state"] == "succeeded"
    assert service.done(service.submit(site.url_for("/fast/2")))["state"] == "succeeded"
    receiver.hold.set()
    assert len({each.headers["webhook-id"] for each in receiver.wait_for(100)}) >= 100


def test_many_jobs_are_told_of_once_each(service, receiver, site):
    """By 150 messages of different ids."""
    ids = [tell(service, receiver, site) for _ in range(150)]
    for id in ids:
        delivery(service, id, "delivered")
    assert sorted(ids) == sorted(json.loads(each.body)["data"]["id"] for each in receiver.messages)


def test_each_run_is_told_of(service, receiver, site):
    """And each message is about its own run."""
    id = tell(service, receiver, site)
    service.done(id)
    receiver.wait_for(1)
    service.call("POST", f"/v1/jobs/{id}/retry", json={"only": "all"})
    runs = [json.loads(each.body)["data"]["run"] for each in receiver.wait_for(2)]
    assert [1, 2] == runs
    assert [2, 1] == [each["run"] for each in deliveries(service, id)]


@pytest.mark.parametrize(("url", "rule"), [
    ("http://10.0.0.1/", "private"), ("http://169.254.169.254/latest", "metadata"), ("http://[::1]:9/", "loopback"),
    ("http://0x0a000001/", "private"), ("http://127.0.0.1:25/", "port"), ("http://[64:ff9b::10.0.0.1]/", "private"),
])  # fmt: skip
def test_a_forbidden_webhook_is_refused(shared, site, url, rule):
    """With the job, and by the rule that forbids it; so is a request."""
    for body in (
        {"url": site.url_for("/fast/1"), "webhook": {"url": url}},
        {"url": url},
        {"requests": ["http://a.example/", url]},
    ):
        answer = shared.call("POST", "/v1/jobs", json=body)
        assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")
        assert rule in answer.json()["detail"]
    lines = shared.call(
        "POST",
        "/v1/jobs",
        params={"webhook_url": url},
        data='"http://a.example/"',
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert lines.status_code == 403
    lines = shared.call(
        "POST", "/v1/jobs", data=f'"http://a.example/"\n"{url}"', headers={"Content-Type": "application/x-ndjson"}
    )
    assert (lines.status_code, lines.json()["errors"][0]["line"]) == (403, 2)


def test_the_service_itself_is_no_receiver(shared, site):
    """By none of its names, however they are spelled."""
    port = shared.url.rpartition(":")[2]
    for name in ("127.0.0.1", "localhost", "LOCALHOST.", "0x7f.1", "[::ffff:127.0.0.1]"):
        hook = {"url": f"http://{name}:{port}/v1/jobs"}
        answer = shared.call("POST", "/v1/jobs", json={"url": site.url_for("/fast/1"), "webhook": hook})
        assert answer.status_code == 403, name


def test_roles_of_webhooks(database, tmp_path, site):
    """The secret is the admins', a replay needs `submit`, the log `read`."""
    with served(database, tmp_path, tokens=TOKENS) as service:
        calls = [
            ("GET", "/v1/webhooks/secret"),
            ("POST", "/v1/webhooks/secret/rotate"),
            ("POST", "/v1/jobs/a/deliveries/b/replay"),
            ("GET", "/v1/jobs/a/deliveries"),
        ]
        for role, statuses in (
            ("read", [403, 403, 403, 404]),
            ("submit", [403, 403, 404, 404]),
            ("admin", [200, 200, 404, 404]),
        ):
            headers = {"Authorization": f"Bearer {role}-token"}
            assert statuses == [service.call(method, path, headers=headers).status_code for method, path in calls]
