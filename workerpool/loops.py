"""Event loops: uvloop's where it is installed, made fit for connections without threads and for forks."""

import asyncio
import atexit
import os
import socket
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

from .errors import InvalidRequest
from .loading import loaded_once

__all__ = ["loop_factory", "never_free", "on_a_loop", "pause"]


@loaded_once
def _uvloop() -> Any:
    """Return the class of uvloop's loops, made fit, or None where it is not installed."""
    try:
        import uvloop
    except ImportError:
        return None

    class Loop(uvloop.Loop):
        async def getaddrinfo(self, host: Any, port: Any, *, family: int = 0, type: int = 0, **rest: Any) -> Any:
            # For each connection uvloop asks for the address that it has, and without a type libuv asks on a thread.
            return await super().getaddrinfo(host, port, family=family, type=type or socket.SOCK_STREAM, **rest)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: atexit.register(_renew_libuv_threads, Loop))
    return Loop


def loop_factory(
    kind: "str | Callable[[], Any]",
) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the workers' loops: uvloop where it is installed and safe, unless told otherwise."""
    if callable(kind):
        return partial(_made_by, kind)
    plain = kind == "asyncio" or (kind == "auto" and not _has_standard_files())
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None if plain else _uvloop()
    if kind == "uvloop" and loop is None:
        raise ImportError("event_loop='uvloop' needs an extra: pip install 'aiohttp-workerpool[speed]'")
    return loop or asyncio.new_event_loop


def _has_standard_files() -> bool:
    """Return whether 0 to 2 are open; a socket would get one of them else, and libuv aborts where it closes that."""
    try:
        return all(os.fstat(number) for number in range(3))
    except OSError:
        return False


def _made_by(factory: Callable[[], Any]) -> asyncio.AbstractEventLoop:
    loop = factory()
    if not isinstance(loop, asyncio.AbstractEventLoop):
        raise InvalidRequest(
            f"event_loop must make an event loop of asyncio's, not a value of type {type(loop).__name__}"
        )
    return loop


async def pause(seconds: float) -> None:
    """Sleep for so long and no less; uvloop's timers count from the beginning of a turn, and may ring before."""
    end = monotonic() + seconds
    while (left := end - monotonic()) > 0:
        await asyncio.sleep(left)


def on_a_loop() -> bool:
    """Return whether the current thread runs a loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def never_free(thing: object) -> None:
    """Keep a thing beyond the interpreter's end: a uvloop that is freed in a forked child crashes the process."""
    try:
        from ctypes import py_object, pythonapi
    except ImportError:
        return
    pythonapi.Py_IncRef(py_object(thing))


def _renew_libuv_threads(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Let libuv start its threads anew in a forked child: at exit it joins them, and the old ones are the parent's."""
    loop = new_loop()
    try:
        loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 0))
    finally:
        loop.close()
