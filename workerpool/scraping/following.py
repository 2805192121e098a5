"""Following links: what a crawl goes on with from a page or a sitemap, and what it leaves out.

scope, traps = Scope(seeds, by="domain", depth=3), Traps()
onward = follow(scope, traps)
for outcome in Crawl(seeds, parse=onward, accepts=onward.accepts, key=url_key, sitemaps=True): ...
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..messages.response import Response
from .extracting import Extractor
from .item import Item
from .links import Link, Page
from .outcome import Outcome
from .scope import Scope
from .sitemaps import read_sitemap
from .traps import Traps

__all__ = ["Following", "follow", "sitemap_item"]

_KINDS = frozenset({"a", "area", "next", "prev", "canonical", "refresh", "frame"})
_PAGES = ("text/html", "application/xhtml+xml")
_SITEMAP = re.compile(rb"<(?:\w{1,20}:)?(?:urlset|sitemapindex)\b")
_HEAD = 4096  # bytes in which a sitemap's root is looked for
_GIVEN = "a sitemap that was given"  # parent of one that no page names


class Following:
    """Yield where each answer leads to, and its fields; to be the `parse` of a Crawl, on the run's thread.

    From pages links of all kinds, the canonical URL included, from sitemaps what they list: pages one level deeper,
    further sitemaps on the same level. `accepts` names the rule by which an item is left out: of the scope, such as
    `host` or `depth`, or of the traps, such as `trap:repeated-segment`.
    """

    def __init__(
        self, scope: Scope, traps: Traps | None = None, extractor: Extractor | None = None, *, nofollow: bool = True
    ) -> None:
        self._scope = scope
        self._traps = traps
        self._extractor = extractor
        self._nofollow = nofollow

    def __call__(self, outcome: Outcome) -> Iterator[Item | Mapping[str, Any]]:
        """Yield Items, and the fields."""
        response = outcome.response
        if response is None:
            return
        if self._traps is not None:
            self._traps.seen(response.url, response, took=response.elapsed)
        is_sitemap = response.ok and _is_sitemap(outcome.item, response)
        page = None if is_sitemap or not _is_page(response) else Page(response)
        if self._extractor is not None:
            yield self._extractor.extract(response, page)
        if is_sitemap:
            yield from _listed(outcome, response)
        elif page is not None and response.ok:
            yield from (_item(outcome, link) for link in page.links() if self._leads_on(link))

    def accepts(self, item: Item) -> str | None:
        """Return the rule by which an item is not asked for, or None."""
        if not _is_from_robots(item):
            reason = self._scope.reason(item.url, item.depth)
            if reason is not None:
                return reason
        trap = None if self._traps is None else self._traps.check(item.url)
        return None if trap is None else str(trap)

    def changes(self) -> Iterable[tuple[str, str | None]]:
        """Return what the traps have counted since the last call: a Crawl keeps it in its state."""
        return () if self._traps is None else self._traps.changes()

    def recall(self, kept: Iterable[tuple[str, str]]) -> None:
        """Have the traps go on counting from what was kept."""
        if self._traps is not None:
            self._traps.recall(kept)

    def _leads_on(self, link: Link) -> bool:
        return link.kind in _KINDS and not (link.nofollow and self._nofollow)


def follow(
    scope: Scope, traps: Traps | None = None, extractor: Extractor | None = None, *, nofollow: bool = True
) -> Following:
    """Return the `parse` of a crawl that stays within the scope; with `nofollow` links that say so are left alone."""
    return Following(scope, traps, extractor, nofollow=nofollow)


def sitemap_item(url: str) -> Item:
    """Return the item for a sitemap, to be an input of a crawl: what it lists is followed, also where it is text."""
    return Item(url=url, parent=_GIVEN)


def _item(outcome: Outcome, link: Link) -> Item:
    return Item(url=link.url, depth=outcome.item.depth + 1, parent=outcome.item.url)


def _listed(outcome: Outcome, response: Response) -> Iterator[Item]:
    for entry in read_sitemap([response.content], base=response.url):
        deeper = entry.kind == "page"
        yield Item(url=entry.url, depth=outcome.item.depth + deeper, parent=outcome.item.url)


def _is_from_robots(item: Item) -> bool:
    return item.parent == _GIVEN or (item.parent or "").endswith("/robots.txt")


def _is_sitemap(item: Item, response: Response) -> bool:
    if _is_from_robots(item) or _SITEMAP.search(response.content[:_HEAD]):
        return True
    return response.content[:2] == b"\x1f\x8b" and "sitemap" in response.url.lower()


def _is_page(response: Response) -> bool:
    kind = response.headers.get("Content-Type", "text/html").partition(";")[0].strip().lower()
    return kind in _PAGES
