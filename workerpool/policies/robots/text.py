"""The text of a robots.txt, read for one agent: RFC 9309, 2.1 and 2.2, and the fields that others have added."""

import codecs
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

__all__ = ["MAX_BYTES", "MAX_DELAY", "Group", "decoded", "product_token", "read_group"]

MAX_BYTES = 500 * 1024  # what is read of a robots.txt; RFC 9309, 2.5, demands as much
MAX_DELAY = 3600.0  # seconds between two requests at most, whatever is asked for

_AGENT, _RULES = "user-agent", ("allow", "disallow")
_SPELLINGS = {
    "useragent": _AGENT, "user agent": _AGENT,
    **dict.fromkeys(("dissallow", "dissalow", "disalow", "diasllow", "disallaw"), "disallow"),
    "sitemaps": "sitemap", "site-map": "sitemap", "crawl delay": "crawl-delay", "request rate": "request-rate",
}  # fmt: skip
_FIELDS = frozenset(
    {_AGENT, *_RULES, *_SPELLINGS, "sitemap", "crawl-delay", "request-rate", "content-usage", "content-signal"}
)
_LINE_END = re.compile(r"\r\n|\r|\n")  # and no other: U+2028 may be part of a path
_TOKEN = re.compile(r"[A-Za-z0-9_-]*")
_COMPATIBLE = re.compile(r"Mozilla/[^(]*\(compatible;\s*([A-Za-z0-9_-]+)", re.IGNORECASE)
_REQUEST_RATE = re.compile(r"([0-9]{1,99})/([0-9]{1,99}(?:\.[0-9]{1,99})?)([smhd]?)(?:\s|$)", re.IGNORECASE)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(slots=True)
class Group:
    """What a robots.txt says to one agent: its groups merged, or else those of `*`.

    `delay` is in seconds between two requests; `rules`, `usage` and `signals` are in the order of their lines.
    """

    rules: list[tuple[str, str]] = field(default_factory=list)  # ("allow", "/path")
    delay: float = 0.0
    usage: list[tuple[str, str]] = field(default_factory=list)  # ("/path", "train-ai=n")
    signals: list[tuple[str, str]] = field(default_factory=list)  # ("/path", "ai-train=no")

    def add(self, name: str, value: str) -> None:
        """Take a record in."""
        if name in _RULES:
            if value:
                self.rules.append((name, value))
        elif name == "crawl-delay":
            self.delay = max(self.delay, _delay(value))
        elif name == "request-rate":
            self.delay = max(self.delay, _request_rate(value))
        elif name == "content-usage":
            self.usage.append(_with_path(value))
        elif name == "content-signal":
            self.signals.append(_with_path(value))


def product_token(user_agent: str) -> str:
    """Return the name by which robots.txt calls an agent: what the User-Agent begins with, in small letters.

    Of `Mozilla/5.0 (compatible; Name/1.0; ...)` it is what follows `compatible;`.
    """
    found = _COMPATIBLE.match(user_agent.strip())
    return (found[1] if found else _token(user_agent)).lower()


def decoded(body: bytes) -> str:
    """Return the text of the first 500 KiB, cut at the end of a line.

    It is UTF-8, or UTF-16 where it begins so. Bytes that are no UTF-8 are kept, and compared as their escapes: a site
    that writes its paths in latin-1 has them in its links, too.
    """
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _cut(body[:MAX_BYTES].decode("utf-16", "replace"), len(body))
    # One byte more: where that ends a line, the line before it is a whole one.
    text = body[: MAX_BYTES + 1].decode("utf-8", "surrogateescape")
    return _cut(text.removeprefix("\ufeff"), len(body))


def read_group(text: str, token: str) -> tuple[Group, tuple[str, ...]]:
    """Return what is said to the agent of this token, and the sitemaps, which are there for all.

    Groups begin with user-agent lines and end with the first such line behind a rule. Other records, known or not,
    never end one (RFC 9309, 2.2.4); Crawl-delay and its like are for the agents named up to their line.
    """
    ours, everyone = Group(), Group()
    named: set[str] = set()
    naming = has_group = False
    sitemaps: list[str] = []
    for name, value in _records(_LINE_END.split(text)):
        if name == _AGENT:
            named = named if naming else set()
            naming = True
            named.add(_agent(value))
            has_group = has_group or token in named
        elif name == "sitemap":
            sitemaps.append(value)
        else:
            naming = naming and name not in _RULES
            for group in _addressed(name, named, {token: ours, "*": everyone}):
                group.add(name, value)
    return (ours if has_group else everyone), tuple(dict.fromkeys(filter(None, sitemaps)))


def _addressed(name: str, named: set[str], groups: dict[str, Group]) -> Iterable[Group]:
    if named:
        return (groups[agent] for agent in named & groups.keys())
    # A wish above all groups is taken as one for all; a rule there has no meaning (RFC 9309, 2.2).
    return groups.values() if name.startswith("content-") else ()


def _records(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield name and value of each line that has a known one."""
    for line in lines:
        line = line.partition("#")[0].strip()
        if not line:
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or name not in _FIELDS:
            name, value = _without_colon(line)
        if name in _FIELDS:
            yield _SPELLINGS.get(name, name), value.strip()


def _without_colon(line: str) -> tuple[str, str]:
    """Read `disallow /path`: two words and no more, else any sentence that begins so would be a rule."""
    words = line.split()
    return (words[0].lower(), words[1]) if len(words) == 2 else ("", "")


def _agent(value: str) -> str:
    return "*" if value.split()[:1] == ["*"] else _token(value).lower()


def _token(text: str) -> str:
    found = _TOKEN.match(text.strip())
    return found[0] if found else ""


def _with_path(value: str) -> tuple[str, str]:
    """Tell the path, if there is one, from what is said about it."""
    if not value.startswith("/"):
        return "", value
    path, *said = value.split(maxsplit=1)
    return path, "".join(said)


def _delay(value: str) -> float:
    try:
        seconds = float(value.split()[0])
    except (ValueError, IndexError):
        return 0.0
    return 0.0 if math.isnan(seconds) or seconds < 0 else min(seconds, MAX_DELAY)


def _request_rate(value: str) -> float:
    """Return the seconds per request of `requests/seconds`; it counts at all times of the day."""
    found = _REQUEST_RATE.match(value)
    if found is None or not int(found[1]):
        return 0.0
    return min(float(found[2]) * _UNITS[found[3].lower()] / float(found[1]), MAX_DELAY)


def _cut(text: str, size: int) -> str:
    if size <= MAX_BYTES:
        return text
    return text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
