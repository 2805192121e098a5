"""The writer: one connection that writes; what waits meanwhile shares the next commit.

One transaction writes at a time, among all processes: each begins by locking the counter of results and events. So
their numbers are seen in order, by whomever, with no gap that is filled later; and what one transaction looks at
cannot change below it, so that none has to be undone and no two wait for each other. What that costs is little: a
commit waits for the disk, and all that comes during that wait goes into the next one.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import psycopg

from ..errors import Busy, ServiceError, StoreDown
from .address import Address, told
from .link import Connection, close_quietly, connect

__all__ = ["CHANNEL", "Change", "Writer"]

log: logging.Logger = logging.getLogger("workerpool.service")

P = ParamSpec("P")
T = TypeVar("T")
CHANNEL = "workerpool_news"
_MOST = 2000  # calls that may wait
_TURN = 0.05  # seconds of work that share one commit at most
_AT_ONCE = 100  # jobs that one notification tells of: it has 8000 bytes at most


class _Call(NamedTuple):
    work: Callable[["Change"], Awaitable[Any]]
    reply: "asyncio.Future[Any]"


class Change:
    """One transaction, as those see it who write in it: the connection, and the sequence of results and events.

    Whoever refuses a call does so before it has written anything: there is no savepoint to go back to.
    """

    def __init__(self, db: Connection, sequence: int) -> None:
        self.db = db
        self.sequence: int = sequence
        self.begun_at: int = sequence
        self.work = False  # whether there may be something new to lease
        self.withdrawn: list[str] = []  # jobs whose requests were taken from runners

    def next(self, number: int = 1) -> int:
        """Take the next numbers of the sequence, and return the last one."""
        self.sequence += number
        return self.sequence


class Writer:
    """Run calls in transactions, many in one. `told` hears of each transaction on disk. Of one loop."""

    def __init__(self, address: Address, told: Callable[[Change], None]) -> None:
        self._address, self._told = address, told
        self._db: Connection | None = None
        self._calls: list[_Call] = []
        self._any = asyncio.Event()
        self._closed = False
        self._since = -inf  # when the database was there again; it may never have been away
        self._task = asyncio.create_task(self._run())

    async def do(self, work: Callable[Concatenate[Change, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have it done in a transaction, and return what it returned once that is on disk.

        Raises StoreDown where the database does not take it, and Busy.
        """
        if self._closed:
            raise StoreDown(f"{self._address.name} is closed; start the service again")
        if len(self._calls) >= _MOST:
            raise Busy(f"{self._address.name}: {_MOST} calls wait to be stored; try again a little later")
        reply: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.append(_Call(lambda change: work(change, *args, **kwargs), reply))
        self._any.set()
        return await reply

    @property
    def steady(self) -> float:
        """For how many seconds the database has been there."""
        return monotonic() - self._since

    async def close(self) -> None:
        """Do what was asked for, and end."""
        self._closed = True
        self._any.set()
        await self._task
        await close_quietly(self._db)

    async def _run(self) -> None:
        while self._calls or not self._closed:
            await self._any.wait()
            self._any.clear()
            while self._calls:
                calls, self._calls = self._calls, []
                while calls:
                    done = await self._serve(calls)
                    del calls[:done]

    async def _serve(self, calls: list[_Call]) -> int:
        """Do some calls, in one transaction where that can be; one that goes wrong fails nobody else."""
        try:
            with told(self._address.name):
                return await self._transact(calls)
        except StoreDown as exc:
            self._since = inf
            for call in calls:
                _fail(call, exc)
            return len(calls)
        except Exception as exc:
            if len(calls) > 1:
                for call in calls:
                    await self._serve([call])
            else:
                log.exception("%s: a transaction has failed", self._address.name)
                _fail(calls[0], exc)
            return len(calls)

    async def _transact(self, calls: list[_Call]) -> int:
        """Do calls for a while and commit; returns how many. A connection that was broken before is made anew."""
        change = await self._begun()
        replies: list[tuple[_Call, Any, BaseException | None]] = []
        try:
            end = monotonic() + _TURN
            for call in calls:
                replies.append((call, *await _one(change, call)))
                if monotonic() > end:
                    break
            async with change.db.pipeline():
                await _commit(change)
        except BaseException:
            await close_quietly(self._db)  # whatever was under way there is undone
            self._db = None
            raise
        self._since = min(self._since, monotonic())
        self._told(change)
        for call, value, exc in replies:
            if exc is not None:
                _fail(call, exc)
            elif not call.reply.done():
                call.reply.set_result(value)
        return len(replies)

    async def _begun(self) -> Change:
        if self._db is not None:
            try:
                return await _begin(self._db)
            except psycopg.OperationalError:
                await close_quietly(self._db)
                self._db = None
        self._db = await connect(self._address)
        return await _begin(self._db)


async def _begin(db: Connection) -> Change:
    async with db.pipeline():
        await db.execute("BEGIN")
        row = await (await db.execute("SELECT number FROM counter FOR UPDATE")).fetchone()
    assert row is not None
    return Change(db, int(row[0]))


async def _commit(change: Change) -> None:
    gone = change.withdrawn
    for start in range(0, len(gone), _AT_ONCE):
        await _notify(change, gone[start : start + _AT_ONCE])
    if not gone and (change.work or change.sequence != change.begun_at):
        await _notify(change, [])
    if change.sequence != change.begun_at:
        await change.db.execute("UPDATE counter SET number = %s", (change.sequence,))
    await change.db.execute("COMMIT")


async def _notify(change: Change, gone: list[str]) -> None:
    news = {"sequence": change.sequence, "work": change.work, "gone": gone}
    await change.db.execute("SELECT pg_notify(%s, %s)", (CHANNEL, json.dumps(news)))


async def _one(change: Change, call: _Call) -> tuple[Any, BaseException | None]:
    """Do one call; a refusal is its answer."""
    try:
        return await call.work(change), None
    except ServiceError as exc:
        return None, exc


def _fail(call: _Call, exc: BaseException) -> None:
    if not call.reply.done():
        call.reply.set_exception(exc)
