"""The store in one SQLite file, for one process: its methods, each a function of a transaction or of a reader."""

import asyncio
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Self

from ..bell import Bell
from ..errors import Conflict
from ..records import (
    FINAL,
    Attempt,
    Bulk,
    Delivery,
    Event,
    Filter,
    Finished,
    Idempotency,
    Job,
    LaneSettings,
    LaneState,
    Leased,
    NewJob,
    NewRequest,
    Page,
    Result,
    Retention,
    Stats,
    Submitted,
    Tended,
    Token,
)
from ..store import Begun
from . import deliveries, jobs, queue, results, settings, tending
from .file import Turn, has_log, lock, open_writing
from .readers import Readers
from .schema import VERSION
from .writer import Writer

__all__ = ["SQLiteStore"]


class SQLiteStore:
    """Keep the service's records in a file. `open` makes one; of the loop it was made on."""

    def __init__(self, path: Path, lock: IO[str], writer: Writer, readers: Readers, bell: Bell) -> None:
        self._path, self._lock, self._writer, self._readers, self._bell = path, lock, writer, readers, bell
        self._being_stored: set[tuple[str, str]] = set()  # idempotency keys
        self._waits: dict[str, str] = {}

    @classmethod
    async def open(cls, database: str) -> Self:
        """Open the file, made if it isn't there; raises StoreRefused."""
        path = Path(database)
        with ExitStack() as held:
            locked = held.enter_context(lock(path))
            turn = held.enter_context(closing(Turn(path)))
            with turn:
                db = await asyncio.to_thread(open_writing, path)
            held.pop_all()  # all of it is the store's from here on
        gate: AbstractContextManager[Any] = nullcontext() if has_log(db) else threading.Lock()
        bell = Bell(int(db.execute("SELECT value FROM meta WHERE name = 'sequence'").fetchone()[0]))
        return cls(path, locked, Writer(path, db, turn, gate, bell.ring), Readers(path, gate), bell)

    @property
    def name(self) -> str:
        """The file."""
        return str(self._path)

    async def schema_version(self) -> int:
        """Return the version of the tables."""
        return VERSION

    async def check(self) -> None:
        """Write something; raises StoreDown."""
        await self._writer.do(settings.write_something)

    async def close(self) -> None:
        """Let go of the file."""
        await asyncio.to_thread(self._readers.close)
        await asyncio.to_thread(self._writer.close)  # the last one: it takes the log over into the file
        self._lock.close()

    # Jobs.

    async def submit(
        self, job: NewJob, requests: Iterable[Sequence[NewRequest]], idempotency: Idempotency | None = None
    ) -> Submitted:
        """Store a job with its requests, in several transactions where they are many."""
        mark = None if idempotency is None else (idempotency.owner, idempotency.key)
        if mark is not None and mark in self._being_stored:
            raise Conflict("the first request with this Idempotency-Key is still being stored; ask again")
        if mark is not None:
            self._being_stored.add(mark)
        try:
            return await self._submit(job, requests, idempotency)
        finally:
            if mark is not None:
                self._being_stored.discard(mark)

    async def _submit(
        self, job: NewJob, requests: Iterable[Sequence[NewRequest]], idempotency: Idempotency | None
    ) -> Submitted:
        batches = iter(requests)
        first = next(batches)
        if len(first) == job.total:
            return await self._writer.do(jobs.submit, job, first, idempotency)
        key, stored = await self._writer.do(jobs.new_key), 0
        try:
            while first:
                await self._writer.do(jobs.add_requests, key, stored, first)
                stored += len(first)
                first = await asyncio.to_thread(next, batches, ())
            found = await self._writer.do(jobs.publish, key, job, idempotency)
        except BaseException:
            await asyncio.shield(self._writer.do(jobs.forget, key))
            raise
        if found.replayed:
            await self._writer.do(jobs.forget, key)
        return found

    async def find_idempotent(self, key: str, owner: str) -> tuple[str, str] | None:
        """Return fingerprint and job's id of a key."""
        return await self._readers.do(jobs.find_idempotent, key, owner)

    async def job(self, id: str) -> Job:
        """Return a job."""
        return self._told(await self._readers.do(jobs.job, id))

    async def jobs(self, which: Filter, *, cursor: str | None, limit: int) -> Page[Job]:
        """Return jobs, the newest first."""
        page = await self._readers.do(jobs.jobs, which, cursor, limit)
        return Page(tuple(map(self._told, page.rows)), page.next)

    async def cancel(self, id: str) -> Job:
        """End a job."""
        return await self._writer.do(jobs.cancel, id)

    async def retry(self, id: str, *, everything: bool) -> Job:
        """Begin the job's next run."""
        return await self._writer.do(jobs.retry, id, everything)

    async def delete(self, id: str) -> None:
        """Remove a job."""
        await self._writer.do(jobs.delete, id)

    async def act(self, action: str, which: Filter, *, dry_run: bool) -> Bulk:
        """Do something to all jobs that match, some at a time."""
        found = await self._readers.do(jobs.preview, action, which)
        if dry_run:
            return found
        changed = 0
        while changed < found.changed:
            number = await self._writer.do(jobs.act, action, which, most=min(20, found.changed - changed))
            changed += number
            if not number:
                break
        return Bulk(matched=found.matched, changed=changed)

    def _told(self, job: Job) -> Job:
        if job.state in FINAL or job.id not in self._waits:
            return job
        return replace(job, waiting_for=self._waits[job.id])

    # Results and events.

    async def results(
        self, id: str, *, cursor: str | None, limit: int, ok: bool | None = None, newest_first: bool = False
    ) -> Page[Result]:
        """Return results of a job."""
        return await self._readers.do(results.results, id, cursor, limit, ok, newest_first)

    async def result(self, id: str, n: int) -> Result:
        """Return one result."""
        return await self._readers.do(results.result, id, n)

    async def body(self, id: str, n: int) -> tuple[Result, bytes]:
        """Return a result with its body."""
        return await self._readers.do(results.body, id, n)

    async def requests(self, id: str, *, cursor: str | None, limit: int) -> Page[tuple[int, NewRequest]]:
        """Return requests of a job."""
        return await self._readers.do(results.requests, id, cursor, limit)

    async def events(self, after: int, *, limit: int, job: str | None = None) -> tuple[Event, ...]:
        """Return events."""
        return await self._readers.do(results.events, after, limit, job)

    async def last_event(self) -> int:
        """Return the newest event's id."""
        return self._bell.last

    async def news(self, after: int, timeout: float) -> int:
        """Wait for an event."""
        return await self._bell.news(after, timeout)

    # The queue.

    async def lease(
        self, owner: str, lane: str, n: int, *, seconds: float, without: Collection[str] = ()
    ) -> tuple[Leased, ...]:
        """Give requests to a runner."""
        return await self._writer.do(queue.lease, lane, n, seconds=seconds, without=tuple(without))

    async def begin(self, begun: Sequence[Begun]) -> frozenset[int]:
        """Store sendings."""
        return await self._writer.do(queue.begin, begun)

    async def heartbeat(self, owner: str, leases: Iterable[Leased], *, seconds: float) -> frozenset[int]:
        """Keep leases."""
        pairs = [(each.key, each.token) for each in leases]
        return await self._writer.do(queue.heartbeat, pairs, seconds=seconds)

    async def finish(self, finished: Sequence[Finished]) -> frozenset[int]:
        """Store results."""
        return await self._writer.do(queue.finish, finished)

    async def give_back(self, leases: Sequence[tuple[Leased, Sequence[Attempt]]]) -> None:
        """Let others have these."""
        await self._writer.do(queue.give_back, leases)

    async def note_waits(self, owner: str, waits: Mapping[str, str]) -> None:
        """Say why jobs wait; of no use after a restart, so it is not stored."""
        self._waits = dict(waits)

    async def note_pace(self, host: str, *, until: float = 0.0, gap: float = 0.0) -> None:
        """Keep what a host wants: the one process that there is knows it."""

    async def work(self, timeout: float) -> None:
        """Wait for something to lease."""
        await self._bell.work(timeout)

    async def withdrawn(self) -> str:
        """Wait for a job that runners lose."""
        return await self._bell.withdrawn()

    # Lanes, tokens, deliveries.

    async def lanes(self) -> tuple[LaneState, ...]:
        """Return every lane."""
        return await self._readers.do(settings.lanes)

    async def put_lane(self, settings_: LaneSettings) -> LaneState:
        """Set a lane."""
        return await self._writer.do(settings.put_lane, settings_)

    async def tokens(self) -> tuple[Token, ...]:
        """Return every token."""
        return await self._readers.do(settings.tokens)

    async def add_token(self, token: Token) -> None:
        """Store a token."""
        await self._writer.do(settings.add_token, token)

    async def remove_token(self, id: str) -> None:
        """Remove a token."""
        await self._writer.do(settings.remove_token, id)

    async def unfinished_of(self, owner: str) -> int:
        """Return how many jobs of a token's are not final."""
        return await self._readers.do(settings.unfinished_of, owner)

    async def deliveries(self, id: str, *, cursor: str | None, limit: int) -> Page[Delivery]:
        """Return a job's deliveries."""
        return await self._readers.do(deliveries.deliveries, id, cursor, limit)

    async def all_deliveries(self, *, cursor: str | None, limit: int) -> Page[Delivery]:
        """Return deliveries of all jobs."""
        return await self._readers.do(deliveries.deliveries, None, cursor, limit)

    async def delivery(self, job: str, id: str) -> Delivery:
        """Return a delivery."""
        return await self._readers.do(deliveries.delivery, job, id)

    async def replay_delivery(self, job: str, id: str, now: float) -> Delivery:
        """Have a delivery tried again."""
        return await self._writer.do(deliveries.replay, job, id, now)

    async def due_deliveries(
        self, owner: str, n: int, *, now: float, seconds: float, of_a_host: int, without: Collection[str] = ()
    ) -> tuple[Delivery, ...]:
        """Take deliveries that are due: nothing is written where there is none."""
        if not await self._readers.do(deliveries.is_due, now, tuple(without)):
            return ()
        return await self._writer.do(deliveries.take_due, owner, n, now, seconds, of_a_host, tuple(without))

    async def note_delivery(
        self, id: str, owner: str, tried: Mapping[str, object], *, state: str, due_at: float | None
    ) -> None:
        """Say what came of a delivery's try."""
        await self._writer.do(deliveries.note, id, owner, tried, state, due_at)

    async def get_secret(self, name: str) -> str | None:
        """Return a text of the service's own."""
        return await self._readers.do(settings.get_secret, name)

    async def swap_secret(self, name: str, before: str | None, after: str) -> bool:
        """Keep a text of the service's own, if nobody was first."""
        return await self._writer.do(settings.swap_secret, name, before, after)

    # Looking after it.

    async def tend(self, now: float) -> Tended:
        """Give out again, let begin, expire: nothing is written where there is nothing to do."""
        if self._writer.leases.next_end >= now and not await self._readers.do(tending.is_due, now):
            return Tended()
        return await self._writer.do(tending.tend, now)

    async def sweep(self, retention: Retention, now: float) -> int:
        """Remove what need not be kept, some at a time."""
        removed = 0
        while number := await self._writer.do(tending.sweep, retention, now):
            removed += number
        if removed:
            await self._writer.do(tending.shrink)
        return removed

    async def stats(self) -> Stats:
        """Return the numbers."""
        return await self._readers.do(tending.stats, self._bell.last)
