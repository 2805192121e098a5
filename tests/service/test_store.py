"""The store by itself: leases and fencing, drafts, group commit, retention; and a disk that is full."""

import asyncio
from contextlib import asynccontextmanager, closing
from pathlib import Path
from time import time

import pytest
from disks import fill, small_disk

from workerpool.service.bell import Bell
from workerpool.service.errors import StoreDown, StoreRefused
from workerpool.service.homes import open_store
from workerpool.service.records import (
    Attempt,
    Ending,
    Filter,
    Finished,
    NewJob,
    NewRequest,
    Retention,
    Role,
    State,
    Token,
)
from workerpool.service.settings import ServiceSettings
from workerpool.service.sqlite import outside
from workerpool.service.sqlite.file import Turn

_ALL = Filter()


@asynccontextmanager
async def opened(database):
    store = await open_store(ServiceSettings(database=str(database)))
    try:
        yield store
    finally:
        await store.close()


def new(id, total=1, **fields):
    job = NewJob(id=id, total=total, created_at=time(), **fields)
    return job, [[NewRequest(url=f"http://h.test/{n}", host="h.test:80") for n in range(total)]]


def begun(leases):
    return [(each, [Attempt(number=1, worker="w", started_at=time())]) for each in leases]


def ended(leases, content=None):
    return [Finished(lease=each, ending=Ending.SUCCEEDED, status=200, content=content) for each in leases]


def test_a_stale_lease_is_refused(database, run):
    """Whoever has lost it can neither send nor finish; the new one's Result is the only one."""

    async def scenario():
        async with opened(database) as store:
            await store.submit(*new("a"))
            old = await store.lease("first", "default", 5, seconds=-1)
            await store.begin(begun(old))
            assert (await store.tend(time())).rescued == 1
            fresh = await store.lease("second", "default", 5, seconds=60)
            assert [each.outcome for each in fresh[0].attempts] == [None]
            assert await store.begin(begun(old)) == frozenset()
            assert await store.finish(ended(old)) == frozenset()
            assert await store.heartbeat("first", old, seconds=60) == {old[0].key}
            assert await store.finish(ended(fresh)) == {fresh[0].key}
            assert await store.finish(ended(fresh)) == frozenset()
            assert (await store.job("a")).state is State.SUCCEEDED
            assert len((await store.results("a", cursor=None, limit=9)).rows) == 1

    run(scenario())


def test_what_is_given_back_waits_again(database, run):
    """With the attempts that were sent, and those only."""

    async def scenario():
        async with opened(database) as store:
            await store.submit(*new("a", 2))
            leases = await store.lease("first", "default", 5, seconds=60)
            await store.begin(begun(leases))
            assert (await store.job("a")).counts.running == 2
            await store.give_back([(leases[0], begun(leases)[0][1]), (leases[1], [])])
            assert (await store.job("a")).counts.queued == 2
            again = await store.lease("second", "default", 5, seconds=60)
            assert [1, 0] == [len(each.attempts) for each in again]

    run(scenario())


def test_a_submission_that_is_cut_leaves_nothing(database, run):
    """Of several transactions: none of it is there, and the id is free."""

    async def scenario():
        def cut():
            yield new("a", 500)[1][0]
            raise OSError("the line is cut")

        async with opened(database) as store:
            with pytest.raises(OSError, match="cut"):
                await store.submit(new("a", 1000)[0], cut())
            await store.submit(*new("a"))
            assert (await store.stats()).queued == 1

    run(scenario())


def test_many_submissions_share_a_commit(database, run, monkeypatch):
    """What comes while the disk is waited for goes into the next transaction."""
    commits = []
    ring = Bell.ring
    monkeypatch.setattr(Bell, "ring", lambda bell, change: (commits.append(change), ring(bell, change)))

    async def scenario():
        async with opened(database) as store:
            await asyncio.gather(*(store.submit(*new(f"job-{n}")) for n in range(300)))
            assert (await store.stats()).queued == 300

    run(scenario())
    assert len(commits) < 150


def test_what_is_old_or_too_much_goes(database, run):
    """By age first, then by size, the oldest first; what is not done stays."""

    async def scenario():
        async with opened(database) as store:
            for id in "abc":
                await store.submit(*new(id))
                await store.finish(ended(await store.lease("x", "default", 1, seconds=60), bytes(300_000)))
            await store.submit(*new("open"))
            assert await store.sweep(Retention(age=60, size=800_000), time()) == 1
            assert [each.id for each in (await store.jobs(_ALL, cursor=None, limit=9)).rows] == ["open", "c", "b"]
            assert await store.sweep(Retention(age=0, size=None), time() + 1) == 2
            assert [each.id for each in (await store.jobs(_ALL, cursor=None, limit=9)).rows] == ["open"]

    run(scenario())


def test_a_full_disk_refuses_and_forgets_nothing(tmp_path, run):
    """It names the file; what was accepted is there, and once there is room it goes on."""

    async def many(store):
        for n in range(100):
            await store.submit(*new(f"large-{n}", 500))

    async def scenario(disk):
        database = disk / "x.sqlite"
        async with opened(database) as store:
            await store.submit(*new("kept"))
            fill(disk, leave=16384)
            with pytest.raises(StoreDown, match=r"x\.sqlite: the disk is full; free some"):
                await many(store)
            assert (await store.job("kept")).id == "kept"
            (disk / "ballast").unlink()
            await store.submit(*new("after"))
        async with opened(database) as store:
            assert {"kept", "after"} <= {each.id for each in (await store.jobs(_ALL, cursor=None, limit=1000)).rows}

    with small_disk(tmp_path / "disk", 2048) as disk:
        run(scenario(disk))


def test_a_damaged_file_is_refused(tmp_path, run):
    """At the start, by name."""

    async def scenario():
        database = tmp_path / "x.sqlite"
        async with opened(database) as store:
            await store.submit(*new("a"))
        content = bytearray(database.read_bytes())
        content[100:4096] = bytes(3996)
        Path(database).write_bytes(content)
        with pytest.raises(StoreRefused, match="damaged"):
            async with opened(database):
                pass

    run(scenario())


def test_who_writes_beside_a_service_has_its_turn(tmp_path, run):
    """Neither writes, nor takes the log over, while the other does; readers wait for nobody."""
    path = tmp_path / "x.sqlite"

    async def scenario():
        async with opened(path) as store:
            with closing(Turn(path)) as turn:
                with turn:
                    writing = asyncio.create_task(store.check())
                    assert await store.tokens() == ()
                    assert not writing.done()
                await writing
            token = Token(id="t", sha256="0" * 64, role=Role.READ)
            await asyncio.to_thread(outside.add_token, path, token)
            assert [each.id for each in await store.tokens()] == ["t"]

    run(scenario())
