"""What each request tells of who asks: who it is, what was given to be sent along, and a signature of its own."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from .entry import Entry
from .politeness import Politeness

__all__ = ["Headers", "Signs", "Telling"]

Headers: TypeAlias = Callable[[str], Iterable[tuple[str, str]]]


class Signs(Protocol):
    """Whoever signs requests, as `signing.Signer` does."""

    def headers(self, url: str) -> tuple[tuple[str, str], ...]:
        """Return the headers that sign one request to this URL."""


class Telling:
    """Make the headers of each request anew.

    `headers` returns what goes with a URL that was given or found; where a redirect leads to another origin it is not
    asked, since that may hold secrets. A signature is made for each request, wherever it goes. `each_hop` has the run
    follow redirects by itself: where each place that they lead to is to be judged.
    """

    def __init__(
        self,
        politeness: Politeness,
        headers: Headers | None = None,
        signer: Signs | None = None,
        *,
        each_hop: bool = False,
    ) -> None:
        self._who = politeness.headers
        self._headers = headers
        self._signer = signer
        self.follows: bool = not (politeness.robots or each_hop) and headers is None and signer is None

    def of(self, entry: Entry) -> tuple[tuple[str, str], ...]:
        """Return what goes with the request of an entry beside the item's own headers."""
        found = self._who + entry.conditions()
        if self._headers is not None and entry.is_at_home:
            found += tuple(self._headers(entry.item.url))
        return found if self._signer is None else found + self._signer.headers(entry.item.url)

    def of_rules(self, url: str) -> tuple[tuple[str, str], ...]:
        """Return what goes with the request for a robots.txt."""
        return self._who if self._signer is None else self._who + self._signer.headers(url)
