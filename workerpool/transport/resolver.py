"""The DNS resolver: getaddrinfo on threads that nobody has to wait for.

The loops' own ways, an executor or libuv's threads, are joined when the loop or the interpreter ends: a name server
that is silent would hold both for as long as the system is patient, ten seconds and more.
"""

import asyncio
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any, cast

import aiohttp
import aiohttp.abc

__all__ = ["NAMES", "Names", "join_threads", "new_resolver"]

_AT_ONCE = 64  # look-ups of the process; each that hangs holds a thread, which costs little more than its stack
_PATIENCE = 1.0  # seconds that a thread with nothing left to do gets to end
_number = count(1)


class _Lookup:
    """A question to the system, and the loop that waits for its answer."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self.given_up = False  # nobody waits any more
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self._loop.create_future()

    def run(self) -> Callable[[], None]:
        """Ask, on a thread, and return what delivers the answer."""
        try:
            settle, value = self.answer.set_result, self._ask()
        except Exception as exc:  # noqa: BLE001  it belongs to who asked
            settle, value = self.answer.set_exception, exc
        except BaseException as exc:  # noqa: BLE001  the same, and it must not end the loop
            settle, value = self.answer.set_exception, OSError(f"the look-up ended with {type(exc).__name__}")
        return lambda: self._deliver(settle, value)

    def _deliver(self, settle: Callable[[Any], None], value: Any) -> None:
        def on_loop() -> None:
            if not self.answer.done():
                settle(value)

        with suppress(RuntimeError):  # the loop is closed: the answer comes too late
            self._loop.call_soon_threadsafe(on_loop)


class _Threads:
    """Answer look-ups on daemon threads, bounded in number; each ends as soon as there is nothing to look up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all of it
        self._waiting: deque[_Lookup] = deque()
        self._running = 0
        self._ending: set[threading.Thread] = set()  # that take nothing any more

    def put(self, lookup: _Lookup) -> None:
        """Have it answered. Raises OSError if there can be no thread for it."""
        thread = threading.Thread(target=self._work, name=f"workerpool-dns-{next(_number)}", daemon=True)
        with self._lock:
            self._waiting.append(lookup)
            if self._running == _AT_ONCE:
                return
            self._running += 1
            self._ending = {each for each in self._ending if each.is_alive()}
        try:
            thread.start()
        except RuntimeError as exc:
            with self._lock:
                self._running -= 1
                with suppress(ValueError):  # another thread has taken it
                    self._waiting.remove(lookup)
            raise OSError("there is no thread left to look a host name up on") from exc

    def join(self) -> None:
        """Wait for the threads that are about to end; those that hang in a look-up are daemons."""
        with self._lock:
            ending = self._ending.copy()
        for thread in ending:
            thread.join(_PATIENCE)

    def _work(self) -> None:
        lookup = self._next()
        while lookup is not None:
            deliver = lookup.run()
            # Before the answer is there: whoever closes its pool then can wait for this thread.
            lookup = self._next()
            deliver()
            del deliver

    def _next(self) -> _Lookup | None:
        with self._lock:
            while self._waiting:
                if not (lookup := self._waiting.popleft()).given_up:
                    return lookup
            self._running -= 1
            self._ending.add(threading.current_thread())
            return None


_threads = _Threads()


async def _ask(ask: Callable[[], Any]) -> Any:
    lookup = _Lookup(ask)
    _threads.put(lookup)
    try:
        return await lookup.answer
    finally:
        lookup.given_up = True


class Names:
    """The part of an event loop that looks names up; other libraries take it for their loop."""

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> list[Any]:
        """Return what `socket.getaddrinfo` does."""
        return cast(list[Any], await _ask(lambda: socket.getaddrinfo(host, port, **options)))

    async def getnameinfo(self, address: Any, flags: int = 0) -> tuple[str, str]:
        """Return what `socket.getnameinfo` does."""
        return cast(tuple[str, str], await _ask(lambda: socket.getnameinfo(address, flags)))


NAMES: Any = Names()


def new_resolver() -> aiohttp.abc.AbstractResolver:
    """Make aiohttp's own resolver, on threads of ours."""
    return aiohttp.ThreadedResolver(loop=NAMES)


def join_threads() -> None:
    """Wait, for a moment, for threads that have nothing left to look up."""
    _threads.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.__init__)  # type: ignore[misc]  # the threads stayed with the parent
