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

import sys
from importlib import import_module
from os.path import basename
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING or basename(sys.argv[0]) not in ("-m", "workerpool"):
    from .face import *
else:  # the command, or `python -m workerpool`: its help and completion need no aiohttp, which takes 0.2 s to load

    def __getattr__(name: str) -> object:
        """Load the library at its first use. For the command only: a fork amid a load leaves the child locks."""
        if not name.startswith("__"):
            face = import_module(".face", __name__)
            globals().update({each: getattr(face, each) for each in face.__all__})
            if name in globals():
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "BodyTooLarge",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "DNSError",
    "DeadlineExceeded",
    "DecodingError",
    "ForkedPool",
    "HTTPStatusError",
    "InvalidRequest",
    "JSONDecodeError",
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
    "get_pool",
]
