"""Fifty kinds of wrong values, and what a call may do with one: take it, or refuse it by name and without its secret."""

import io
import math
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

from workerpool import InvalidRequest, WorkerPoolError

SECRET = "SECRET"


class Stubborn:
    """Refuses everything that is asked of it."""

    def _refuse(self, *_args: object) -> Any:
        raise AttributeError(SECRET)

    __str__ = __repr__ = __iter__ = __getitem__ = __int__ = __float__ = __index__ = _refuse
    items = keys = values = read = _refuse


class Text(str):
    """A str of another class, which is none to be relied on."""

    def __str__(self) -> str:
        return self

    def __repr__(self) -> str:
        return SECRET


DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


def _closed() -> io.BytesIO:
    file = io.BytesIO(b"SECRET")
    file.close()
    return file


def wrong_values() -> dict[str, Any]:
    """Return them by name, made anew: some can be used once only."""
    return {
        "None": None, "True": True, "False": False, "0": 0, "-1": -1, "1": 1, "10**400": 10**400, "-10**400": -(10**400),
        "1.5": 1.5, "-0.5": -0.5, "nan": math.nan, "inf": math.inf, "-inf": -math.inf, "1e308": 1e308, "complex": 1j,
        "''": "", "str": SECRET, "line": "SECRET\r\nX: y", "surrogate": "SECRET\ud800", "nul": "\0SECRET", "long": SECRET * 10_000,
        "Text": Text(SECRET), "bytes": b"SECRET", "bytearray": bytearray(b"SECRET"), "memoryview": memoryview(b"SECRET"),
        "[]": [], "[str]": [SECRET], "[[str]]": [[SECRET]], "[None]": [None], "[object]": [object()], "(str,)": (SECRET,),
        "(str, str)": ("a\n", SECRET), "(int, int)": (1, 2), "(str, str, str)": ("a", "b", SECRET), "deep": DEEP,
        "{}": {}, "{str: object}": {"a": object()}, "{int: int}": {1: 2}, "{str: line}": {"a": "SECRET\n"}, "{None: None}": {None: None},
        "set": {SECRET}, "object": object(), "type": int, "function": len, "lambda": lambda *_: SECRET, "generator": (x for x in (SECRET, 5)),
        "Stubborn": Stubborn(), "Decimal": Decimal("NaN"), "Fraction": Fraction(1, 3), "UUID": UUID(int=5), "date": datetime(2026, 1, 2),
        "Path": Path(SECRET), "range": range(3), "...": ..., "error": ValueError(SECRET),
        "closed file": _closed(), "module": math, "lock": threading.Lock(),
    }  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A public call with one argument left open; `names` are what a refusal may call the argument."""

    what: str
    argument: str
    make: Callable[[Any], object]
    names: tuple[str, ...] = ()
    may_tell: bool = False  # a name or a path is no secret
    own: tuple[type[Exception], ...] = ()  # what may be raised beside the pool's errors, TypeError and ValueError
    plain: Callable[[Any], object] | None = None  # the same of the library that an adapter is under, which may raise so


def with_one(make: Callable[..., object], argument: str, **others: Any) -> Callable[[Any], object]:
    """Return the call with all but one of its arguments filled in."""
    return lambda value: make(**(others | {argument: value}))


def opened(context: AbstractContextManager[Any], use: Callable[[Any], object] = lambda _it: None) -> object:
    """Do something within a block."""
    with context as it:
        return use(it)


def fault_of(call: Call, name: str, value: Any) -> str | None:
    """Return what is wrong with the way in which the call takes the value; None if it takes or refuses it well."""
    try:
        call.make(value)
    except Exception as error:
        return (
            None if call.plain is not None and _is_as_plain(call.plain, name, error) else _fault_in(error, call, name)
        )
    return None


def _is_as_plain(plain: Callable[[Any], object], name: str, error: Exception) -> bool:
    """Whether the library itself raises the same for the same value, and tells no less."""
    try:
        plain(wrong_values()[name])
    except Exception as expected:
        return type(expected) is type(error) and (SECRET not in _text(error) or SECRET in _text(expected))
    return False


def _fault_in(error: Exception, call: Call, name: str) -> str | None:
    text = _text(error)
    where = f"{call.what} {call.argument}={name}: {type(error).__name__}: {text[:200]!a}"
    if isinstance(error, TimeoutError) and call.argument == "timeout":
        return None  # it was short
    is_ours = isinstance(error, (WorkerPoolError, *call.own))
    if not is_ours and (isinstance(error, UnicodeError) or not isinstance(error, TypeError | ValueError)):
        return f"foreign: {where}"
    if SECRET in text and not call.may_tell:
        return f"tells the value: {where}"
    refused = isinstance(error, InvalidRequest) or not is_ours
    if refused and not any(known in text for known in (call.argument, *call.names)) and not isinstance(error, call.own):
        return f"names no argument: {where}"
    return None


def _text(error: Exception) -> str:
    try:
        return f"{error} {error!r} {vars(error)!r}"
    except Exception:  # it holds something deep or stubborn
        return f"{type(error).__name__} of {[type(value).__name__ for value in error.args]}"
