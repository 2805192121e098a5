"""What is measured: which contestants meet, over what load, and to whom each is compared."""

from dataclasses import dataclass

__all__ = ["SCENARIOS", "Scenario"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load and who takes part in it; the first contestant is the floor that the others' ratios are to."""

    title: str
    contestants: tuple[str, ...]
    requests: int = 2_000  # per turn; slow contestants make fewer
    rounds: int = 25
    connections: int = 32
    size: int = 1024  # bytes of a body
    latency: float | None = None  # seconds that a server of our own takes for each answer; None: the fastest server
    upload: bool = False  # the body is the request's
    packed: bool = False  # the answer comes as gzip
    tls: bool = False  # each contestant verifies the server's certificate
    closes: bool = False  # the server closes a connection after one answer
    headers: int = 0  # of the caller's, with each request
    alone: bool = False  # a process ends after its turn: together they would need more connections than there may be


_SMALL = ("aiohttp", "pool-bulk", "pool-futures", "pool-blocking", "run_coroutine_threadsafe", "pycurl-threads",
          "pyreqwest-threads", "urllib3-threads", "niquests-threads", "httpx-threads", "requests-threads")  # fmt: skip
_BY_TLS = ("aiohttp", "pool-bulk", "pool-futures", "pool-blocking", "pycurl-threads", "pyreqwest-threads",
           "urllib3-threads", "requests-threads")  # fmt: skip
_ONE = ("aiohttp", "pool-blocking", "pycurl-threads", "urllib3-threads", "requests-threads")
_HEADED = ("aiohttp", "pool-bulk", "pool-futures", "pool-blocking", "pycurl-threads", "pyreqwest-threads")
_HANDED_OVER = ("noop-executor", "noop-pool", "noop-by-hand", "noop-loop")
_MANY = ("aiohttp", "pool-bulk", "pool-futures")
_KIB, _MIB = 2**10, 2**20

SCENARIOS = {
    "small": Scenario("small answers", _SMALL),
    "headers": Scenario("small answers, ten headers with each request", _HEADED, headers=10),
    "tls": Scenario("small answers over TLS", _BY_TLS, tls=True),
    "tls-new": Scenario("small answers over TLS, a new connection for each", _BY_TLS,
                        requests=300, tls=True, closes=True),
    "one": Scenario("one caller, one request after the other", _ONE, requests=500, connections=1),
    "many": Scenario("2,000 at once, 200 ms upstream", _MANY,
                     requests=10_000, rounds=7, connections=2_000, latency=0.2),
    "more": Scenario("10,000 at once, 200 ms upstream", _MANY,
                     requests=30_000, rounds=3, connections=10_000, latency=0.2, alone=True),
    "download": Scenario("a body of 100 MiB, read as it comes", ("aiohttp-download", "pool-download"),
                         requests=3, rounds=25, connections=1, size=100 * _MIB),
    "upload": Scenario("a body of 100 MiB, sent from a file", ("aiohttp-upload", "pool-upload"),
                       requests=3, rounds=25, connections=1, size=100 * _MIB, latency=0, upload=True),
    "64k": Scenario("bodies of 64 KiB", ("aiohttp", "pool-bulk", "pool-blocking"), requests=1_000, size=64 * _KIB),
    # How much faster isal is than zlib is the processor's: the floor has it, too; what is left is the pool's.
    "gzip": Scenario("bodies of 1 MiB, packed", ("aiohttp-isal", "aiohttp", "pool-bulk"),
                     requests=200, connections=8, size=_MIB, packed=True),
    "gzip-4k": Scenario("bodies of 4 KiB, packed", ("aiohttp-isal", "aiohttp", "pool-bulk", "pool-blocking"),
                        size=4 * _KIB, packed=True),
    "noop": Scenario("jobs that do nothing", _HANDED_OVER),
    "round-trip": Scenario("one job that does nothing after the other", _HANDED_OVER, requests=1_000, connections=1),
    "drop-in": Scenario("50 threads that share one session", ("requests-session", "requests-pool"),
                        requests=10_000, rounds=15, connections=50),
    "cores": Scenario("one worker and two", ("pool-bulk-1", "pool-bulk-2", "aiohttp")),
}  # fmt: skip
