"""What was given to a run, checked at the call: the error names the argument and the cure."""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..caller.anypool import AnyPool
from ..errors import InvalidRequest
from ..settings import Retry
from .item import Item
from .politeness import Politeness
from .sinks.base import Keeper, Sink

__all__ = ["check", "check_inputs", "check_options", "checked_sinks"]

_MODES = ("continue", "resume", "restart")


def check(name: str, value: Any, is_good: Callable[[Any], bool], cure: str) -> None:
    """Raise InvalidRequest for a value that is not good."""
    if not is_good(value):
        raise InvalidRequest(f"{name} must be {cure}, not {f'{value!a}'[:100]}")


def check_inputs(inputs: object) -> None:
    """Raise InvalidRequest for what is no list of inputs: one URL would be taken apart into its letters."""
    is_one = isinstance(inputs, str | bytes | bytearray | Mapping | Item)
    if is_one or not (isinstance(inputs, Iterable) or hasattr(inputs, "read")):
        kind = type(inputs).__name__
        raise InvalidRequest(f"inputs must be an iterable of URLs or Items, such as [url], or an Input, not one {kind}")


def check_options(given: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for options of a Crawl that cannot be; the names are those of its arguments."""
    for name, (is_good, cure) in _OPTIONS.items():
        check(name, given[name], is_good, cure)
    if given["since_last"] and given["state"] is None:
        raise InvalidRequest("since_last must be given with a state: that of the run before")
    if given["skip_existing"] and not any(isinstance(each, Keeper) for each in given["sinks"]):
        raise InvalidRequest(
            "skip_existing must be given with a sink that keeps files, such as Folder(path, keep=True)"
        )


def checked_sinks(sinks: object) -> list[Sink]:
    """Return the sinks; raises InvalidRequest for what is none, such as the name of a file."""
    if isinstance(sinks, str | os.PathLike) or not isinstance(sinks, Iterable):
        raise InvalidRequest("sinks must be a list of sinks, such as [sink_for('out.jsonl')]")
    found = list(sinks)
    for each in found:
        check("each sink", each, lambda it: isinstance(it, Sink) and not isinstance(it, type),
              "a sink, such as sink_for('out.jsonl')")  # fmt: skip
    return found


def _is_whole(least: int) -> Callable[[Any], bool]:
    return lambda it: isinstance(it, int) and not isinstance(it, bool) and it >= least


def _or_none(is_good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda it: it is None or is_good(it)


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike) and isinstance(path := os.fspath(value), str) and bool(
        os.path.basename(path)
    )  # fmt: skip


def _is_texts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, str) for pair in value.items() for each in pair)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _is_a(kind: type) -> Callable[[Any], bool]:
    return lambda it: isinstance(it, kind)


_OPTIONS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "parse": (_or_none(callable), "a function of an Outcome, or None"),
    "state": (_or_none(_is_path), "the name of a file, or None"),
    "mode": (lambda it: it in _MODES, f"one of {', '.join(_MODES)}"),
    "identity": (_or_none(_is_texts), "a mapping of str to str, or None"),
    "since_last": (_is_a(bool), "True or False"),
    "skip_existing": (_is_a(bool), "True or False"),
    "politeness": (_or_none(_is_a(Politeness)), "a Politeness, such as Politeness(robots=True), or None"),
    "accepts": (_or_none(callable), "a function of an Item, or None"),
    "key": (_or_none(callable), "a function of a URL, such as url_key, or None"),
    "headers": (_or_none(callable), "a function of a URL that returns pairs, or None; a lane's headers go with all"),
    "signer": (_or_none(lambda it: callable(getattr(it, "headers", None))), "a Signer, or None"),
    "sitemaps": (_is_a(bool), "True or False"),
    "retry": (_or_none(_is_a(Retry)), "a Retry, or None for one try"),
    "pool": (_or_none(_is_a(AnyPool)), "a WorkerPool, a DaskPool or None; get_pool(name) is one"),
    "processes": (_is_whole(0), "a whole number, 0 for none"),
    "max_pages": (_or_none(_is_whole(1)), "a whole number of at least 1, or None"),
    "max_seconds": (_or_none(_is_seconds), "a number of seconds above 0, or None"),
    "max_bytes": (_or_none(_is_whole(1)), "a whole number of at least 1, or None"),
}
