"""A ThreadPoolExecutor program before and after: the threads stay, the sessions become the pool's.

Run it: python examples/legacy_threads.py [http://127.0.0.1:8080]; by itself it has a site of its own.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import requests

from workerpool import WorkerPool
from workerpool.testing import Site


def before(urls: list[str]) -> int:
    """Fetch with one requests.Session that all threads share, which requests does not promise to bear."""
    session = requests.Session()
    with ThreadPoolExecutor(8) as threads:
        return sum(len(session_get.content) for session_get in threads.map(session.get, urls))


def after(urls: list[str]) -> int:
    """Fetch with the pool: the same threads and calls, one line changed."""
    with WorkerPool() as session, ThreadPoolExecutor(8) as threads:
        return sum(len(response.content) for response in threads.map(session.get, urls))


def after_without_threads(urls: list[str]) -> int:
    """Fetch as many at once with no thread of one's own."""
    with WorkerPool() as pool:
        return sum(len(result.unwrap().content) for result in pool.fetch_many(urls))


def main(site: str) -> None:
    """Show that all three see the same bytes."""
    urls = [f"{site}/fast/{n}" for n in range(40)]
    print(f"before: {before(urls)} bytes, after: {after(urls)}, without threads: {after_without_threads(urls)}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Site().start().url)
