"""The home in PostgreSQL: databases that cannot be used, that go away and come back, and are shared by processes."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from contextlib import asynccontextmanager
from time import time

import psycopg
import pytest
from killed_service import target_server
from killed_workers import torment_workers
from served import served
from worked import worked

from workerpool.service.errors import StoreRefused
from workerpool.service.postgres import making
from workerpool.service.postgres.home import PostgresStore
from workerpool.service.postgres.schema import VERSION
from workerpool.service.records import Attempt, Ending, Finished, LaneSettings, NewJob, NewRequest
from workerpool.testing.site import Site


@pytest.fixture
def database(postgres):
    """A database of one's own, in the cluster that tests share."""
    return postgres.new_database()


@asynccontextmanager
async def opened(database):
    store = await PostgresStore.open(database)
    try:
        yield store
    finally:
        await store.close()


def new(id, total=1, host="h.test:80", **fields):
    job = NewJob(id=id, total=total, created_at=time(), **fields)
    return job, [[NewRequest(url=f"http://{host}/{n}", host=host) for n in range(total)]]


def begun(leases):
    return [(each, [*each.attempts, Attempt(number=1, worker="w", started_at=time())]) for each in leases]


def ended(leases):
    return [Finished(lease=each, ending=Ending.SUCCEEDED, status=200) for each in leases]


def refusal(command, database):
    """Return the exit code and what the command says."""
    words = [sys.executable, "-m", "workerpool", command, "--database", database]
    words += ["--port", "0"] if command == "serve" else []
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def execute(database, *statements):
    with psycopg.connect(database, autocommit=True) as db:
        for each in statements:
            db.execute(each)


# Databases that cannot be used.


@pytest.mark.parametrize("command", ["serve", "work"])
def test_a_database_that_is_not_there_is_told(free_port, command):
    """By its address without the password, with the cure."""
    code, text = refusal(command, f"postgresql://tea:s3cret@127.0.0.1:{free_port}/jobs")
    assert code == 4
    assert f"postgresql://tea@127.0.0.1:{free_port}/jobs" in text
    assert "see that PostgreSQL runs there" in text
    assert "s3cret" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("address", ["postgresql://tea:s3cret@host:port/jobs", "postgresql://tea:s3cret@[::1/jobs"])
def test_what_is_no_address_is_told(address):
    """Without the password."""
    code, text = refusal("serve", address)
    assert code == 4
    assert "postgresql://" in text
    assert "s3cret" not in text
    assert "Traceback" not in text


def test_a_database_that_does_not_exist_is_told(postgres):
    """With the cure."""
    code, text = refusal("serve", postgres.address("nowhere"))
    assert code == 4
    assert '"nowhere" does not exist; make it (createuser, createdb)' in text


def test_a_file_is_for_one_process():
    """`work` needs PostgreSQL, and says so."""
    code, text = refusal("work", "jobs.sqlite")
    assert code == 2
    assert "a file is for one process" in text


def test_a_newer_database_is_refused(database, run):
    """By its version; nothing is changed."""

    async def scenario():
        async with opened(database) as store:
            await store.submit(*new("a"))
        execute(database, f"UPDATE workerpool.meta SET value = '{VERSION + 1}' WHERE name = 'version'")
        with pytest.raises(StoreRefused, match="written by a newer version of workerpool"):
            await PostgresStore.open(database)
        execute(database, f"UPDATE workerpool.meta SET value = '{VERSION}' WHERE name = 'version'")
        async with opened(database) as store:
            assert (await store.job("a")).id == "a"

    run(scenario())


def test_a_schema_of_another_program_is_refused(database, run):
    """And left as it is."""
    execute(database, "CREATE SCHEMA workerpool", "CREATE TABLE workerpool.mine (a int)")
    with pytest.raises(StoreRefused, match="none of the service's"):
        run(PostgresStore.open(database))


def test_an_older_database_is_migrated(database, run, monkeypatch):
    """In one transaction, and what was in it stays; where that fails it is as it was."""

    async def scenario():
        async with opened(database) as store:
            await store.submit(*new("a"))
        monkeypatch.setattr(making, "VERSION", VERSION + 1)
        monkeypatch.setattr(making, "MIGRATIONS", (*making.MIGRATIONS, "CREATE TABLE later (a int); SELECT nothing"))
        with pytest.raises(StoreRefused, match="nothing"):
            await PostgresStore.open(database)
        monkeypatch.setattr(making, "MIGRATIONS", (*making.MIGRATIONS[:-1], "CREATE TABLE later (a int)"))
        async with opened(database) as store:
            assert (await store.job("a")).id == "a"
        execute(database, "INSERT INTO workerpool.later VALUES (1)")

    run(scenario())


