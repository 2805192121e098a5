"""A result as one line of JSON."""

import json
import re
from typing import Any

from ..errors import InvalidRequest, RequestError
from ..messages.request import Request
from ..messages.response import Response
from ..messages.result import Result
from ..redaction import redact

__all__ = ["json_line", "succeeded"]

_HAS_SCHEME = re.compile(r"https?:", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HOST_FIRST = re.compile(r"[\w.-]+(:\d+)?([/?#]\S*)?")


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
    return json.dumps(line | {"error": None if result.error is None else _error(url, result.error)})


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


def _error(url: str, error: BaseException) -> dict[str, Any]:
    stage = error.stage if isinstance(error, RequestError) else None
    return {"type": type(error).__name__, "message": _clean(_message(url, error)), "stage": stage}


def _message(url: str, error: BaseException) -> str:
    """Return what is wrong in the words of the command, which takes whole URLs only."""
    if not isinstance(error, InvalidRequest) or _HAS_SCHEME.match(url):
        return str(error)
    if _HOST_FIRST.fullmatch(url):
        return f"{redact(url)}: a URL begins with http:// or https://; did you mean http://{redact(url)}?"
    if _OTHER_SCHEME.match(url):
        return f"{redact(url)}: only http:// and https:// URLs are fetched"
    return f"{redact(url)}: no URL; give one a line, and nothing else"


def _clean(text: str) -> str:
    """Write out half characters, which come from bytes that are no UTF-8; many readers of JSON refuse them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
