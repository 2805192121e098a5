"""The queue that procrastinate keeps: turns. Each of its jobs is the turn of a group of hosts, and whichever process
has fetched it sends to those hosts, and nobody else does, until the job is finished or given back.

Its locks keep a group in one process; its `scheduled_at` hands on from when it may be asked again; its heartbeats tell
which process has stalled, and its retry gives that one's turns to others; its notifications wake those who wait.

What it cannot carry is ours, in `queue`: single requests. One of its jobs for each would cost three transactions and
five rows of its own, and let a process that was taken for dead finish what another one has by now: its jobs have no
fencing token. One for each bunch of requests would either have one host asked by several processes, so that nobody
keeps its pace, or have its bunches wait for each other, however much the host may be asked at a time.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

from procrastinate.connector import BaseAsyncConnector
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from .link import Connection, rows
from .schema import GROUPS, QUEUE
from .writer import Change

__all__ = [
    "ALIVE",
    "defer_turns",
    "end_turn",
    "gap_of",
    "give_turn_back",
    "group_of",
    "manager_of",
    "need_turns",
    "release_all",
    "rescue_turns",
]

_TASK = "workerpool.turn"
ALIVE = 0x77706A74  # class of the advisory locks by which a worker's session shows that it is there
_MISSING = """
    SELECT DISTINCT grp FROM queue WHERE job = ANY(%s) AND stage = 1 AND NOT EXISTS (
        SELECT 1 FROM procrastinate_jobs WHERE lock = 'hosts-' || grp AND status IN ('todo', 'doing')
    )
"""
_WAIT_AGAIN = """
    WITH back AS (
        UPDATE queue SET stage = 1, token = 0, worker = NULL, until = NULL, begun = 0
        FROM (SELECT key AS old, begun AS had FROM queue WHERE stage = 2 AND grp = ANY(%s)) AS before
        WHERE key = old RETURNING job, had
    ), counted AS (SELECT job, count(*) FILTER (WHERE had > 0) AS begun, count(*) AS number FROM back GROUP BY job),
    told AS (UPDATE job SET running = running - counted.begun FROM counted WHERE job.key = counted.job)
    SELECT coalesce(sum(number), 0) FROM counted
"""
_GAP = """
    SELECT least(60, greatest(0, (SELECT max(1 / nullif(per_host_rate, 0)) FROM lane),
        (SELECT max(gap) FROM host WHERE grp = %s)))
"""


class _On(BaseAsyncConnector):
    """procrastinate's queries on a connection of ours, within its transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def execute_query_async(self, query: str, **arguments: Any) -> None:
        """Run a query."""
        await self._db.execute(query.encode(), _wrapped(arguments))

    async def execute_query_one_async(self, query: str, **arguments: Any) -> dict[str, Any]:
        """Return the first row."""
        return (await self.execute_query_all_async(query, **arguments))[0]

    async def execute_query_all_async(self, query: str, **arguments: Any) -> list[dict[str, Any]]:
        """Return all rows."""
        async with self._db.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query.encode(), _wrapped(arguments))
            return await cursor.fetchall()


def manager_of(db: Connection) -> JobManager:
    """Return procrastinate's manager of jobs, on a connection."""
    return JobManager(_On(db))


def group_of(host: str) -> int:
    """Return the group of a host."""
    return crc32(host.encode()) % GROUPS


async def need_turns(change: Change, jobs: Sequence[int]) -> None:
    """See to it that each group of which something of these jobs waits has a turn."""
    await defer_turns(change, [group for (group,) in await rows(change.db, _MISSING, (list(jobs),))])


async def defer_turns(change: Change, groups: Sequence[int]) -> None:
    """Make turns of groups that have none; there may be something to lease, whether or not."""
    change.work = True
    if groups:
        await manager_of(change.db).batch_defer_jobs_async([
            Job(queue=QUEUE, task_name=_TASK, lock=f"hosts-{group}", queueing_lock=f"hosts-{group}",
                task_kwargs={"group": group})
            for group in groups
        ])  # fmt: skip


async def end_turn(change: Change, id: int, group: int) -> bool:
    """Finish a turn, if nothing waits there any more; whether it is."""
    if await rows(change.db, "SELECT 1 FROM queue WHERE grp = %s AND stage > 0 LIMIT 1", (group,)):
        return False
    await manager_of(change.db).finish_job_by_id_async(id, Status.SUCCEEDED, delete_job=True)
    return True


async def give_turn_back(change: Change, id: int, group: int) -> bool:
    """Let another process have a turn, after a rest, once none of its requests is leased; whether it is so."""
    if await rows(change.db, "SELECT 1 FROM queue WHERE grp = %s AND stage = 2 LIMIT 1", (group,)):
        return False
    await _retry(change, [(id, group)])
    return True


async def release_all(change: Change, worker: int) -> int:
    """Let others have all that a worker holds; returns how many requests that were."""
    held = await rows(
        change.db,
        "SELECT id, (args->>'group')::int FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = %s", (worker,),
    )  # fmt: skip
    number = await _wait_again(change, [group for _id, group in held])
    await _retry(change, held)
    await manager_of(change.db).unregister_worker(worker)
    return number


async def rescue_turns(change: Change, stalled: float, dead: Iterable[int]) -> int:
    """Give others what dead workers hold, and those without a heartbeat for so long; returns how many requests."""
    manager, number = manager_of(change.db), 0
    for worker in dead:
        number += await release_all(change, worker)
    jobs = await manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=stalled)
    held = [(job.id, int(str(job.task_kwargs["group"]))) for job in jobs if job.id is not None]
    number += await _wait_again(change, [group for _id, group in held])
    await _retry(change, held)
    await manager.prune_stalled_workers(stalled)
    return number


async def _wait_again(change: Change, groups: list[int]) -> int:
    row = await rows(change.db, _WAIT_AGAIN, (groups,)) if groups else [(0,)]
    return int(row[0][0])


async def gap_of(db: Connection, group: int) -> float:
    """Return the seconds that are to be between two requests to a host of the group, as lanes and robots.txt say."""
    return float((await rows(db, _GAP, (group,)))[0][0])


async def _retry(change: Change, held: Sequence[tuple[int, int]]) -> None:
    """Have turns wait for others, as long as the pace of their hosts asks for: the last request may just have been."""
    for id, group in held:
        gap = await gap_of(change.db, group)
        ((at,),) = await rows(change.db, "SELECT now() + make_interval(secs => %s)", (gap,))
        await manager_of(change.db).retry_job_by_id_async(id, at)
        change.work = True


def _wrapped(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(each) for name, each in arguments.items()}


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return Jsonb(value)
    if isinstance(value, tuple):
        return tuple(map(_value, value))
    return list(map(_value, value)) if isinstance(value, list) else value
