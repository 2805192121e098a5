"""One request, tried as often as its Retry, its host and its deadline allow."""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from .errors import ConnectError, RequestError
from .job import Work
from .lane import Lane
from .policies.health import Breaker, RetryBudget
from .policies.retry import is_good, is_unreachable, wait_before_retry
from .redaction import redact
from .response import Response
from .settings import Retry, RetryDetails
from .transport import Transport

__all__ = ["Attempts"]

log = logging.getLogger("workerpool.attempts")


class Attempts:
    """Try the requests of one lane on one worker; used on its loop only.

    `reserve` books a start at a host and returns the seconds to wait for it.
    """

    def __init__(self, lane: Lane, reserve: Callable[[str], float]) -> None:
        self.made = 0  # read by all
        self._lane = lane
        self._reserve = reserve
        self._budget = RetryBudget(0 if lane.retry is None else lane.retry.attempts - 1)
        self._breaker = Breaker()

    async def run(self, work: Work, transport: Transport) -> None:
        """Try until an answer is good or nothing more may be tried, and decide the work."""
        assert work.request is not None
        if self._breaker.circuits and (wait := self._breaker.wait(work.host)) is not None:
            work.fail(_circuit_open(work, wait))
            return
        self._budget.attempted()
        retry = self._lane.retry_for(work.request)
        while True:
            work.attempts += 1
            self.made += 1
            outcome: Response | RequestError
            try:
                if work.streamed:
                    await transport.stream(work)
                    self._note_good(work)
                    return
                outcome = await transport.fetch(work)
            except RequestError as exc:
                outcome = exc
            if is_good(retry, outcome):
                self._note_good(work)
                break
            wait = self._wait_before_retry(work, retry, outcome)
            if wait is None:
                break
            work.stage = "retry"
            await asyncio.sleep(wait)
        if isinstance(outcome, RequestError):
            work.fail(outcome)
        else:
            work.answer(outcome)

    def _note_good(self, work: Work) -> None:
        self._budget.succeeded()
        if self._breaker.circuits:
            self._breaker.reached(work.host)

    def _wait_before_retry(self, work: Work, retry: Retry | None, outcome: Response | RequestError) -> float | None:
        """Return the seconds to pause, None if the outcome stands; deadline, budget and circuit have their say."""
        assert work.request is not None
        if is_unreachable(outcome):
            self._breaker.failed(work.host)
        elif self._breaker.circuits:
            self._breaker.reached(work.host)
        wait = wait_before_retry(retry, work.request, work.attempts, outcome)
        if wait is None or (work.deadline is not None and monotonic() + wait >= work.deadline):
            return None
        assert retry is not None
        if not self._budget.take() or self._breaker.wait(work.host) is not None:
            return None
        wait += self._reserve(work.host)
        if retry.on_retry is not None:
            _tell(retry.on_retry, work, wait, outcome)
        return wait


def _circuit_open(work: Work, wait: float) -> ConnectError:
    assert work.request is not None
    where = redact(work.request.url)
    return ConnectError(
        f"{work.request.method} {where}: not tried, since the last connections to {work.host} all failed;"
        f" the next try is in {wait:.1f} s",
        url=where,
        method=work.request.method,
        attempts=0,
        stage="queued",
        lane=work.lane,
    )


def _tell(hook: Callable[[RetryDetails], object], work: Work, wait: float, outcome: Response | RequestError) -> None:
    """Call the user's hook; what it raises is logged and changes nothing."""
    assert work.request is not None
    error, status = (outcome, None) if isinstance(outcome, RequestError) else (None, outcome.status_code)
    details = RetryDetails(redact(work.request.url), work.request.method, work.attempts, wait, status, error)
    try:
        hook(details)
    except Exception:
        log.exception("on_retry raised; the retry goes on")
