"""What belongs to a crawl, and when two URLs are one.

scope = Scope(["https://example.org/"], by="domain", deny=[r"/login"], depth=3)
scope.reason("https://shop.example.org/login", depth=1)  # "denied"
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from yarl import URL

try:
    from publicsuffixlist import PublicSuffixList
    from w3lib.url import canonicalize_url
except ImportError as _exc:
    raise ImportError(
        "workerpool.scraping.scope needs an extra: pip install 'aiohttp-workerpool[scrape]'", name=_exc.name
    ) from _exc

from ..errors import InvalidRequest
from ..messages.url import parse_url
from .patterns import compiled

__all__ = ["Reason", "Scope", "canonical_url", "registrable_domain", "url_key"]

By: TypeAlias = Literal["host", "domain", "prefix"]
Reason: TypeAlias = Literal["malformed", "scheme", "depth", "host", "domain", "prefix", "denied", "not-allowed"]

_PORTS = {"http": 80, "https": 443}
_ADDRESS = re.compile(r"[\d.]+|.*:.*")
# Of where a visitor came from and who he is: not of the page.
_TRACKING = re.compile(
    r"utm_\w+|gclid|gclsrc|dclid|gbraid|wbraid|fbclid|msclkid|yclid|twclid|ttclid|li_fat_id|igshid|mc_[ce]id|_gl"
    r"|phpsessid|jsessionid|aspsessionid\w*",
    re.IGNORECASE,
)
# As it is its own form: most are, and w3lib takes ten times as long to say so.
_CANONICAL = re.compile(r"https?://(?!\d)[a-z0-9-]++(?:\.[a-z0-9-]++)*+/(?!/)(?:[\w~-]++|(?<!/)\.|(?<!/)/)*+", re.ASCII)
_UPWARDS = re.compile(r"/(?:\.|%2e){2}(?:/|$)", re.IGNORECASE)  # a server may take it for the folder above
_SESSION = re.compile(r";jsessionid=[^/;?]*", re.IGNORECASE)


class Scope:
    """Say which URLs belong to a crawl that begins with the seeds.

    `by` is what they must have in common with one of them: "host" with its port, the registrable "domain" (of the
    public suffix list, ports and all subdomains included), or host and folder, "prefix". http and https are one.
    `deny` and `allow` are regular expressions, searched for in the URL as it is sent: none of the first may be found,
    and one of the second must be, if there are any. `depth` is how many links may lie between a seed and a page.
    Raises InvalidRequest for a seed that is no URL, and ValueError.
    """

    def __init__(
        self,
        seeds: Iterable[str],
        *,
        by: By = "host",
        allow: Iterable[str] = (),
        deny: Iterable[str] = (),
        depth: int | None = None,
        schemes: Iterable[str] = ("http", "https"),
    ) -> None:
        if by not in ("host", "domain", "prefix"):
            raise ValueError(f"by must be host, domain or prefix, not {by!a}")
        if depth is not None and depth < 0:
            raise ValueError(f"depth must be at least 0, not {depth}")
        self._by = by
        self._allow = [compiled(each) for each in allow]
        self._deny = [compiled(each) for each in deny]
        self._depth = depth
        self._schemes = frozenset(each.lower() for each in schemes)
        self._places = frozenset(self._place(_seed(each)) for each in seeds)
        self._folders = tuple(sorted(self._places)) if by == "prefix" else ()
        if not self._places:
            raise ValueError("a scope needs at least one seed")

    def reason(self, url: str, depth: int = 0) -> Reason | None:
        """Return by which rule a URL is not within the scope; None if it is."""
        parsed = _parsed(url)
        if parsed is None:
            return "malformed"
        if parsed.scheme not in self._schemes:
            return "scheme"
        if self._depth is not None and depth > self._depth:
            return "depth"
        if not self._has(parsed):
            return self._by
        text = str(parsed)
        if any(pattern.search(text) for pattern in self._deny):
            return "denied"
        if self._allow and not any(pattern.search(text) for pattern in self._allow):
            return "not-allowed"
        return None

    def __contains__(self, url: str) -> bool:
        return self.reason(url) is None

    def _has(self, url: URL) -> bool:
        if self._by == "prefix":
            path = url.raw_path or "/"
            return (_host(url) + path).startswith(self._folders) and not _UPWARDS.search(path)
        return self._place(url) in self._places

    def _place(self, url: URL) -> str:
        """Return what URLs of one place have in common."""
        if self._by == "domain":
            return registrable_domain(url.raw_host or "")
        return _host(url) if self._by == "host" else _host(url) + (url.raw_path or "/").rpartition("/")[0] + "/"


def registrable_domain(host: str) -> str:
    """Return the domain that somebody has registered: example.co.uk of a.b.example.co.uk; an address is its own."""
    return _registrable(host.rstrip(".").lower())


def canonical_url(url: str) -> str:
    """Return the one form of all URLs that are taken for the same page; it is compared, and never sent.

    Equal are: upper and lower case of scheme and host, the scheme's port and none, IDN in both forms, dot segments,
    forms of percent-encoding, the order of parameters in the query (by name, then value), `?a` and `?a=`, with and
    without a fragment, and parameters that only tell where a visitor came from (utm_*, gclid, fbclid, ...) or who he
    is (jsessionid, PHPSESSID). Different remain: http and https, www. and none, a slash at the end, the case of the
    path, parameters given twice, an empty query's name. What cannot be read is returned as it is.
    """
    if _CANONICAL.fullmatch(url):
        return url
    try:
        parts = urlsplit(canonicalize_url(_without_tracking(url)))
        port = parts.port
    except (ValueError, UnicodeError):
        return url
    netloc = parts.netloc
    if port is not None and port == _PORTS.get(parts.scheme):
        netloc = netloc.removesuffix(f":{port}")
    return urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))


def url_key(url: str) -> bytes:
    """Return 16 bytes that are the same for all URLs of one page, as `canonical_url` tells; never raises."""
    return blake2b(canonical_url(url).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _without_tracking(url: str) -> str:
    rest = url.partition("#")[0]
    path, mark, query = rest.partition("?")
    if ";" in path:
        path = _SESSION.sub("", path)
    if not mark:
        return path
    kept = [each for each in query.split("&") if each and not _TRACKING.fullmatch(each.partition("=")[0])]
    return f"{path}?{'&'.join(kept)}" if kept else path


def _parsed(url: str) -> URL | None:
    try:
        found = parse_url(url)
    except (ValueError, TypeError):
        return None
    return found if found.scheme and found.raw_host else None


def _seed(url: str) -> URL:
    if (found := _parsed(url)) is None:
        raise InvalidRequest(f"the seed {url[:200]!a} is no absolute URL; it begins with http:// or https://")
    return found


def _host(url: URL) -> str:
    host = (url.raw_host or "").rstrip(".")
    return host if url.port in (None, _PORTS.get(url.scheme)) else f"{host}:{url.port}"


@lru_cache(1)
def _list() -> PublicSuffixList:
    return PublicSuffixList()


@lru_cache(4096)
def _registrable(host: str) -> str:
    return host if _ADDRESS.fullmatch(host) else _list().privatesuffix(host) or host
