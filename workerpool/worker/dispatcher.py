"""The dispatcher of one lane on one worker: its inbox, its places and its private sessions.

Work comes in from any thread (`accept`, `post`, `admit`, `stop`), and is given up from any; it is done on the worker's
loop. Work is taken from the inbox only when there is a place for it, so that the inbox keeps the order to the end.
"""

import asyncio
from collections.abc import Callable
from math import inf
from time import monotonic

from ..errors import PoolClosed, WorkerLost, WorkerPoolError
from ..handover.errand import Fetch
from ..handover.inbox import Inbox
from ..handover.job import Holder, Job, Work, on_worker_thread
from ..lane import Lane
from ..loops import on_a_loop
from ..transport import Environment, Moved, Struck, Transport, has_struck
from .attempts import Attempts
from .direct import DirectAttempts
from .loop import State, WorkerLoop
from .scheduler import Scheduler
from .tally import Tally
from .tasks import Tasks

__all__ = ["Dispatcher"]


class Dispatcher(Holder):
    """Start the lane's work as places and limits allow.

    `forward` hands work, from the loop, to whoever of the lane counts for the host that a redirect has led it to.
    """

    def __init__(
        self,
        loop: WorkerLoop,
        lane: Lane,
        connections: int,
        queue: int,
        environment: Environment,
        forward: Callable[[Work], object],
    ) -> None:
        self.name: str = loop.name
        self.lane = lane
        self.inbox: Inbox = Inbox(
            f"the queue of lane '{lane.name}' on {loop.name}", queue, lambda: loop.call_soon(self.drain)
        )
        self.tally: Tally = Tally(loop)
        self._loop = loop
        self._connections, self._environment = connections, environment
        self._most = connections  # as it was made with; `limit` changes the other one
        self._forward = forward
        self._free: float = connections or inf  # places; the loop's only
        self._scheduler = Scheduler(lane, self.inbox, self.tally.settle)
        self._attempts = Attempts(lane)
        self._tasks = Tasks(loop, self._serve, self._end_task, self._stopped)
        self._direct = DirectAttempts(
            self._attempts,
            end=self._end_direct,
            begin=self._begin,
            begin_task=self._tasks.start,
            stopped=self._stopped,
            lose=loop.lose,
        )
        self._transport: Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def attempts(self) -> int:
        """How many requests were tried, each try counted."""
        return self._attempts.made

    @property
    def direct(self) -> int:
        """How many of them were made without a task."""
        return self._direct.made

    @property
    def in_flight(self) -> int:
        """How many jobs have been started and have not ended."""
        return len(self._tasks.held)

    @property
    def queued(self) -> int:
        """How many jobs wait for a place."""
        return len(self._scheduler)

    def accept(self, work: Work) -> None:
        """Take the work on; `post` is to follow. Under the pool's lock."""
        work.holder = self
        self.tally.accept(work)

    def post(self, work: Work, *, block: bool = True) -> None:
        """Put accepted work into the queue; blocks while that is full. From any thread.

        Raises QueueFull or PoolClosed. Whatever is raised, `refuse` is to follow; an interrupt gives the work up.
        """
        if work.deadline is not None:
            self._loop.deadlines.add(work)
        try:
            if self.lane.queue:
                # On a worker's thread nothing may wait, not even for room in a queue.
                self.inbox.put(work, work.time_for_room(self.lane.timeout), block=block and not on_worker_thread())
            else:
                self.inbox.put(work)
        except BaseException as exc:
            if not isinstance(exc, WorkerPoolError):  # interrupted: it may be in the queue, and nobody waits for it
                work.mark_cancelled()
                self.stop(work)
            raise

    def refuse(self, work: Work) -> None:
        """Forget accepted work that was not handed over after all. Under the pool's lock."""
        self.tally.refuse(work)

    def admit(self, work: Work) -> None:
        """Take on work that a redirect has led here: it had its place in the queue. On any worker's loop."""
        work.holder = self
        self._loop.count_moved()
        self._loop.deadlines.add(work)
        self._scheduler.admit(work)
        if not self._loop.call_soon(self.drain) and self._loop.state is State.OVER:
            self.fail_all()

    def waits_for(self, work: Work) -> str:
        """Say what work that has not begun waits for. From any thread."""
        what = self._scheduler.waits_for(work)
        if what is None and self._free <= 0:
            what = f"a place: all {self._connections} connections of lane '{self.lane.name}' on {self.name} are taken"
        return f"{what or f'{self.name}, which did not come round to it'} ({self.queued} in the queue)"

    def limit(self, places: int) -> None:
        """Have so many places from now on; what is under way beyond that goes on. From any thread."""
        self._loop.call_soon(self._set_places, places)

    def delay(self, host: str) -> float:
        """Return the seconds that robots.txt asks for between two requests to the host. From any thread."""
        return self._scheduler.delay(host)

    def when_room(self, callback: Callable[[], object]) -> None:
        """Call back, once and from any thread, when the queue may have room again."""
        self.inbox.when_room(callback)

    def stop(self, work: Work) -> None:
        """Stop the work soon, from any thread."""
        self.inbox.release(work)
        self._loop.call_soon(self._cancel_task, work)

    def cancel_queued(self, until: float) -> None:
        """Cancel what has not been started, from any thread, as far as the time suffices."""
        for work in self.inbox.waiting():
            work.mark_cancelled()
            if monotonic() > until:
                break
        self._loop.call_soon(self._cancel_rest)

    async def close(self) -> None:
        """Stop what is held, and close the session and its connections. On the loop."""
        tasks = self._tasks.cancel_all()
        for work in [work for work in self._tasks.held if work.ride is not None]:
            self._cancel_task(work)
        if tasks:
            await asyncio.wait(tasks)
        self.fail_all()
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            await self._transport.close()

    def fail_all(self) -> None:
        """Fail everything that is still here, and what still comes; from whichever thread is left."""
        self._tasks.closing = True
        for work in self._loop.outstanding.held_by(self):
            _fail(work, PoolClosed(f"{self.name} stopped before it could answer"))
            if work not in self._tasks.held:  # else its task counts it
                self.tally.settle(work)

    def fail_in_child(self, error: Exception) -> None:
        """Fail the futures that a forked child has inherited; only the parent's thread could answer them."""
        for work in self._loop.outstanding.held_by(self):
            if isinstance(work, Job):
                work.renew(error)

    def lose(self, error: Callable[[], Exception]) -> Transport | None:
        """Fail what was under way on a loop that ended, and keep what waits for the next one.

        On the thread; returns what is still to be closed.
        """
        transport, self._transport = self._transport, None
        self._direct.transport = None
        self._timer = None
        self._tasks.clear()
        for work in self._loop.outstanding.held_by(self) - self._scheduler.waiting():
            if self.lane.queue and not work.has_room:  # its submitter still waits for room
                continue
            begun = self._tasks.lose(work)
            Transport.drop_rest(work)
            _fail(work, error())
            self.tally.settle(work)
            self.inbox.release(work)
            if begun:
                self._scheduler.release(work)
        self._free = self._connections or inf
        return transport

    def drain(self) -> None:
        """Start what may start: work came in, a wait is over, or the loop is a new one. On the loop."""
        if self._loop.current is None:  # between two loops; the next one begins with this
            return
        if self._tasks.closing:  # it was let in when this was closed already
            self.fail_all()
            return
        self.inbox.answered()
        try:
            while self._free > 0 and (work := self._next()) is not None:
                self._free -= 1
                self._begin(work)
        except BaseException as exc:  # noqa: BLE001  set from another thread, or out of memory: nothing is sure here
            self._loop.lose(exc)

    def _set_places(self, places: int) -> None:
        self._free += places - self._connections
        self._connections = places
        self.drain()

    def _begin(self, work: Work) -> None:
        """Start work that has its place: at once on a connection that is there, or in a task."""
        self._tasks.held.add(work)
        if not self._direct.start(work):
            self._tasks.start(work)

    def _next(self) -> Work | None:
        """Return the next work that may start now; if there is none, see to it that it is looked for in time."""
        work = self._scheduler.next()
        if work is not None:
            if work.begin():
                self._loop.deadlines.renew(work)
        elif self._scheduler.due_in is not None:
            self._drain_in(self._scheduler.due_in)
        return work

    def _drain_in(self, wait: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait, self.drain)

    async def _serve(self, work: Work, task: "asyncio.Task[None]") -> None:
        """Do what there is to do, until the work is decided or, after a redirect, to be gone on with elsewhere."""
        try:
            if not work.decided:
                transport, errand = self._transport or self._open_transport(), work.errand
                if isinstance(errand, Fetch):
                    await self._attempts.run(work, errand, transport)
                else:
                    work.stage, work.attempts = "running", 1
                    work.answer(await transport.run(work, errand))
        except Moved as moved:
            work.lead(moved.onward)
        except asyncio.CancelledError:
            task.uncancel()
            self._stopped(work)
        except Struck as struck:  # amid the accounts of places and connections, aiohttp's or ours
            _fail(work, struck.error)
            self._loop.lose(struck.error.__cause__ or struck)
        except Exception as exc:  # noqa: BLE001  the user's own code: whatever it raises belongs to the caller
            _fail(work, exc)
            if isinstance(exc, MemoryError) and work.counts_at_host:
                self._loop.lose(exc)  # it may have struck amid aiohttp's own accounts
        except BaseException as exc:
            error = WorkerLost(f"the job raised {type(exc).__name__}, which ends the job and not the process")
            error.__cause__ = exc
            _fail(work, error)
            if work.counts_at_host and has_struck(exc):
                self._loop.lose(exc)
            if isinstance(exc, GeneratorExit) and not on_a_loop():
                raise  # the loop is gone, and this coroutine is being cleared away

    def _open_transport(self) -> Transport:
        transport = Transport(self.lane, self._most, self._scheduler.reserve, self._environment, self._scheduler.slow)
        self._transport = self._direct.transport = transport
        return transport

    def _stopped(self, work: Work) -> None:
        """Settle work whose task was cancelled: by its caller, its deadline, its own code, or the worker's end."""
        if self._tasks.closing:
            _fail(work, PoolClosed(f"{self.name} stopped before the job in lane '{self.lane.name}' was done"))
        elif not work.cancel() and work.channel is not None:
            work.channel.fail()

    def _end_task(self, work: Work) -> Work | None:
        """Settle work that a task has had; return what that task is to go on with."""
        following = self._end(work)
        if following is None:
            return None
        self._tasks.held.add(following)
        return None if self._direct.start(following) else following

    def _end_direct(self, work: Work) -> Work | None:
        """Settle work that no task has had; return the work that gets its place."""
        self._tasks.held.discard(work)
        work.detach()
        following = self._end(work)
        if following is not None:
            self._tasks.held.add(following)
        return following

    def _end(self, work: Work) -> Work | None:
        """Settle the work and pass its place on; return the work that gets it."""
        if work.channel is not None:
            work.channel.fail()  # does nothing if the body has come to its end
        if work.rest is not None:
            Transport.drop_rest(work)
        self._scheduler.release(work)
        if work.onward is None or work.decided:
            self.tally.settle(work)
        else:
            self._pass_on(work)
        following = None if self._tasks.closing or self._free < 0 else self._next()
        if following is None:
            self._free += 1
        return following

    def _pass_on(self, work: Work) -> None:
        """Let the work go on where the host is counted that a redirect has led it to."""
        assert work.onward is not None
        work.place = work.onward.hop.url
        work.stage = "queued"
        self._loop.ended += 1
        self._loop.deadlines.discard(work)
        work.set_aside()
        self._forward(work)

    def _cancel_rest(self) -> None:
        """Cancel what has been taken out of the inbox and waits for its turn. On the loop."""
        for work in self._scheduler.waiting():
            work.cancel()
        self.drain()

    def _cancel_task(self, work: Work) -> None:
        if work.holder is not self:  # it was passed on meanwhile
            work.stop()
        elif work.task is not None:
            work.task.cancel()
        elif work.ride is not None:
            work.ride.cancel()
        elif work.decided:
            self._scheduler.pass_over(work)


def _fail(work: Work, error: Exception) -> None:
    """Give the error to whoever waits: for the outcome, or, once that is there, for the rest of the body."""
    if not work.fail(error) and work.channel is not None:
        work.channel.fail(error)
