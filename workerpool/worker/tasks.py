"""The tasks that do a lane's work on one loop, each kept for the work that follows."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from functools import partial
from sys import getrefcount
from types import coroutine
from typing import Any

from ..handover.job import Work
from .loop import WorkerLoop

__all__ = ["Tasks"]

_RESTING = 100  # tasks that wait for work, 2 KiB each; as many as a lane has connections, as a rule
_AT_ONCE = 16  # pieces of work that one task does before the loop's other tasks get their turn


class Tasks:
    """Run `serve` for each piece of work, and `end` after it, which returns the work that gets its place.

    A task per request would cost a tenth more, most of it in the garbage collector: all that ended in one turn of the
    loop would be freed at once and made anew in the next. So a task without work waits for more.

    Code of the user's runs in the context that it was submitted in, one piece after the other in one task. Where one
    waits for something or keeps its task, that is its own from then on and ends with it, and another one goes on with
    the rest: whoever has got hold of a task, to cancel it or to be told of its end, reaches no stranger. `stopped` is
    told of work that was cancelled before its task knew of it. Used on the loop only.
    """

    def __init__(
        self,
        loop: WorkerLoop,
        serve: "Callable[[Work, asyncio.Task[None]], Coroutine[Any, Any, None]]",
        end: Callable[[Work], Work | None],
        stopped: Callable[[Work], object],
    ) -> None:
        self.held: set[Work] = set()  # started and not ended; read by all
        self.closing: bool = False
        self._loop = loop
        self._serve, self._end, self._stopped = serve, end, stopped
        self._resting: list[tuple[asyncio.Future[Work | None], asyncio.Task[None]]] = []
        self._ready: deque[Work] = deque()  # code of the user's, held, that no task has yet
        self._runner: asyncio.Task[None] | None = None  # the task that goes through these

    def start(self, work: Work) -> None:
        """Begin the work, in a task that waits for some or in a new one."""
        self.held.add(work)
        if work.context is None:
            work.task = self._task_for(work)
            return
        self._ready.append(work)
        if self._runner is None:
            self._runner = self._task_for(None)

    def cancel_all(self) -> "list[asyncio.Task[None]]":
        """Cancel every task, and return those that run; what no task has is held no longer."""
        self.closing = True
        tasks = [work.task for work in self.held if work.task is not None]
        tasks += [task for _, task in self._resting]
        if self._runner is not None:
            tasks.append(self._runner)
        self.held.difference_update(self._ready)
        self._ready.clear()
        for task in tasks:
            task.cancel()
        return tasks

    def lose(self, work: Work) -> bool:
        """Let go of work whose loop has ended; tell whether it had begun."""
        begun = work in self.held
        self.held.discard(work)
        work.detach()  # its task, if there is one, finds that the work is no longer its own
        return begun

    def clear(self) -> None:
        """Forget the tasks that wait: their loop has ended."""
        self._resting.clear()
        self._ready.clear()
        self._runner = None

    def _task_for(self, work: Work | None) -> "asyncio.Task[None]":
        """Return a task that begins with the work, or goes through what is ready."""
        if self._resting:
            given, task = self._resting.pop()
            given.set_result(work)
            return task
        task = asyncio.get_running_loop().create_task(self._run(work))
        task.add_done_callback(self._on_task_end)
        return task

    async def _run(self, work: Work | None) -> None:
        """Serve the work or what is ready, and then what waits for the place that it leaves, or comes later."""
        task = asyncio.current_task()
        assert task is not None
        while True:
            if work is None:
                if not await self._run_ready(task):
                    return
            else:
                await self._serve(work, task)
                if work.task is not task:  # lost meanwhile, and settled by others
                    return
                work = self._after(work, task)
            if work is None:
                found = await self._rest(task)
                if found is None:
                    return
                (work,) = found

    async def _run_ready(self, task: "asyncio.Task[None]") -> bool:
        """Run code of the user's until there is none; False if some of it has waited: this task is no longer ours."""
        done = 0
        while self._ready and self._runner is task:
            if (done := done + 1) > _AT_ONCE:
                done = 0
                await asyncio.sleep(0)
                continue
            work = self._ready.popleft()
            self._loop.begin_user_code()
            holders = getrefcount(task)
            work.task = task
            assert work.context is not None
            await _in_context(self._serve(work, task), work.context, self._leave)
            if work.task is not task:  # lost meanwhile, and settled by others
                return False
            self._after(work)
            if self._runner is not task:
                return False
            if task.cancelling() or getrefcount(task) > holders:
                self._leave()
                return False
        if self._runner is task:
            self._runner = None
        return True

    def _leave(self) -> None:
        """Have another task go through the rest of what is ready."""
        self._runner = self._task_for(None) if self._ready else None

    def _after(self, work: Work, task: "asyncio.Task[None] | None" = None) -> Work | None:
        """Let go of the work, and begin what gets its place; return that where the task is to go on with it."""
        if work.context is not None:
            self._loop.end_user_code()
        self.held.discard(work)
        work.detach()
        following = self._end(work)
        if following is None:
            return None
        if task is None or following.context is not None:
            self.start(following)
            return None
        self.held.add(following)
        following.task = task
        return following

    async def _rest(self, task: "asyncio.Task[None]") -> tuple[Work | None] | None:
        """Wait for work, or for more that is ready; None if there is to be none."""
        loop = self._loop.current
        if loop is None or self.closing or len(self._resting) >= _RESTING:
            return None
        given: asyncio.Future[Work | None] = loop.create_future()
        self._resting.append((given, task))
        try:
            return (await given,)
        except asyncio.CancelledError:
            if given.cancelled():
                return None
            task.uncancel()  # the cancel was meant for the work, and came before the task knew of it
            if (work := given.result()) is not None:
                self._stopped(work)
            return (work,)

    def _on_task_end(self, task: "asyncio.Task[None]") -> None:
        if self._runner is task:  # before its first step, or amid its pause
            self._leave()
        if task.cancelled():  # before its first step
            for work in [work for work in self.held if work.task is task]:
                self._stopped(work)
                following = self._after(work)
                if following is not None:
                    following.task = None
                    self.start(following)
        elif (error := task.exception()) is not None:  # out of memory, or set from another thread
            self._loop.lose(error)


@coroutine
def _in_context(
    steps: Coroutine[Any, Any, None], context: Context, on_wait: Callable[[], object]
) -> Generator[Any, Any, None]:
    """Run a coroutine in the task that awaits this, each step in the context; `on_wait` is called when it first waits.

    Whatever ends it is its own return: it lets nothing out but what ends the task as well.
    """
    try:
        waits_for = context.run(steps.send, None)
    except StopIteration:
        return
    on_wait()
    while True:
        step: Callable[[], Any]
        try:
            step = partial(steps.send, (yield waits_for))
        except BaseException as exc:  # noqa: BLE001  a cancel, or the end of the loop: it is the coroutine's to answer
            step = partial(steps.throw, exc)
        try:
            waits_for = context.run(step)
        except StopIteration:
            return
