"""Follow links: many pages at once, bounded, and polite to each host.

Run it: python examples/parallel_scraping.py [http://127.0.0.1:8080]; by itself it has a site of its own.
"""

import re
import sys
from urllib.parse import urljoin, urlsplit

from workerpool import Lane, Rate, Response, WorkerPool
from workerpool.testing import Site

MAX_PAGES = 50


def links(page: Response) -> set[str]:
    """Return the page's links to its own host."""
    host = urlsplit(page.url).netloc
    found = (urljoin(page.url, link) for link in re.findall(r'href="([^"#]+)"', page.text))
    return {link for link in found if urlsplit(link).netloc == host}


def crawl(start: str) -> dict[str, int]:
    """Return the size of every page reached, level by level."""
    polite = Lane("polite", per_host=4, per_host_rate=Rate(200), headers={"User-Agent": "example-crawler"})
    sizes: dict[str, int] = {}
    with WorkerPool(lanes=[polite]) as pool:
        level = {start}
        while level and len(sizes) < MAX_PAGES:
            following: set[str] = set()
            for result in pool.lane("polite").fetch_many(sorted(level)):
                if result.response is None or not result.ok:  # no answer, or one with a status of 400 or more
                    print("failed:", result.request, result.error or result.response)
                    continue
                sizes[result.response.url] = len(result.response.content)
                if "html" in result.response.headers.get("Content-Type", ""):
                    following |= links(result.response)
            level = following - sizes.keys()
    return sizes


def main(site: str) -> None:
    """Crawl from the site's pages."""
    pages = crawl(f"{site}/page/0")
    print(f"{len(pages)} pages, {sum(pages.values())} bytes")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Site().start().url)
