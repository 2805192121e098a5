"""Several inputs as one, read one after the other, each from where it was left."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any, TypeAlias

from ..caller.anypool import AnyPool
from ..errors import WorkerPoolError
from .backlog import Source
from .errors import InputError
from .item import Item
from .sitemaps import SitemapTree, read_sitemap

__all__ = ["Gathered", "Listed", "SitemapInput", "is_sitemap"]

Part: TypeAlias = "Source | Sequence[str]"
_PIECE = 2**16


class Gathered:
    """Read the parts of an input in their order: URLs, or Sources. A mark says which part, and how far in it."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = [part if isinstance(part, Source) else Listed(part) for part in parts]

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

    What is wrong with it goes to `on_trouble`, and the reading goes on. A mark counts the pages: the same sitemaps,
    unchanged, are gone on with.
    """

    def __init__(
        self,
        source: str,
        pool: AnyPool,
        *,
        headers: Iterable[tuple[str, str]] = (),
        on_trouble: Callable[[str], object] = lambda _text: None,
    ) -> None:
        self._source = source
        self._pool = pool
        self._headers = tuple(headers)
        self._tell = on_trouble

    def read(self, mark: Any = None) -> Iterator[tuple[Item, Any]]:
        """Yield each page with the number behind it; with a number those that come after it."""
        done = mark or 0
        for number, url in enumerate(islice(self._urls(), done, None), done + 1):
            yield Item(url=url), number

    def _urls(self) -> Iterator[str]:
        tree = SitemapTree([self._source])
        for place in tree:
            yield from self._listed(place, tree)

    def _listed(self, place: str, tree: SitemapTree) -> Iterator[str]:
        base = place if _is_url(place) else None
        try:
            with ExitStack() as stack:
                pieces = self._pieces(place, stack)
                for entry in read_sitemap(pieces, base=base, on_trouble=lambda text: self._tell(f"{place}: {text}")):
                    if entry.kind == "page":
                        yield entry.url
                    elif (reason := tree.add(entry.url)) not in (None, "seen"):
                        self._tell(f"{place}: {entry.url} is left out, there are too many sitemaps ({reason})")
        except WorkerPoolError as exc:
            if place == self._source:
                raise InputError(f"the sitemap cannot be read: {exc}") from exc
            self._tell(str(exc))

    def _pieces(self, place: str, stack: ExitStack) -> Iterator[bytes]:
        if not _is_url(place):
            file = stack.enter_context(open(place, "rb"))  # noqa: SIM115  its end is the stack's
            return iter(lambda: file.read(_PIECE), b"")
        stream = stack.enter_context(self._pool.stream("GET", place, headers=self._headers))
        stream.raise_for_status()
        return stream.iter_bytes()


def is_sitemap(source: str) -> bool:
    """Whether an input is a sitemap, by its name: a URL, or a file that ends with .xml, packed or not."""
    name = source.lower().removesuffix(".gz")
    return _is_url(source) or name.endswith(".xml")


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))
