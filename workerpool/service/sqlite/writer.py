"""The writer: one thread with the one connection that writes; what waits meanwhile shares the next commit.

A commit waits for the disk, and everything that comes during this wait goes into the next one: so many small calls
cost one wait, and a lone one waits for nobody.
"""

import asyncio
import logging
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeAlias, TypeVar

from ..errors import Busy, StoreDown
from .file import Turn, close_quietly, is_refusal, told
from .leases import Leases

__all__ = ["Change", "Writer"]

log: logging.Logger = logging.getLogger("workerpool.service")

P = ParamSpec("P")
T = TypeVar("T")
_MOST = 2000  # calls that may wait
_GROUP = 48  # calls that share one commit at most: all their answers are made in one turn of the loop
_TURN = 0.05  # seconds of work that share one commit at most


class _Call(NamedTuple):
    work: Callable[["Change"], Any]
    loop: asyncio.AbstractEventLoop
    reply: "asyncio.Future[Any]"


_Done: TypeAlias = tuple[_Call, Any, BaseException | None]


class Change:
    """One transaction, as those see it who write in it: the connection, the leases, the sequence of all events."""

    def __init__(self, db: sqlite3.Connection, sequence: int, leases: Leases) -> None:
        self.db = db
        self.sequence: int = sequence
        self.leases = leases
        self.work = False  # whether there may be something new to lease
        self.withdrawn: list[str] = []  # jobs whose requests were taken from runners

    def next(self, number: int = 1) -> int:
        """Take the next numbers of the sequence, and return the last one."""
        self.sequence += number
        return self.sequence


class Writer:
    """Run calls on a thread, many in one transaction. `told` hears on that thread of each transaction on disk."""

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        turn: Turn,
        gate: AbstractContextManager[Any],
        told: Callable[[Change], None],
    ) -> None:
        self._path, self._db, self._turn, self._gate, self._told = path, db, turn, gate, told
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self.sequence: int = self._stored_sequence()
        self.leases: Leases = Leases()
        self._thread = threading.Thread(target=self._run, name="workerpool-service-writer", daemon=True)
        self._closed = False
        self._thread.start()

    async def do(self, work: Callable[Concatenate[Change, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have it done in a transaction, and return what it returned once that is on disk.

        What it raises undoes its own part only. Raises StoreDown where the file does not take it, and Busy.
        """
        if self._closed:
            raise StoreDown(f"{self._path} is closed; start the service again")
        if self._calls.qsize() >= _MOST:
            raise Busy(f"{self._path}: {_MOST} calls wait to be stored; try again a little later")
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[T] = loop.create_future()
        self._calls.put(_Call(lambda change: work(change, *args, **kwargs), loop, reply))
        return await reply

    def close(self) -> None:
        """Do what was asked for, and end. Blocks."""
        if not self._closed:
            self._closed = True
            self._calls.put(None)
            self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            calls, ended = self._taken()
            if calls:
                self._serve(calls)
        with self._turn:
            close_quietly(self._db)
        self._turn.close()

    def _taken(self) -> tuple[list[_Call], bool]:
        """Wait for a call, and return it with those behind it; whether they are the last ones."""
        calls = [self._calls.get()]
        try:
            while calls[-1] is not None and len(calls) < _MOST:
                calls.append(self._calls.get_nowait())
        except Empty:
            pass
        return [each for each in calls if each is not None], calls[-1] is None

    def _serve(self, calls: list[_Call]) -> None:
        """Do them, in one transaction where that can be; one that the file does not take fails nobody else."""
        while calls:
            done: list[_Done] = []
            change = Change(self._db, self.sequence, self.leases)
            try:
                with told(self._path), self._turn:
                    tried = self._transact(change, calls, done)
            except BaseException as exc:  # noqa: BLE001  each caller hears of it
                self._undo()
                tried = max(1, len(done))
                if tried > 1:
                    for call in calls[:tried]:
                        self._serve([call])
                    done = []
                else:
                    done = [(calls[0], None, _noted(exc, self._path))]
            else:
                self.sequence = change.sequence
                self.leases.keep()
                self._told(change)
            del calls[:tried]
            _reply(done)

    def _transact(self, change: Change, calls: list[_Call], done: list[_Done]) -> int:
        """Do calls for a while and commit; returns how many. `done` has those that were tried, whatever comes of it."""
        db, end = self._db, monotonic() + _TURN
        db.execute("BEGIN IMMEDIATE")
        for call in calls:
            done.append((call, None, None))
            done[-1] = (call, *self._one(change, call))
            if len(done) >= _GROUP or monotonic() > end:
                break
        if change.sequence != self.sequence:
            db.execute("UPDATE meta SET value = ? WHERE name = 'sequence'", (str(change.sequence),))
        with self._gate:
            db.execute("COMMIT")
        return len(done)

    def _one(self, change: Change, call: _Call) -> tuple[Any, BaseException | None]:
        """Do one call; what it refuses is undone by itself."""
        self._db.execute("SAVEPOINT call")
        mark = self.leases.mark()
        try:
            value = call.work(change)
        except Exception as exc:
            if not is_refusal(exc):
                raise
            self.leases.undo(mark)
            self._db.execute("ROLLBACK TO call")
            self._db.execute("RELEASE call")
            return None, exc
        self._db.execute("RELEASE call")
        return value, None

    def _undo(self) -> None:
        self.leases.undo()
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("%s: a transaction cannot be undone", self._path)

    def _stored_sequence(self) -> int:
        return int(self._db.execute("SELECT value FROM meta WHERE name = 'sequence'").fetchone()[0])


def _noted(exc: BaseException, path: Path) -> BaseException:
    if not isinstance(exc, StoreDown):
        log.error("%s: a transaction has failed", path, exc_info=exc)
    return exc


def _reply(done: list[_Done]) -> None:
    """Tell the callers, each loop by one call."""
    of_loops = defaultdict(list)
    for call, value, exc in done:
        of_loops[call.loop].append((call.reply, value, exc))
    for loop, replies in of_loops.items():
        try:
            loop.call_soon_threadsafe(_settle, replies)
        except RuntimeError:  # it is closed: nobody waits there
            continue


def _settle(replies: "list[tuple[asyncio.Future[Any], Any, BaseException | None]]") -> None:
    for reply, value, exc in replies:
        if reply.done():
            continue
        if exc is None:
            reply.set_result(value)
        else:
            reply.set_exception(exc)
