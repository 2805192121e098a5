"""A result as one line of JSON."""

import json
from typing import Any

from ..errors import RequestError
from ..messages.request import Request
from ..messages.response import Response, Result

__all__ = ["json_line", "succeeded"]


def succeeded(result: Result, *, fail_status: bool = True) -> bool:
    """Return whether there is an answer; with `fail_status`, one with a status below 400."""
    return result.response is not None and (result.response.ok or not fail_status)


def json_line(result: Result, *, body: bool = False) -> str:
    """Return the result as a line of ASCII JSON, every field always there; `body` adds the text of the body.

    `url` is the input as it was given, so that it can be found again. Control characters from a server are escaped.
    """
    url = result.request.url if isinstance(result.request, Request) else str(result.request)
    line: dict[str, Any] = {"index": result.index, "url": _clean(url)}
    line |= _missing(result.error) if result.response is None else _answer(result.response)
    if body:
        line["body"] = None if result.response is None else _clean(result.response.text)
    return json.dumps(line | {"error": None if result.error is None else _error(result.error)})


def _answer(response: Response) -> dict[str, Any]:
    return {
        "status": response.status_code,
        "reason": _clean(response.reason),
        "bytes": len(response.content),
        "elapsed": round(response.elapsed, 6),
        "attempts": response.attempts,
        "final_url": response.url,
    }


def _missing(error: BaseException | None) -> dict[str, Any]:
    attempts = error.attempts if isinstance(error, RequestError) else None
    nothing = dict.fromkeys(("status", "reason", "bytes", "elapsed", "attempts", "final_url"))
    return nothing | {"attempts": attempts}


def _error(error: BaseException) -> dict[str, Any]:
    stage = error.stage if isinstance(error, RequestError) else None
    return {"type": type(error).__name__, "message": _clean(str(error)), "stage": stage}


def _clean(text: str) -> str:
    """Write out half characters, which come from bytes that are no UTF-8; many readers of JSON refuse them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
