"""A process of the service: the store, the pool, the runner, and the server that takes calls."""

import asyncio
import logging
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn

from ..caller.pool import WorkerPool
from .access import Access, is_loopback
from .app import make_app
from .connection import Connection, allow_connections
from .errors import StoreRefused
from .guard import own_hosts
from .homes import open_store
from .records import Token
from .runner import Runner
from .sending import outgoing
from .service import Service
from .settings import ServiceSettings
from .store import Store
from .upkeep import keep_up
from .webhooks.courier import Courier

__all__ = ["running", "serve", "stop_of_signals"]

log: logging.Logger = logging.getLogger("workerpool.service")

_BACKLOG = 2048
_HURRY = 5.0  # seconds that connections, and the pool, get at the end


async def serve(settings: ServiceSettings, tokens: Iterable[Token], told: Callable[[str], None]) -> None:
    """Serve until TERM or Ctrl-C; `told` hears the address once calls are taken. Raises StoreRefused and OSError."""
    store = await open_store(settings)
    try:
        service = Service(store, settings, Access(store, tokens, needed=not is_loopback(settings.host)))
        if not is_loopback(settings.host) and not await service.access.has_tokens():
            raise StoreRefused(
                f"{settings.host} is reached by others, and there are no tokens; set WORKERPOOL_TOKENS, or listen on"
                " 127.0.0.1"
            )
        with _listening(settings) as place:
            port = place.getsockname()[1]
            service.hosts = own_hosts(settings.host, port, settings.public_hosts)
            async with running(store, settings, lambda: service.hosts):
                await _take_calls(service, place, lambda: told(_address(settings.host, port)))
    finally:
        await store.close()


@asynccontextmanager
async def running(
    store: Store, settings: ServiceSettings, hosts: Callable[[], Collection[str]] = frozenset
) -> AsyncIterator[Runner]:
    """Have a runner fetch what is queued, for a block, and webhooks sent; what it has at the end is given back.

    `hosts` are those by which the service itself is called: no webhook goes there.
    """
    owner = f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(3)}"
    pool = WorkerPool(workers=settings.workers, name="workerpool-service", **outgoing(settings))
    runner = Runner(store, pool, settings, owner)
    runner.start()
    courier = Courier(store, pool, settings, owner, hosts)
    upkeep = asyncio.create_task(keep_up(store, settings))
    try:
        yield runner
    finally:
        upkeep.cancel()
        with suppress(asyncio.CancelledError):
            await upkeep
        await courier.stop()
        await runner.stop(settings.drain)
        await asyncio.to_thread(pool.shutdown, cancel_futures=True, timeout=_HURRY)


def stop_of_signals() -> asyncio.Event:
    """Return what TERM and Ctrl-C set. On the running loop; off the main thread whoever calls cancels instead."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(ValueError, RuntimeError):  # signals are for the main thread only
            loop.add_signal_handler(number, stop.set)
    return stop


async def _take_calls(service: Service, place: socket.socket, told: Callable[[], None]) -> None:
    config = uvicorn.Config(
        make_app(service), log_config=None, access_log=False, lifespan="off", server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=int(_HURRY), h11_max_incomplete_event_size=service.settings.limits.header_bytes * 2,
        backlog=_BACKLOG, timeout_keep_alive=30, http=Connection, ws="none",
    )  # fmt: skip
    allow_connections()
    server = _Server(config)
    stop = stop_of_signals()
    task = asyncio.create_task(server.serve(sockets=[place]))
    stopping = asyncio.create_task(stop.wait())
    try:
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        told()
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        service.stopping = True
        server.should_exit = True
        stopping.cancel()
        await asyncio.shield(task)


class _Server(uvicorn.Server):
    """uvicorn's server, without its signal handlers: the process has its own."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave them as they are."""
        yield


def _listening(settings: ServiceSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    place = socket.socket(family, socket.SOCK_STREAM)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind((settings.host.strip("[]"), settings.port))
    except OSError:
        place.close()
        raise
    return place


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
