"""The runner: takes requests from the store, sends them through the pool at their hosts' pace, stores what comes.

Each sending is in the store before it is sent, so that one whose process ends leaves an attempt behind. What came is
stored in batches. All of it is on one loop; the pool's threads only put what has arrived into a list and ring.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import islice
from math import inf
from time import monotonic, time
from typing import Any

from ..caller.client import hand_over
from ..caller.handed import Handed
from ..caller.pool import WorkerPool
from ..errors import InvalidRequest, PoolClosed, RequestError, WorkerPoolError
from ..handover.work import Verdict
from ..messages.request import Request
from ..messages.response import Response
from ..policies.retry import is_good, wait_before_retry
from ..scraping.entry import is_unreachable
from ..scraping.hosts import Hosts, retry_after_seconds
from .errors import ServiceError
from .hand import Hand
from .lane_run import LaneRun
from .records import Attempt, Failure, Finished, Leased
from .rules import Rules
from .sending import failure_of, finished, request_of, with_end
from .settings import ServiceSettings
from .store import Store
from .ticket import Ticket
from .waits import waits_of

__all__ = ["Runner"]

log: logging.Logger = logging.getLogger("workerpool.service")

_BATCH = 200  # tickets that are leased at a time, or answers that are looked at
_STORED = 500  # sendings, or results, that one transaction stores
_STEP = 32  # tickets that are looked at before the pool is given more
_PAUSE = 1.0  # seconds after a store that was down
_LOOK = 0.5  # seconds between two looks at the lanes' settings
_MOST_BYTES = 64 * 2**20  # of bodies that wait to be stored, or to be sent
_MOST_HELD = 5000
_PARK = 10.0  # seconds from which on what waits for a host is given back
_URGENT = 16  # leased beyond the room when something new is there: it may go before all that waits


class Runner:
    """Run what is queued, until it is stopped. Of one loop."""

    def __init__(self, store: Store, pool: WorkerPool, settings: ServiceSettings, owner: str) -> None:
        self.owner = owner
        self._store, self._pool, self._settings = store, pool, settings
        self._common = Hosts(settings.politeness)
        self._rules = Rules(settings.politeness, pool)
        self._lanes: dict[str, LaneRun] = {}
        self._hand = Hand()
        self._sent: set[Ticket] = set()
        self._arrived: deque[Handed] = deque()
        self._answered: deque[tuple[Ticket, Verdict]] = deque()  # of these, what has given its place to others
        self._rung = False
        self._results: deque[Finished] = deque()
        self._unstored = 0  # bytes of bodies in results that wait to be stored
        self._move, self._store_now, self._more = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.sendings: int = 0

    def start(self) -> None:
        """Begin."""
        for work in (self._keep_moving, self._keep_storing, self._keep_leasing, self._follow_lanes, self._keep_beating,
                     self._follow_withdrawn):  # fmt: skip
            self._spawn(self._forever(work))

    @property
    def _weight(self) -> int:
        """Bytes of bodies in memory: of what is to be sent, and of what is to be stored."""
        return self._hand.weight + self._unstored

    @property
    def in_flight(self) -> int:
        """How many requests are sent and not answered."""
        return len(self._sent)

    async def stop(self, seconds: float) -> None:
        """Begin nothing more, wait so long for what is under way, store what came, give back the rest."""
        self._stopping = True
        deadline = monotonic() + seconds
        while self._sent and monotonic() < deadline:
            await asyncio.sleep(0.02)
        for ticket in list(self._sent):
            ticket.cancel()
        while (self._sent or self._answered or self._results) and monotonic() < deadline + 5:
            await asyncio.sleep(0.02)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self._lanes.values():
            for ticket in lane.stored:
                ticket.tried.pop()  # it was stored, and not sent
        back = [(ticket.lease, ticket.tried) for ticket in self._hand if not ticket.gone]
        with suppress(ServiceError):
            await self._store.give_back(back)

    # Loops, each a task.

    async def _forever(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do it again and again; a store that is down is waited for, and what is wrong here is logged."""
        while True:
            try:
                await work()
            except ServiceError as exc:
                log.warning("%s: %s", self.owner, exc)
                await asyncio.sleep(_PAUSE)
            except Exception:
                log.exception("%s: a step has failed; it is tried again", self.owner)
                await asyncio.sleep(_PAUSE)

    async def _keep_moving(self) -> None:
        """Take what has come, and send what may be sent."""
        self._take_arrived()
        if not self._stopping:
            self._send_ready()
        now = monotonic()
        due = min((lane.due(now) for lane in self._lanes.values()), default=inf)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(due - now, 0.001), 1.0)):
                await self._move.wait()
        self._move.clear()

    async def _keep_storing(self) -> None:
        """Store results, all that there are by then in one transaction."""
        while not self._results:
            self._store_now.clear()
            await self._store_now.wait()
        batch = list(islice(self._results, _STORED))
        await self._store.finish(batch)
        for each in batch:
            self._results.popleft()
            self._unstored -= len(each.content or b"")
            self._hand.let_go(each.lease)
        self._more.set()
        self._move.set()

    async def _keep_leasing(self) -> None:
        """Lease where there is room, then wait for room or for something new."""
        self._more.clear()
        for lane in list(self._lanes.values()):
            if not self._stopping:
                await self._lease(lane)
        waiting = [asyncio.create_task(self._store.work(1.0)), asyncio.create_task(self._more.wait())]
        done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        if waiting[0] in done:
            waiting[0].result()
            for lane in self._lanes.values():
                lane.is_dry, lane.is_rung = False, True

    async def _follow_lanes(self) -> None:
        """Go by the lanes' settings as they are now, and say why jobs wait."""
        for state in await self._store.lanes():
            name = state.settings.name
            if name in self._lanes:
                self._lanes[name].set(state.settings)
            else:
                self._lanes[name] = LaneRun(state.settings, self._common)
                self._more.set()
        self._move.set()
        await self._park()
        await self._store.note_waits(self.owner, waits_of(self._lanes.values(), monotonic()))
        await asyncio.sleep(_LOOK)

    async def _keep_beating(self) -> None:
        """Keep the leases; what is lost is stopped."""
        await asyncio.sleep(self._settings.lease / 3)
        leases = [ticket.lease for ticket in self._hand]
        lost = await self._store.heartbeat(self.owner, leases, seconds=self._settings.lease)
        for key in lost:
            self._hand.abort(key)

    async def _follow_withdrawn(self) -> None:
        """Stop what was taken from runners: a cancelled job's requests."""
        self._hand.abort_job(await self._store.withdrawn())
        self._more.set()

    # Leasing.

    async def _lease(self, lane: LaneRun) -> None:
        if lane.is_dry or lane.settings.paused or self._weight > _MOST_BYTES or len(self._hand) >= _MOST_HELD:
            return
        number = min(lane.room(), _BATCH)
        if not lane.is_worth_it(number):
            return  # there will be more room soon
        if number <= 0 and lane.room() > -4 * _URGENT:
            number = _URGENT
        lane.is_rung = False
        if number <= 0:
            return
        full = list(lane.full_hosts())[:500]
        leased = await self._store.lease(
            self.owner, lane.settings.name, number, seconds=self._settings.lease, without=full
        )
        lane.is_dry = len(leased) < number and not full
        for each in leased:
            self._take(lane, each)
        if leased:
            self._move.set()
        if len(leased) == number and lane.is_worth_it(lane.room()):
            self._more.set()

    def _take(self, lane: LaneRun, leased: Leased) -> None:
        ticket = Ticket(leased, self._settings.default_attempts)
        self._hand.take(ticket)
        if leased.held_until is not None:
            self._common.hold(ticket.host, monotonic() + leased.held_until - time())
        lane.turns.add(ticket)

    async def _park(self) -> None:
        """Give back what waits for hosts that have no turn for long: others are to have its room."""
        now, back = monotonic(), list[Ticket]()
        for lane in self._lanes.values():
            if lane.room() > 0:
                continue
            for host in [host for host, _ in lane.turns.hosts() if lane.turns.standing(host, now)[1] > _PARK]:
                back += lane.turns.withdraw(host)[1:]
        for ticket in back:
            self._hand.let_go(ticket.lease)
        if back:
            await self._store.give_back([(ticket.lease, ticket.tried) for ticket in back])

    # Sending.

    def _send_ready(self) -> None:
        """Choose what may be sent now, and have it stored and sent, a batch at a time."""
        if len(self._results) > 3 * _STORED or self._weight > 2 * _MOST_BYTES:
            return  # the store is slower than the net, or down
        now = monotonic()
        for lane in self._lanes.values():
            if lane.is_storing:
                continue  # what is ready meanwhile goes together
            batch: list[Ticket] = []
            while len(batch) < _STORED and (ticket := lane.next(now)) is not None:
                if self._may_be_sent(lane, ticket, now):
                    batch.append(ticket)
                    if not len(batch) % _STEP:
                        self._refill()
            if batch:
                lane.is_storing = True
                self._spawn(self._send(lane, batch))
            if lane.is_worth_it(lane.room()):
                self._more.set()

    def _may_be_sent(self, lane: LaneRun, ticket: Ticket, now: float) -> bool:
        """Whether the ticket can go; else it waits for its origin's rules, or has come to its end."""
        if not self._rules.lets(ticket):
            lane.unsend(ticket, now)
            lane.turns.hold(ticket.host)
            if (request := self._rules.hold(ticket)) is not None:
                self._spawn(self._ask_rules(ticket, request))
            return False
        failure = self._rules.refusal(ticket)
        if failure is None and ticket.request is None:
            try:
                ticket.request = request_of(ticket.lease.url, ticket.lease.spec)
            except (InvalidRequest, ValueError) as exc:
                failure = failure_of(exc)
        if failure is not None:
            lane.unsend(ticket, now)
            self._end(ticket, failure)
        return failure is None

    async def _send(self, lane: LaneRun, batch: list[Ticket]) -> None:
        """Store the sendings, then send."""
        now, started, owner = monotonic(), time(), self.owner
        begun = [(each.lease, [*each.tried, Attempt(len(each.tried) + 1, owner, started)]) for each in batch]
        try:
            taken = await self._store.begin(begun)
        except ServiceError as exc:
            log.warning("%s: %s", self.owner, exc)
            for ticket in batch:
                lane.unsend(ticket, now)
                lane.turns.add(ticket, due=monotonic() + _PAUSE)
            return
        finally:
            lane.is_storing = False
        for ticket, (lease, attempts) in zip(batch, begun, strict=True):
            if lease.key not in taken:
                self._hand.lose(ticket)
            if ticket.gone or self._stopping:  # cancelled, or stopped, before it was sent
                lane.unsend(ticket, monotonic())
                continue
            ticket.tried = attempts
            lane.stored.append(ticket)
        self._send_stored(lane)
        self._move.set()

    def _send_stored(self, lane: LaneRun) -> None:
        for ticket in lane.ready():
            if ticket.gone or self._stopping:
                lane.sent -= 1
                lane.unsend(ticket, monotonic())
                ticket.tried.pop()
            else:
                self._send_now(ticket)

    def _send_now(self, ticket: Ticket) -> None:
        assert ticket.request is not None
        self.sendings += 1
        self._sent.add(ticket)
        ticket.sent_at = time()
        try:
            ticket.work = hand_over(self._pool, ticket.request, ticket, self._note_arrived)
        except WorkerPoolError as exc:
            self._sent.discard(ticket)
            self._lanes[ticket.lease.lane].sent -= 1
            self._judge(ticket, "cancelled" if isinstance(exc, PoolClosed) else "failed", exc)

    def _note_arrived(self, work: Handed) -> None:
        """Note it, and ring once for many. On the pool's threads."""
        self._arrived.append(work)
        if not self._rung:
            self._rung = True
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._move.set)

    def _take_arrived(self) -> None:
        self._rung = False
        self._refill()
        hosts = set()
        for number in range(1, min(len(self._answered), _BATCH) + 1):
            ticket, verdict = self._answered.popleft()
            hosts.add(ticket.host)
            self._judge(ticket, *verdict[:2])
            if not number % _STEP:
                self._refill()
        for host in hosts:
            self._renew(host)
        if self._answered:
            self._move.set()

    def _refill(self) -> None:
        """Send what is stored in the places of what has arrived: the pool is not to wait until that is looked at."""
        while self._arrived:
            work = self._arrived.popleft()
            ticket: Ticket = work.tag
            if ticket.work is work:  # else it was told of before
                assert work.verdict is not None
                ticket.work = None
                self._sent.discard(ticket)
                self._lanes[ticket.lease.lane].sent -= 1
                self._answered.append((ticket, work.verdict))
        for lane in self._lanes.values():
            self._send_stored(lane)

    # What came.

    def _judge(self, ticket: Ticket, outcome: str, answer: Any) -> None:
        lane, now = self._lanes[ticket.lease.lane], monotonic()
        lane.end(ticket, now)
        if outcome == "cancelled":
            self._common.ended(ticket.host, now)
            return  # it is gone, or given back: its attempt stays as interrupted
        self._note_pace(ticket, answer, now)
        ticket.tried[-1] = with_end(ticket, answer, time())
        if ticket.gone:
            return
        pause = self._pause(ticket, answer)
        if pause is not None:
            lane.turns.add(ticket, due=now + pause)
        else:
            self._end(ticket, answer if isinstance(answer, Response) else failure_of(answer))

    def _note_pace(self, ticket: Ticket, answer: Response | WorkerPoolError, now: float) -> None:
        if isinstance(answer, Response):
            asked = retry_after_seconds(answer.headers.get("Retry-After"), now=time())
            took = time() - ticket.sent_at
            self._common.ended(ticket.host, now, status=answer.status_code, retry_after=asked, took=took)
            if asked and self._settings.politeness.respect_retry_after:
                until = time() + min(asked, self._settings.politeness.max_retry_after)
                self._spawn(self._tell_pace(ticket.host, until=until))
        else:
            self._common.ended(ticket.host, now, failed=is_unreachable(answer, ticket.host))

    def _renew(self, host: str) -> None:
        for lane in self._lanes.values():
            lane.turns.renew(host)

    def _pause(self, ticket: Ticket, answer: Response | WorkerPoolError) -> float | None:
        """Return the seconds before the next attempt; None where there is none."""
        if not isinstance(answer, Response | RequestError) or is_good(ticket.retry, answer) or self._stopping:
            return None
        assert ticket.request is not None
        pause = wait_before_retry(ticket.retry, ticket.request, ticket.sendings, answer)
        return None if pause is None or pause > self._settings.politeness.max_retry_after else pause

    def _end(self, ticket: Ticket, answer: Response | Failure) -> None:
        result = finished(ticket, answer)
        self._unstored += len(result.content or b"")
        self._results.append(result)
        self._store_now.set()

    async def _ask_rules(self, first: Ticket, request: Request) -> None:
        """Ask for an origin's robots.txt; then let go on what waits for it."""
        self._common.started(first.host, monotonic())
        tickets, delay = await self._rules.ask(first, request)
        self._common.set_floor(first.host, delay)
        if delay:
            self._spawn(self._tell_pace(first.host, gap=delay))
        self._common.ended(first.host, monotonic())
        for ticket in tickets:
            self._lanes[ticket.lease.lane].turns.add(ticket)
        for each in self._lanes.values():
            each.turns.let_go(first.host)
        self._move.set()

    async def _tell_pace(self, host: str, *, until: float = 0.0, gap: float = 0.0) -> None:
        """Let other processes know what a host wants."""
        try:
            await self._store.note_pace(host, until=until, gap=gap)
        except ServiceError as exc:
            log.warning("%s: %s", self.owner, exc)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
