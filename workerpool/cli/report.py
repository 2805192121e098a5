"""A result as one line of JSON."""

import json
import re

from ..errors import InvalidRequest
from ..messages.request import Request
from ..messages.result import Result
from ..redaction import redact
from ..scraping.rows import answer_row

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
    message = None if result.error is None else _message(url, result.error)
    return json.dumps(answer_row(result.index, url, result.response, result.error, body=body, message=message))


def _message(url: str, error: BaseException) -> str:
    """Return what is wrong in the words of the command, which takes whole URLs only."""
    if not isinstance(error, InvalidRequest) or _HAS_SCHEME.match(url):
        return str(error)
    if _HOST_FIRST.fullmatch(url):
        return f"{redact(url)}: a URL begins with http:// or https://; did you mean http://{redact(url)}?"
    if _OTHER_SCHEME.match(url):
        return f"{redact(url)}: only http:// and https:// URLs are fetched"
    return f"{redact(url)}: no URL; give one a line, and nothing else"
