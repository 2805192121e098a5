"""What wakes tasks when something is on disk: news, work, jobs withdrawn. Of one loop, but for `ring`."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

__all__ = ["Bell"]


class Brought(Protocol):
    """What a transaction has brought."""

    @property
    def sequence(self) -> int:
        """The newest number of results and events."""

    @property
    def work(self) -> bool:
        """Whether there may be something new to lease."""

    @property
    def withdrawn(self) -> Sequence[str]:
        """Jobs whose requests were taken from runners."""


class Bell:
    """Tell tasks of a loop what transactions have brought. Made on that loop."""

    def __init__(self, sequence: int) -> None:
        self._loop = asyncio.get_running_loop()
        self.last: int = sequence
        self._news = asyncio.Event()
        self._work = asyncio.Event()
        self._gone: deque[str] = deque()
        self._any_gone = asyncio.Event()

    def ring(self, change: Brought) -> None:
        """Tell of a transaction. From any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits there
            self._loop.call_soon_threadsafe(self._note, change.sequence, change.work, change.withdrawn)

    def ring_for_work(self) -> None:
        """Tell that there may be something new to lease. On the loop."""
        self._work.set()

    async def news(self, after: int, timeout: float) -> int:
        """Wait for a number above that one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.last <= after:
                    await self._news.wait()
        return self.last

    async def work(self, timeout: float) -> None:
        """Wait for something new to lease."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._work.wait()
        self._work.clear()

    async def withdrawn(self) -> str:
        """Wait for a job whose requests were taken from runners."""
        while not self._gone:
            self._any_gone.clear()
            await self._any_gone.wait()
        return self._gone.popleft()

    def _note(self, sequence: int, work: bool, withdrawn: Sequence[str]) -> None:
        if sequence > self.last:
            self.last = sequence
            self._news.set()
            self._news = asyncio.Event()
        if work:
            self._work.set()
        if withdrawn:
            self._gone.extend(withdrawn)
            self._any_gone.set()
