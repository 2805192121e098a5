"""A value that is asked for anew after a moment, once for all who want it then."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

__all__ = ["Fresh"]

T = TypeVar("T")


class Fresh(Generic[T]):
    """Keep what `ask` returned for so many seconds. Of one loop."""

    def __init__(self, ask: Callable[[], Awaitable[T]], seconds: float) -> None:
        self._ask, self._seconds = ask, seconds
        self._until = 0.0
        self._asked: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return the value; of many who come while it is asked for, all wait for one answer."""
        if self._asked is None or (self._asked.done() and (monotonic() >= self._until or _has_failed(self._asked))):
            self._asked = asyncio.create_task(self._renew())
        return await asyncio.shield(self._asked)

    def forget(self) -> None:
        """Ask again at the next call."""
        self._asked = None

    async def _renew(self) -> T:
        value = await self._ask()
        self._until = monotonic() + self._seconds
        return value


def _has_failed(task: "asyncio.Task[T]") -> bool:
    return task.cancelled() or task.exception() is not None
