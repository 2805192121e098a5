"""One lane on one worker: its inbox, its places and its private session.

Work comes in from any thread (`post`, `abort`); everything else happens on the worker's loop. Work is
taken from the inbox only when there is a place for it, so that the inbox keeps the order to the end.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from math import inf
from time import monotonic

from .channels import Inbox
from .deadlines import Deadlines
from .errors import PoolClosed, RequestError
from .job import Work
from .lane import Lane
from .policies.limits import HostLimits, Pace
from .policies.retry import wait_before_retry
from .response import Response
from .transport import Transport

__all__ = ["Dispatcher"]


class Dispatcher:
    """Start the lane's work as places and limits allow, one task each."""

    def __init__(
        self,
        name: str,
        lane: Lane,
        connections: int,
        queue: int,
        idle: Callable[[], None],
    ) -> None:
        self.name = name
        self.lane = lane
        self.inbox = Inbox(f"the queue of lane '{lane.name}' on {name}", queue)
        self.submitted = 0  # under the pool's lock
        self.attempts = 0  # the loop's only, read by all
        self._ended = {"succeeded": 0, "failed": 0, "cancelled": 0}  # the loop's only, read by all
        self._connections = connections
        self._free: float = connections or inf  # places; the loop's only
        self._pace = None if lane.rate is None else Pace(lane.rate)
        self._hosts = HostLimits(lane.per_host, lane.per_host_rate) if lane.by_host else None
        self._idle = idle
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deadlines: Deadlines | None = None
        self._transport: Transport | None = None
        self._held: set[Work] = set()  # started and not ended; the loop's only, until the thread ends
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False  # the loop's only

    @property
    def load(self) -> int:
        """How many jobs are on their way here; exact enough to compare workers by."""
        return self.submitted - sum(self._ended.values())

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
    def in_flight(self) -> int:
        """How many jobs have been started and have not ended."""
        return len(self._held)

    @property
    def queued(self) -> int:
        """How many jobs wait for a place."""
        return len(self.inbox) + (0 if self._hosts is None else self._hosts.parked)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held and nothing waits."""
        return not self._held and not self.queued

    def open(self, loop: asyncio.AbstractEventLoop, deadlines: Deadlines) -> None:
        """Bind to the worker's loop, before the first post."""
        self._loop = loop
        self._deadlines = deadlines
        self.inbox.connect(lambda: loop.call_soon_threadsafe(self._drain))

    def post(self, work: Work, *, block: bool = True) -> None:
        """Accept the work; blocks while the queue is full. From any thread. Raises QueueFull or PoolClosed."""
        assert self._deadlines is not None
        work.holder = self
        self._deadlines.add(work)
        try:
            self.inbox.put(work, self._patience(work), block=block)
        except BaseException:
            self._deadlines.discard(work)
            raise

    def abort(self, work: Work) -> None:
        """Stop the work's task soon, from any thread."""
        with suppress(RuntimeError):  # the loop is closed; the worker's end has settled everything
            self._call_soon(_cancel_task, work)

    def cancel_all(self) -> "list[asyncio.Task[None]]":
        """Cancel every task that runs, and return them. On the loop."""
        self._closing = True
        tasks = [work.task for work in self._held if work.task is not None]
        for task in tasks:
            task.cancel()
        return tasks

    def cancel_queued(self) -> None:
        """Cancel what has not been started, from any thread."""
        works = self.inbox.take_all()
        for work in works:
            work.cancel()
        with suppress(RuntimeError):  # the loop is closed: nobody counts any more
            self._call_soon(self._settle_all, works)

    async def close(self) -> None:
        """Close the session and its connections."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            await self._transport.close()

    def abandon(self, error: Callable[[], Exception]) -> None:
        """Fail everything that is still here; the last thing that happens, from whichever thread is left."""
        parked = [] if self._hosts is None else self._hosts.take_all()
        for work in (*self._held, *self.inbox.take_all(), *parked):
            work.fail(error())
            if work.channel is not None:
                work.channel.fail(error())

    def _patience(self, work: Work) -> float | None:
        """Return the seconds that the caller may wait for room in the queue."""
        if not self.lane.queue:
            return None
        if work.deadline is not None:
            return max(0.0, work.deadline - monotonic())
        return self.lane.timeout.total if work.call is not None else None

    def _drain(self) -> None:
        """Start what may start. Called when work came in, a place came free, or a wait is over."""
        self.inbox.answered()
        while self._free > 0 and (work := self._next()) is not None:
            self._free -= 1
            self._start(work)
        if not self._held and not self.queued:
            self._idle()

    def _next(self) -> Work | None:
        """Return the next work that may start now, with its place at its host and its turn booked."""
        if self._pace is not None and (wait := self._pace.wait(monotonic())) > 0:
            self._drain_in(wait)
            return None
        work = self._take()
        if work is not None and self._pace is not None and work.call is None:
            self._pace.reserve(monotonic())
        return work

    def _take(self) -> Work | None:
        if self._hosts is not None and (parked := self._hosts.take()) is not None:
            return parked
        while (work := self.inbox.take()) is not None:
            if work.decided:
                self._settle(work)
            elif self._hosts is None or work.call is not None or self._hosts.offer(work):
                return work
        if self._hosts is not None and (wait := self._hosts.due_in()) is not None:
            self._drain_in(wait)
        return None

    def _drain_in(self, wait: float) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(wait, self._drain)

    def _start(self, work: Work) -> None:
        assert self._loop is not None
        self._held.add(work)
        work.task = self._loop.create_task(self._run(work), context=work.context)

    async def _run(self, work: Work | None) -> None:
        """Serve the work, and then what waits for the place that it leaves, if that may share the context.

        A task per request would cost a tenth more, most of it in the garbage collector: all that ended in one
        turn of the loop would be freed at once and made anew in the next.
        """
        task = asyncio.current_task()
        assert task is not None
        while work is not None:
            work.task = task
            await self._serve(work, task)
            work = self._end(work)

    async def _serve(self, work: Work, task: "asyncio.Task[None]") -> None:
        try:
            if not work.decided:
                transport = self._transport or self._open_transport()
                if work.call is None:
                    await self._request(work, transport)
                else:
                    work.stage = "running"
                    work.attempts = 1
                    work.answer(await work.call.fn(transport.raw, *work.call.args, **work.call.kwargs))
        except asyncio.CancelledError:
            task.uncancel()
            self._stopped(work)
        except BaseException as exc:  # noqa: BLE001  SystemExit too: it belongs to the caller, not to this thread
            if not work.fail(exc) and work.channel is not None:
                work.channel.fail(exc)

    async def _request(self, work: Work, transport: Transport) -> None:
        """Try until an answer is good, or nothing more may be tried."""
        assert work.request is not None
        retry = self.lane.retry_for(work.request)
        while True:
            work.attempts += 1
            self.attempts += 1
            outcome: Response | RequestError
            try:
                if work.streamed:
                    await transport.stream(work)
                    return
                outcome = await transport.fetch(work)
            except RequestError as exc:
                outcome = exc
            wait = wait_before_retry(retry, work.request, work.attempts, outcome)
            if wait is None or (work.deadline is not None and monotonic() + wait >= work.deadline):
                break
            work.stage = "retry"
            await asyncio.sleep(wait + self._reserve(work.host))
        if isinstance(outcome, RequestError):
            work.fail(outcome)
        else:
            work.answer(outcome)

    def _open_transport(self) -> Transport:
        self._transport = Transport(self.lane, self._connections, self._reserve)
        return self._transport

    def _reserve(self, host: str) -> float:
        """Book one more start, of a retry, a redirect or a function's request; return the seconds to wait."""
        lane_wait = 0.0 if self._pace is None else self._pace.reserve(monotonic())
        return lane_wait if self._hosts is None else max(lane_wait, self._hosts.reserve(host))

    def _stopped(self, work: Work) -> None:
        """Settle work whose task was cancelled: by its caller, its deadline, its own code, or the worker's end."""
        if not self._closing:
            work.cancel()
            return
        error = PoolClosed(f"{self.name} stopped before the job in lane '{self.lane.name}' was done")
        if not work.fail(error) and work.channel is not None:
            work.channel.fail(error)

    def _end(self, work: Work) -> Work | None:
        """Settle the work and pass its place on; return what its task is to go on with."""
        alone = work.context is not None
        self._held.discard(work)
        work.detach()
        self._settle(work)
        if self._hosts is not None and work.call is None:
            self._hosts.release(work.host)
        following = None if self._closing else self._next()
        if following is None:
            self._free += 1
            if not self._held and not self.queued:
                self._idle()
        elif alone or following.context is not None:
            self._start(following)
        else:
            self._held.add(following)
            return following
        return None

    def _settle(self, work: Work) -> None:
        """Count the outcome, once per work."""
        assert self._deadlines is not None
        self._deadlines.discard(work)
        self._ended[work.outcome] += 1

    def _settle_all(self, works: list[Work]) -> None:
        for work in works:
            self._settle(work)
        self._drain()

    def _call_soon(self, callback: Callable[..., object], *args: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(callback, *args)


def _cancel_task(work: Work) -> None:
    if work.task is not None:
        work.task.cancel()
