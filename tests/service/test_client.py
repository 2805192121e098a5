"""The client against a service: what is submitted, followed, waited for and acted on."""

import gc
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from workerpool import Request, Timeout, WorkerPool
from workerpool.service import (
    BadSubmission,
    Client,
    Conflict,
    Job,
    NotAllowed,
    NotDone,
    NotFound,
    RequestFailed,
    Result,
)

ROOT = Path(__file__).parents[2]
FAR = datetime.now(UTC) + timedelta(days=300)


@pytest.fixture
def client(shared):
    with Client(shared.url) as client:
        yield client


@pytest.fixture
def own(service):
    with Client(service.url) as client:
        yield client


def test_it_needs_none_of_the_servers_libraries():
    """With the core alone it can be imported, and calls."""
    hidden = ("fastapi", "starlette", "pydantic", "uvicorn", "jinja2", "prometheus_client", "click", "rich", "psycopg")
    code = f"""
import sys
for name in {hidden!r}: sys.modules[name] = None
from workerpool.service import Client, ServiceUnavailable
with Client("http://127.0.0.1:1", timeout=0.2) as client:
    try: client.stats()
    except ServiceUnavailable: print("away")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )
    assert ("away\n", "") == (done.stdout, done.stderr)


def test_a_job_comes_back_as_a_value(client, shared_site):
    """Times are aware, labels cannot be changed, and all that was given is there."""
    job = client.submit(
        [shared_site.url_for("/fast/1")], id="value-1", lane="slow", priority=7, labels={"team": "tea"},
        not_before=FAR, expires_in=timedelta(days=350), retry=2, webhook="https://me.example/hook", keep_bodies=False,
    )  # fmt: skip
    assert ("value-1", "slow", 7, {"team": "tea"}) == (job.id, job.lane, job.priority, dict(job.labels))
    assert job.created_at.utcoffset() == timedelta(0)
    assert abs(job.not_before - FAR) < timedelta(milliseconds=1)
    assert timedelta(days=349) < job.expires_at - job.created_at < timedelta(days=351)
    assert ("https://me.example/hook", None, False) == (job.webhook, job.finished_at, job.done)
    assert (1, 1, 0) == (job.counts.total, job.counts.queued, job.counts.done)
    assert job == pickle.loads(pickle.dumps(job)) == client.job("value-1")
    with pytest.raises(AttributeError):
        job.state = "done"
    with pytest.raises(TypeError):
        job.labels["team"] = "coffee"


def test_results_come_with_all_that_is_known(client, shared_site):
    """Status, headers, attempts and the content on demand; an error where there is no answer."""
    job = client.submit([{"url": shared_site.url_for("/fast/1"), "ref": "row 1"}, "http://127.0.0.1:1/"], retry=1)
    good, bad = sorted(client.results(job, follow=True), key=lambda result: result.n)
    assert (0, "row 1", 200, True, None, 1) == (good.n, good.ref, good.status, good.ok, good.error, len(good.attempts))
    assert (1024, good.body.size) == (len(good.content), len(good.content))
    assert good.headers["CONTENT-LENGTH"] == "1024"
    assert good.attempts[0].finished_at >= good.attempts[0].started_at
    assert good is good.unwrap()
    assert (1, False, None, b"", "ConnectError") == (bad.n, bad.ok, bad.status, bad.content, bad.error.type)
    with pytest.raises(RequestFailed, match=r"127\.0\.0\.1:1") as caught:
        bad.unwrap()
    assert ("ConnectError", "connect") == (caught.value.type, caught.value.stage)
    copied = pickle.loads(pickle.dumps(good))
    assert (copied, copied.content) == (good, good.content)
    assert [0] == [result.n for result in client.results(job, ok=True)]
    assert [1] == [result.n for result in client.results(job, ok=False)]


def test_requests_are_sent_as_they_are(client, shared_site):
    """Method, headers, body and time of a Request, and of a dict, reach the server."""
    url = shared_site.url_for("/echo")
    job = client.submit([
        Request("POST", url, json={"tea": 1}, headers={"X-A": "1"}, timeout=Timeout(total=20), max_body=10_000),
        Request("PUT", url, data=b"\xff\x00"),
        {"url": url, "method": "PATCH", "data": "green", "headers": {"X-B": "2"}, "params": {"q": "a b"}},
        {"url": url, "method": "POST", "data": b"\xff"},
    ])  # fmt: skip
    found = [result.json() for result in sorted(client.results(job, follow=True), key=lambda each: each.n)]
    assert ["POST", "PUT", "PATCH", "POST"] == [each["method"] for each in found]
    assert '{"tea":1}' == found[0]["body"].replace(" ", "")
    assert "green" == found[2]["body"]
    assert {"x-a": "1"}.items() <= {name.lower(): value for name, value in dict(found[0]["headers"]).items()}.items()


def test_map_yields_in_the_order_of_the_inputs(client, shared_site):
    """More than a page of them, from a generator."""
    urls = (shared_site.url_for(f"/fast/{n}") for n in range(620))
    found = list(client.map(urls, labels={"by": "map"}))
    assert list(range(620)) == [result.n for result in found]
    assert all(result.url.endswith(f"/fast/{result.n}") for result in found)
    assert [] == list(client.map([]))


def test_map_makes_several_jobs_of_many(client, shared_site, monkeypatch):
    """What one job cannot hold goes into the next one; the order stays."""
    monkeypatch.setattr("workerpool.service.client.client.MOST", 3)
    urls = [shared_site.url_for(f"/fast/{n}") for n in range(8)]
    found = list(client.map(urls, labels={"by": "three"}))
    assert urls == [result.url for result in found]
    assert [2, 3, 3] == [job.counts.total for job in client.jobs(labels={"by": "three"})]


def test_map_left_early_cancels_its_job(client, shared_site):
    """Nobody will read the rest."""
    urls = [shared_site.url_for("/fast/1"), *(shared_site.url_for("/slow/1?delay=30") for _ in range(3))]
    found = client.map(urls, labels={"by": "left"})
    assert next(found).ok
    found.close()
    (job,) = client.jobs(labels={"by": "left"})
    assert "cancelled" == job.state


def test_a_key_makes_one_job(client, shared_site):
    """The same twice is one; another body under the same key is refused."""
    url = shared_site.url_for("/fast/1")
    first, second = (client.submit(url, idempotency_key="k1") for _ in range(2))
    assert first.id == second.id
    with pytest.raises(BadSubmission, match=r"(?i)key"):
        client.submit(url + "?", idempotency_key="k1")
    assert client.submit(url).id != client.submit(url).id


def test_a_job_is_cancelled_and_done_again(client, shared_site):
    """Each says what it has come to; what the state forbids is a Conflict."""
    job = client.submit(shared_site.url_for("/fast/1"), not_before=FAR)
    with pytest.raises(Conflict, match=job.id):
        client.delete(job)
    with pytest.raises(Conflict, match=job.id):
        client.retry(job)
    assert ("cancelled", "cancelled") == (client.cancel(job).state, client.cancel(job.id).state)
    held = client.submit(shared_site.url_for("/fast/1"), not_before=FAR)
    with pytest.raises(NotDone, match=rf"{held.id}.*0.01"):
        client.wait(held, timeout=timedelta(seconds=0.01))
    done = client.wait(client.submit(shared_site.url_for("/fast/1")))
    with pytest.raises(Conflict):
        client.cancel(done)
    again = client.retry(done, only="all")
    assert (2, "succeeded") == (again.run, client.wait(again).state)
    client.delete(done)
    with pytest.raises(NotFound, match=done.id):
        client.job(done)


def test_as_completed_yields_each_and_tells_of_one_that_is_gone(client, shared_site):
    """One is deleted before, one amid: all others come, then NotFound."""
    fast = [client.submit(shared_site.url_for("/fast/1")) for _ in range(3)]
    held = [client.submit(shared_site.url_for("/fast/1"), not_before=FAR) for _ in range(2)]
    client.cancel(held[0])
    client.delete(held[0])
    found = client.as_completed([*held, *fast, fast[0]])
    seen = [next(found)]
    client.cancel(held[1])
    client.delete(held[1])
    seen += [next(found), next(found)]
    with pytest.raises(NotFound, match=held[0].id):
        next(found)
    assert sorted(job.id for job in fast) == sorted(job.id for job in seen)
    assert all(isinstance(job, Job) and job.done for job in seen)
    assert [] == list(client.as_completed([]))


def test_lists_are_read_to_their_end(own, shared_site):
    """Pages are no concern of the reader's."""
    made = [own.submit(shared_site.url_for("/fast/1"), labels={"n": str(n % 2)}).id for n in range(7)]
    assert made[::-1] == [job.id for job in own.jobs(limit=2)]
    assert made[1::2][::-1] == [job.id for job in own.jobs(labels={"n": "1"}, limit=1)]
    assert [made[3]] == [job.id for job in own.jobs(q=made[3])]
    list(own.as_completed(made))
    assert ([], 7) == (list(own.jobs(state="running")), own.stats().jobs["succeeded"])


