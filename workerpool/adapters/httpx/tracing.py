"""httpx's `extensions={"trace": f}`: f is told what can be seen from here, by the names that httpcore has for it.

Connections are made, and requests written, on threads of the pool's: `connection.*` and what is between the two heads
is not told. The function is called where httpx calls it: by the client's own thread or loop, which it may hold up.
"""

from collections.abc import Mapping
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any

__all__ = ["Trace", "trace_of"]

_ASK, _HEAD, _BODY, _CLOSE = (
    f"http11.{name}"
    for name in ("send_request_headers", "receive_response_headers", "receive_response_body", "response_closed")
)
_DONE: Mapping[str, Any] = {"return_value": None}

Event = tuple[str, Mapping[str, Any]]


class Trace:
    """Tell the function of one request what happens to it: `tell` from a thread, `atell` from a loop."""

    def __init__(self, function: Any, request: Any) -> None:
        self._function = function
        self._request = request

    def tell(self, *events: Event) -> None:
        """Call the function for each event."""
        for name, info in events:
            if isawaitable(self._function(name, info)):
                raise TypeError("the trace of a synchronous client must be a normal function, not an async one")

    async def atell(self, *events: Event) -> None:
        """Await the function for each event."""
        for name, info in events:
            if not isawaitable(told := self._function(name, info)):
                raise TypeError("the trace of an AsyncClient must be an async function, not a normal one")
            await told

    def asking(self) -> Event:
        """Return the event of a request that is about to be sent."""
        url = self._request.url
        target = SimpleNamespace(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        seen = SimpleNamespace(
            method=self._request.method.encode("ascii"),
            url=target,
            headers=self._request.headers.raw,
            extensions=self._request.extensions,
        )
        return f"{_ASK}.started", {"request": seen}

    def answered(self, response: Any) -> tuple[Event, ...]:
        """Return the events up to the head of the answer."""
        extensions = response.extensions
        head = extensions["http_version"], response.status_code, extensions["reason_phrase"], response.headers.raw
        return self._sent(), self._awaited(), (f"{_HEAD}.complete", {"return_value": head})

    def failed(self, error: BaseException) -> tuple[Event, ...]:
        """Return the events of a request that got no answer."""
        return self._sent(), self._awaited(), (f"{_HEAD}.failed", {"exception": error})

    def reading(self) -> Event:
        """Return the event of a body that is about to be read."""
        return f"{_BODY}.started", {"request": self._request}

    def read(self, error: BaseException | None = None) -> Event:
        """Return the event of a body that has come to its end, or to none."""
        return (f"{_BODY}.complete", _DONE) if error is None else (f"{_BODY}.failed", {"exception": error})

    def closed(self) -> tuple[Event, ...]:
        """Return the events of an answer that was closed."""
        return (f"{_CLOSE}.started", {}), (f"{_CLOSE}.complete", _DONE)

    def _sent(self) -> Event:
        return f"{_ASK}.complete", _DONE

    def _awaited(self) -> Event:
        return f"{_HEAD}.started", {"request": self._request}


def trace_of(request: Any) -> Trace | None:
    """Return what tells the request's function, None for the usual request, which has none."""
    function = request.extensions.get("trace")
    return None if function is None else Trace(function, request)
