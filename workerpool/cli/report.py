"""A result as one line of JSON."""

import json
from typing import Any

from ..errors import RequestError
from ..request import Request
from ..response import Response, Result

__all__ = ["json_line", "succeeded"]


def succeeded(result: Result) -> bool:
    """Return whether there is an answer with a status below 400."""
    return result.response is not None and result.response.ok


def json_line(result: Result, *, body: bool = False) -> str:
    """Return the result as a line of JSON; control characters from a server are escaped."""
    url = result.request.url if isinstance(result.request, Request) else str(result.request)
    line: dict[str, Any] = {"index": result.index, "url": url}
    line |= _answer(result.response, body=body) if result.response is not None else _NO_ANSWER
    return json.dumps(line | {"error": None if result.error is None else _error(result.error)})


_NO_ANSWER = dict.fromkeys(("status", "reason", "bytes", "elapsed", "attempts", "final_url"))


def _answer(response: Response, *, body: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "status": response.status_code,
        "reason": response.reason,
        "bytes": len(response.content),
        "elapsed": round(response.elapsed, 6),
        "attempts": response.attempts,
        "final_url": response.url,
    }
    return facts | {"body": response.text} if body else facts


def _error(error: BaseException) -> dict[str, Any]:
    stage = error.stage if isinstance(error, RequestError) else None
    return {"type": type(error).__name__, "message": str(error), "stage": stage}
