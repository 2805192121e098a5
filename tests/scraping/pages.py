"""Answers made by hand, and streams that have no end in memory."""

import io

from multidict import CIMultiDict, CIMultiDictProxy

from workerpool import Request, Response

__all__ = ["Generated", "answer"]


def answer(content=b"", url="http://site.example/a/b", status=200, kind="text/html; charset=utf-8", **headers):
    """Return an answer with this body."""
    fields = CIMultiDict({"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}})
    body = content if isinstance(content, bytes) else content.encode()
    return Response(Request("GET", url), url, status, "OK", CIMultiDictProxy(fields), body)


class Generated(io.RawIOBase):
    """Give pieces one after the other, as they are asked for."""

    def __init__(self, pieces):
        self._pieces = iter(pieces)
        self._left = b""

    def readable(self):
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer):
        """Give what is left of a piece, or the next one."""
        self._left = self._left or next(self._pieces, b"")
        data, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
