"""The aiohttp document "The aiohttp Request Lifecycle", its questions answered by the pool.

Run it: python examples/lifecycle.py [http://127.0.0.1:8080]; by itself it has a site of its own.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import aiohttp

from workerpool import Lane, configure, get_pool
from workerpool.testing import Site


async def fetch(session: aiohttp.ClientSession, url: str) -> str:
    """Show the three awaits of one request: headers (enter), body (text), connection given back (exit)."""
    async with session.get(url) as response:
        return await response.text()


class Shop:
    """Hold one session for a whole program: a client class over a lane of the process-wide pool."""

    def __init__(self, lane: str) -> None:
        self._http = get_pool("shop").lane(lane)

    def article(self, number: int) -> str:
        """Return one article."""
        return self._http.get(f"/fast/{number}").text


def connector() -> aiohttp.TCPConnector:
    """Tune the pool with a connector; called on each worker's loop, since no connector is shared."""
    return aiohttp.TCPConnector(keepalive_timeout=60, ttl_dns_cache=300)


def main(site: str) -> None:
    """Walk through the document."""
    configure(
        "shop",
        workers=2,
        lanes=[
            Lane("articles", base_url=site, headers={"Accept-Language": "en"}),  # a common configuration
            Lane("urgent", connections=0),  # never queues
            Lane("bulk", connections=2, queue=100_000),  # a small limit and a very long queue
            Lane("tuned", connector=connector),
        ],
    )
    pool = get_pool("shop")  # the same from anywhere in the process
    print(len(pool.submit(fetch, f"{site}/fast/1").result()), "bytes by the unchanged function")
    print(len(Shop("articles").article(7)), "bytes by the client class")

    with ThreadPoolExecutor(4) as threads:  # several threads: nothing they share can be corrupted
        print(sum(response.ok for response in threads.map(pool.get, [f"{site}/fast/{n}" for n in range(20)])), "pages")

    bulk = [pool.lane("bulk").submit(f"{site}/slow/{n}?delay=0.05") for n in range(20)]
    print(pool.lane("urgent").get(f"{site}/fast/2").status_code, "while", sum(not job.done() for job in bulk), "wait")
    print(pool.lane("tuned").get(f"{site}/fast/3").status_code, "over a tuned connector")
    pool.shutdown()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Site().start().url)