def test_many_processes_may_make_the_tables_at_once(database, run):
    """One does, the others wait."""

    async def scenario():
        stores = await asyncio.gather(*(PostgresStore.open(database) for _ in range(8)))
        await asyncio.gather(*(store.submit(*new(f"job-{n}")) for n, store in enumerate(stores)))
        assert (await stores[0].stats()).queued == 8
        await asyncio.gather(*(store.close() for store in stores))

    run(scenario())


def test_an_applications_own_procrastinate_is_left_alone(database, run):
    """Its tables are in another schema than ours."""
    execute(database, "CREATE TABLE public.procrastinate_jobs (mine int)")

    async def scenario():
        async with opened(database) as store:
            await store.submit(*new("a"))
            assert len(await store.lease("w", "default", 1, seconds=60)) == 1

    run(scenario())
    execute(database, "INSERT INTO public.procrastinate_jobs VALUES (1)")


def test_texts_may_have_what_postgres_has_not(database, run):
    """NUL in a ref, a label, a search."""
    text = 'a\0b"\\'

    async def scenario():
        async with opened(database) as store:
            job, _ = new("a", labels={"team": text})
            await store.submit(job, [[NewRequest(url="http://h.test/", host="h.test:80", ref=text)]])
            ((_n, request),) = (await store.requests("a", cursor=None, limit=1)).rows
            assert request.ref == text
            await store.finish(ended(await store.lease("w", "default", 1, seconds=60)))
            assert (await store.result("a", 0)).ref == text
            assert (await store.job("a")).labels == {"team": text}

    run(scenario())


# A database that goes away.


def test_a_database_that_is_started_anew_is_waited_for(postgres_of_ones_own, tmp_path):
    """Callers are told to come back, the process lives, and it goes on: each request has its Result."""
    cluster = postgres_of_ones_own
    with Site() as site, served(cluster.new_database(), tmp_path) as service:
        id = service.submit(*[site.url_for(f"/hold/{n}") for n in range(3)], site.url_for("/fast/1"))
        site.wait_in_flight(3)
        cluster.stop(signal.SIGQUIT)
        for method, path, body in (("POST", "/v1/jobs", {"url": "http://h.test/"}), ("GET", f"/v1/jobs/{id}", None),
                                   ("GET", "/readyz", None)):  # fmt: skip
            answer = service.call(method, path, json=body)
            assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
            assert int(answer.headers["Retry-After"]) >= 1
            assert "postgres@127.0.0.1" in answer.json()["detail"]
        assert service.call("GET", "/healthz").status_code == 200
        site.release()
        cluster.start()
        service.wait_for(lambda: service.call("GET", "/readyz").status_code == 200)
        assert service.done(id)["state"] == "succeeded"
        results = service.results(id)
        assert [0, 1, 2, 3] == sorted(each["n"] for each in results)
        assert [1] * 4 == [len(each["attempts"]) for each in results]  # what came meanwhile was kept
        assert site.hits == 4


# Many processes.


def test_processes_share_the_work_and_each_host_has_one_of_them(database, tmp_path):
    """So that its pace is kept; when all is done each request has been sent once."""
    with target_server(9) as target, worked(database, tmp_path, number=2), served(database, tmp_path) as service:
        id = service.submit(*[f"{target.urls[n % 9]}/{n}" for n in range(90)])
        assert service.done(id)["state"] == "succeeded"
        of_hosts = defaultdict(set)
        for each in service.results(id):
            (attempt,) = each["attempts"]
            of_hosts[each["url"].rpartition("/")[0]].add(attempt["worker"])
        assert {1} == {len(workers) for workers in of_hosts.values()}
        assert len(set().union(*of_hosts.values())) > 1
        assert set(target.counts.values()) == {1}


