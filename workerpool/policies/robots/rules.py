"""What one origin's robots.txt allows one agent, by RFC 9309. No network here: what was answered is handed in.

    query = RobotsQuery.of(url)  # asks query.url, and what after() says next
    rules = RobotsRules.from_response(response.status, response.headers, response.content, agent="name/1.0", now=time())
    rules.allows(url), rules.delay, rules.preferences(url)

Times are in seconds since the epoch, so that they can be kept in a file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self, TypeAlias
from urllib.parse import urljoin, urlsplit

from ...errors import InvalidRequest
from .paths import ANY_PATH, PathPattern, Table, path_of
from .text import MAX_BYTES, MAX_DELAY, Group, decoded, product_token, read_group

__all__ = ["MAX_BYTES", "MAX_DELAY", "RobotsQuery", "RobotsRules", "robots_agent"]

Found: TypeAlias = Literal["parsed", "unavailable", "unreachable"]
Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

MAX_REDIRECTS = 5  # RFC 9309, 2.3.1.2
_DAY = 86400.0
_KEPT_LEAST = 600.0  # seconds that a copy is used whatever max-age says: else one page would cost two requests
_ASK_AGAIN = 600.0  # seconds until what was unreachable is asked for once more
_OUTAGE_MOST = 30 * _DAY  # RFC 9309, 2.3.1.4
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class RobotsQuery:
    """Say where a robots.txt is to be asked for: first at its origin, then where redirects lead to.

    `urls` are those asked so far, with the one to ask now at their end. What is found counts for the first one's
    origin, wherever it was found. Each is a request to its own host, whose pace counts.
    """

    urls: tuple[str, ...]

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the query for the origin of a URL; raises InvalidRequest where that has none."""
        return cls((f"{_origin(url)}/robots.txt",))

    @property
    def url(self) -> str:
        """What to ask for now."""
        return self.urls[-1]

    @property
    def origin(self) -> str:
        """The origin that the rules are for."""
        return _origin(self.urls[0])

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins that are asked, in their order, each once."""
        return tuple(dict.fromkeys(map(_origin, self.urls)))

    def after(self, status: int, headers: Headers) -> "RobotsQuery | None":
        """Return what to ask next; None if this answer is the last one, good or not, for `RobotsRules` to judge.

        Five redirects are followed. The sixth, one without a Location and one that leads away from HTTP are given up,
        and count as a robots.txt that is not there.
        """
        location = _field(headers, "location")
        if status not in _REDIRECTS or not location or len(self.urls) > MAX_REDIRECTS:
            return None
        try:
            target = urljoin(self.url, location.strip()).partition("#")[0]
            _origin(target)
        except (ValueError, InvalidRequest):
            return None
        return RobotsQuery((*self.urls, target))


@dataclass(frozen=True, slots=True)
class RobotsRules:
    """Tell what one agent may ask one origin for, how often, and what the site wishes to be done with it.

    `found` says how they came about (RFC 9309, 2.3.1):

    - `parsed`: an answer of 2xx, whose text counts.
    - `unavailable`: 4xx, 401, 403 and 429 included, or redirects without an end. All is allowed.
    - `unreachable`: 5xx, a status that is none, or any error. Nothing is allowed, however long it lasts.

    A `parsed` copy from before stays in force while a later one is unreachable (2.4), for 30 days from the first
    failure; then nothing is allowed until there is an answer again. `failing_since` and `cause`, such as "503" or
    "DNSError", tell of that. After 30 days the
    RFC would let one carry on as if there were no robots.txt; that is never done.

    `delay` are the seconds from one start of a request to the next: the longest of all Crawl-delay and Request-rate,
    at most an hour. What is no number, negative or "nan" counts as none; "inf" as an hour. Frozen: any
    thread may ask.
    """

    found: Found
    fetched_at: float
    expires_at: float
    delay: float = 0.0
    sitemaps: tuple[str, ...] = ()
    cause: str = ""
    failing_since: float | None = None
    _rules: Table[str] = field(default=Table(()), repr=False)
    _usage: Table[str] = field(default=Table(()), repr=False)
    _signals: Table[str] = field(default=Table(()), repr=False)

    @classmethod
    def from_response(
        cls,
        status: int,
        headers: Headers,
        body: bytes,
        *,
        agent: str,
        now: float,
        previous: "RobotsRules | None" = None,
    ) -> "RobotsRules":
        """Return the rules that an answer stands for; `agent` is a User-Agent or its name.

        `previous` are those from before: a 304 renews them, and 5xx leaves them in force. Of the body 500 KiB are read.
        """
        token, expires = robots_agent(agent), now + _lifetime(headers)
        if 200 <= status < 300:
            return cls._parsed(body, token, now, expires)
        if status == 304 and previous is not None and previous.found == "parsed":
            return replace(previous, fetched_at=now, expires_at=expires, cause="", failing_since=None)
        if 300 <= status < 500:
            return cls("unavailable", now, expires, cause=str(status))
        return cls._unreachable(str(status), now, previous)

    @classmethod
    def from_error(cls, error: BaseException, *, now: float, previous: "RobotsRules | None" = None) -> "RobotsRules":
        """Return the rules where there is no answer: DNS, connection, TLS, timeout, a body that broke off."""
        return cls._unreachable(type(error).__name__, now, previous)

    @classmethod
    def _parsed(cls, body: bytes, token: str, now: float, expires: float) -> "RobotsRules":
        group, sitemaps = read_group(decoded(body), token)
        return cls(
            "parsed",
            now,
            expires,
            group.delay,
            sitemaps,
            _rules=_rule_table(group),
            _usage=_statements(group.usage),
            _signals=_statements(group.signals),
        )

    @classmethod
    def _unreachable(cls, cause: str, now: float, previous: "RobotsRules | None") -> "RobotsRules":
        since = now if previous is None or previous.failing_since is None else previous.failing_since
        if previous is None or previous.found != "parsed" or now - since > _OUTAGE_MOST:
            return cls("unreachable", now, now + _ASK_AGAIN, cause=cause, failing_since=since)
        return replace(previous, expires_at=now + _ASK_AGAIN, cause=cause, failing_since=since)

    def is_stale(self, now: float) -> bool:
        """Return whether robots.txt is to be asked for again: after 24 hours, or sooner by Cache-Control's max-age.

        A clock that was set back makes a copy stale, too.
        """
        return not self.fetched_at <= now < self.expires_at

    def allows(self, url: str) -> bool:
        """Return whether the URL may be asked for; that of robots.txt itself always may (RFC 9309, 2.2.2)."""
        rule = self.rule_for(url)
        return rule is None or rule.startswith("allow")

    def rule_for(self, url: str) -> str | None:
        """Return what decides about a URL, such as `disallow: /private`, or `unreachable`; None if nothing does."""
        path = path_of(url)
        if path == "/robots.txt":
            return None
        if self.found == "unreachable":
            return self.found
        row = self._rules.find(path)
        return None if row is None else f"{row[1]}: {row[0].text}"

    def preferences(self, url: str) -> dict[str, str]:
        """Return what the site wishes to be done with a URL's content, by field: `content-usage`, `content-signal`.

        Of statements with paths the one with the longest counts, all of them where there are several of that path.
        There are none for what may not be asked for (draft-ietf-aipref-attach, 3.1).
        """
        if not (self._usage or self._signals) or not self.allows(url):
            return {}
        path = path_of(url)
        said = {"content-usage": _said(self._usage, path), "content-signal": _said(self._signals, path)}
        return {name: value for name, value in said.items() if value}


def robots_agent(agent: str) -> str:
    """Return the name by which robots.txt calls the sender of this User-Agent; raises InvalidRequest if it has none."""
    token = product_token(agent)
    if not token:
        raise InvalidRequest(
            f"agent must begin with a name, such as 'mybot/1.0 (+https://example.org/bot)', not {agent!r}"
        )
    return token


def _rule_table(group: Group) -> Table[str]:
    # Allow before Disallow: of equally specific rules it wins (RFC 9309, 2.2.2).
    rows = sorted(dict.fromkeys(group.rules))
    return Table((pattern, name) for name, text in rows if (pattern := PathPattern.of(text)))


def _statements(rows: Iterable[tuple[str, str]]) -> Table[str]:
    return Table(
        (pattern, said) for path, said in rows if said and (pattern := PathPattern.of(path) if path else ANY_PATH)
    )


def _said(table: Table[str], path: str) -> str:
    row = table.find(path)
    return "" if row is None else ", ".join(dict.fromkeys(table.all_of(row[0])))


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise InvalidRequest(f"{url!r} is no URL: {exc}") from exc
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidRequest("robots.txt is asked for at http:// and https:// URLs only")
    host = f"[{host}]" if ":" in host else host
    is_usual = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if is_usual else f":{port}")


def _field(headers: Headers, name: str) -> str:
    """Return the values of a field of any case, joined; an empty text if there is none."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return ", ".join(value for each, value in pairs if each.lower() == name)


def _lifetime(headers: Headers) -> float:
    """Return for how many seconds an answer is used: 24 hours, or less by max-age, but ten minutes in any case."""
    headers = list(headers.items() if isinstance(headers, Mapping) else headers)
    for part in _field(headers, "cache-control").lower().split(","):
        name, _, value = part.strip().partition("=")
        value = value.strip('" ')
        if name in ("no-store", "no-cache"):
            return _KEPT_LEAST
        if name == "max-age" and value.isascii() and value.isdigit():
            return min(max(float(value[:12]) - _age(headers), _KEPT_LEAST), _DAY)
    return _DAY


def _age(headers: Headers) -> float:
    value = _field(headers, "age").strip()
    return float(value[:12]) if value.isascii() and value.isdigit() else 0.0
