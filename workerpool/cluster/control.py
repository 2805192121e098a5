"""The client's side of a pool on a cluster: which worker process does what, and what becomes of it when one is lost."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any
from weakref import ref

from ..errors import PoolClosed, WorkerLost
from ..handover.job import Work
from .board import Board
from .lanes import Home, LaneQueue
from .ledger import Flight, Ledger, Outcome, may_be_repeated
from .member import Member
from .station import LEASE
from .wire import loads, onward_of, pack

__all__ = ["Control"]

log: logging.Logger = logging.getLogger("workerpool.cluster")

_PARCEL = 4 * 2**20  # bytes of bodies and functions in one parcel, unless one alone is larger
_NOBODY = 60.0  # seconds that work waits for any worker at all

Opening = Callable[[str], Any]  # opens a station at an address: an awaitable of a Member


class Control:
    """Hand the work of one pool to the members of a cluster. On its loop only, but for `add`, `stop` and numbers."""

    def __init__(self, board: Board, loop: asyncio.AbstractEventLoop, opening: Opening, workers: int) -> None:
        self.members: dict[str, Member] = {}
        self.lost: int = 0  # members, and questions that they have answered
        self.exchanges: int = 0
        self._board, self._loop, self._opening = board, loop, opening
        self._queues = {route.name: LaneQueue(route.lane, workers) for route in board.routes.values()}
        self._inbox: deque[Work] = deque()
        self._woken = False
        self._ledger = Ledger(board)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._opened: set[str] = set()
        self._nobody: asyncio.TimerHandle | None = None
        self._moved = False  # whether a home has another member, who is to be looked at

    # From any thread.

    @property
    def late(self) -> int:
        """How many answers came for what the member had no more."""
        return self._ledger.late

    @property
    def repeated(self) -> int:
        """How often work was handed over once more."""
        return self._ledger.repeated

    def add(self, work: Work) -> None:
        """Take work on."""
        self._inbox.append(work)
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._turn)
            except RuntimeError:  # the loop has ended, and with it the pool
                self._fail(work, PoolClosed(f"pool '{self._board.name}' is shut down; make a new one"))

    def stop(self, work: Work) -> None:
        """Give work up soon."""
        try:
            self._loop.call_soon_threadsafe(self._give_up, work)
        except RuntimeError:
            self._board.outstanding.remove(work)

    # Members.

    async def join(self, address: str) -> None:
        """Open a station at a worker and hand work to it; raises ClusterError where that cannot be."""
        if address in self._opened:
            return
        self._opened.add(address)
        try:
            member: Member = await self._opening(address)
        except BaseException:
            self._opened.discard(address)
            raise
        self.members[address] = member
        self._rearrange(monotonic())
        self._run(self._listen(member))

    def handed(self, address: str) -> int:
        """Return how much a member has. From any thread."""
        return sum(queue.handed.get(address, 0) for queue in self._queues.values())

    def leave(self, address: str) -> None:
        """Hand nothing more to a worker that Dask has taken out of the cluster."""
        if (member := self.members.get(address)) is not None and not member.leaving:
            member.leaving = True
            self._rearrange(monotonic())

    def end(self, error: Exception) -> None:
        """Fail all that is outstanding."""
        self._board.lose(error)
        for work in self._board.outstanding.all():
            self._fail(work, type(error)(str(error)))

    async def close(self) -> None:
        """Fail what is left, and stop."""
        for task in self._tasks:
            task.cancel()
        self._turn()
        for work in self._board.outstanding.all():
            self._fail(work, PoolClosed(f"pool '{self._board.name}' was shut down before it could answer"))

    def cancel_queued(self) -> None:
        """Cancel what no member has."""
        self._turn()
        for work in self._board.outstanding.all():
            if not work.slot:
                work.cancel()

    def _run(self, what: Any) -> None:
        task = self._loop.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, member: Member) -> None:
        """Take outcomes from a member until it is gone."""
        while not member.gone:
            try:
                try:
                    reply = await member.take()
                except (OSError, TimeoutError) as exc:
                    await self._look_after(member, exc)
                else:
                    self._heard(member, reply)
            except Exception as exc:  # noqa: BLE001  its station is closed, as a rule: it heard nothing for too long
                self._lose(member, sure=True, why=exc)
                if not member.leaving:
                    await self.join_late(member.address)

    def _heard(self, member: Member, reply: dict[str, Any]) -> None:
        member.confirmed = reply["number"]
        self._confirm(member, reply)
        if reply["outcomes"]:
            self._arrived(member, loads(reply["outcomes"]))

    async def join_late(self, address: str) -> None:
        """Open a station at a worker that has come later; what keeps it from that is logged."""
        try:
            await self.join(address)
        except Exception as exc:  # noqa: BLE001  whatever it is, the pool goes on without
            log.warning("the worker %s is left out: %s", address, exc)

    async def _look_after(self, member: Member, why: Exception) -> None:
        """Find out whether a member that did not answer is gone; a connection may be lost without that."""
        if member.gone:
            return
        dead = await member.is_dead()
        if dead is not None:
            self._lose(member, sure=dead, why=why)
            return
        try:
            reply = await member.take()
        except (OSError, TimeoutError) as exc:  # twice is enough
            self._lose(member, sure=False, why=exc)
        else:
            self._heard(member, reply)

    def _lose(self, member: Member, *, sure: bool, why: Exception) -> None:
        """Place anew what a member had; unless it is surely dead it may go on until its lease is over."""
        if member.gone:
            return
        member.gone = True
        self.lost += 1
        log.warning("the worker %s is lost: %s", member.address, why or type(why).__name__)
        self.members.pop(member.address, None)
        self._opened.discard(member.address)
        over = monotonic() + (0.0 if sure else LEASE)
        if not sure and not member.leaving:
            self._loop.call_later(LEASE + 1, lambda: self._run(self.join_late(member.address)))
        flights = self._ledger.of(member)
        for queue in self._queues.values():
            queue.forget(member.address)
            if queue.shares is not None:
                self._loop.call_at(self._loop.time() + over - monotonic(), self._drop_share, queue, member.address)
        again = [work for number in flights if (work := self._ledger.lose(self._land(number))) is not None]
        self._rearrange(over)
        for work in again:
            self._place(work)
        self._fill()

    def _drop_share(self, queue: LaneQueue, address: str) -> None:
        if queue.shares is not None and address not in self.members:
            queue.shares.drop(address)
            self._share(queue)
            self._fill()

    def _rearrange(self, at: float) -> None:
        """Share everything out among those who are members now; what moves rests, counted from `at`."""
        addresses = sorted(address for address, member in self.members.items() if not member.leaving)
        for queue in self._queues.values():
            serving = queue.serving(addresses)
            queue.placing.change(serving, at)
            if queue.shares is not None:
                if serving:
                    queue.shares.aim(serving)
                self._share(queue)
            for home in list(queue.homes.values()):
                if not home.flying:
                    self._settle_in(queue, home)
        self._watch_for_nobody(addresses)
        self._fill()

    def _watch_for_nobody(self, addresses: Sequence[str]) -> None:
        if addresses and self._nobody is not None:
            self._nobody.cancel()
            self._nobody = None
        elif not addresses and self._nobody is None:
            self._nobody = self._loop.call_later(_NOBODY, self._give_all_up)

    def _give_all_up(self) -> None:
        self._nobody = None
        for work in self._board.outstanding.all():
            self._fail(work, WorkerLost(f"{work.facts()}: the cluster has had no worker for {_NOBODY:g} s; start some"))

    def _share(self, queue: LaneQueue) -> list[Member]:
        """Note what members are to be told of the lane's connections; return those."""
        assert queue.shares is not None
        told = []
        for address, places in queue.shares.due():
            if (member := self.members.get(address)) is not None:
                member.places[queue.lane.name] = places
                told.append(member)
        return told

    def _confirm(self, member: Member, reply: dict[str, Any]) -> None:
        """Note what a member says of itself."""
        self.exchanges += 1
        self._ledger.note_begun(reply["begun"])
        for lane, (places, in_flight) in reply["places"].items():
            queue = self._queues[lane]
            if queue.shares is not None and not member.gone:
                queue.shares.confirm(member.address, places, in_flight)
                self._fill(self._share(queue))

    # Work on its way.

    def _turn(self) -> None:
        self._woken = False
        while self._inbox:
            work = self._inbox.popleft()
            if work.decided:
                self._ledger.settle(work)
                continue
            if work.deadline is not None:
                wait = max(0.0, work.deadline - monotonic()) + work.grace
                self._loop.call_later(wait, self._expire, ref(work))  # it may be done, and forgotten, long before
            self._place(work)
        self._fill()

    def _expire(self, forgotten: "ref[Work]") -> None:
        work = forgotten()
        if work is not None and not work.decided and (not work.slot or not work.at_place):
            work.expire()

    def _place(self, work: Work) -> None:
        """Let work wait where it belongs."""
        queue = self._queues[work.lane]
        key = queue.key_of(work)
        if key is None:
            queue.shared.add(work)
            return
        home = queue.home_of(key)
        home.waiting.add(work)
        if home.member is None:
            self._settle_in(queue, home)
        else:
            self._open(queue, home)

    def _settle_in(self, queue: LaneQueue, home: Home, *, moved: bool = False) -> None:
        """Give a home that has nothing in flight to its member, from when on it may begin there."""
        queue.withdraw(home)
        owner = queue.placing.owner(home.key)
        due = queue.placing.not_before(home.key, queue.rest(home.key))
        if moved and owner != home.member:
            due = max(due, monotonic() + queue.rest(home.key))
        home.member, home.due = owner, max(home.due, due)
        self._moved = True
        self._open(queue, home)

    def _open(self, queue: LaneQueue, home: Home) -> None:
        """Let the member take from a home, now or when it is due."""
        wait = home.due - monotonic()
        if wait <= 0:
            queue.make_ready(home)
        elif len(home.waiting) and not home.rests:
            home.rests = True
            self._loop.call_later(wait, self._open_late, queue, home)

    def _open_late(self, queue: LaneQueue, home: Home) -> None:
        home.rests = False
        if queue.homes.get(home.key) is home:
            self._open(queue, home)
            self._fill()

    def _fill(self, members: Iterable[Member] | None = None) -> None:
        """Hand over what these members, or all, have room for."""
        for member in list(self.members.values()) if members is None else members:
            if member.putting or member.gone:
                continue
            parcel = [] if member.leaving else self._parcel(member)
            if parcel or member.places or member.given_up:
                places, member.places = member.places, {}
                given_up, member.given_up = member.given_up, []
                member.putting = True
                self._run(self._put(member, parcel, places, given_up))

    def _parcel(self, member: Member) -> list[tuple[Any, ...]]:
        parcel: list[tuple[Any, ...]] = []
        size = 0
        for queue in self._queues.values():
            room = queue.room(member.address, len(queue.placing.members))
            while room > 0 and size < _PARCEL and (found := queue.next(member.address)) is not None:
                work, home = found
                parcel.append(self._ledger.hand(member, queue, work, home))
                size += len(work.rest)
                room -= 1
        return parcel

    async def _put(
        self, member: Member, parcel: list[tuple[Any, ...]], places: dict[str, int], given_up: list[int]
    ) -> None:
        try:
            reply = await member.put(pack(parcel) if parcel else b"", places, given_up)
        except (OSError, TimeoutError) as exc:
            self._lose(member, sure=bool(await member.is_dead()), why=exc)
        except Exception as exc:  # noqa: BLE001  no station any more; the one who listens finds that, too
            self._lose(member, sure=True, why=exc)
        else:
            member.putting = False
            self._confirm(member, reply)
            self._fill((member,))

    def _land(self, number: int) -> Flight:
        """Note that a member has the work no more; its home may move now, or have more for it."""
        flight = self._ledger.land(number)
        queue = flight.queue
        if (home := flight.home) is not None:
            if home.flying == 0 and queue.placing.owner(home.key) != home.member:
                self._settle_in(queue, home, moved=True)
            else:
                self._open(queue, home)
            queue.drop_idle(home)
        return flight

    def _arrived(self, member: Member, outcomes: Iterable[Outcome]) -> None:
        """Decide work by what came; tell all of it in the end, so that those who wait are woken once."""
        told: list[Work] = []
        for number, kind, value, delay in outcomes:
            if self._ledger.find(number, member) is None:
                continue
            flight = self._land(number)
            work, queue = flight.work, flight.queue
            member.ended[work.lane] = member.ended.get(work.lane, 0) + 1
            if delay:
                queue.note_delay(work.host, delay)
            if kind == "m" and not work.decided:
                self._move(work, value)
                self._moved = True
            elif _is_lost(kind, value) and not work.decided and may_be_repeated(work, queue):
                self._place(work)
                self._moved = True
            else:
                self._ledger.conclude(flight, kind, value)
                told.append(work)
        if (rates := member.learn()) is not None:
            for lane, rate in rates.items():
                self._queues[lane].note_rate(member.address, rate)
        for work in told:
            self._ledger.settle(work)
        moved, self._moved = self._moved, False
        self._fill(None if moved else (member,))

    def _move(self, work: Work, value: tuple[Any, int, float | None]) -> None:
        """Have work go on at the member that has the host which a redirect has led it to."""
        plain, work.attempts, left = value
        work.onward = plain  # as it travels; the next worker reads it
        work.place = onward_of(plain)
        work.total = left
        work.set_aside()
        self._place(work)

    def _give_up(self, work: Work) -> None:
        """Let go of work that was decided elsewhere: cancelled, or expired."""
        if work.decided:
            self._withdraw(work)
            self._ledger.settle(work)
            self._fill()

    def _fail(self, work: Work, error: Exception) -> None:
        self._withdraw(work)
        self._ledger.fail(work, error)

    def _withdraw(self, work: Work) -> None:
        """Have the member that has it give it up."""
        if (number := self._ledger.at(work)) is not None:
            self._land(number).member.given_up.append(number)


def _is_lost(kind: str, value: Any) -> bool:
    """Whether a worker's pool was closed, which no caller here has asked for."""
    return bool(kind == "e" and value[0][0] == "workerpool.errors.PoolClosed")
