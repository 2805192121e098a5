"""Guards against traps: parts of a site without an end, made on purpose or not.

    traps = Traps()
    if (trap := traps.check(url)) is not None:       # before a URL is asked for
        print(trap.rule, trap.place)
    trap = traps.seen(url, response, took=seconds)   # after its answer

A rule that concerns one URL says so of that. One that needs evidence sets a place aside, a host or the URLs of one
shape on it; from then on `check` refuses each URL there, by the same rule, and `aside` lists the places.
"""

import json
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import SplitResult, urlsplit
from zlib import crc32

from ..messages.response import Response
from .simhash import distance, features_of, simhash

__all__ = ["Rule", "Trap", "TrapLimits", "Traps"]

Rule: TypeAlias = Literal[
    "long-url", "deep-path", "repeated-segment", "many-parameters", "parameter-explosion", "endless-dates",
    "similar-paths", "near-duplicate", "tarpit",
]  # fmt: skip

_NUMBER = re.compile(r"\d+")
_OPAQUE = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a UUID
    r"|(?=[a-z]*\d)(?=\d*[a-z])[0-9a-f]{6,}"  # hexadecimal
    r"|(?=.*\d.*\d)(?=.*[A-Z].*[A-Z])(?=.*[a-z].*[a-z])[A-Za-z0-9_-]{10,}={0,2}"  # base64
    r"|(?=(?:[a-z]*\d){2})(?=(?:\d*[a-z]){2})[a-z0-9]{6,}"  # letters and digits, mixed
)
_DATE = re.compile(r"(?<!\d)([12]\d{3})([-/_])(0[1-9]|1[0-2])(?:\2(?:0[1-9]|[12]\d|3[01]))?(?!\d)")
# A month without its zero may be the second page of item 2031: so only where a calendar is spoken of.
_LOOSE_DATE = re.compile(r"(?<!\d)([12]\d{3})([-/_])(0?[1-9]|1[0-2])(?:\2(?:0?[1-9]|[12]\d|3[01]))?(?!\d)")
_CALENDAR = re.compile(r"calend|event|month|agenda|archiv|schedul|termin|date", re.IGNORECASE)
_YEAR = re.compile(r"(?:^|&)(?:\w{0,20}year|yr|yyyy|y)=(\d{4})(?=&|$)", re.IGNORECASE)
_MONTH = re.compile(r"(?:^|&)(?:\w{0,20}month|mon|mm|m)=(0?[1-9]|1[0-2])(?=&|$)", re.IGNORECASE)
_COMPACT = re.compile(r"(?:^|&)\w{0,20}(?:date|day|month|week|start)=([12]\d{3})(0[1-9]|1[0-2])(?:\d\d)?(?=&|$)")
_NAMES = 512  # bits of the sketch that counts sets of names
_SHOWN = 200  # characters of a place


class Trap(NamedTuple):
    """Name the rule that holds a URL back, and the place it concerns: a host, `host/shape`, or the URL itself."""

    rule: Rule
    place: str

    def __str__(self) -> str:
        return f"trap:{self.rule}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrapLimits:
    """Say how much is too much. All are guesses, but for the first two: those are what Scrapy and Heritrix have."""

    length: int = 2083  # characters of a URL
    depth: int = 20  # segments of a path
    repeats: int = 3  # times that one to four segments follow each other; a number, one more
    occurrences: int = 5  # times that a segment, not a number, is in a path
    parameters: int = 30  # in one query
    combinations: int = 1000  # queries of three parameters or more with one path
    names: int = 64  # different sets of parameters with one path
    ahead: int = 24  # months that a calendar may be ahead of today
    future: int = 12  # dates further ahead than that, of URLs of one shape, before the shape is set aside
    dates: int = 20_000  # dates of one shape in all: 54 years of days
    opaque: int = 5000  # paths of one shape with three segments or more that say nothing
    near: int = 3  # bits of 64 in which the fingerprints of two bodies that are nearly the same may differ
    duplicates: int = 50  # bodies of one shape that are nearly the same as others, above those that are not
    words: int = 40  # features that a body must have to be compared
    floor: float = 128.0  # bytes a second below which an answer is too slow
    patience: float = 20.0  # seconds that it must have taken for that
    slow: int = 3  # such answers, above those that are not, before the host is set aside


@dataclass(slots=True)
class _Shape:
    """What is known of the URLs of one shape."""

    queries: int = 0
    opaque: int = 0
    future: int = 0
    dates: int = 0
    duplicates: int = 0
    names: int = 0  # a bit for each set, by its hash
    bodies: list[int] = field(default_factory=list)


