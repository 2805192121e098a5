"""HTTP at full speed from plain threaded Python.

A pool of worker threads; each owns one asyncio event loop and its own private aiohttp sessions. You write
ordinary blocking code, from any number of threads::

    from workerpool import WorkerPool

    with WorkerPool() as pool:
        print(pool.get("https://example.org/").status_code)
        for result in pool.fetch_many(["https://example.org/a", "https://example.org/b"]):
            print(result.request.url, result.response or result.error)

**Without waiting**: `pool.submit(url)` returns a Job, a `concurrent.futures.Future` that can be awaited too;
`pool.submit(fn, *args)` runs `async def fn(session, *args)` beside the worker's private session.

**Errors** are typed and tell how far a request came: `except RequestError as error: error.stage, error.attempts`.
A status is no error until `response.raise_for_status()`.

**Several groups of requests** get lanes: `WorkerPool(lanes=[Lane("bulk", connections=4)])` and
`pool.lane("bulk").get(...)`; a private browser with cookies is `with pool.session() as browser:`.

**Limits**: `timeout` is the total, from submit to the last byte, 30 seconds unless set; bodies, redirects and
queues are bounded. `workerpool.get(url)` and friends use a pool of the process, `get_pool()`.
"""

import logging

from ._version import __version__
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
    HTTPStatusError,
    InvalidRequest,
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
from .job import Job
from .lane import Lane
from .pool import WorkerPool
from .registry import configure, get_pool
from .registry import delete as delete
from .registry import get as get
from .registry import head as head
from .registry import options as options
from .registry import patch as patch
from .registry import post as post
from .registry import put as put
from .registry import request as request
from .request import Request as Request
from .response import Response, Result
from .settings import Rate, Retry, Timeout
from .stats import PoolStats
from .streaming import StreamedResponse
from .views import LaneView as LaneView
from .views import PoolSession

__all__ = [
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
    "Job",
    "Lane",
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
    "StreamedResponse",
    "TLSError",
    "Timeout",
    "TooManyRedirects",
    "TruncatedBody",
    "WorkerLost",
    "WorkerPool",
    "WorkerPoolError",
    "WrongThread",
    "__version__",
    "configure",
    "get_pool",
]

# A library is silent unless its user sets logging up.
logging.getLogger(__name__).addHandler(logging.NullHandler())
