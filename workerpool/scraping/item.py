"""An item: one input of a run, as it was given."""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Self

from ..errors import InvalidRequest
from ..messages.request import Request

__all__ = ["Item"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Describe one input of a run: the URL, and what its line said about it.

    `line` is its number in the input, from 1; 0 where it was given as an argument. `depth` is how many links lie
    between it and a seed, and `parent` the URL of the page that names it. `name` is of the file it is saved to. An
    item is only data: whether it can be sent is found by `request()`. Headers may be given as a mapping, a body as
    text. Raises InvalidRequest for what is of another type.
    """

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    lane: str | None = None
    priority: int = 0
    name: str | None = None
    line: int = 0
    depth: int = 0
    parent: str | None = None

    def __post_init__(self) -> None:
        if self.headers != ():
            object.__setattr__(self, "headers", _pairs(self.headers))
        if isinstance(self.body, str):
            object.__setattr__(self, "body", self.body.encode())
        if tuple(map(type, _checked(self))) in _USUAL:  # as nearly all are, and there may be millions
            return
        for name, (kind, cure) in _KINDS.items():
            if not isinstance(value := getattr(self, name), kind) or isinstance(value, bool):
                raise InvalidRequest(f"{name} of an Item must be {cure}, not {type(value).__name__}")

    @classmethod
    def of(cls, given: object) -> Self:
        """Return the item that an input stands for: a URL, a Request, or itself; of others one that cannot be sent."""
        if isinstance(given, cls):
            return given
        if isinstance(given, Request) and isinstance(given.body, bytes | None):
            return cls(
                url=given.url, method=given.method, headers=given.headers, body=given.body, priority=given.priority
            )
        return cls(url=given if isinstance(given, str) else f"{given!a}"[:200])

    def request(self, *, headers: tuple[tuple[str, str], ...] = (), **options: Any) -> Request:
        """Return the request; `headers` go with its own. Raises InvalidRequest."""
        return Request(
            self.method, self.url, headers=(*self.headers, *headers), data=self.body, priority=self.priority, **options
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults, ready for JSON; the URL is not in it."""
        values = _described(self)
        if values == _PLAIN:
            return {}
        found = {name: value for name, value in zip(_NAMES, values, strict=True) if value != _DEFAULTS[name]}
        if self.body is not None:
            found["body"] = self.body.decode("latin-1")
        return found

    @classmethod
    def from_dict(cls, url: str, found: Mapping[str, Any]) -> Self:
        """Return the item that `as_dict` has described."""
        options = dict(found)
        if "body" in options:
            options["body"] = options["body"].encode("latin-1")
        if "headers" in options:
            options["headers"] = tuple((name, value) for name, value in options["headers"])
        unknown = options.keys() - _NAMES
        if unknown:
            raise InvalidRequest(f"an item has no {', '.join(sorted(unknown))}; it has url, {', '.join(_NAMES)}")
        return cls(url=url, **options)


def _pairs(headers: Any) -> tuple[tuple[str, str], ...]:
    try:
        pairs = tuple((name, value) for name, value in (headers.items() if isinstance(headers, Mapping) else headers))
    except (TypeError, ValueError):
        pairs = ((None, None),)
    if not all(isinstance(each, str) for pair in pairs for each in pair):
        raise InvalidRequest("headers of an Item must be a mapping of str to str, or pairs of these")
    return pairs


_TEXT = (str, type(None))
_KINDS: dict[str, tuple[Any, str]] = {
    "url": (str, "a str"), "method": (str, "a str"), "body": ((bytes, type(None)), "bytes, a str or None"),
    "lane": (_TEXT, "a str or None"), "priority": (int, "a whole number"), "name": (_TEXT, "a str or None"),
    "line": (int, "a whole number"), "depth": (int, "a whole number"), "parent": (_TEXT, "a str or None"),
}  # fmt: skip
_checked = attrgetter(*_KINDS)
_USUAL = {
    (str, str, body, type(None), int, name, int, int, parent)
    for body in (bytes, type(None)) for name in _TEXT for parent in _TEXT
}  # fmt: skip
_DEFAULTS = {name: getattr(Item(url=""), name) for name in Item.__dataclass_fields__ if name != "url"}
_NAMES = tuple(_DEFAULTS)
_PLAIN = tuple(_DEFAULTS.values())
_described = attrgetter(*_NAMES)
