"""How hosts are to be treated, as a value."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._version import __version__
from ..errors import InvalidRequest

__all__ = ["RESPECTED", "Politeness"]

RESPECTED = frozenset({"noai", "noaiinput", "noarchive", "noindex", "tdm"})  # wishes that can be kept to
_CONTACT = re.compile(r"https?://[!-~]+|mailto:[!-~]+|[^@\s()<>]+@[^@\s()<>]+", re.ASCII)
_AGENT = re.compile(r"[A-Za-z][A-Za-z_-]*(/[!-~]*)?( [ -~]*)?", re.ASCII)
_MOST = 86_400.0  # seconds; what is longer is no pace but a ban


@dataclass(frozen=True, slots=True, kw_only=True)
class Politeness:
    """Say how hosts are asked: how many requests at a time, how often, and what of their wishes is kept to.

    `per_host` bounds the requests under way to one host (0: no bound), and `per_host_rate` their starts a second.
    `delay` are the seconds between two starts, one request at a time; a Crawl-delay of robots.txt counts if it is
    longer. `auto` slows a host down that answers 429 or 503 or takes twice as long as it did, and lets it come up
    again.

    A Retry-After holds the whole host, for `max_retry_after` seconds at most. After `breaker_failures` connections in
    a row that failed (0: never) a host is left alone for `breaker_pause` seconds, then probed with one request; each
    probe that fails doubles the pause, up to `breaker_pause_max`.

    `robots` has robots.txt obeyed. `respect` names wishes that keep one from asking or from keeping what came (see
    `preferences.refuses`). `agent` is the name that robots.txt knows the program by, or a whole User-Agent; `contact`
    is a URL or mail address that goes into the User-Agent: who to turn to.
    """

    per_host: int = 8
    per_host_rate: float | None = None
    delay: float | None = None
    auto: bool = False
    respect_retry_after: bool = True
    max_retry_after: float = 3600.0
    robots: bool = False
    respect: frozenset[str] = frozenset()
    agent: str = f"workerpool/{__version__}"
    contact: str | None = None
    breaker_failures: int = 5
    breaker_pause: float = 10.0
    breaker_pause_max: float = 600.0

    def __post_init__(self) -> None:
        _check(self, "per_host", _is_whole(0), "a whole number, 0 for no bound")
        _check(self, "per_host_rate", _is_rate, "None or starts a second, from one a day to 1000000")
        _check(self, "delay", lambda it: it is None or _is_seconds(it), "None or seconds from 0 to 86400")
        for name in ("auto", "respect_retry_after", "robots"):
            _check(self, name, lambda it: isinstance(it, bool), "True or False")
        for name in ("max_retry_after", "breaker_pause", "breaker_pause_max"):
            _check(self, name, _is_seconds, "seconds from 0 to 86400")
        _check(self, "breaker_failures", _is_whole(0), "a whole number, 0 for no breaker")
        _check(self, "breaker_pause_max", lambda it: it >= self.breaker_pause, "at least breaker_pause")
        _check(self, "agent", _is_agent, "a name such as 'example-bot', or a whole User-Agent")
        _check(self, "contact", _is_contact, "a URL or mail address, such as 'https://example.org/bot'")
        _check(self, "respect", _is_respect, f"a set of {', '.join(sorted(RESPECTED))}, such as {{'noai'}}")
        object.__setattr__(self, "respect", frozenset(self.respect))

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What each request tells of who asks."""
        contact = "" if self.contact is None else f" (+{self.contact.removeprefix('mailto:')})"
        return (("User-Agent", f"{self.agent}{contact}"),)


def _check(settings: Politeness, name: str, is_good: Callable[[Any], bool], cure: str) -> None:
    value = getattr(settings, name)
    if not is_good(value):
        raise InvalidRequest(f"{name} must be {cure}, not {value!r}")


def _is_whole(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_seconds(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= _MOST


def _is_rate(value: Any) -> bool:
    return value is None or (_is_number(value) and 1 / _MOST <= value <= 1e6)


def _is_agent(value: Any) -> bool:
    return isinstance(value, str) and _AGENT.fullmatch(value) is not None


def _is_contact(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.isascii() and _CONTACT.fullmatch(value) is not None)


def _is_respect(value: Any) -> bool:
    return isinstance(value, frozenset | set | tuple | list) and all(
        isinstance(each, str) and each in RESPECTED for each in value
    )
