"""Crawl with code of your own: what is taken from a page, where it goes, how hosts are treated.

Run it: python examples/polite_crawl.py [http://127.0.0.1:8080]; by itself it has a site of its own.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping

from workerpool.scraping import Crawl, Outcome, Page, Politeness, Scope, url_key
from workerpool.testing import Site


def read(outcome: Outcome) -> Iterator[str | Mapping[str, object]]:
    """Yield links and a field; in a process of its own, so it may take its time."""
    assert outcome.response is not None
    page = Page(outcome.response)
    yield {"words": Counter(re.findall(r"\w+", page.text().lower())).most_common(3)}
    yield from (link.url for link in page.links())


class Board:
    """A sink: keep the fields in memory. One in a file returns from `flush` how far it is, to be cut back to that."""

    def __init__(self) -> None:
        self.words: Counter[str] = Counter()

    def open(self, position: Mapping[str, int] | None) -> None:
        """Begin."""

    def write(self, outcome: Outcome) -> None:
        """Take an outcome."""
        self.words.update(dict(outcome.fields.get("words", ())))

    def flush(self) -> Mapping[str, int]:
        """Have nothing to come back to."""
        return {}

    def close(self) -> None:
        """End: the run is complete."""

    def abandon(self) -> None:
        """End: the run has stopped before."""


def main(site: str) -> None:
    """Crawl from one page, thirty pages at most."""
    scope, board = Scope([site], depth=4), Board()
    crawl = Crawl(
        [f"{site}/page/0"],
        parse=read,
        processes=1,
        accepts=lambda item: scope.reason(item.url, item.depth),
        key=url_key,
        sinks=[board],
        politeness=Politeness(robots=True, per_host=4, per_host_rate=200, contact="https://example.org/bot"),
        max_pages=30,
    )
    for outcome in crawl:
        print(outcome.verdict, outcome.url, outcome.reason or "")
    print(crawl.summary.fetched, "pages; most frequent:", board.words.most_common(3))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Site().start().url)
