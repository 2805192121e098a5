"""The attempts at one request: as many as its Retry, the retry budget, the circuit breaker and its deadline allow."""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from ..errors import ConnectError, RequestError
from ..handover.errand import Fetch, Stream
from ..handover.job import Work
from ..lane import Lane
from ..loops import pause
from ..messages.request import Request
from ..messages.response import Response
from ..policies.breaker import Breaker, Circuit
from ..policies.budget import RetryBudget
from ..policies.retry import is_good, is_unreachable, wait_before_retry
from ..redaction import redact
from ..settings import Retry, RetryDetails
from ..transport import Moved, Transport

__all__ = ["Attempts"]

log: logging.Logger = logging.getLogger("workerpool.attempts")


class Attempts:
    """Try the requests of one lane on one worker; used on its loop only."""

    def __init__(self, lane: Lane) -> None:
        self.made: int = 0  # read by all
        self._lane = lane
        self._budget = RetryBudget(0 if lane.retry is None else lane.retry.attempts - 1)
        self._breaker = Breaker()
        # Of hosts that could not be reached: while there are any, each try asks.
        self.circuits: dict[str, Circuit] = self._breaker.circuits

    async def run(self, work: Work, errand: Fetch, transport: Transport) -> None:
        """Try until an answer is good or nothing more may be tried, and decide the work; raises Moved."""
        request = errand.request
        # Another library's request, sent by that one's rules, goes out whenever it is asked for.
        spared = request.as_is and request.retry is None
        is_new = work.rest is None  # else the try, or the pause before it, has begun without a task
        if is_new and self._breaker.circuits and not spared and (wait := self._breaker.wait(work.host)) is not None:
            work.fail(ConnectError.about(work.facts(), _circuit_open(work, wait), stage="queued"))
            return
        retry = self._lane.retry_for(request)
        if work.attempts == 0:
            self._budget.attempted()
        if isinstance(work.rest, float):
            seconds, work.rest = work.rest, None
            await self._pause(work, transport, seconds)
        while True:
            if work.onward is None and work.rest is None:  # else the try began at another host, or without a task
                work.attempts += 1
                self.made += 1
            tried = work.attempts
            try:
                wait = await self._try(work, errand, transport, retry)
            finally:
                self.made += work.attempts - tried  # more, where kept connections had been closed
            if wait is None:
                return
            await self._pause(work, transport, wait)

    def begin(self, work: Work) -> None:
        """Note the first try of work, made without a task."""
        self._budget.attempted()
        work.attempts += 1
        self.made += 1

    def conclude(self, work: Work, errand: Any, outcome: Response | RequestError) -> float | None:
        """Decide the work by what a try came to; where it is to be tried again return the seconds to pause before."""
        wait = self._wait_after(work, errand, self._lane.retry_for(errand.request), outcome)
        if wait is None:
            work.conclude("failed" if isinstance(outcome, RequestError) else "succeeded", outcome)
        return wait

    def note_stopped(self, work: Work, errand: Any) -> None:
        """Log that a try was stopped."""
        _log_try(logging.DEBUG, work, errand, f"stopped in stage {work.stage}")

    async def _pause(self, work: Work, transport: Transport, wait: float) -> None:
        work.stage = "retry"
        await pause(wait)
        await transport.turn(work.host, work)

    async def _try(self, work: Work, errand: Fetch, transport: Transport, retry: Retry | None) -> float | None:
        """Try once; return the seconds to the next try, None if the work is decided."""
        try:
            if isinstance(errand, Stream):
                return await self._stream(work, errand, transport, retry)
            return self.conclude(work, errand, await transport.fetch(work, errand))
        except RequestError as exc:
            return self.conclude(work, errand, exc)
        except Moved as moved:
            if moved.onward.history:
                self._note_good(work)
            raise
        except asyncio.CancelledError:
            self.note_stopped(work, errand)
            raise

    async def _stream(self, work: Work, errand: Stream, transport: Transport, retry: Retry | None) -> float | None:
        """Try once; the work is answered with the first head that is not tried again."""
        wait: float | None = None

        def is_wanted(head: Response) -> bool:
            nonlocal wait
            wait = self._wait_after(work, errand, retry, head)
            return wait is None

        await transport.stream(work, errand, is_wanted)
        return wait

    def _note_good(self, work: Work) -> None:
        self._budget.succeeded()
        if self._breaker.circuits:
            self._breaker.reached(work.host)

    def _wait_after(
        self, work: Work, errand: Fetch, retry: Retry | None, outcome: Response | RequestError
    ) -> float | None:
        """Return the seconds to pause before the next try, None if the outcome stands, and log which."""
        if is_good(retry, outcome):
            self._note_good(work)
            wait = None
        else:
            wait = self._wait_after_bad(work, errand.request, retry, outcome)
        if log.isEnabledFor(logging.INFO):
            said = type(outcome).__name__ if isinstance(outcome, RequestError) else str(outcome.status_code)
            if wait is None:
                _log_try(logging.DEBUG, work, errand, said)
            else:
                _log_try(logging.INFO, work, errand, f"{said}, next try in {wait:.2f} s")
        return wait

    def _wait_after_bad(
        self, work: Work, request: Request, retry: Retry | None, outcome: Response | RequestError
    ) -> float | None:
        """Return the seconds to pause, None for no further try; deadline, budget and circuit have their say."""
        if is_unreachable(outcome):
            self._breaker.failed(work.host)
        elif self._breaker.circuits:
            self._breaker.reached(work.host)
        wait = wait_before_retry(retry, request, work.attempts, outcome)
        if wait is None or (work.deadline is not None and monotonic() + wait >= work.deadline):
            return None
        assert retry is not None
        if not self._budget.take() or self._breaker.wait(work.host) is not None:
            return None
        if retry.on_retry is not None:
            _tell(
                retry.on_retry, RetryDetails(redact(request.url), request.method, work.attempts, wait, *_told(outcome))
            )
        return wait


def _log_try(level: int, work: Work, errand: Fetch, said: str) -> None:
    """Log how a try ended; its facts are attributes of the record, too."""
    if log.isEnabledFor(level):
        facts = {
            "url": redact(work.place),
            "method": errand.method,
            "lane": work.lane,
            "worker": work.worker,
            "attempt": work.attempts,
            "elapsed": work.elapsed,
        }
        text = "%(method)s %(url)s: %(said)s (attempt %(attempt)d, %(elapsed).3f s, lane %(lane)s, %(worker)s)"
        log.log(level, text, facts | {"said": said}, extra=facts)


def _circuit_open(work: Work, wait: float) -> str:
    return f"not tried, since the last connections to {work.host} all failed; the next try is in {wait:.1f} s"


def _told(outcome: Response | RequestError) -> tuple[int | None, RequestError | None]:
    return (None, outcome) if isinstance(outcome, RequestError) else (outcome.status_code, None)


def _tell(hook: Callable[[RetryDetails], object], details: RetryDetails) -> None:
    """Call the user's hook; what it raises is logged and changes nothing."""
    try:
        hook(details)
    except Exception:
        log.exception("on_retry raised; the retry goes on")
