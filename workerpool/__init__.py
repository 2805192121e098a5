"""HTTP at full speed from plain threaded Python.

A pool of worker threads; each owns one asyncio event loop and its own private aiohttp sessions. You write
ordinary blocking code, from any number of threads::

    from workerpool import WorkerPool

    with WorkerPool() as pool:
        print(pool.get("https://example.org/").status_code)
        for result in pool.fetch_many(["https://example.org/a", "https://example.org/b"]):
            print(result.request.url, result.response if result.ok else result.error)

**Without waiting**: `pool.submit(url)` returns a Job, a `concurrent.futures.Future` that can be awaited too;
`pool.submit(fn, *args)` runs `async def fn(session, *args)` beside the worker's private session.

**Errors** are typed and tell how far a request came: `except RequestError as error: error.stage, error.attempts`.
A status is no error until `response.raise_for_status()`.

**Several groups of requests** get lanes: `WorkerPool(lanes=[Lane("bulk", connections=4)])` and
`pool.lane("bulk").get(...)`; a private browser with cookies is `with pool.session() as browser:`.

**Limits**: `timeout` is the total to the last byte, 30 seconds unless set: from the call where somebody waits, else
from when the work has its place; bodies, redirects and queues are bounded. `workerpool.get(url)` and friends use
a pool of the process, `get_pool()`.
"""

import logging

from ._version import __version__
from .addresses import AddressRules
from .caller.pool import WorkerPool
from .caller.registry import configure, delete, get, get_pool, head, options, patch, post, put, request
from .caller.session import LaneView, PoolSession
from .caller.sse import ServerSentEvent
from .caller.streaming import StreamedResponse
from .caller.websocket import WebSocket
from .errors import (
    BodyTooLarge,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DeadlineExceeded,
    DecodingError,
    DNSError,
    Forbidden,
    ForkedPool,
    InvalidRequest,
    JSONDecodeError,
    PoolClosed,
    ProtocolError,
    ProxyError,
    QueueFull,
    ReadTimeout,
    RequestError,
    TLSError,
    TooManyRedirects,
    TruncatedBody,
    WorkerLost,
    WorkerPoolError,
    WrongThread,
)
from .handover.job import Job
from .lane import Lane
from .messages.request import Request
from .messages.response import HTTPStatusError, Response
from .messages.result import Result
from .settings import Rate, Retry, Timeout
from .stats import PoolStats

__all__ = [
    "AddressRules",
    "BodyTooLarge",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "DNSError",
    "DeadlineExceeded",
    "DecodingError",
    "Forbidden",
    "ForkedPool",
    "HTTPStatusError",
    "InvalidRequest",
    "JSONDecodeError",
    "Job",
    "Lane",
    "LaneView",
    "PoolClosed",
    "PoolSession",
    "PoolStats",
    "ProtocolError",
    "ProxyError",
    "QueueFull",
    "Rate",
    "ReadTimeout",
    "Request",
    "RequestError",
    "Response",
    "Result",
    "Retry",
    "ServerSentEvent",
    "StreamedResponse",
    "TLSError",
    "Timeout",
    "TooManyRedirects",
    "TruncatedBody",
    "WebSocket",
    "WorkerLost",
    "WorkerPool",
    "WorkerPoolError",
    "WrongThread",
    "__version__",
    "configure",
    "delete",
    "get",
    "get_pool",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
]

# A library is silent unless its user sets logging up.
logging.getLogger("workerpool").addHandler(logging.NullHandler())
del logging  # no name of ours
