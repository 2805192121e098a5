"""A process among those that share the queue: which turns it has, takes and gives back. All by procrastinate.

procrastinate's own Worker ends when its connection does; here a database that is started anew is waited for, and the
turns are still held: its heartbeats go on under the same number.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from time import monotonic

import psycopg

from ..errors import ServiceError, StoreDown
from .address import Address, meaning, told
from .link import Connection, close_quietly, connect, rows
from .schema import QUEUE
from .turns import ALIVE, end_turn, gap_of, give_turn_back, manager_of, release_all, rescue_turns
from .writer import Writer

__all__ = ["Membership"]

log: logging.Logger = logging.getLogger("workerpool.service")

_LOOK = 1.0  # seconds between two looks, at most
_LINGER = 3.0  # seconds that a turn is kept with nothing to send: more may come
_BEAT = 10.0  # seconds between two heartbeats
_DEAD = 30.0  # seconds without a heartbeat from which on others have a process' turns, though its session is there
_GRACE = 3.0  # seconds that a session may be away before its process is taken for dead
_PAUSE = 0.5  # seconds before a broken connection is tried again
_MINE = """
    SELECT id, grp, EXISTS (SELECT 1 FROM queue WHERE queue.grp = turn.grp AND stage > 0) FROM (
        SELECT id, (args->>'group')::int AS grp FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = %s
    ) AS turn ORDER BY id
"""
_COUNT = "SELECT count(*) FROM procrastinate_jobs WHERE queue_name = %s AND status IN ('todo', 'doing')"
_LIVE = """
    SELECT id, EXISTS (
        SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid::bigint = id %% 2147483648
            AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) FROM procrastinate_workers
