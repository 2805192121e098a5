"""An entry: an item on its way through a run."""

from collections.abc import Iterable
from time import monotonic

from yarl import URL

from ..redaction import redact
from .item import Item
from .outcome import Attempt

__all__ = ["NOWHERE", "Entry", "host_of", "origin_of"]

NOWHERE = "-"  # the host of what has none


class Entry:
    """Hold what a run knows of one item until it has its outcome. Of the run's thread only.

    `item` is what is asked for next: the input, or where a redirect has led it. `problem` says what is wrong with its
    URL; such a one has no host.
    """

    __slots__ = ("attempts", "given", "home", "host", "index", "item", "origin", "problem", "redirects", "since")

    def __init__(self, index: int, item: Item, attempts: Iterable[Attempt] = (), *, host: str | None = None) -> None:
        self.index = index
        self.given = item
        self.attempts = list(attempts)
        self.redirects: list[str] = []
        self.since = monotonic()  # since when it waits for its turn
        if host is None or host == NOWHERE:
            self.go_to(item)
        else:  # found before, and kept: it takes as long as a tenth of a request to find it
            self.item, self.host, self.problem = item, host, None
            self.origin = f"{item.url.partition(':')[0].lower()}://{host}"
        self.home = self.origin

    @property
    def is_at_home(self) -> bool:
        """Whether no redirect has led it away from the origin that it was given for."""
        return self.origin == self.home

    def go_to(self, item: Item) -> None:
        """Ask for this next: the input itself, or where a redirect leads."""
        self.item = item
        self.host, self.origin, self.problem = _place(item.url)


def _place(url: str) -> tuple[str, str, str | None]:
    try:
        parts = URL(url, encoded=True)
        if parts.scheme in ("http", "https") and parts.raw_host:
            return host_of(parts), origin_of(parts), None
    except ValueError:
        pass
    return NOWHERE, "", f"{redact(url[:200])}: no http or https URL"


def host_of(url: URL) -> str:
    """Return host and port: what the pace of a host goes by."""
    return f"{url.raw_host}:{url.port}"


def origin_of(url: URL) -> str:
    """Return scheme, host and port: what one robots.txt is for."""
    return f"{url.scheme}://{url.raw_host}:{url.port}"
