"""What the user's own code finds in an answer."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urljoin

from .item import Item
from .outcome import Outcome

__all__ = ["Parse", "Parsed", "parsed"]

Found: TypeAlias = str | Item | Mapping[str, Any]
Parse: TypeAlias = Callable[[Outcome], Iterable[Found] | Found | None]


class Parsed(NamedTuple):
    """What was found: where to go on, and fields; or what the code has raised."""

    items: tuple[Item, ...] = ()
    fields: Mapping[str, Any] = {}
    error: Exception | None = None


def parsed(parse: Parse, outcome: Outcome) -> Parsed:
    """Call the user's code and sort what it yields; what it raises is told. On the run's thread, or in a process."""
    items: list[Item] = []
    fields: dict[str, Any] = {}
    try:
        found: Any = parse(outcome)
        for each in (found,) if isinstance(found, str | Item | Mapping) else found or ():  # one is one, and no letters
            if isinstance(each, Mapping):
                fields.update(each)
            else:
                items.append(_next_item(each, outcome))
    except Exception as exc:  # noqa: BLE001  the user's own code may raise anything
        return Parsed(error=exc)
    return Parsed(tuple(items), fields)


def _next_item(found: object, outcome: Outcome) -> Item:
    if isinstance(found, Item):
        return found
    if isinstance(found, str):
        base = outcome.item.url if outcome.response is None else outcome.response.url
        return Item(url=urljoin(base, found), depth=outcome.item.depth + 1, parent=outcome.item.url)
    raise TypeError(f"parse yields URLs, Items and Mappings, not {type(found).__name__}")
