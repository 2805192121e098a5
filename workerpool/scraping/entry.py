"""An entry: an item on its way through a run."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from time import monotonic

from yarl import URL

from ..errors import ConnectError, ConnectionLost, ConnectTimeout, WorkerPoolError
from ..redaction import redact
from .item import Item
from .outcome import Attempt, Outcome, Saved
from .validators import Validators, asks_plainly

__all__ = ["NOWHERE", "Entry", "host_of", "is_unreachable", "origin_of"]

NOWHERE = "-"  # the host of what has none
_AUTHORITY = re.compile(r"(?:[^/?#]*//[^/?#]*)?")  # scheme, user, host and port


class Entry:
    """Hold what a run knows of one item until it has its outcome. Of the run's thread only.

    `item` is what is asked for next: the input, or where a redirect has led it. `problem` says what is wrong with its
    URL; such a one has no host. `before` is what an earlier round has kept of it. `aside` takes the outcome of what is
    no input of the run, and in no record of it.
    """

    __slots__ = (
        "aside", "attempts", "before", "given", "home", "host", "index", "is_large", "is_stale", "item",
        "may_be_unchanged", "origin", "problem", "redirects", "saved", "since", "was_conditional",
    )  # fmt: skip

    def __init__(
        self,
        index: int,
        item: Item,
        attempts: Iterable[Attempt] = (),
        before: Validators | None = None,
        *,
        host: str | None = None,
    ) -> None:
        self.index: int = index
        self.given: Item = item
        self.before: Validators | None = before
        self.saved: Saved | None = None  # the body of its answer, where that is in a file
        self.is_large: bool = False  # too large for memory
        self.is_stale: bool = False  # its answer was to be the rest of a file that is another one now
        self.may_be_unchanged: bool = True  # there is still what came before
        self.was_conditional: bool = False  # what was asked last
        self.attempts: list[Attempt] = list(attempts)
        self.redirects: list[str] = []
        self.aside: Callable[[Outcome], object] | None = None
        self.problem: str | None = None
        self.since: float = monotonic()  # since when it waits for its turn
        if host is None or host == NOWHERE:
            self.go_to(item)
        else:  # found before, and kept: it takes as long as a tenth of a request to find it
            self.item: Item = item
            self.host: str = host
            self.origin: str = f"{item.url.partition(':')[0].lower()}://{host}"
        self.home: str = self.origin

    @property
    def is_at_home(self) -> bool:
        """Whether no redirect has led it away from the origin that it was given for."""
        return self.origin == self.home

    def conditions(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that ask for it only if it has changed: where it is what has answered before."""
        if (
            self.before is None
            or not self.may_be_unchanged
            or self.item.url != self.before.url
            or not asks_plainly(self.item)
        ):
            return ()
        return self.before.conditions

    def go_to(self, item: Item) -> None:
        """Ask for this next: the input itself, or where a redirect leads."""
        self.item = item
        self.host, self.origin, self.problem = _place(item.url)


def _place(url: str) -> tuple[str, str, str | None]:
    found = _place_of(_AUTHORITY.match(url)[0])  # type: ignore[index]  # it matches anything
    return found or (NOWHERE, "", f"{redact(url[:200])}: no http or https URL")


@lru_cache(1024)
def _place_of(authority: str) -> tuple[str, str, None] | None:
    """Return what the first part of a URL tells: the same for all pages of a site."""
    with suppress(ValueError, IndexError):  # yarl has both for what it cannot read
        parts = URL(authority, encoded=True)
        if parts.scheme in ("http", "https") and parts.raw_host:
            return host_of(parts), origin_of(parts), None
    return None


def host_of(url: URL) -> str:
    """Return host and port: what the pace of a host goes by."""
    return f"{url.raw_host}:{url.port}"


def origin_of(url: URL) -> str:
    """Return scheme, host and port: what one robots.txt is for."""
    return f"{url.scheme}://{url.raw_host}:{url.port}"


def is_unreachable(error: WorkerPoolError, host: str) -> bool:
    """Whether the host could not be reached, or has gone away, and not one that it has redirected to."""
    if not isinstance(error, ConnectError | ConnectionLost | ConnectTimeout):
        return False
    try:
        return host_of(URL(error.url)) == host
    except (ValueError, IndexError):
        return False
