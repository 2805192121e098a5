"""The bodies that are sent to the service: of a type that it takes, within bounds, and JSON without traps."""

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request

from .problems import Problem

__all__ = ["check_json", "check_length", "media_of", "read_body"]

_LINES = "application/x-ndjson"
_CHARSETS = ("utf-8", "utf8", "us-ascii")


def media_of(request: Request, *taken: str) -> str:
    """Return the media type of what was sent; raises a 415 for one that is not taken, and for what is compressed."""
    kind, *parameters = (each.strip() for each in request.headers.get("Content-Type", "").split(";"))
    if kind.lower() not in taken:
        raise _unsupported(f"send {' or '.join(taken)}", {"Accept-Post": ", ".join(taken)})
    for each in parameters:
        name, _, value = each.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in _CHARSETS:
            raise _unsupported("send it in UTF-8", {"Accept-Post": ", ".join(taken)})
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", ""):
        raise _unsupported("send it as it is, without Content-Encoding", {"Accept-Encoding": "identity"})
    return kind.lower()


async def read_body(request: Request, most: int) -> bytes:
    """Return a body of at most so many bytes; raises a 413."""
    check_length(request, most)
    return b"".join([chunk async for chunk in _bounded(request.stream(), most)])


def check_length(request: Request, most: int) -> None:
    """Raise a 413 for a body that says it is longer."""
    length = request.headers.get("Content-Length", "")
    if length.isdecimal() and (len(length) > 18 or int(length) > most):
        raise _too_long(most)


def check_json(content: bytes) -> None:
    """Raise a 400 for what is no JSON, a 422 for a name that an object has twice: readers differ on which counts."""
    try:
        json.loads(content.decode(), object_pairs_hook=_once)
    except RecursionError:
        raise Problem(400, "the body is no JSON: it is nested too deep") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as exc:
        raise Problem(400, f"the body is no JSON: {exc}") from None
    except ValueError as exc:  # a number of too many digits for Python
        raise Problem(422, f"a number is too long: {exc}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Problem(422, f"an object has the name {twice[:100]!r} twice")
    return found


async def _bounded(chunks: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise _too_long(most)
        yield chunk


def _too_long(most: int) -> Problem:
    return Problem(413, f"more than {most} bytes; requests may come in several jobs, or as {_LINES}")


def _unsupported(text: str, headers: dict[str, str]) -> Problem:
    return Problem(415, text, headers=headers)
