"""Job: the work whose way back is a `concurrent.futures.Future`."""

import asyncio
import logging
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

from .threads import Process, check_may_block, mark_worker_thread, on_worker_thread
from .work import Blocking, Holder, Verdict, Work, host_of

__all__ = [
    "Blocking",
    "Holder",
    "Job",
    "Process",
    "Work",
    "check_may_block",
    "host_of",
    "mark_worker_thread",
    "on_worker_thread",
]

log: logging.Logger = logging.getLogger("workerpool.job")

T = TypeVar("T")

_PENDING = "PENDING"  # as concurrent.futures has them, whose wait() and as_completed() read them
_PATIENCE = 1.0  # seconds that whoever has a job's condition gets to let go of it; microseconds are usual
_STATES = {"succeeded": "FINISHED", "failed": "FINISHED", "cancelled": "CANCELLED_AND_NOTIFIED"}


class _Condition(threading.Condition):
    """What concurrent.futures.wait() and as_completed() wait by; made when one of them first looks at a job."""

    def __init__(self) -> None:
        super().__init__()
        self.waiters: list[Any] = []


class Job(Work, Future[T], Generic[T]):
    """A Future of the pool's; `await job` works on any event loop too.

    `cancel()` also stops a job in flight: its request is aborted and its connection closed.
    """

    # Of Future only the interface is used. What it keeps is worked out from the verdict: there is no second record that
    # an interrupted thread could leave behind unwritten, and a job that nobody waits for needs no condition.

    # Of the class, and made by `_listed` for whoever needs one: most jobs of many are done before somebody looks.
    _gates: "Sequence[Any]" = ()  # of threads that wait
    _callbacks: "Sequence[Callable[[Future[T]], object]]" = ()

    def running(self) -> bool:
        """Whether a worker is at it."""
        return (self.task is not None or self.ride is not None) and not self.decided

    def done(self) -> bool:
        """Whether there is an outcome."""
        return self.decided

    def cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return self.outcome == "cancelled"

    def result(self, timeout: float | None = None) -> T:
        """Block until the outcome is there; returns it or raises it. Refused on a worker's thread."""
        outcome, value, _at = self._wait("job.result()", timeout)
        if outcome == "succeeded":
            return value  # type: ignore[no-any-return]
        try:
            raise value if outcome == "failed" else CancelledError()
        finally:
            del self, value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Block until the outcome is there; returns its error, if any. Refused on a worker's thread."""
        outcome, value, _at = self._wait("job.exception()", timeout)
        if outcome == "cancelled":
            raise CancelledError
        return value if outcome == "failed" else None

    def add_done_callback(self, fn: Callable[["Future[T]"], object]) -> None:
        """Call `fn(job)` once there is an outcome, at once if there is; on whichever thread decides the job."""
        self._listed("_callbacks").append(fn)
        if self.decided:  # now, or since: each is called by the thread that takes it out
            self._call_back()

    def renew(self, error: Exception) -> None:
        """Fail the job in a forked child, where a thread that stayed behind may hold its locks for ever."""
        self._verdicts = [verdict for verdict in self._verdicts if type(verdict) is tuple]
        if not self.done():
            self.fail(error)

    def set_result(self, result: T) -> None:
        """Not for a job: the pool sets its outcome."""
        raise RuntimeError("a Job's outcome is set by its pool; use a Future of your own")

    def set_exception(self, exception: BaseException | None) -> None:
        """Not for a job: the pool sets its outcome."""
        raise RuntimeError("a Job's outcome is set by its pool; use a Future of your own")

    def __await__(self) -> Generator[Any, None, T]:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            text = "a Job is awaited on an asyncio loop; under trio: await trio.to_thread.run_sync(job.result)"
            raise RuntimeError(text) from None
        return asyncio.wrap_future(self, loop=loop).__await__()

    def __repr__(self) -> str:
        what = self.errand.method if self.request is None else repr(self.request)
        state = "cancelled" if self.cancelled() else "done" if self.done() else self.stage
        return f"<Job {what} in lane '{self.lane}', {state}>"

    def _wait(self, what: str, timeout: float | None) -> Verdict:
        verdict = self.verdict
        if verdict is None:
            check_may_block(what)
            if timeout is not None and not isinstance(timeout, int | float):
                raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
            self._block(timeout)
            verdict = self.verdict
            if verdict is None:
                raise TimeoutError
        return verdict

    def _block(self, timeout: float | None) -> None:
        """Wait for the verdict by a gate of this thread's own: nothing here can be left half done by an interrupt."""
        gate = threading.Lock()
        gate.acquire()
        gates = self._listed("_gates")
        gates.append(gate)
        try:
            if self.verdict is None:  # whoever decides looks for gates after it
                gate.acquire(timeout=-1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX))
        finally:
            with suppress(ValueError):
                gates.remove(gate)

    def _listed(self, name: str) -> list[Any]:
        """Return the job's own list of that name; the first one, whoever made it."""
        made: list[Any] = vars(self).setdefault(name, [])
        return made

    @property
    def decided(self) -> bool:
        """Whether the outcome stands."""
        verdicts = self._verdicts
        return bool(verdicts) and (type(verdicts[0]) is tuple or self.verdict is not None)

    @property
    def verdict(self) -> Verdict | None:
        """Outcome, value or error, and when; None while it is pending."""
        for entry in self._verdicts:
            if type(entry) is tuple:
                return entry
        return None

    def _tell(self, verdict: Verdict) -> None:
        first = self._verdicts[0]
        if first is not verdict:
            self._tell_waiters(first, verdict)
        self._call_back()

    def _tell_waiters(self, condition: _Condition, verdict: Verdict) -> None:
        """Let wait() and as_completed() know, which must find the state and the waiters as of one moment."""
        # Ctrl-C may come while those take it, who then never give it back; a worker must not wait for that.
        held = condition.acquire(timeout=_PATIENCE)
        try:
            if self._shown == _PENDING:
                for waiter in condition.waiters:
                    _add_to(waiter, self, verdict[0])
                self._shown = _STATES[verdict[0]]
        finally:
            if held:
                condition.release()

    def _call_back(self) -> None:
        for gate in tuple(self._gates):  # each is taken out by the thread that waits at it
            with suppress(RuntimeError):  # opened before
                gate.release()
        while self._callbacks:
            fn, begun = None, False
            try:
                fn = self._listed("_callbacks").pop(0)  # so that one thread calls it
                _ = (begun := True), fn(self)  # in one line: an interrupt comes before both, or in the callback
            except Exception as exc:
                if fn is None and isinstance(exc, IndexError):  # another thread was quicker
                    return
                log.exception("exception calling callback for %r", self)
            except BaseException:
                if fn is not None and not begun:
                    self._listed("_callbacks").insert(0, fn)
                if not on_worker_thread():
                    self._call_back()
                    raise
                # sys.exit() there ends neither the worker nor what else is due.
                log.exception("exception calling callback for %r", self)

    # What concurrent.futures' own functions read.

    _shown = _PENDING  # the state where a condition came before the verdict; under the condition

    @property
    def _condition(self) -> _Condition:  # type: ignore[override]
        for entry in self._verdicts:
            if type(entry) is _Condition:
                return entry
        self._verdicts.append(_Condition())
        return self._condition  # the first one, whoever made it

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]
        return self._condition.waiters

    @property
    def _state(self) -> str:  # type: ignore[override]
        first = self._verdicts[0] if self._verdicts else None
        return _STATES[first[0]] if type(first) is tuple else self._shown

    @property
    def _result(self) -> Any:  # type: ignore[override]
        verdict = self.verdict
        return verdict[1] if verdict is not None and verdict[0] == "succeeded" else None

    @property
    def _exception(self) -> BaseException | None:  # type: ignore[override]
        verdict = self.verdict
        return verdict[1] if verdict is not None and verdict[0] == "failed" else None


def _add_to(waiter: Any, job: Job[Any], outcome: str) -> None:
    """Tell one of concurrent.futures' own waiters."""
    if outcome == "cancelled":
        waiter.add_cancelled(job)
    elif outcome == "failed":
        waiter.add_exception(job)
    else:
        waiter.add_result(job)
