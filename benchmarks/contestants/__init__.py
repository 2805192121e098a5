"""The contestants: each a function that makes `requests` checked requests to one URL."""

from .floor import by_hand, floor
from .jobs import noop_executor, noop_pool
from .pool import blocking, bulk, futures
from .rivals import httpx_threads, pycurl_threads, requests_threads, urllib3_threads
from .task import Contestant

__all__ = ["CONTESTANTS", "FLOOR", "NOOP_FLOOR"]

FLOOR, NOOP_FLOOR = "aiohttp", "noop-executor"

# The share of the requests that a slow contestant gets, so that all take about as long.
CONTESTANTS: dict[str, tuple[Contestant, float]] = {
    FLOOR: (floor, 1.0),
    "pool-bulk": (bulk, 1.0),
    "pool-futures": (futures, 1.0),
    "pool-blocking": (blocking, 0.7),
    "run-coroutine-threadsafe": (by_hand, 0.5),
    "requests-threads": (requests_threads, 0.1),
    "urllib3-threads": (urllib3_threads, 0.3),
    "httpx-threads": (httpx_threads, 0.1),
    "pycurl-threads": (pycurl_threads, 1.0),
    NOOP_FLOOR: (noop_executor, 1.0),
    "noop-pool": (noop_pool, 1.0),
}
