"""What a page holds: its links, title and text, and the fields that a run asks for.

for link in links_of(response):
    print(link.kind, link.url)
extract(response, {"title": "css:title", "price": "css:.price::attr(data-x)"})
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias
from urllib.parse import urldefrag, urljoin

try:
    from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError
except ImportError as _exc:
    raise ImportError(
        "workerpool.scraping.links needs an extra: pip install 'aiohttp-workerpool[scrape]'", name=_exc.name
    ) from _exc

from ..messages.response import Response

__all__ = ["Kind", "Link", "Page", "canonical_of", "is_selector", "links_of", "text_of", "title_of"]

Kind: TypeAlias = Literal["a", "area", "next", "prev", "canonical", "alternate", "refresh", "frame"]

_LARGEST = 2**23  # characters of a page that are looked at
# Steps of the parser beyond its first look at each character: for each tag it looks through the elements that are open,
# for each attribute through those before it. So many take it about half a second.
_BUDGET = 10**8
_LONGEST_URL = 8192
_LONGEST_TITLE = 1000
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*+)")
_ATTRIBUTE = r"""[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'>][^\s>]*+)?+)?+"""
_ATTRIBUTES = re.compile(_ATTRIBUTE)
_MANY = re.compile(rf"<[a-zA-Z][^\s/>]*+((?:{_ATTRIBUTE}){{500,}}+)")
# Elements that have no end, or may be left without: they are not nested within themselves.
_UNNESTED = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
        "p",
        "li",
        "td",
        "th",
        "tr",
        "dd",
        "dt",
        "option",
        "optgroup",
        "thead",
        "tbody",
        "tfoot",
        "colgroup",
        "rp",
        "rt",
    ]
)
_BLANKS = re.compile("[\t\r\n]")  # browsers take them out of URLs
_WEB = re.compile(r"https?://[^/?#]", re.IGNORECASE)
_NO_HOST = re.compile(r"https?:/*(?:[?#].*)?", re.IGNORECASE)  # joined, it would be the page itself
_REFRESH = re.compile(r"""\s*+[\d.]*+\s*+[;,]?\s*+(?:url\s*+=\s*+)?(["']?)(.*)\1""", re.IGNORECASE | re.DOTALL)
_SELECTOR = "a[href], area[href], link[rel][href], meta[http-equiv][content], iframe[src], frame[src]"
_RELATIONS: tuple[Kind, ...] = ("canonical", "next", "prev", "alternate")
_NOT_SHOWN = ["script", "style", "noscript", "template", "head"]


@dataclass(frozen=True, slots=True)
class Link:
    """Hold where a page leads: an absolute URL of the web without fragment, and by what kind of element.

    `nofollow` is what the link says of itself, or meta robots of all links of the page.
    """

    url: str
    kind: Kind
    nofollow: bool = False


class Page:
    """Hold a page that was parsed once, to be asked for several things.

    Of a page beyond 8 MiB of text, or one nested so deep, or with so many attributes to a tag, that the parser would
    take much longer than its length tells, only the beginning is looked at; `is_cut` says so.
    """

    def __init__(self, source: "Response | bytes | str", base: str | None = None) -> None:
        html = _html(source)
        end = _bounded_end(html)
        self.is_cut: bool = end < len(html)
        self.url: str = base or (source.url if isinstance(source, Response) else "")
        self.tree: LexborHTMLParser = LexborHTMLParser(html[:end])
        self.base: str = self._base()

    def links(self, most: int = 10_000) -> Iterator[Link]:
        """Yield the links in the order of the page, at most so many."""
        return islice(self._links(), most)

    def canonical(self) -> str | None:
        """Return the URL that the page calls its own."""
        return next((link.url for link in self._links() if link.kind == "canonical"), None)

    def title(self) -> str | None:
        """Return the title, in one line."""
        node = self.tree.css_first("title")
        return " ".join(node.text().split())[:_LONGEST_TITLE] or None if node is not None else None

    def text(self) -> str:
        """Return the text that is shown, a blank between two pieces."""
        tree = self.tree.clone()
        tree.strip_tags(_NOT_SHOWN)
        return " ".join(tree.text(separator=" ").split())

    def robots(self) -> frozenset[str]:
        """Return the words of meta robots."""
        found = (node.attributes.get("content") or "" for node in self.tree.css('meta[name="robots" i]'))
        return frozenset(word.strip().lower() for content in found for word in content.split(",") if word.strip())

    def _base(self) -> str:
        node = self.tree.css_first("base[href]")
        return (_joined(self.url, _attribute(node, "href")) if node is not None else None) or self.url

    def _links(self) -> Iterator[Link]:
        none_followed = bool(self.robots() & {"nofollow", "none"})
        for node in self.tree.css(_SELECTOR):
            for kind, given in _named(node):
                if (url := _joined(self.base, given)) is not None:
                    yield Link(url, kind, none_followed or "nofollow" in _attribute(node, "rel").lower().split())


