"""One lane on one worker: its inbox, its places and its private session.

Work comes in from any thread (`post`, `abort`); everything else happens on the worker's loop. Work is
taken from the inbox only when there is a place for it, so that the inbox keeps the order to the end.
"""

import asyncio
from collections.abc import Callable
from math import inf
from time import monotonic

from .attempts import Attempts
from .errors import PoolClosed, WorkerLost, WorkerPoolError
from .home import Home
from .inbox import Inbox
from .job import Job, Work, on_worker_thread
from .lane import Lane
from .loops import on_a_loop
from .stats import Stopwatch
from .transport import Environment, Moved, Transport
from .turns import Turns

__all__ = ["Dispatcher"]


_RESTING = 100  # tasks that wait for work, 2 KiB each; as many as a lane has connections, as a rule


class Dispatcher:
    """Start the lane's work as places and limits allow."""

    def __init__(self, home: Home, lane: Lane, connections: int, queue: int, environment: Environment) -> None:
        self.name = home.name
        self.lane = lane
        self.inbox = Inbox(f"the queue of lane '{lane.name}' on {home.name}", queue)
        self.submitted = 0  # under the pool's lock
        self.taken_over = 0  # from other workers; written under the worker's door
        self.own_code = 0  # jobs in flight that run code of the user's; the loop's only, read by all
        self._ended = {"succeeded": 0, "failed": 0, "cancelled": 0}  # the loop's only, read by all
        self.durations = Stopwatch()  # of what ended
        self._home = home
        self._connections, self._environment = connections, environment
        self._free: float = connections or inf  # places; the loop's only
        self._turns = Turns(lane, self.inbox, self._settle)
        self._owner_of: Callable[[Work], Dispatcher] = lambda _work: self
        self._attempts = Attempts(lane, self._turns.reserve)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: Transport | None = None
        self._accepted: set[Work] = set()  # and not counted yet; a set's own methods are atomic
        self._held: set[Work] = set()  # started and not ended; the loop's only
        self._resting: list[tuple[asyncio.Future[Work], asyncio.Task[None]]] = []  # wait for work; the loop's only
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False  # the loop's only
        self.inbox.connect(lambda: home.call_soon(self.drain))

    @property
    def succeeded(self) -> int:
        """How many jobs ended with a result."""
        return self._ended["succeeded"]

    @property
    def failed(self) -> int:
        """How many jobs ended with an error."""
        return self._ended["failed"]

    @property
    def cancelled(self) -> int:
        """How many jobs were cancelled."""
        return self._ended["cancelled"]

    @property
    def attempts(self) -> int:
        """How many requests were tried, each try counted."""
        return self._attempts.made

    @property
    def in_flight(self) -> int:
        """How many jobs have been started and have not ended."""
        return len(self._held)

    @property
    def queued(self) -> int:
        """How many jobs wait for a place."""
        return len(self._turns)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held and nothing waits."""
        return not self._held and not self.queued

    @property
    def has_work(self) -> bool:
        """Whether something that was handed over here has not ended, its body included. From any thread."""
        return bool(self._accepted)

    def set_owner_of(self, owner_of: "Callable[[Work], Dispatcher]") -> None:
        """Say which dispatcher of the lane counts for the host that a piece of work is at."""
        self._owner_of = owner_of

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Work on this loop from now on. On the loop."""
        self._loop = loop
        self.drain()

    def count(self, number: int) -> None:
        """Note that so many jobs more are on their way here. Under the pool's lock."""
        self.submitted += number
        self._home.posted += number

    def post(self, work: Work, *, block: bool = True) -> None:
        """Accept the work; blocks while the queue is full. From any thread. Raises QueueFull or PoolClosed."""
        work.holder = self
        self._accepted.add(work)
        if work.deadline is not None:
            self._home.deadlines.add(work)
        try:
            if self.lane.queue:
                # On a worker's thread nothing may wait, not even for room in a queue.
                self.inbox.put(work, self._patience(work), block=block and not on_worker_thread())
            else:
                self.inbox.put(work)
        except BaseException as exc:
            self._home.deadlines.discard(work)
            self._accepted.discard(work)
            if not isinstance(exc, WorkerPoolError):  # interrupted: it may be in the queue, and nobody waits for it
                work.give_up()
                self.inbox.leave(work)
                self._home.call_soon(self.drain)
            raise

    def waits_for(self, work: Work) -> str:
        """Say what work that has not begun waits for. From any thread."""
        what = self._turns.waits_for(work)
        if what is None and self._free <= 0:
            what = f"a place: all {self._connections} connections of lane '{self.lane.name}' on {self.name} are taken"
        return f"{what or f'{self.name}, which did not come round to it'} ({self.queued} in the queue)"

    def when_room(self, callback: Callable[[], object]) -> None:
        """Call back, once and from any thread, when the queue may have room again."""
        self.inbox.when_room(callback)

    def abort(self, work: Work) -> None:
        """Stop the work soon, from any thread."""
        self.inbox.leave(work)
        self._home.call_soon(self._cancel_task, work)

    def take_over(self, work: Work) -> bool:
        """Accept work that a redirect has led here from another worker; False if this one has ended. From any thread.

        It is let in however long the queue is: it had its place in that.
        """

        def let_in() -> None:
            work.holder = self
            self.taken_over += 1
            self._home.taken += 1
            self._accepted.add(work)
            self._turns.admit(work)

        if not self._home.while_open(let_in):
            return False
        self._home.deadlines.add(work)
        self._home.call_soon(self.drain)
        return True

    def cancel_all(self) -> "list[asyncio.Task[None]]":
        """Cancel every task, and return those that run. On the loop."""
        self._closing = True
        tasks = [work.task for work in self._held if work.task is not None]
        tasks += [task for _, task in self._resting]
        for task in tasks:
            task.cancel()
        return tasks

    def cancel_queued(self, until: float) -> None:
        """Cancel what has not been started, from any thread, as far as the time suffices."""
        for work in self.inbox.waiting():
            work.give_up()
            if monotonic() > until:
                break
        self._home.call_soon(self._cancel_rest)

    async def close(self) -> None:
        """Close the session and its connections."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            await self._transport.close()

    def abandon(self, error: Callable[[], Exception]) -> None:
        """Fail everything that is still here; the last thing that happens, from whichever thread is left."""
        for work in self._accepted.copy():
            _fail(work, error())
            if work not in self._held:  # else its task counts it
                self._settle(work)

    def forget(self, error: Exception) -> None:
        """Fail the futures that a forked child has inherited; only the parent's thread could answer them."""
        for work in self._accepted.copy():
            if isinstance(work, Job):
                work.renew(error)

    def lose(self, error: Callable[[], Exception]) -> Transport | None:
        """Fail what was under way on a loop that ended, and keep what waits for the next one.

        On the thread; returns what is still to be closed.
        """
        transport, self._transport = self._transport, None
        self._loop = self._timer = None
        self._resting.clear()
        for work in self._accepted - self._turns.waiting():
            started = work in self._held
            self._held.discard(work)
            work.detach()  # its task, if there is one, finds that the work is no longer its own
            _fail(work, error())
            self._settle(work)
            self.inbox.leave(work)
            if started:
                self._turns.release(work)
        self._free = self._connections or inf
        self.own_code = 0
        return transport

    def _patience(self, work: Work) -> float | None:
        """Return the seconds that the caller may wait for room in the queue: it is the caller who waits here."""
        if work.deadline is not None:
            return max(0.0, work.deadline - monotonic())
        return work.total if work.total is not None or work.call is None else self.lane.timeout.total

    def drain(self) -> None:
        """Start what may start: work came in, a wait is over, or the loop is a new one. On the loop."""
        if self._loop is None:  # between two loops; the next one begins with this
            return
        self.inbox.answered()
        try:
            while self._free > 0 and (work := self._next()) is not None:
                self._free -= 1
                self._start(work)
        except BaseException as exc:  # noqa: BLE001  set from another thread, or out of memory: nothing is sure here
            self._home.on_broken(exc)
        if not self._held and not self.queued:
            self._home.on_idle()

    def _next(self) -> Work | None:
        """Return the next work that may start now; if there is none, see to it that it is looked for in time."""
        work = self._turns.next()
        if work is not None:
            if work.begun is None:
                work.begun = monotonic()
                if work.at_place or work.patience is not None:
                    if work.deadline is not None:
                        self._home.deadlines.discard(work)
                    work.deadline = work.final_deadline
                    self._home.deadlines.add(work)
        elif self._turns.due_in is not None:
            self._drain_in(self._turns.due_in)
        return work

    def _drain_in(self, wait: float) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(wait, self.drain)

    def _start(self, work: Work) -> None:
        assert self._loop is not None
        self._held.add(work)
        if work.context is not None:
            self.own_code += 1
            if self.own_code == 1:
                self._home.on_own_code()
        elif self._resting:
            given, work.task = self._resting.pop()
            given.set_result(work)
            return
        work.task = self._loop.create_task(self._run(work), context=work.context)
        work.task.add_done_callback(self._on_task_end)

    async def _run(self, work: Work | None) -> None:
        """Serve the work, and then what waits for the place that it leaves, if that may share the context.

        A task per request would cost a tenth more, most of it in the garbage collector: all that ended in one
        turn of the loop would be freed at once and made anew in the next. So a task without work waits for more.
        """
        # A loop may begin its tasks before it hands them out.
        task = asyncio.current_task() if work is None or work.task is None else work.task
        assert task is not None
        while work is not None and work.task is task:
            alone = work.context is not None
            await self._serve(work, task)
            if work.task is not task:  # lost meanwhile, and settled by others
                return
            work = self._end(work)
            if work is None and not alone:
                work = await self._rest(task)

    async def _rest(self, task: "asyncio.Task[None]") -> Work | None:
        """Wait for work; None if there is to be none."""
        if self._loop is None or self._closing or len(self._resting) >= _RESTING:
            return None
        given: asyncio.Future[Work] = self._loop.create_future()
        self._resting.append((given, task))
        try:
            return await given
        except asyncio.CancelledError:
            if given.cancelled():
                return None
            task.uncancel()  # the cancel was meant for the work, and came before the task knew of it
            self._stopped(given.result())
            return given.result()

    async def _serve(self, work: Work, task: "asyncio.Task[None]") -> None:
        """Do what there is to do, until the work is decided or, after a redirect, to be gone on with elsewhere."""
        try:
            if not work.decided:
                transport = self._transport or self._open_transport()
                if work.call is None:
                    await self._attempts.run(work, transport)
                else:
                    work.stage = "running"
                    work.attempts = 1
                    work.answer(await work.call.fn(transport.raw, *work.call.args, **work.call.kwargs))
        except Moved as moved:
            work.onward = moved.onward
        except asyncio.CancelledError:
            task.uncancel()
            self._stopped(work)
        except Exception as exc:  # noqa: BLE001  the user's own code: whatever it raises belongs to the caller
            _fail(work, exc)
            if isinstance(exc, MemoryError) and work.call is None:
                self._home.on_broken(exc)  # it may have struck amid aiohttp's own accounts
        except BaseException as exc:
            error = WorkerLost(f"the job raised {type(exc).__name__}, which ends the job and not the process")
            error.__cause__ = exc
            _fail(work, error)
            if isinstance(exc, GeneratorExit) and not on_a_loop():
                raise  # the loop is gone, and this coroutine is being cleared away

    def _on_task_end(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():  # before its first step
            for work in [work for work in self._held if work.task is task]:
                self._stopped(work)
                following = self._end(work)
                if following is not None:
                    self._start(following)
        elif (error := task.exception()) is not None:  # out of memory, or set from another thread
            self._home.on_broken(error)

    def _open_transport(self) -> Transport:
        self._transport = Transport(self.lane, self._connections, self._turns.reserve, self._environment)
        return self._transport

    def _stopped(self, work: Work) -> None:
        """Settle work whose task was cancelled: by its caller, its deadline, its own code, or the worker's end."""
        if self._closing:
            _fail(work, PoolClosed(f"{self.name} stopped before the job in lane '{self.lane.name}' was done"))
        elif not work.cancel() and work.channel is not None:
            work.channel.cut()

    def _end(self, work: Work) -> Work | None:
        """Settle the work and pass its place on; return what its task is to go on with."""
        task, alone = work.task, work.context is not None
        if alone:
            self.own_code -= 1
        self._held.discard(work)
        work.detach()
        if work.channel is not None:
            work.channel.cut()  # does nothing if the body has come to its end
        self._turns.release(work)
        if work.onward is None or work.decided:
            self._settle(work)
        else:
            self._pass_on(work)
        following = None if self._closing else self._next()
        if following is None:
            self._free += 1
            if not self._held and not self.queued:
                self._home.on_idle()
        elif alone or following.context is not None:
            self._start(following)
        else:
            self._held.add(following)
            following.task = task
            return following
        return None

    def _pass_on(self, work: Work) -> None:
        """Let the work go on where the host is counted that a redirect has led it to."""
        assert work.onward is not None
        work.place = work.onward.hop.url
        work.stage = "queued"
        owner = self._owner_of(work)
        if owner is self or not owner.take_over(work):  # a worker that has ended sends nothing more to its hosts
            self._turns.admit(work)
            return
        self._home.ended += 1
        self._accepted.discard(work)
        self._home.deadlines.discard(work)

    def _settle(self, work: Work) -> None:
        """Count the outcome, once per work."""
        if work in self._accepted:
            self._accepted.discard(work)
            if work.deadline is not None:
                self._home.deadlines.discard(work)
            verdict = work.verdict
            assert verdict is not None
            self._home.ended += 1
            self._ended[verdict[0]] += 1
            self.durations.note(verdict[2] - work.started)
            if not work.told:  # it was left to this, or an interrupt came between the deciding and the telling
                work.tell()

    def _cancel_rest(self) -> None:
        """Cancel what has been taken out of the inbox and waits for its turn. On the loop."""
        for work in self._turns.waiting():
            work.cancel()
        self.drain()

    def _cancel_task(self, work: Work) -> None:
        if work.holder is not self:  # it was passed on meanwhile
            work.stop()
        elif work.task is not None:
            work.task.cancel()
        elif work.decided:
            self._turns.pass_over(work)
            if not self._held and not self.queued:
                self._home.on_idle()


def _fail(work: Work, error: Exception) -> None:
    """Give the error to whoever waits: for the outcome, or, once that is there, for the rest of the body."""
    if not work.fail(error) and work.channel is not None:
        work.channel.fail(error)
