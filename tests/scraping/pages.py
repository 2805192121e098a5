"""Answers made by hand, and streams that have no end in memory."""

import io
from collections.abc import Iterable
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from workerpool import Request, Response

__all__ = ["Generated", "answer"]


def answer(
    content: str | bytes = b"",
    url: str = "http://site.example/a/b",
    status: int = 200,
    kind: str = "text/html; charset=utf-8",
    **headers: str,
) -> Response:
    """Return an answer with this body."""
    fields = CIMultiDict({"Content-Type": kind, **headers})
    body = content if isinstance(content, bytes) else content.encode()
    return Response(Request("GET", url), url, status, "OK", CIMultiDictProxy(fields), body)


class Generated(io.RawIOBase):
    """Give pieces one after the other, as they are asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = b""

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give what is left of a piece, or the next one."""
        self._left = self._left or next(self._pieces, b"")
        data, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