def links_of(source: "Page | Response | bytes | str", base: str | None = None, *, most: int = 10_000) -> Iterator[Link]:
    """Yield the links of a page; those that lead out of the web, such as mailto:, are left out."""
    return _page(source, base).links(most)


def canonical_of(source: "Page | Response | bytes | str", base: str | None = None) -> str | None:
    """Return the URL that the page calls its own."""
    return _page(source, base).canonical()


def title_of(source: "Page | Response | bytes | str") -> str | None:
    """Return the title of a page, in one line."""
    return _page(source, None).title()


def text_of(source: "Page | Response | bytes | str") -> str:
    """Return the text of a page that is shown."""
    return _page(source, None).text()


def _page(source: "Page | Response | bytes | str", base: str | None) -> Page:
    return source if isinstance(source, Page) else Page(source, base)


def _html(source: "Response | bytes | str") -> str:
    text = source.text if isinstance(source, Response) else source
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if _has_surrogates(text) else text


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _bounded_end(html: str) -> int:
    """Return how much of the page can be parsed within the budget: mostly all, which is seen without looking closer."""
    html = html[:_LARGEST]
    end = len(html)
    if html.count("<") ** 2 > 2 * _BUDGET:
        end = _end_by_depth(html)
    return min(end, _end_by_attributes(html)) if (len(html) // 2) ** 2 > 2 * _BUDGET else end


def _end_by_depth(html: str) -> int:
    """Return where the open elements have cost too much; each end closes one of its own name."""
    depth = work = 0
    opened: Counter[str] = Counter()
    for tag in _TAG.finditer(html):
        name = tag[2].lower()
        if name in _UNNESTED:
            pass
        elif not tag[1]:
            opened[name] += 1
            depth += 1
        elif opened[name]:
            opened[name] -= 1
            depth -= 1
        work += depth
        if work > _BUDGET:
            return tag.start()
    return len(html)


def _end_by_attributes(html: str) -> int:
    """Return where the attributes of single tags have cost too much."""
    work = 0
    for tag in _MANY.finditer(html):
        work += sum(1 for _ in _ATTRIBUTES.finditer(tag[1])) ** 2 // 2
        if work > _BUDGET:
            return tag.start()
    return len(html)


def _attribute(node: LexborNode, name: str) -> str:
    return node.attributes.get(name) or ""


def _named(node: LexborNode) -> Iterator[tuple[Kind, str]]:
    """Yield what an element leads to, unless it leads nowhere."""
    tag = node.tag
    if tag == "a":
        yield "a", _attribute(node, "href")
    elif tag == "area":
        yield "area", _attribute(node, "href")
    elif tag in ("iframe", "frame"):
        yield "frame", _attribute(node, "src")
    elif tag == "meta":
        if _attribute(node, "http-equiv").strip().lower() == "refresh" and (
            found := _REFRESH.fullmatch(_attribute(node, "content")[:_LONGEST_URL])
        ):
            yield "refresh", found[2]
    else:
        relations = _attribute(node, "rel").lower().split()
        if kind := next((each for each in _RELATIONS if each in relations and "stylesheet" not in relations), None):
            yield kind, _attribute(node, "href")


def _joined(base: str, given: str) -> str | None:
    """Return the absolute URL without fragment; None for what is none of the web, or only a place in the page."""
    given = _BLANKS.sub("", given).strip(" \x0c")
    if not given or given.startswith("#") or len(given) > _LONGEST_URL or _NO_HOST.fullmatch(given):
        return None
    try:
        url = urldefrag(urljoin(base, given)).url
    except ValueError:
        return None
    return url if _WEB.match(url) and len(url) <= _LONGEST_URL else None


def is_selector(text: str) -> bool:
    """Whether the parser knows what is meant."""
    try:
        LexborHTMLParser("").css(text)
    except SelectolaxError:
        return False
    return True