class Traps:
    """Keep what is known of hosts and shapes, the least recently used of them forgotten; not safe between threads.

    Each URL is to be checked once: what is asked for again counts again.
    """

    def __init__(self, limits: TrapLimits | None = None, *, most: int = 20_000, aside: Iterable[Trap] = ()) -> None:
        self.limits: TrapLimits = limits or TrapLimits()
        self._most = most
        self._shapes: OrderedDict[bytes, _Shape] = OrderedDict()
        self._slow: OrderedDict[str, int] = OrderedDict()
        self._aside: dict[str, Rule] = {trap.place: trap.rule for trap in aside}
        self._held: Counter[str] = Counter()
        self._is_kept = False  # whether somebody takes what changes
        self._changed: set[tuple[str, str]] = set()  # kind and name of what is not taken yet
        self._last_month = _months(datetime.now(UTC).year, datetime.now(UTC).month) + self.limits.ahead

    @property
    def aside(self) -> dict[Trap, int]:
        """The places that are set aside, each with the number of URLs held back there; to be given to a later run."""
        return {Trap(rule, place): self._held[place] for place, rule in self._aside.items()}

    def changes(self) -> Iterator[tuple[str, str | None]]:
        """Yield what has changed since the last call, by its name, to be kept; None for what was forgotten."""
        changed, self._changed = self._changed, set()
        for kind, name in changed:
            value: Any
            if kind == "shape":
                shape = self._shapes.get(bytes.fromhex(name))
                value = None if shape is None else astuple(shape)
            elif kind == "slow":
                value = self._slow.get(name)
            else:
                value = [self._aside[name], self._held[name]]
            yield f"{kind} {name}", None if value is None else json.dumps(value)

    def recall(self, kept: Iterable[tuple[str, str]]) -> None:
        """Take back what `changes` has yielded, in an earlier run for one; from now on changes are noted."""
        self._is_kept = True
        for name, text in kept:
            kind, _, rest = name.partition(" ")
            value = json.loads(text)
            if kind == "shape":
                self._shapes[bytes.fromhex(rest)] = _Shape(*value)
            elif kind == "slow":
                self._slow[rest] = value
            elif kind == "aside":
                self._aside[rest], self._held[rest] = value

    def check(self, url: str) -> Trap | None:
        """Return what holds a URL back that is about to be asked for, None if nothing does."""
        if len(url) > self.limits.length:
            return Trap("long-url", url[:_SHOWN])
        try:
            parts = urlsplit(url)
        except ValueError:
            return None  # that it is none is told elsewhere
        if (rule := self._rule_of_url(parts)) is not None:
            return Trap(rule, url[:_SHOWN])
        return self._held_back(parts) or self._count(parts)

    def seen(
        self, url: str, response: Response | None, *, took: float | None = None, size: int | None = None
    ) -> Trap | None:
        """Take note of an answer; return the trap if its place is set aside by that.

        `took` is how long the answer itself took, `size` what came on the wire. Without a response, where the time
        ran out amid the body, only these two are looked at.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        trap = None
        if took is not None:
            if size is None:
                size = len(response.content) if response is not None else 0
            trap = self._note_speed(parts.netloc.lower(), took, size)
        if trap is None and response is not None and response.status_code == 200:
            trap = self._note_body(parts, response)
        return trap

    def _rule_of_url(self, parts: SplitResult) -> Rule | None:
        """Return the rule that this URL breaks by itself."""
        segments = [each for each in parts.path.split("/") if each]
        if len(segments) > self.limits.depth:
            return "deep-path"
        if self._repeats(segments):
            return "repeated-segment"
        return "many-parameters" if parts.query.count("&") >= self.limits.parameters else None

    def _repeats(self, segments: list[str]) -> bool:
        """Whether one to four segments follow each other too often, or one is there too often."""
        words = Counter(each for each in segments if not each.isdigit())
        if words and max(words.values()) >= self.limits.occurrences:
            return True
        for period in range(1, 5):
            run = 0
            for place in range(period, len(segments)):
                run = run + 1 if segments[place] == segments[place - period] else 0
                numbers = all(each.isdigit() for each in segments[place - period + 1 : place + 1])
                if run >= period * (self.limits.repeats - 1 + numbers):
                    return True
        return False

    def _held_back(self, parts: SplitResult) -> Trap | None:
        if not self._aside:
            return None
        host = parts.netloc.lower()
        for place in (host, _folder(parts), _place(parts)):
            if (rule := self._aside.get(place)) is not None:
                self._held[place] += 1
                self._note("aside", place)
                return Trap(rule, place)
        return None

    def _count(self, parts: SplitResult) -> Trap | None:
        """Count a URL to its shape."""
        shape = self._shape(place := _place(parts))
        rule = self._count_query(shape, parts.query) or self._count_dates(shape, parts)
        rule = rule or self._count_opaque(shape, place)
        return self._set_aside(rule, place) if rule else None

    def _count_query(self, shape: _Shape, query: str) -> Rule | None:
        names = {each.partition("=")[0] for each in query.split("&") if each}
        if len(names) >= 3:
            shape.queries += 1
        if names:
            # By a hash that is the same in each process: the run may go on in another one.
            shape.names |= 1 << crc32("&".join(sorted(names)).encode("utf-8", "surrogatepass")) % _NAMES
        too_many = shape.queries > self.limits.combinations or shape.names.bit_count() > self.limits.names
        return "parameter-explosion" if too_many else None

    def _count_dates(self, shape: _Shape, parts: SplitResult) -> Rule | None:
        if (month := _month_of(parts)) is None:
            return None
        shape.dates += 1
        shape.future += month > self._last_month
        too_many = shape.future > self.limits.future or shape.dates > self.limits.dates
        return "endless-dates" if too_many else None

    def _count_opaque(self, shape: _Shape, place: str) -> Rule | None:
        if sum(each in ("#", "?") for each in place.split("/")) < 3:
            return None
        shape.opaque += 1
        return "similar-paths" if shape.opaque > self.limits.opaque else None

    def _note_speed(self, host: str, took: float, size: int) -> Trap | None:
        slow = took >= self.limits.patience and size / took < self.limits.floor
        count = max(0, self._slow.pop(host, 0) + (1 if slow else -1))
        if count:
            self._slow[host] = count
        self._note("slow", host)
        if len(self._slow) > self._most:
            self._note("slow", self._slow.popitem(last=False)[0])
        return self._set_aside("tarpit", host) if count >= self.limits.slow else None

    def _note_body(self, parts: SplitResult, response: Response) -> Trap | None:
        features = features_of(response.text) if _is_text(response) else []
        if len(features) < self.limits.words:
            return None
        place, body = _folder(parts), simhash(features)
        shape = self._shape(place)
        is_known = any(distance(body, other) <= self.limits.near for other in shape.bodies)
        shape.duplicates = max(0, shape.duplicates + (1 if is_known else -1))
        if not is_known:
            shape.bodies = [*shape.bodies[-15:], body]
        return self._set_aside("near-duplicate", place) if shape.duplicates >= self.limits.duplicates else None

    def _shape(self, place: str) -> _Shape:
        key = blake2b(place.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if (shape := self._shapes.get(key)) is None:
            shape = self._shapes[key] = _Shape()
            if len(self._shapes) > self._most:
                self._note("shape", self._shapes.popitem(last=False)[0].hex())
        else:
            self._shapes.move_to_end(key)
        self._note("shape", key.hex())  # whoever asks for it counts something
        return shape

    def _note(self, kind: str, name: str) -> None:
        if self._is_kept:
            self._changed.add((kind, name))

    def _set_aside(self, rule: Rule, place: str) -> Trap:
        if place in self._aside or len(self._aside) < self._most:
            self._aside.setdefault(place, rule)
            self._held[place] += 1
            self._note("aside", place)
        return Trap(rule, place)


def _place(parts: SplitResult) -> str:
    """Return host and shape of a URL, and that it has a date in its query."""
    return f"{parts.netloc.lower()}{_shape_of(parts)}{_dated(parts.query)}"[: 4 * _SHOWN]


def _folder(parts: SplitResult) -> str:
    """Return the first folder of a URL, for which its bodies are compared."""
    first, *rest = parts.path.lstrip("/").split("/")
    return f"{parts.netloc.lower()}/{_sign(first)}/*" if rest else f"{parts.netloc.lower()}/*"


def _shape_of(parts: SplitResult) -> str:
    """Return the path with @ for a date, # for a number and ? for what says nothing."""
    return "/".join(map(_sign, _date_in(parts.path).sub("@", parts.path).split("/")))


