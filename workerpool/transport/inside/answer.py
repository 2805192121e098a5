"""An answer as the exchange reads it: what aiohttp's ClientResponse is, as far as that is asked for."""

from typing import Any, TypeAlias

import aiohttp
from multidict import CIMultiDictProxy

__all__ = ["Answer", "AnyAnswer", "Whole", "content_of"]


class Answer:
    """Hold the head of an answer, and its body as it comes; the connection goes back when that has come to its end."""

    __slots__ = ("_connection", "closed", "content", "headers", "method", "reason", "status", "version")

    def __init__(self, method: str, message: Any, content: Any, connection: Any) -> None:
        self.method: str = method
        self.status: int = message.code
        self.reason: str = message.reason
        self.version: Any = message.version
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content: Any = content
        self.closed: bool = False
        self._connection = connection
        content.on_eof(self._end)  # at once, where that has come

    @property
    def content_length(self) -> int | None:
        """The length that was announced, in bytes."""
        length = self.headers.get("Content-Length")
        return None if length is None else int(length)

    def close(self) -> None:
        """Close the connection, unless it went back before."""
        self.closed = True
        self._connection.close()

    def _end(self) -> None:
        self.closed = True
        try:
            if (protocol := self._connection.protocol) is not None:
                protocol.let_go(ends_here=False)
            self._connection.release()
        except BaseException:
            self._connection.close()
            raise


class Whole:
    """A body that is here, read as one that comes."""

    __slots__ = ("_body", "total_bytes")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.total_bytes: int = len(body)

    async def readany(self) -> bytes:
        """Return it, and nothing from then on."""
        return self.read_nowait()

    def read_nowait(self) -> bytes:
        """Return it, and nothing from then on."""
        body, self._body = self._body, b""
        return body

    def is_eof(self) -> bool:
        """Whether all of it is here."""
        return True

    def on_eof(self, callback: Any) -> None:
        """Call back, since all of it is here."""
        callback()

    def exception(self) -> BaseException | None:
        """Return what it failed by: nothing."""
        return None


AnyAnswer: TypeAlias = Answer | aiohttp.ClientResponse


def content_of(answer: AnyAnswer) -> Any:
    """Return what the body is read from: what aiohttp keeps of it, where a middleware or a recorder has read it."""
    body: bytes | None = getattr(answer, "_body", None)  # an Answer and a mock have none
    return answer.content if body is None else Whole(body)
