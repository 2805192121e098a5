"""The runner by itself, before a store that takes what it has leased."""

import asyncio

from workerpool import WorkerPool
from workerpool.service.records import LaneSettings, LaneState, Leased
from workerpool.service.runner import Runner
from workerpool.service.settings import ServiceSettings


class Lapsing:
    """A store that leases one request twice, since the first lease was lost; it knows the second token only."""

    name = "lapsing"

    def __init__(self, url, host):
        self.lent = 0
        self.again, self.done = asyncio.Event(), asyncio.Event()
        self.begun, self.finished = [], []
        self._url, self._host = url, host

    async def lanes(self):
        return (LaneState(settings=LaneSettings(name="default"), queued=0, running=0),)

    async def lease(self, owner, lane, n, *, seconds, without=()):
        if self.lent == 2:
            return ()
        self.lent += 1
        if self.lent == 2:
            self.again.set()
        return (Leased(
            key=7, token=self.lent, job="a", n=0, lane=lane, priority=0, url=self._url, host=self._host, ref=None,
            spec={}, retry_attempts=None, keep_bodies=True, expires_at=None,
        ),)  # fmt: skip

    async def begin(self, begun):
        await self.again.wait()
        tokens = [leased.token for leased, _attempts in begun]
        self.begun += tokens
        return frozenset({7} if tokens[-1:] == [2] else ())

    async def finish(self, finished):
        self.finished += [each.lease.token for each in finished]
        self.done.set()
        return frozenset(each.lease.key for each in finished)

    async def work(self, timeout):
        await asyncio.sleep(0 if self.begun or self.lent < 2 else timeout)

    async def withdrawn(self):
        await asyncio.Event().wait()

    async def heartbeat(self, owner, leases, *, seconds):
        return frozenset()

    async def note_waits(self, owner, waits):
        pass

    async def note_pace(self, host, **pace):
        pass

    async def give_back(self, leases):
        pass


def test_what_was_lost_and_is_here_again_is_sent_once(site, run):
    """By the lease that holds; the one that was lost is not sent, though it is the same request."""

    async def scenario():
        store = Lapsing(site.url_for("/fast/1"), site.url_for("").split("//")[1].strip("/"))
        with WorkerPool(workers=1) as pool:
            runner = Runner(store, pool, ServiceSettings(), "w")
            runner.start()
            async with asyncio.timeout(60):
                await store.done.wait()
            await runner.stop(1)
        assert [2] == store.finished
        assert site.hits == 1

    run(scenario())
