"""Services that are down, die amid a call, restart, are overloaded, talk nonsense, or are another program."""

import json
import random
import signal
import threading

import pytest
from lines import Line
from served import served
from servers import Handler, Scripted, handled, ok

from workerpool.service import (
    BadArgument,
    Client,
    ClientError,
    Conflict,
    NotAllowed,
    NotFound,
    ServiceUnavailable,
    Unauthorized,
    UnexpectedAnswer,
)

JOB = {
    "id": "a", "state": "queued", "run": 1, "lane": "default", "priority": 0, "labels": {}, "waiting_for": None,
    "created_at": "2026-12-01T08:00:00.000Z", "started_at": None, "finished_at": None, "not_before": None,
    "expires_at": None, "webhook": None,
    "counts": dict.fromkeys(("total", "queued", "running", "succeeded", "failed", "cancelled", "expired"), 0),
}  # fmt: skip


@pytest.fixture
def line(database, tmp_path):
    """A line to a service of one's own; `line.service` is that."""
    with Line() as line, served(database, tmp_path, "--public-host", line.host) as service:
        line.target, line.service = service.url, service
        yield line


def answering(status, body, kind="application/json", **headers):
    """Return a handler that answers so, whatever it is asked."""

    class Answering(Handler):
        def do_GET(self):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            self.answer(status, body, {"Content-Type": kind} | named)

        do_POST = do_PUT = do_DELETE = do_GET

    return Answering


def problem(status, detail="because", **more):
    return answering(
        status, json.dumps({"status": status, "detail": detail, **more}).encode(), "application/problem+json"
    )


def test_nobody_listens(free_port):
    """The error says where, and asks the question that helps."""
    with Client(f"http://127.0.0.1:{free_port}", timeout=0.2) as client:
        for call in (client.stats, lambda: client.submit("http://a.example/"), lambda: list(client.events("a"))):
            with pytest.raises(ServiceUnavailable, match=rf"127.0.0.1:{free_port}.*does the service run"):
                call()


def test_a_name_that_does_not_resolve_is_told_at_once():
    """No second try would mend it."""
    with Client("http://no-such-host.invalid", timeout=600) as client, pytest.raises(ServiceUnavailable, match="URL"):
        client.stats()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Unauthorized), (403, NotAllowed), (404, NotFound), (409, Conflict), (422, BadArgument), (400, BadArgument),
     (413, BadArgument), (500, UnexpectedAnswer), (418, UnexpectedAnswer)],
)  # fmt: skip
def test_each_problem_has_its_class(status, kind):
    """With what the service says, its status, and the fields at fault."""
    errors = [{"pointer": "/lane", "detail": "no such lane"}]
    with handled(problem(status, "lane: no such lane", errors=errors)) as url, Client(url) as client:
        with pytest.raises(kind, match="no such lane") as caught:
            client.job("a")
    assert (status, tuple(errors)) == (caught.value.status, caught.value.errors)


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", "application/json"), (b"null", "application/json"), (b"[]", "application/json"), (b"{", "application/json"),
     (b'{"id": 5}', "application/json"), (b"\xff\xfe", "application/json"), (b"<h1>Welcome</h1>", "text/html"),
     (b"[" * 100_000, "application/json"), (json.dumps({**JOB, "created_at": "noon"}).encode(), "application/json"),
     (json.dumps({**JOB, "counts": []}).encode(), "application/json"),
     (json.dumps({**JOB, "labels": None}).encode(), "application/json")],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_nonsense_is_none_of_the_services_answers(body, kind):
    """One error for all of it, which asks whether the URL is right."""
    with handled(answering(200, body, kind)) as url, Client(url) as client:
        with pytest.raises(UnexpectedAnswer, match="URL"):
            client.job("a")
        with pytest.raises(UnexpectedAnswer, match="URL"):
            client.submit("http://a.example/")
        with pytest.raises(UnexpectedAnswer, match="URL"):
            list(client.results("a", follow=True))
        with pytest.raises(UnexpectedAnswer, match="URL"):
            list(client.events("a"))


@pytest.mark.parametrize("status", [301, 302, 307, 404, 405, 500])
def test_another_program_is_told_from_the_service(status):
    """A page that is not there is no job that is not there; and no token follows a redirect."""
    page = answering(status, b"<h1>Hm</h1>", "text/html", Location="http://127.0.0.1:1/")
    with handled(page) as url, Client(url, "t0ken") as client, pytest.raises(UnexpectedAnswer, match=str(status)):
        client.job("a")


def test_an_echo_of_the_token_is_not_told():
    """Not even if the other program says it."""
    with handled(problem(409, "Bearer t0ken-t0ken is no good")) as url, Client(url, "t0ken-t0ken") as client:
        with pytest.raises(Conflict) as caught:
            client.job("a")
    assert "t0ken" not in str(caught.value)


def test_what_speaks_no_http_is_told():
    """SSH, a database: another port is meant."""
    with Scripted([b"SSH-2.0-OpenSSH_9.2\r\n"], again=True) as server, Client(server.url) as client:
        with pytest.raises(UnexpectedAnswer, match="speaks no HTTP"):
            client.stats()


