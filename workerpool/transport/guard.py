"""Private names of aiohttp that the pool needs, each in one place; tests/test_contract.py pins them."""

import select
from contextvars import ContextVar
from time import monotonic
from typing import Any

import aiohttp

from ..job import Work

__all__ = ["current_work", "guard", "send_once"]

# Seconds of rest below which the kernel is not asked: the loop has hardly turned since the last answer, and a
# system call gives the GIL away (measured: 40 % of the CPU of a request). A server that pushes bytes within
# that time could as well push them right after the look.
_FRESH = 0.005

current_work: ContextVar[Work | None] = ContextVar("workerpool_current_work", default=None)


def guard(connector: aiohttp.BaseConnector) -> None:
    """Make the connector drop an idle connection that has bytes waiting or is to be closed.

    Such bytes are an answer that nobody asked for; the next request would take it for its own
    (aio-libs/aiohttp#13656). urllib3 and Go drop the connection too.
    """
    get = connector._get

    async def get_clean(key: Any, traces: Any) -> Any:
        while True:
            idle = connector._conns.get(key)
            rested = not idle or monotonic() - idle[0][1] > _FRESH
            if (connection := await get(key, traces)) is None:
                return None
            if not _is_tainted(connection.protocol, look=rested):
                return connection
            connection.close()

    connector._get = get_clean  # type: ignore[method-assign]
    if isinstance(connector, aiohttp.TCPConnector):
        _note_stages(connector)


def _note_stages(connector: aiohttp.TCPConnector) -> None:
    """Note in the work that makes a new connection how far that is: an error or a deadline tells it."""
    resolve = connector._resolve_host
    make_protocol = connector._factory

    async def resolve_noting(host: str, port: int, traces: Any = None) -> Any:
        work = current_work.get()
        if work is None:
            return await resolve(host, port, traces=traces)
        work.stage = "dns"
        found = await resolve(host, port, traces=traces)
        work.stage = "connect"
        return found

    def make_protocol_noting() -> Any:
        # Called once TCP is there; what is left of making the connection is TLS, if it is to be had.
        work = current_work.get()
        if work is not None:
            work.stage = "tls"
        return make_protocol()

    connector._resolve_host = resolve_noting  # type: ignore[method-assign]
    connector._factory = make_protocol_noting  # type: ignore[assignment]


def send_once(session: aiohttp.ClientSession) -> None:
    """Stop the session from silently sending an idempotent request a second time."""
    session._retry_connection = False


def _is_tainted(protocol: Any, *, look: bool) -> bool:
    if protocol is None or protocol.should_close:
        return True
    if not look:
        return False
    transport = protocol.transport
    handle = None if transport is None else transport.get_extra_info("socket")
    return handle is None or _is_readable(handle.fileno())


def _is_readable(fd: int) -> bool:
    """Whether bytes (or the end) wait in the kernel that the loop has not looked at yet."""
    if fd < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([fd], [], [], 0)[0])
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))
