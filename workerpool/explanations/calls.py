"""What each public call may raise."""

from dataclasses import dataclass

__all__ = ["CALLS", "Call"]


@dataclass(frozen=True, slots=True)
class Call:
    """What a call may raise, and what else is to be said of it."""

    raises: tuple[str, ...]
    also: str = ""


# Until an answer's head is there.
_SENDING = {
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "DNSError",
    "DeadlineExceeded",
    "Forbidden",
    "InvalidRequest",
    "PoolClosed",
    "ProtocolError",
    "ProxyError",
    "ReadTimeout",
    "RequestError",
    "TLSError",
    "TooManyRedirects",
    "WorkerLost",
}
_WHOLE = _SENDING | {"BodyTooLarge", "DecodingError", "TruncatedBody"}
_REFUSED = {"ForkedPool", "PoolClosed", "QueueFull"}
_BLOCKING = _REFUSED | {"WrongThread"}
_READING = {
    "BodyTooLarge",
    "ConnectionLost",
    "DeadlineExceeded",
    "DecodingError",
    "ForkedPool",
    "PoolClosed",
    "ProtocolError",
    "ReadTimeout",
    "TruncatedBody",
    "WorkerLost",
    "WrongThread",
}
_MESSAGES = {
    "BodyTooLarge",
    "ConnectionLost",
    "DeadlineExceeded",
    "ForkedPool",
    "PoolClosed",
    "ProtocolError",
    "WorkerLost",
    "WrongThread",
}
_TYPES = "A `TypeError` for keywords that it does not have."


def _call(*names: str, raises: set[str], also: str = "") -> dict[str, Call]:
    return {name: Call(tuple(sorted(raises)), also) for name in names}


# By whose they are: a lane and a session have the calls of the pool.
CALLS: dict[str, Call] = {
    **_call(
        "pool.get",
        "pool.options",
        "pool.head",
        "pool.post",
        "pool.put",
        "pool.patch",
        "pool.delete",
        "pool.request",
        "pool.send",
        raises=_WHOLE | _BLOCKING,
        also="What a middleware or another hook of yours raises, as it is.",
    ),
    **_call(
        "pool.submit",
        "pool.call",
        raises=_REFUSED | {"InvalidRequest", "WrongThread"},
        also="`WrongThread` only on a worker's own thread while the queue is full. The rest is the job's.",
    ),
    **_call(
        "job.result",
        "job.exception",
        raises=_WHOLE | {"ForkedPool", "WrongThread"},
        also="What the function raised, as it is; `concurrent.futures.CancelledError`; "
        "a plain `TimeoutError` after their own "
        "`timeout`, when the job goes on.",
    ),
    **_call(
        "pool.map",
        raises=_REFUSED | {"DeadlineExceeded", "InvalidRequest", "WorkerLost", "WrongThread"},
        also="The first error of a call, or of the inputs' iterator, in its place, as it is; "
        "a plain `TimeoutError` after `timeout`.",
    ),
    **_call(
        "pool.fetch_many",
        raises={"ForkedPool", "PoolClosed", "WorkerPoolError", "WrongThread"},
        also="`WorkerPoolError` where another thread closes the results. What the inputs' iterator raises, as it is."
        " What becomes of a request is in its `Result`.",
    ),
    **_call(
        "result.unwrap",
        raises=_WHOLE | {"WorkerPoolError"},
        also="All that a request can come to; cancelled, a `WorkerPoolError`.",
    ),
    **_call(
        "pool.stream",
        raises=_SENDING | _BLOCKING,
        also="At the beginning of the `with` block; what follows is the reader's.",
    ),
    **_call(
        "streamed.iter_bytes",
        "streamed.iter_lines",
        "streamed.iter_events",
        "streamed.iter_content",
        "streamed.read",
        raises=_READING,
        also="`BodyTooLarge` where `max_body` was given, and for a line or an event without end.",
    ),
    **_call(
        "pool.websocket",
        raises=(_SENDING - {"TooManyRedirects"}) | _BLOCKING,
        also="At the beginning of the `with` block. `ProtocolError`: the server opens no WebSocket.",
    ),
    **_call(
        "socket.send",
        "socket.recv",
        raises=_MESSAGES,
        also="`recv` after `timeout`: `DeadlineExceeded`; the socket goes on.",
    ),
    **_call("response.raise_for_status", raises={"HTTPStatusError"}),
    **_call("response.json", raises={"JSONDecodeError"}),
    **_call("pool.lane", raises={"InvalidRequest"}, also="Where no lane has the name."),
    **_call("pool.session", "pool.like", raises={"ForkedPool", "InvalidRequest", "PoolClosed"}, also=_TYPES),
    **_call("pool.drain", raises={"ForkedPool", "InvalidRequest", "WrongThread"}),
    **_call("pool.shutdown", raises={"InvalidRequest"}),
    **_call("pool.stats", raises=set()),
    **_call("WorkerPool", "Lane", raises={"InvalidRequest"}, also=_TYPES),
    **_call("Request", raises={"InvalidRequest"}, also=_TYPES),
    **_call("workerpool.configure", raises={"WorkerPoolError"}, also=_TYPES),
    **_call("workerpool.get_pool", raises={"InvalidRequest"}),
}
