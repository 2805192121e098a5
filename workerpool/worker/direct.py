"""First attempts without a task: a plain request goes out on a connection that is there, and its answer calls back.

A task per request would cost a third more. What is no plain sailing (a redirect, a pause before a retry, a body that
takes its time to unpack) is left to a task, which goes on from there.
"""

from collections.abc import Callable
from typing import Any

from ..errors import RequestError
from ..handover.errand import Fetch
from ..handover.job import Work
from ..messages.response import Response
from ..transport import Direct, Driver, Transport
from .attempts import Attempts

__all__ = ["DirectAttempts"]


class DirectAttempts(Driver):
    """Start work on connections that are there, each of which goes on with what follows; on the loop only.

    `end` settles work and returns what gets its place, `begin` starts that; `begin_task` starts work in a task, or goes
    on with it there; `stopped` settles what was given up; `lose` gives the loop up.
    """

    def __init__(
        self,
        attempts: Attempts,
        *,
        end: Callable[[Work], Work | None],
        begin: Callable[[Work], object],
        begin_task: Callable[[Work], object],
        stopped: Callable[[Work], object],
        lose: Callable[[BaseException], object],
    ) -> None:
        self.transport: Transport | None = None  # none before the first task has opened it
        self.made: int = 0  # read by all
        self._attempts = attempts
        self._end, self._begin, self._begin_task = end, begin, begin_task
        self._stopped, self._lose = stopped, lose

    def start(self, work: Work) -> bool:
        """Send the request on a connection that is there; False if there is none, or a task has to send it."""
        if (transport := self.transport) is None or not self._takes(work, transport):
            return False
        fast_path = transport.fast_path
        errand: Any = work.errand
        origin = fast_path.origin(errand.target)
        if (connection := fast_path.kept(origin)) is None:
            return False
        self._send(Direct(self, transport, connection, origin), work)
        return True

    def answered(self, ride: Direct, work: Work, response: Response) -> None:
        """Settle the work, and go on with the next on the same connection, where that is for the same origin."""
        wait = self._attempts.conclude(work, work.errand, response)
        if wait is not None:
            ride.give_back()
            work.ride, work.rest = None, wait
            self._begin_task(work)
            return
        following = self._end(work)
        if following is not None and self._goes_on(ride, following):
            self._send(ride, following)
            return
        ride.give_back()
        if following is not None:
            self._begin(following)

    def failed(self, work: Work, error: RequestError) -> None:
        """Settle the work, or have it tried again by a task."""
        wait = self._attempts.conclude(work, work.errand, error)
        if wait is not None:
            work.ride, work.rest = None, wait
            self._begin_task(work)
        else:
            self._go_on(work)

    def left(self, work: Work) -> None:
        """Go on in a task."""
        work.ride = None
        self._begin_task(work)

    def cancelled(self, work: Work) -> None:
        """Settle work that was given up."""
        self._attempts.note_stopped(work, work.errand)
        self._stopped(work)
        self._go_on(work)

    def lose(self, error: BaseException) -> None:
        """Give the loop up."""
        self._lose(error)

    def _go_on(self, work: Work) -> None:
        following = self._end(work)
        if following is not None:
            self._begin(following)

    def _send(self, ride: Direct, work: Work) -> None:
        errand: Any = work.errand
        try:
            head = ride.head(errand)
        except Exception:  # noqa: BLE001  a task meets it once more, and tells it
            ride.give_back()
            self._begin_task(work)
            return
        self._attempts.begin(work)
        self.made += 1
        ride.send(work, errand.request, head)

    def _takes(self, work: Work, transport: Transport) -> bool:
        """Whether this is the first attempt at a request that needs nothing but to be sent."""
        errand = work.errand
        return (
            type(errand) is Fetch
            and not (work.attempts or self._attempts.circuits)
            and work.onward is None
            and transport.goes_direct(errand.request)
        )

    def _goes_on(self, ride: Direct, following: Work) -> bool:
        transport = self.transport
        if transport is None or not self._takes(following, transport):
            return False
        fast_path: Any = transport.fast_path
        errand: Any = following.errand
        return fast_path.origin(errand.target) is ride.origin and not fast_path.waiters and ride.protocol.is_clean()
