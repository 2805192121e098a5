"""An entry: an item on its way through a run."""

from collections.abc import Iterable
from time import monotonic

from yarl import URL

from .item import Item
from .outcome import Attempt

__all__ = ["Entry", "host_of", "origin_of"]


class Entry:
    """Hold what a run knows of one item until it has its outcome. Of the run's thread only.

    `item` is what is asked for next: the input, or where a redirect has led it. Raises ValueError for what is no URL.
    """

    __slots__ = ("attempts", "given", "host", "index", "item", "origin", "redirects", "since")

    def __init__(self, index: int, item: Item, attempts: Iterable[Attempt] = ()) -> None:
        self.index = index
        self.given = item
        self.attempts = list(attempts)
        self.redirects: list[str] = []
        self.since = monotonic()  # since when it waits for its turn
        self.go_to(item)

    def go_to(self, item: Item) -> None:
        """Ask for this next: the input itself, or where a redirect leads. Raises ValueError for what is no URL."""
        url = URL(item.url, encoded=True)
        if url.scheme not in ("http", "https") or not url.raw_host:
            raise ValueError(f"no http or https URL: {item.url[:200]!r}")
        self.item = item
        self.host = host_of(url)
        self.origin = origin_of(url)


def host_of(url: URL) -> str:
    """Return host and port: what the pace of a host goes by."""
    return f"{url.raw_host}:{url.port}"


def origin_of(url: URL) -> str:
    """Return scheme, host and port: what one robots.txt is for."""
    return f"{url.scheme}://{url.raw_host}:{url.port}"
