"""The transport of one lane on one worker: its sessions, and an exchange over them for each attempt."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..handover.errand import Call, Dial, Fetch, Stream
from ..handover.job import Work
from ..lane import Lane
from ..messages.hop import Hop
from ..messages.request import Request
from ..messages.response import Response
from ..messages.url import parse_url
from ..policies.robots import MAX_BYTES
from .exchange import Exchange
from .inside.answer import Answer
from .inside.connection import current_work
from .robots import Aside, Robots
from .sessions import Sessions
from .websockets import serve_websocket

__all__ = ["Transport"]


class Transport(Sessions):
    """Carry the lane's requests, one attempt at a time; used on its loop only."""

    def __init__(self, lane: Lane, *args: Any) -> None:
        super().__init__(lane, *args)
        if lane.robots:
            self.robots: Robots | None = Robots(self.agent, self._ask_robots)

    def fetch(self, work: Work, errand: Fetch) -> Coroutine[Any, Any, Response]:
        """Try the request once and return the complete answer; raises a RequestError, or Moved."""
        return self._exchange(work, errand).fetch(self.lane.max_body_for(errand.request))

    def stream(self, work: Work, errand: Stream, is_wanted: Callable[[Response], bool]) -> Coroutine[Any, Any, None]:
        """Answer the work as soon as the head is there, and pass the body on; nothing of it if it is not wanted."""
        return self._exchange(work, errand).stream(errand.opened, errand.request.max_body, is_wanted)

    def run(self, work: Work, errand: Call | Dial) -> Awaitable[Any]:
        """Run the function, or carry the messages of the WebSocket; raises what that raises."""
        if isinstance(errand, Dial):
            return serve_websocket(self.raw, self.lane, errand.opening, errand.link, work)
        result: Awaitable[Any] = errand.fn(self.raw, *errand.args, **errand.kwargs)
        return result

    @staticmethod
    def drop_rest(work: Work) -> None:
        """Close the connection of an answer that was left to a task, where no task has come to read it."""
        rest, work.rest = work.rest, None
        if isinstance(rest, Answer) and not rest.closed:
            rest.close()

    async def _ask_robots(self, url: str) -> Response:
        """Ask for a robots.txt, on the lane's own connections: its start is enough."""
        target = parse_url(url)
        request = Request(url, retry=None, allow_redirects=False)
        work = Aside(self.lane.name, None, Fetch(request, target))
        work.attempts = 1
        current_work.set(work)
        hop = Hop("GET", target, self.robots_headers, None)
        # One byte more tells whether it was cut.
        return await Exchange(self, work, request, hop).fetch(MAX_BYTES + 1, whole=False)

    def _exchange(self, work: Work, errand: Fetch) -> Exchange:
        current_work.set(work)
        if work.onward is None:
            answer, work.rest = work.rest, None
            return Exchange(self, work, errand.request, self.first_hop(errand), answer=answer)
        onward, work.onward = work.onward, None
        return Exchange(self, work, errand.request, *onward)