def test_a_lanes_places_are_counted_for_all_processes(database, run):
    """Of all together no more begin than it has, and what has none waits again."""

    async def scenario():
        async with opened(database) as one, opened(database) as other:
            await one.put_lane(LaneSettings(name="default", connections=3))
            await one.lease("x", "default", 1, seconds=60)
            await other.lease("y", "default", 1, seconds=60)
            for n in range(8):
                await one.submit(*new(f"job-{n}", 2, host=f"h{n}.test:80"))
            theirs = await leased(other, 3)
            ours = await leased(one, 3)
            assert len(await one.begin(begun(ours))) == 3
            assert await other.begin(begun(theirs)) == frozenset()
            assert await other.lease("y", "default", 3, seconds=60) == ()
            assert (await one.lanes())[0].running == 3
            await one.finish(ended(ours[:1]))
            theirs = await other.lease("y", "default", 3, seconds=60)
            assert len(await other.begin(begun(theirs))) == 1
            assert (await one.lanes())[0].running == 3

    run(scenario())


def test_a_lanes_rate_holds_for_all_processes(database, run):
    """What one has begun, the other one waits for."""

    async def scenario():
        async with opened(database) as one, opened(database) as other:
            await one.put_lane(LaneSettings(name="default", rate=0.001))
            await one.lease("x", "default", 1, seconds=60)
            await other.lease("y", "default", 1, seconds=60)
            for n in range(8):
                await one.submit(*new(f"job-{n}", host=f"h{n}.test:80"))
            theirs, ours = await leased(other, 1), await leased(one, 1)
            assert len(await one.begin(begun(ours))) == 1
            assert await other.begin(begun(theirs)) == frozenset()

    run(scenario())


async def leased(store, number):
    """Lease until there is something: another process has to give turns back first, perhaps."""
    while not (found := await store.lease("w", "default", number, seconds=60)):
        await store.work(0.2)
    return found


def test_what_a_host_asked_for_is_known_to_whoever_has_it_next(workerpool_server, database, tmp_path):
    """Its Retry-After outlives the process that heard it."""
    workerpool_server.reply("/busy", status=503, headers={"Retry-After": "1000"})
    with served(database, tmp_path) as service:
        first = service.submit(workerpool_server.url_for("/busy"), retry={"attempts": 1})
        assert service.done(first)["state"] == "failed"
        service.stop(signal.SIGKILL)
        service.start()
        second = service.submit(workerpool_server.url_for("/fast/1"))
        found = service.wait_for(
            lambda: "asked for" in (service.job(second)["waiting_for"] or "") and service.job(second)
        )
        assert found["counts"]["queued"] == 1
        assert ["/busy"] == [each.path for each in workerpool_server.requests]


def test_a_process_that_ends_leaves_its_work_to_others(site, database, tmp_path):
    """At once where it is stopped, soon where it is killed; what was under way is sent again, as another attempt."""
    with worked(database, tmp_path, number=1) as (worker,), served(database, tmp_path) as service:
        service.stop()
        service.start()  # whoever had the host before, the worker has it now
        id = service.submit(site.url_for("/hold/1"))
        site.wait_in_flight(1)
        worker.stop(signal.SIGKILL)
        site.release()
        job = service.done(id)
        assert job["state"] == "succeeded"
        (result,) = service.results(id)
        assert result["attempts"][-1]["outcome"] == "200"
        assert len(result["attempts"]) == site.hits


def test_events_come_in_order_from_all_processes(database, tmp_path, site):
    """Whoever follows them at one process, while several store, sees each once, its id above the one before."""
    other = tmp_path / "other"
    other.mkdir()
    with served(database, tmp_path) as one, served(database, other) as two:
        seen = []

        def follow():
            for event in one.events("/v1/events", last=0):
                seen.append(int(event["id"]))
                if event["event"] == "done" and event["data"]["job"] == "last":
                    return

        follower = threading.Thread(target=follow)
        follower.start()
        ids = [(service, service.submit(site.url_for("/fast/1"), site.url_for("/fast/2")))
               for _ in range(15) for service in (one, two)]  # fmt: skip
        for service, id in ids:
            service.done(id)
        two.submit(site.url_for("/fast/1"), id="last")
        follower.join(60)
        assert not follower.is_alive()
    assert seen == sorted(set(seen))
    with psycopg.connect(database) as db:
        stored = db.execute(
            "SELECT id FROM workerpool.event UNION SELECT seq FROM workerpool.result ORDER BY 1"
        ).fetchall()
    assert seen == [id for (id,) in stored]


def test_killed_workers_lose_nothing(postgres_of_ones_own, tmp_path):
    """What was accepted is there, each request has one Result, and each sending is an attempt."""
    found = torment_workers(postgres_of_ones_own, tmp_path, requests=200, times=4, restarts=1)
    assert found.is_good, found
    assert (found.kills, found.accepted) == (4, 4)