def test_lanes_are_set_in_part(own):
    """What is left out stays; 0 lifts a limit."""
    lane = own.put_lane("bulk", connections=5, rate=2.5)
    assert (5, 2.5, False) == (lane.connections, lane.rate, lane.paused)
    lane = own.put_lane("bulk", rate=0, paused=True)
    assert (5, None, True, 0) == (lane.connections, lane.rate, lane.paused, lane.queued)
    assert ("bulk", "default") == tuple(each.name for each in own.lanes())


def test_address_rules_are_explained(client, shared):
    """What the service would refuse, and why."""
    found = client.explain("http://10.0.0.1/")
    assert (False, ("10.0.0.1",)) == (found.allowed, found.addresses)
    assert found.rule
    assert client.explain(shared.url).allowed


def test_an_address_that_is_forbidden_is_refused(client):
    """By the service, when it is submitted; the error says what it was."""
    with pytest.raises(NotAllowed, match="address rules") as caught:
        client.submit(["http://10.0.0.1/"])
    assert 403 == caught.value.status


def test_events_of_a_job_end_with_it(client, shared_site):
    """From the first row to the last one, also when the job is done; and from behind any of them."""
    job = client.submit([shared_site.url_for("/fast/1"), shared_site.url_for("/fast/2")])
    live = list(client.events(job))
    assert ["job", "job", "result", "result", "done"] == [event.kind for event in live]
    assert sorted({event.id for event in live}) == [event.id for event in live]
    assert live == list(client.events(job))
    assert live[3:] == list(client.events(job.id, last_id=live[2].id))
    assert [] == list(client.events(job, last_id=live[-1].id))
    assert {"state": "succeeded", "run": 1} == dict(live[-1].data)
    assert live[0].at.tzinfo is not None


