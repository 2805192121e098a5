"""Cookies as browsers keep and send them (RFC 6265, and its revision where that is stricter)."""

from collections.abc import Mapping, MutableMapping, Sequence
from http.cookies import BaseCookie, Morsel, SimpleCookie
from types import MappingProxyType
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ..messages.headers import cookie_header
from .inside.contract import parse_set_cookie_headers

__all__ = ["Cookies", "NoCookies"]

_NO_COOKIES: "BaseCookie[str]" = SimpleCookie()  # shared: aiohttp only reads it
_NONE_GIVEN: Mapping[str, str] = MappingProxyType({})
_REMEMBERED = 3000  # cookies of the lane that servers have answered; a jar holds as many cookies


class NoCookies(aiohttp.DummyCookieJar):
    """Keep no cookies and make no empty collection of them per request."""

    def filter_cookies(self, request_url: URL) -> "BaseCookie[str]":
        """Return no cookies."""
        return _NO_COOKIES


class Cookies(aiohttp.CookieJar):
    """Keep cookies as a browser does, and send them as they came.

    `given` are the lane's own: they go to the host of `base`, or without one wherever the lane's headers go, until the
    server sets or deletes a cookie of that name.

    A site's cookies go to itself and, with Domain, to what is under that domain, which must have two labels unless it
    is the very host: none is set for all of .com. A browser's list of public suffixes knows more (co.uk).
    """

    def __init__(self, given: Mapping[str, str] = _NONE_GIVEN, base: URL | None = None) -> None:
        super().__init__(unsafe=True, quote_cookie=False)  # "unsafe": cookies of hosts given by address count too
        self._given = dict(given)
        self._line = cookie_header(given)
        self._home = None if base is None else base.raw_host
        self._answered: dict[tuple[str, str], None] = {}  # hosts and names, in their order

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Keep the cookies of an answer."""
        kept = []
        for name, morsel in parse_set_cookie_headers(headers):
            _normalise(morsel)
            if _is_own(morsel, response_url):
                kept.append((name, morsel))
                if name in self._given:
                    self._note_answer(response_url.raw_host or "", name)
        self.update_cookies(kept, response_url)

    def write(self, headers: "CIMultiDict[str]", url: URL, found: "BaseCookie[str]") -> None:
        """Put what goes to the URL into the headers: what this jar gives, the lane's own, and the Cookie headers.

        Of several of one name the nearest counts: the request's, then the server's, then the lane's. A Cookie header
        comes last and as it was given.
        """
        if not found and not self._given:
            return
        lines = headers.popall("Cookie", [])
        pairs = {name: morsel.coded_value for name, morsel in found.items()}
        if self._given and (self._line in lines if self._home is None else self._home == url.raw_host):
            self._add_given(pairs, url.raw_host or "")
        own = [line for line in lines if line != self._line]
        taken = {pair.partition("=")[0].strip() for line in own for pair in line.split(";")}
        parts = [f"{name}={value}" for name, value in pairs.items() if name not in taken] + own
        if parts:
            headers["Cookie"] = "; ".join(parts)

    def _add_given(self, pairs: MutableMapping[str, str], host: str) -> None:
        for name, value in self._given.items():
            if (host, name) not in self._answered:
                pairs.setdefault(name, value)

    def _note_answer(self, host: str, name: str) -> None:
        self._answered[host, name] = None
        if len(self._answered) > _REMEMBERED:
            del self._answered[next(iter(self._answered))]

    @classmethod
    def _parse_date(cls, date_str: str) -> int | None:
        """Take the epoch for a date: aiohttp takes its zero for none, and a logout's cookie for one without end."""
        found = super()._parse_date(date_str)
        return 1 if found == 0 else found


def _normalise(morsel: "Morsel[str]") -> None:
    """Let the value be as it came, with its quotes, and the domain as hosts are compared (RFC 6265, 5.2.3)."""
    text = morsel.coded_value
    state: Any = {"key": morsel.key, "value": text, "coded_value": text}
    morsel.__setstate__(state)  # type: ignore[attr-defined]  # typeshed lacks it; set() refuses what sites send
    if morsel["domain"]:
        morsel["domain"] = morsel["domain"].lower()


def _is_own(morsel: "Morsel[str]", url: URL) -> bool:
    """Whether the site at the URL may set the cookie; what is left is whether it is under its Domain."""
    domain = morsel["domain"]
    if domain and not domain.endswith("."):  # the jar takes no notice of a domain with a dot at its end
        domain = domain.lstrip(".")
        if "." not in domain and domain != url.raw_host:
            return False
    name = morsel.key.lower()
    if name.startswith(("__secure-", "__host-")) and not (morsel["secure"] and url.scheme in ("https", "wss")):
        return False
    return not name.startswith("__host-") or (not morsel["domain"] and morsel["path"] == "/")
