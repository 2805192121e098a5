"""Redirects: what the next request is, and what must not travel to another origin.

RFC 9110, 15.4, and the fetch standard where it is silent. On a change of origin only an allow-list of
headers stays; no body crosses, nor does https go on as http.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address
from urllib.parse import quote

from multidict import CIMultiDict
from yarl import URL

from ..errors import InvalidRequest, ProtocolError
from ..redaction import redact
from .hop import Hop
from .url import parse_url, same_origin

__all__ = ["MAX_REDIRECTS", "REDIRECTS", "next_hop", "without_secrets"]

MAX_REDIRECTS = 20
_ONLY_SCHEME = re.compile(r"(https?):(?!//)(?=.)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//[^/?#\\]*", re.IGNORECASE)
_IN_A_URL = "!#$%&'()*+,/:;=?@[]~"  # what has a meaning there and is left alone
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_FOREIGN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "dnt",
        "pragma",
        "range",
        "user-agent",
    }
)
_BODY_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "content-language"})


def next_hop(hop: Hop, status: int, headers: Mapping[str, str], keep: frozenset[str] = frozenset()) -> Hop | None:
    """Return the request that the answer, one of REDIRECTS, leads to; None if it names no place.

    The headers of `keep`, in lower case, are no origin's and go everywhere. Raises ProtocolError or InvalidRequest for
    what is not followed.
    """
    if not (location := headers.get("Location")):
        return None
    url = _target(hop.url, location)
    rewritten = _rewritten(hop, status)
    if same_origin(url, hop.url):
        return rewritten._replace(url=url)
    return _crossing(hop, rewritten, url, keep)


def without_secrets(headers: "CIMultiDict[str]", keep: frozenset[str] = frozenset()) -> "CIMultiDict[str]":
    """Return the headers that may go to another origin than the one that was asked for, and those of `keep`."""
    allowed = _FOREIGN_HEADERS | keep
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() in allowed)


def _target(base: URL, location: str) -> URL:
    """Return where the Location leads, without its userinfo: it would become credentials that nobody here chose."""
    with suppress(ValueError):
        location = _readable(base, location)
        given = parse_url(location)
        url = base.join(given)
        if (given.scheme in ("http", "https") or location.startswith("//")) and not given.raw_host:
            pass  # "http:///path" is not the same host's
        elif url.scheme in ("http", "https") and url.port and _can_be_reached(url.raw_host or ""):
            url = url.with_user(None)
            # RFC 9110, 10.2.2: a Location without fragment inherits the one of the request.
            return url if url.raw_fragment else url.with_fragment(base.fragment or None)
    raise ProtocolError(
        f"{redact(base)}: the server redirects to what is not an http or https URL",
        stage="headers",
    )


def _readable(base: URL, location: str) -> str:
    """Return the Location as a URL: what is not ASCII behind the host is quoted, the host itself goes by IDNA."""
    only = _ONLY_SCHEME.match(location)
    if only is not None and only[1].lower() == base.scheme:
        location = location[only.end() :]  # "http:/path" and "http:path" are relative (WHATWG URL, 4.4)
    found = _HOST.match(location)
    host = "" if found is None else found[0]
    tail = location[len(host) :]
    # Bytes as they came, which aiohttp has made surrogates of.
    return host + quote(tail.encode("utf-8", "surrogateescape"), safe=_IN_A_URL)


def _can_be_reached(host: str) -> bool:
    """Whether the host is none of the shortened IPv4 addresses, which no two programs read alike."""
    last = host.removesuffix(".").rpartition(".")[2].lower()
    if not last.isdigit() and not last.startswith("0x"):
        return bool(host)
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def _rewritten(hop: Hop, status: int) -> Hop:
    """Turn the request into a GET where browsers do; keep method and body otherwise."""
    if not (status == 303 and hop.method != "HEAD") and not (status in (301, 302) and hop.method == "POST"):
        return hop
    return hop._replace(method="GET", body=None, headers=_without(hop.headers, _BODY_HEADERS))


def _crossing(hop: Hop, rewritten: Hop, url: URL, keep: frozenset[str]) -> Hop:
    if hop.url.scheme == "https" and url.scheme == "http":
        raise ProtocolError(
            f"{redact(hop.url)}: the server redirects from https to http; not followed",
            stage="headers",
        )
    if rewritten.body is not None:
        raise InvalidRequest(
            f"{hop.method} {redact(hop.url)}: the server redirects to another origin and the body would go there;"
            " send it there yourself if that is meant",
            stage="headers",
        )
    return rewritten._replace(url=url, headers=without_secrets(rewritten.headers, keep))


def _without(headers: "CIMultiDict[str]", names: frozenset[str]) -> "CIMultiDict[str]":
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in names)