"""
_KNOWN = "SELECT 1 FROM procrastinate_workers WHERE id = %s"
_STALLED = "SELECT 1 FROM procrastinate_workers WHERE last_heartbeat < now() - make_interval(secs => %s) LIMIT 1"


class Membership:
    """Hold turns for a process. `worker` is its number at procrastinate's; of one loop."""

    def __init__(self, address: Address, writer: Writer, gained: Callable[[], None]) -> None:
        self._address, self._writer, self._gained = address, writer, gained
        self.worker: int | None = None
        self.leaving: frozenset[int] = frozenset()  # groups of which nothing more is leased, so that others get them
        self.others: int = 0  # processes beside this one that fetch
        self._look, self._joined = asyncio.Event(), asyncio.Event()
        self._busy = asyncio.Lock()  # whoever takes turns
        self._db: Connection | None = None
        self._since = monotonic()  # when the connection was made
        self._beaten = -_BEAT
        self._idle: dict[int, float] = {}  # since when groups have nothing to send
        self._missing: dict[int, float] = {}  # since when workers' sessions are away
        self._task = asyncio.create_task(self._run())

    def look(self) -> None:
        """Look for turns now: there may be new ones."""
        self._look.set()

    async def joined(self, timeout: float) -> None:
        """Wait until this process takes turns, but not longer than that."""
        if not self._joined.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._joined.wait()

    async def take(self) -> bool:
        """Take turns that nobody has, up to this process' share; returns whether there were any."""
        with told(self._address.name):
            async with self._busy:
                return self._db is not None and await self._take(self._db)

    async def close(self) -> None:
        """Leave: others have at once what this process held."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self.worker is not None:
            with suppress(ServiceError):
                await self._writer.do(release_all, self.worker)

    async def _run(self) -> None:
        while True:
            db = None
            try:
                db = self._db = await self._join()
                while True:
                    async with self._busy:
                        await self._once(db)
                    self._joined.set()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK):
                            await self._look.wait()
                    self._look.clear()
            except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
                log.info("%s: %s", self._address.name, meaning(exc))  # whoever wants to store something warns
            except ServiceError as exc:
                log.warning("%s", exc)
            except Exception:
                log.exception("%s: taking turns has failed; it is tried again", self._address.name)
            finally:
                self._db = None
                await close_quietly(db)
            await asyncio.sleep(_PAUSE)

    async def _join(self) -> Connection:
        """Make the connection by which this process is known to be there, under the number that it had, if it had."""
        db = await connect(self._address)
        try:
            if self.worker is None or not await rows(db, _KNOWN, (self.worker,)) or not await _locked(db, self.worker):
                self.worker = await manager_of(db).register_worker()
                await _locked(db, self.worker)
        except BaseException:
            await close_quietly(db)
            raise
        self._since = monotonic()
        self._missing.clear()
        return db

    async def _once(self, db: Connection) -> None:
        assert self.worker is not None
        now = monotonic()
        if now - self._beaten >= _BEAT:
            if not await rows(db, _KNOWN, (self.worker,)):  # it was taken for dead; what it had is others' by now
                raise StoreDown(f"{self._address.name}: this process was not heard of for long; it joins anew")
            await manager_of(db).update_heartbeat(self.worker)
            self._beaten = now
        await self._rescue(db, now)
        if await self._take(db):
            self._gained()
        await self._settle(db, now)

    async def _take(self, db: Connection) -> bool:
        mine, share = await self._has(db), await self._share(db)
        number = before = len(mine) - len(self.leaving)
        while number < share and self.worker and await manager_of(db).fetch_job([QUEUE], self.worker) is not None:
            number += 1
        return number > before

    async def _has(self, db: Connection) -> list[tuple[int, int, bool]]:
        """Return the turns of this process: job, group, and whether something of it waits or is leased."""
        return await rows(db, _MINE, (self.worker,))

    async def _share(self, db: Connection) -> int:
        ((number,),) = await rows(db, _COUNT, (QUEUE,))
        return ceil(int(number) / (self.others + 1))

    async def _rescue(self, db: Connection, now: float) -> None:
        """Give others what those hold who are no more. Whoever was away itself lets others come back first."""
        live = {worker: alive for worker, alive in await rows(db, _LIVE, (ALIVE,)) if worker != self.worker}
        self.others = sum(live.values())
        self._missing = {worker: self._missing.get(worker, now) for worker, alive in live.items() if not alive}
        dead = [worker for worker, since in self._missing.items() if now - since > _GRACE]
        stalled = now - self._since > _DEAD and await rows(db, _STALLED, (_DEAD,))
        if dead or stalled:
            number = await self._writer.do(rescue_turns, _DEAD, dead)
            if number:
                log.warning("%s requests were held by a process that is no more; they are given out again", number)

    async def _settle(self, db: Connection, now: float) -> None:
        """End turns with nothing to send, and give back what is beyond this process' share."""
        mine, share = await self._has(db), await self._share(db)
        idle = {group for _id, group, busy in mine if not busy}
        self._idle = {group: self._idle.get(group, now) for group in idle}
        for id, group, _busy in mine:
            if group in idle and now - self._idle[group] > max(_LINGER, await gap_of(db, group)):
                await self._writer.do(end_turn, id, group)
        busy = [(id, group) for id, group, is_busy in mine if is_busy]
        beyond = max(0, len(mine) - share) if self.others else 0
        leaving = [each for each in busy if each[1] in self.leaving] + [e for e in busy if e[1] not in self.leaving]
        leaving = leaving[: min(beyond, len(leaving))]
        self.leaving = frozenset(group for _id, group in leaving)
        for id, group in leaving:
            if await self._writer.do(give_turn_back, id, group):
                self.leaving -= {group}


async def _locked(db: Connection, worker: int) -> bool:
    """Show that this worker is there, for as long as the session is; not if an older session of it does so still."""
    ((is_locked,),) = await rows(db, "SELECT pg_try_advisory_lock(%s, (%s %% 2147483648)::int)", (ALIVE, worker))
    return bool(is_locked)
