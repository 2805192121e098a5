"""Fifty kinds of wrong values, and what a call may do with one: take it, or refuse it by name and without its secret."""

import io
import math
import threading
from collections.abc import Callable
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


def fault_of(call: Call, name: str, value: Any) -> str | None:
    """Return what is wrong with the way in which the call takes the value; None if it takes or refuses it well."""
    try:
        call.make(value)
    except (WorkerPoolError, TypeError, ValueError) as error:
        return _fault_in(error, call, name)
    except TimeoutError:
        if call.argument == "timeout":
            return None  # it was short
        return f"{call.what} {call.argument}={name}: TimeoutError"
    except Exception as error:
        return f"{call.what} {call.argument}={name}: {type(error).__name__}: {str(error)[:200]}"
    return None


def _fault_in(error: Exception, call: Call, name: str) -> str | None:
    told = f"{error} {error!r} {vars(error)!r}"
    where = f"{call.what} {call.argument}={name}: {type(error).__name__}: {str(error)[:200]!a}"
    if isinstance(error, UnicodeError):
        return f"foreign: {where}"
    if SECRET in told and not call.may_tell:
        return f"tells the value: {where}"
    refused = isinstance(error, InvalidRequest) or not isinstance(error, WorkerPoolError)
    if refused and not any(known in str(error) for known in (call.argument, *call.names)):
        return f"names no argument: {where}"
    return None
