"""Rows: outcomes as plain data, the one home of what the command and the sinks write."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import RequestError
from ..messages.response import Response
from .errors import SinkError
from .outcome import Outcome

__all__ = ["COLUMNS", "answer_row", "checked_columns", "outcome_row", "picked", "plain", "well_formed"]

# Of `outcome_row`, in its order; where `body` is asked for it comes before `error`.
COLUMNS = (
    "index", "url", "status", "reason", "bytes", "elapsed", "attempts", "final_url", "error",
    "verdict", "why", "change", "started", "content_type", "redirects", "preferences", "fields", "line", "depth",
    "parent",
)  # fmt: skip
_DEEP = 100  # levels of nested fields; what lies deeper is written as text


def answer_row(
    index: int,
    url: str,
    response: Response | None,
    error: BaseException | None,
    *,
    body: bool = False,
    message: str | None = None,
) -> dict[str, Any]:
    """Return what came of a request, ready for JSON, every field always there; `body` adds the text of the body.

    `url` is the input as it was given, so that it can be found again. `message` says in other words what the error is.
    """
    row: dict[str, Any] = {"index": index, "url": well_formed(url)}
    row |= _missing(error) if response is None else _answer(response)
    if body:
        row["body"] = None if response is None else well_formed(response.text)
    row["error"] = None if error is None else _error(error, message)
    return row


def outcome_row(outcome: Outcome, *, body: bool = False) -> dict[str, Any]:
    """Return an outcome, ready for JSON: what `answer_row` has, then what the run knows beyond it.

    `attempts` counts those of earlier runs, too. `why` is the rule or the family of errors, since `reason` is HTTP's.
    """
    response, item = outcome.response, outcome.item
    row = answer_row(outcome.index, outcome.url, response, outcome.error, body=body)
    if outcome.attempts:
        row["attempts"] = max(len(outcome.attempts), row["attempts"] or 0)
    if outcome.saved is not None:
        row["bytes"] = outcome.size
    return row | {
        "verdict": outcome.verdict,
        "why": None if outcome.reason is None else well_formed(outcome.reason),
        "change": outcome.change,
        "started": round(outcome.attempts[-1].started, 3) if outcome.attempts else None,
        "content_type": None if response is None else _content_type(response),
        "redirects": [well_formed(url) for url in outcome.redirects],
        "preferences": {well_formed(name): well_formed(value) for name, value in outcome.preferences.items()},
        "fields": plain(outcome.fields) if outcome.fields else {},
        "line": item.line,
        "depth": item.depth,
        "parent": None if item.parent is None else well_formed(item.parent),
    }


def checked_columns(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of columns; raises SinkError where there is none, or one twice."""
    found = (names,) if isinstance(names, str) else tuple(names)
    if not found or len(set(found)) != len(found) or not all(isinstance(name, str) and name for name in found):
        raise SinkError(f"fields must be names of columns, each once, not {names!r}; there are {', '.join(COLUMNS)}")
    return found


def picked(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return these columns of a row: a name that is none of its own is of an extracted field, None where that lacks."""
    return {name: row[name] if name in row else row["fields"].get(name) for name in names}


def plain(value: Any, depth: int = 0) -> Any:
    """Return what JSON can hold; other objects become text, and numbers that are none become None."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if depth < _DEEP and (nested := _nested(value, lambda each: plain(each, depth + 1))) is not None:
        return nested
    return well_formed(str(value))


def well_formed(text: str) -> str:
    """Write out half characters, which come from bytes that are no UTF-8; many readers of JSON refuse them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _nested(value: Any, inner: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {well_formed(str(name)): inner(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [inner(each) for each in value]
    return None


def _number(value: float) -> float | None:
    if isinstance(value, int):
        return int(value)
    return float(value) if math.isfinite(value) else None


def _answer(response: Response) -> dict[str, Any]:
    return {
        "status": response.status_code,
        "reason": well_formed(response.reason),
        "bytes": len(response.content),
        "elapsed": round(response.elapsed, 6),
        "attempts": response.attempts,
        "final_url": response.url,
    }


def _missing(error: BaseException | None) -> dict[str, Any]:
    attempts = error.attempts if isinstance(error, RequestError) else None
    nothing = dict.fromkeys(("status", "reason", "bytes", "elapsed", "attempts", "final_url"))
    return nothing | {"attempts": attempts}


def _error(error: BaseException, message: str | None) -> dict[str, Any]:
    stage = error.stage if isinstance(error, RequestError) else None
    text = str(error) if message is None else message
    return {"type": type(error).__name__, "message": well_formed(text), "stage": stage}


def _content_type(response: Response) -> str | None:
    kind = response.headers.get("Content-Type")
    return None if kind is None else well_formed(kind)
