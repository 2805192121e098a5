"""Several inputs as one, read one after the other, each from where it was left."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from ..caller.anypool import AnyPool
from ..redaction import redact
from .backlog import Ask, Asks, Source
from .errors import InputError
from .item import Item
from .outcome import Outcome
from .politeness import Politeness
from .sitemaps import SitemapTree, read_sitemap
from .telling import Signs

__all__ = ["Gathered", "Listed", "SitemapInput", "is_sitemap"]

Part: TypeAlias = "Source | Sequence[str]"
_PIECE = 2**16


class Gathered:
    """Read the parts of an input in their order: URLs, or Sources. A mark says which part, and how far in it."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = [part if isinstance(part, Source) else Listed(part) for part in parts]

    def ask_by(self, ask: Ask) -> None:
        """Have those parts that ask for something do so by this."""
        for part in self._parts:
            if isinstance(part, Asks):
                part.ask_by(ask)

    def read(self, mark: Any = None) -> Iterator[tuple[Item, Any] | None]:
        """Yield each item with the mark behind it; with a mark those that come after it."""
        first, inner = mark or (0, None)
        for number, part in enumerate(self._parts[first:], first):
            for found in part.read(inner if number == first else None):
                yield None if found is None else (found[0], [number, found[1]])


class Listed:
    """Read items, or URLs, that are at hand. A mark counts them."""

    def __init__(self, items: Iterable[Item | str]) -> None:
        self._items = [each if isinstance(each, Item) else Item(url=each) for each in items]

    def read(self, mark: Any = None) -> Iterator[tuple[Item, Any]]:
        """Yield each with the number behind it; with a number those that come after it."""
        yield from islice(((item, number) for number, item in enumerate(self._items, 1)), mark or 0, None)


class SitemapInput:
    """Read the pages that a sitemap lists, in a file or at a URL, and in those that it names.

    What is at a URL is asked for as the run asks for its items: by robots.txt, the pace of its host, and signed;
    outside of a run, for a forecast, by a run of its own, with this pool, politeness and signer. What is wrong with a
    sitemap goes to `on_trouble`, and the reading goes on. A mark counts the pages: the same sitemaps, unchanged, are
    gone on with.
    """

    def __init__(
        self,
        source: str,
        pool: AnyPool | None = None,
        *,
        politeness: Politeness | None = None,
        signer: Signs | None = None,
        on_trouble: Callable[[str], object] = lambda _text: None,
    ) -> None:
        self._source = source
        self._alone = {"pool": pool, "politeness": politeness, "signer": signer}
        self._tell = on_trouble
        self._ask: Ask = self._ask_alone

    def ask_by(self, ask: Ask) -> None:
        """Take what asks for a sitemap."""
        self._ask = ask

    def read(self, mark: Any = None) -> Iterator[tuple[Item, Any] | None]:
        """Yield each page with the number behind it; with a number those that come after it; None while one waits."""
        done, number = mark or 0, 0
        for url in self._urls():
            number += url is not None
            if url is None:
                yield None
            elif number > done:
                yield Item(url=url), number

    def _urls(self) -> Iterator[str | None]:
        tree = SitemapTree([self._source])
        for place in tree:
            if not _is_url(place):
                with open(place, "rb") as file:
                    yield from self._listed(place, None, iter(partial(file.read, _PIECE), b""), tree)
                continue
            found: list[Outcome] = []
            self._ask(Item(url=place), found.append)
            while not found:
                yield None
            answer = found[0].response
            if answer is None or not answer.ok or found[0].verdict != "fetched":
                self._give_up(place, found[0])
            else:
                yield from self._listed(place, answer.url, [answer.content], tree)

    def _listed(self, place: str, base: str | None, pieces: Iterable[bytes], tree: SitemapTree) -> Iterator[str]:
        for entry in read_sitemap(pieces, base=base, on_trouble=lambda text: self._tell(f"{place}: {text}")):
            if entry.kind == "page":
                yield entry.url
            elif (reason := tree.add(entry.url)) not in (None, "seen"):
                self._tell(f"{place}: {entry.url} is left out, there are too many sitemaps ({reason})")

    def _give_up(self, place: str, outcome: Outcome) -> None:
        """Say why a sitemap cannot be had; without the first one there is no input. Raises InputError."""
        answer, error = outcome.response, outcome.error
        if error is not None:
            why = str(error)
        elif answer is not None and outcome.verdict == "fetched":
            why = f"status {answer.status_code}"
        else:
            why = f"robots.txt forbids it ({outcome.reason})"
        text = f"the sitemap {redact(place)} cannot be read: {why}"
        if place == self._source:
            raise InputError(text) from error
        self._tell(text)

    def _ask_alone(self, item: Item, tell: Callable[[Outcome], object]) -> None:
        from .crawl import Crawl  # it is above, for all but a forecast

        for outcome in Crawl([item], **self._alone):  # type: ignore[arg-type]
            tell(outcome)


def is_sitemap(source: str) -> bool:
    """Whether an input is a sitemap, by its name: a URL, or a file that ends with .xml, packed or not."""
    name = source.lower().removesuffix(".gz")
    return _is_url(source) or name.endswith(".xml")


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))
