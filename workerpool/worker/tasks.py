"""The tasks that do a lane's work on one loop, each kept for the work that follows."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..handover.job import Work
from .loop import WorkerLoop

__all__ = ["Tasks"]

_RESTING = 100  # tasks that wait for work, 2 KiB each; as many as a lane has connections, as a rule


class Tasks:
    """Run `serve` for each piece of work, and `end` after it, which says what the task goes on with.

    A task per request would cost a tenth more, most of it in the garbage collector: all that ended in one turn of the
    loop would be freed at once and made anew in the next. So a task without work waits for more. Where code of the
    user's runs, each work has a task of its own, with the context that it was submitted in. `stopped` is told of work
    that was cancelled before its task knew of it. Used on the loop only.
    """

    def __init__(
        self,
        loop: WorkerLoop,
        serve: "Callable[[Work, asyncio.Task[None]], Coroutine[Any, Any, None]]",
        end: Callable[[Work], Work | None],
        stopped: Callable[[Work], object],
    ) -> None:
        self.held: set[Work] = set()  # started and not ended; read by all
        self.closing = False
        self._loop = loop
        self._serve, self._end, self._stopped = serve, end, stopped
        self._resting: list[tuple[asyncio.Future[Work], asyncio.Task[None]]] = []

    def start(self, work: Work) -> None:
        """Begin the work, in a task that waits for some or in a new one."""
        self.held.add(work)
        if work.context is not None:
            self._loop.begin_user_code()
        elif self._resting:
            given, work.task = self._resting.pop()
            given.set_result(work)
            return
        work.task = asyncio.get_running_loop().create_task(self._run(work), context=work.context)
        work.task.add_done_callback(self._on_task_end)

    def cancel_all(self) -> "list[asyncio.Task[None]]":
        """Cancel every task, and return those that run."""
        self.closing = True
        tasks = [work.task for work in self.held if work.task is not None]
        tasks += [task for _, task in self._resting]
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

    async def _run(self, work: Work | None) -> None:
        """Serve the work, and then what waits for the place that it leaves, if that may share the context."""
        # A loop may begin its tasks before it hands them out.
        task = asyncio.current_task() if work is None or work.task is None else work.task
        assert task is not None
        while work is not None and work.task is task:
            alone = work.context is not None
            await self._serve(work, task)
            if work.task is not task:  # lost meanwhile, and settled by others
                return
            work = self._after(work)
            if work is None and not alone:
                work = await self._rest(task)

    def _after(self, work: Work) -> Work | None:
        """Let go of the work, and return what its task is to go on with."""
        task, alone = work.task, work.context is not None
        if alone:
            self._loop.end_user_code()
        self.held.discard(work)
        work.detach()
        following = self._end(work)
        if following is None:
            return None
        if alone or following.context is not None:
            self.start(following)
            return None
        self.held.add(following)
        following.task = task
        return following

    async def _rest(self, task: "asyncio.Task[None]") -> Work | None:
        """Wait for work; None if there is to be none."""
        loop = self._loop.current
        if loop is None or self.closing or len(self._resting) >= _RESTING:
            return None
        given: asyncio.Future[Work] = loop.create_future()
        self._resting.append((given, task))
        try:
            return await given
        except asyncio.CancelledError:
            if given.cancelled():
                return None
            task.uncancel()  # the cancel was meant for the work, and came before the task knew of it
            self._stopped(given.result())
            return given.result()

    def _on_task_end(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():  # before its first step
            for work in [work for work in self.held if work.task is task]:
                self._stopped(work)
                following = self._after(work)
                if following is not None:
                    following.task = None
                    self.start(following)
        elif (error := task.exception()) is not None:  # out of memory, or set from another thread
            self._loop.lose(error)