def test_all_events_go_on(client, shared_site):
    """Those of all jobs, until the reader stops."""
    last = client.stats().last_event
    job = client.submit(shared_site.url_for("/fast/1"))
    found = client.events(last_id=last)
    kinds = []
    for event in found:
        if event.job == job.id:
            kinds.append(event.kind)
            if event.kind == "done":
                break
    found.close()
    assert ["job", "job", "result", "done"] == kinds


def test_many_threads_share_a_client(client, shared_site):
    """Each gets what it has asked for."""

    def work(number: int) -> list[str]:
        job = client.submit([shared_site.url_for(f"/fast/{number}{n}") for n in range(5)], labels={"t": str(number)})
        client.wait(job)
        return sorted(result.url for result in client.results(job))

    with ThreadPoolExecutor(8) as threads:
        for number, urls in enumerate(threads.map(work, range(24))):
            assert sorted(shared_site.url_for(f"/fast/{number}{n}") for n in range(5)) == urls


def test_it_takes_a_pool_of_the_callers(shared, shared_site):
    """It is used, and left open."""
    with WorkerPool(workers=1, name="given") as pool:
        with Client(shared.url, pool=pool) as client:
            assert client.wait(client.submit(shared_site.url_for("/fast/1"))).ok
        assert pool.is_open
        assert pool.stats().succeeded


def test_a_client_that_nobody_holds_leaves_no_thread(shared):
    """Its pool ends with it, closed or not."""
    client = Client(shared.url)
    client.stats()
    pools = [each for each in threading.enumerate() if each.name.startswith("workerpool-client")]
    assert pools
    del client
    gc.collect()
    for each in pools:
        each.join(30)
        assert not each.is_alive()


def test_a_closed_client_refuses(shared):
    """By name; to close it again does nothing."""
    from workerpool import PoolClosed

    client = Client(shared.url)
    client.close()
    client.close()
    with pytest.raises(PoolClosed, match="closed"):
        client.stats()


def test_a_forked_child_can_go_on(shared):
    """The parent's pool is of no use to it; it makes one."""
    code = f"""
import os
from workerpool.service import Client
client = Client({shared.url!r})
client.stats()
child = os.fork()
if not child:
    client.stats()
    client.close()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
client.close()
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert ("7\n", "") == (done.stdout, done.stderr)


def test_a_hundred_thousand_lines_go_in_flat_memory(service, shared_site):
    """From a generator, which is never held as a whole."""
    code = f"""
import resource
from datetime import UTC, datetime, timedelta
from workerpool.service import Client
size = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
late = datetime.now(UTC) + timedelta(days=9)
with Client({service.url!r}) as client:
    client.submit([f"http://a.example/{{n}}" for n in range(600)], not_before=late)
    before = size()
    lines = ({{"url": f"http://a.example/{{n}}", "ref": str(n) * 20}} for n in range(100_000))
    job = client.submit(lines, not_before=late)
    print(job.counts.total, (size() - before) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, cwd=ROOT, check=False
    )
    total, grown = map(int, done.stdout.split() or done.stderr)
    assert 100_000 == total
    assert grown < 16  # MiB; as a list of lines they would take twice that, and as dicts much more


def test_more_than_a_job_can_hold_is_refused(client):
    """Before anything is sent."""
    with pytest.raises(BadSubmission, match=r"100000.*map"):
        client.submit(f"http://a.example/{n}" for n in range(100_001))


def test_a_result_without_a_client_says_how_to_get_its_content():
    """One that was pickled has no way back."""
    from workerpool.service import Body, ClientError

    body = Body(size=1, sha256="0", media_type="text/plain", href="/")
    result = Result(job="j", n=0, ref=None, url="u", final_url=None, status=200, ok=True, error=None, header_items=(),
                    elapsed=0.1, attempts=(), body=body)  # fmt: skip
    with pytest.raises(ClientError, match=r"client\.body"):
        pickle.loads(pickle.dumps(result)).content  # noqa: B018
