"""Submit jobs, take them as they finish, put some first, cancel others.

Run it: python examples/job_submission.py [http://127.0.0.1:8080]; by itself it has a site of its own.
"""

import sys
from concurrent.futures import Future, as_completed

import aiohttp

from workerpool import Lane, Request, Response, WorkerPool
from workerpool.testing import Site


async def title(session: aiohttp.ClientSession, url: str) -> str:
    """Return a page's title; an ordinary aiohttp function."""
    async with session.get(url) as response:
        page = await response.text()
    return page.partition("<title>")[2].partition("</title>")[0]


def main(site: str) -> None:
    """Run jobs of every kind."""
    with WorkerPool(lanes=[Lane("narrow", connections=1)]) as pool:
        jobs: dict[Future[Response], int] = {pool.submit(f"{site}/fast/{n}"): n for n in range(10)}
        for done in as_completed(jobs):
            print(f"page {jobs[done]}: {done.result().status_code}")

        print("title:", pool.submit(title, f"{site}/").result())

        narrow = pool.lane("narrow")  # one at a time, so the order can be seen
        first = narrow.submit(f"{site}/slow/0")
        later = [narrow.submit(Request(f"{site}/fast/{n}", priority=n)) for n in (1, 9, 5)]
        order: list[str] = []
        for job in later:
            job.add_done_callback(lambda done: order.append(done.result().url.rpartition("/")[2]))
        print("the first:", first.result().text, "by", first.worker)
        pool.drain()
        print("then in order of priority:", order)

        print("in time:", len(pool.call(title, f"{site}/", timeout=5, priority=1).result()), "letters")
        unwanted = narrow.submit(f"{site}/slow/1?delay=30")
        print("cancelled:", unwanted.cancel())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Site().start().url)