def test_events_that_are_none(shared):
    """An event of another program ends it with an error, never with silence."""
    stream = b'id: x\nevent: job\ndata: {"a": 1}\n\n'
    with handled(answering(200, stream, "text/event-stream")) as url, Client(url) as client:
        with pytest.raises(UnexpectedAnswer, match="event"):
            list(client.events("a"))


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_asks_for_a_pause_is_asked_again(status):
    """Within the timeout; a submission, too, with the same key."""
    busy = b"HTTP/1.1 %d Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n" % status
    good = ok(json.dumps(JOB).encode(), b"Content-Type: application/json")
    with Scripted([busy, busy, good, good]) as server, Client(server.url) as client:
        assert "a" == client.submit("http://a.example/").id
    keys = {
        line for request in server.seen for line in request.split(b"\r\n") if line.lower().startswith(b"idempotency")
    }
    assert (3, 1) == (len(server.seen), len(keys))


def test_a_pause_beyond_the_timeout_is_not_begun():
    """The error tells when to come again."""
    with (
        handled(
            problem(
                503,
                "the disk is full",
            )
        ) as url,
        Client(url, timeout=0.1) as client,
    ):
        with pytest.raises(ServiceUnavailable, match="the disk is full"):
            client.stats()
    page = answering(429, b"", Retry_After="3600")
    with handled(page) as url, Client(url) as client, pytest.raises(ServiceUnavailable) as caught:
        client.stats()
    assert (429, 3600.0) == (caught.value.status, caught.value.retry_after)


def test_a_submission_whose_answer_is_lost_makes_one_job(line, shared_site):
    """The line is cut when the job is stored and the answer on its way; the next try finds it."""
    urls = [shared_site.url_for(f"/fast/{n}") for n in range(3)]
    with Client(line.url) as client:
        for many in (1, 300):  # by a document, and by lines
            left = iter([20, 20])
            line.cut = lambda head, left=left: next(left, None) if head.startswith(b"POST") else None
            job = client.submit(urls * many, labels={"many": str(many)})
            assert [job.id] == [each.id for each in client.jobs(labels={"many": str(many)})]
    assert 4 == line.cuts


def test_a_retry_whose_answer_is_lost_is_not_repeated(line, shared_site):
    """It might begin two runs; the error says that nobody knows."""
    with Client(line.url) as client:
        job = client.wait(client.submit(shared_site.url_for("/fast/1")))
        line.cut = lambda head: 20 if head.startswith(b"POST") else None
        with pytest.raises(ServiceUnavailable, match="not known"):
            client.retry(job, only="all")
        assert 2 == client.job(job).run


def test_a_cancel_whose_answer_is_lost_is_done(line, shared_site):
    """The second try finds it cancelled."""
    with Client(line.url) as client:
        job = client.submit(shared_site.url_for("/fast/1"), not_before="2100-01-01T00:00:00Z".replace("2100", "2030"))
        left = iter([20])
        line.cut = lambda head: next(left, None) if head.startswith(b"POST") else None
        assert "cancelled" == client.cancel(job).state


def test_events_come_once_over_a_line_that_is_cut_fifty_times(line, shared_site):
    """None is lost, and none comes twice."""
    chance = random.Random(1)
    cuts = iter([chance.randrange(60, 2500) for _ in range(50)])
    with Client(line.url) as client:
        job = client.submit([shared_site.url_for(f"/fast/{n}") for n in range(700)])
        line.cut = lambda head: next(cuts, None) if b"/events" in head.split(b"\r\n")[0] else None
        seen = [event.id for event in client.events(job)]
        assert 50 == line.cuts
        assert [event.id for event in client.events(job)] == seen
    assert 703 == len(seen)


def test_all_is_followed_over_a_service_that_is_killed(database, tmp_path, shared_site):
    """Results, events, the end and map: each comes whole, over three restarts."""
    with Line() as line, served(database, tmp_path, "--public-host", line.host) as service:
        line.target = service.url
        urls = [shared_site.url_for(f"/slow/1?delay=0.02&n={n}") for n in range(300)]
        with Client(line.url, timeout=60) as client:
            job = client.submit(urls, lane="narrow")
            found = {}
            followers = {
                "results": lambda: [result.n for result in client.results(job, follow=True)],
                "events": lambda: [event.id for event in client.events(job)],
                "done": lambda: client.wait(job).state,
                "completed": lambda: [each.id for each in client.as_completed([job])],
                "map": lambda: [result.n for result in client.map(urls[:100])],
            }
            threads = [threading.Thread(target=lambda name=name, act=act: found.update({name: act()}))
                       for name, act in followers.items()]  # fmt: skip
            for each in threads:
                each.start()
            for _ in range(3):
                counted = client.job(job).counts.done
                service.wait_for(lambda counted=counted: client.job(job).counts.done > counted or client.job(job).done)
                service.stop(signal.SIGKILL)
                line.target = service.start().url
            for each in threads:
                each.join(100)
            assert (list(range(300)), "succeeded", [job.id]) == (
                sorted(found["results"]),
                found["done"],
                found["completed"],
            )
            assert list(range(100)) == found["map"]
            assert found["events"] == sorted(set(found["events"])) == [event.id for event in client.events(job)]


def test_a_service_that_does_not_come_back_ends_the_wait(line, shared_site):
    """After the client's timeout, by an error that says so; a client that is asked again later goes on."""
    with Client(line.url, timeout=0.3) as client:
        job = client.submit(shared_site.url_for("/fast/1"), not_before="2030-01-01T00:00:00Z")
        line.service.stop(signal.SIGKILL)
        for call in (lambda: client.wait(job), lambda: list(client.results(job, follow=True)),
                     lambda: list(client.events(job)), lambda: list(client.as_completed([job]))):  # fmt: skip
            with pytest.raises(ServiceUnavailable):
                call()
        line.target = line.service.start().url
        line.service.wait_for(lambda: _answers(client))
        assert "queued" == client.job(job).state


def _answers(client):
    try:
        return client.stats()
    except ClientError:
        return None