def _sign(segment: str) -> str:
    name = segment.partition(".")[0]
    return "#" if _NUMBER.fullmatch(name) else "?" if _OPAQUE.fullmatch(name) else segment


def _date_in(text: str) -> re.Pattern[str]:
    return _LOOSE_DATE if _CALENDAR.search(text) else _DATE


def _dated(query: str) -> str:
    return "?@" if query and _month_of_query(query) is not None else ""


def _month_of(parts: SplitResult) -> int | None:
    """Return the month that a URL is of, counted from year 0."""
    if (found := _date_in(parts.path).search(parts.path)) is not None:
        return _months(int(found[1]), int(found[3]))
    return _month_of_query(parts.query) if parts.query else None


def _month_of_query(query: str) -> int | None:
    if (found := _date_in(query).search(query)) is not None:
        return _months(int(found[1]), int(found[3]))
    if (found := _COMPACT.search(query)) is not None:
        return _months(int(found[1]), int(found[2]))
    year, month = _YEAR.search(query), _MONTH.search(query)
    return _months(int(year[1]), int(month[1])) if year and month else None


def _months(year: int, month: int) -> int:
    return 12 * year + month - 1


def _is_text(response: Response) -> bool:
    return response.headers.get("Content-Type", "text/html").lower().startswith(("text/", "application/xhtml"))
