"""How long a client may take to send its body."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any, TypeAlias

from .problems import Problem

__all__ = ["Patience", "Receive", "Scope", "Send"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_SILENCE = 15.0  # seconds without a byte
_START = 30.0  # seconds, and so many more for each ...
_SLOWEST = 8 * 2**10  # bytes a second of a body, on the whole


class Patience:
    """Pass on one call's messages, and give up where the client takes too long. Of the service's loop."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._began, self._size = monotonic(), 0
        self._is_whole = self._is_answered = False

    async def receive(self) -> MutableMapping[str, Any]:
        """Return the next message of the client; raises a 408 for a body that comes too slowly."""
        if self._is_whole:
            return await self._receive()
        left = self._began + _START + self._size / _SLOWEST - monotonic()
        try:
            async with asyncio.timeout(min(_SILENCE, max(left, 0.0))):
                message = await self._receive()
        except TimeoutError:
            if self._is_answered:
                return {"type": "http.disconnect"}
            raise Problem(408, "the body comes too slowly", headers={"Connection": "close"}) from None
        self._size += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Send a message; a connection that nobody reads from ends by itself."""
        self._is_answered = True
        await self._send(message)
