"""What a worker carries a lane's requests by: its sessions, and an exchange over them for each attempt."""

from collections.abc import Callable, Coroutine
from typing import Any

from ..handover.job import Work
from ..messages.response import Response
from .exchange import Exchange
from .inside.connection import current_work
from .sessions import Sessions

__all__ = ["Transport"]


class Transport(Sessions):
    """Carry the lane's requests, one attempt at a time; used on its loop only."""

    def fetch(self, work: Work) -> Coroutine[Any, Any, Response]:
        """Try the request once and return the complete answer; raises a RequestError, or Moved."""
        assert work.request is not None
        return self._exchange(work).fetch(self.lane.max_body_for(work.request))

    def stream(self, work: Work, is_wanted: Callable[[Response], bool]) -> Coroutine[Any, Any, None]:
        """Answer the work as soon as the head is there, and pass the body on; nothing of it if it is not wanted."""
        assert work.request is not None
        return self._exchange(work).stream(work.request.max_body, is_wanted)

    def _exchange(self, work: Work) -> Exchange:
        current_work.set(work)
        if work.onward is None:
            return Exchange(self, work, self.first_hop(work))
        onward, work.onward = work.onward, None
        return Exchange(self, work, *onward)
