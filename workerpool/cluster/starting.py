"""How a pool comes to a cluster: a client of its own, a LocalCluster where there is none, stations on workers."""

import asyncio
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any

from distributed import Client, LocalCluster, Security
from distributed.core import ConnectionPool, clean_exception

from .._version import __version__
from ..errors import InvalidRequest, WorkerPoolError
from ..lane import Lane
from ..messages.receipt import BodyStore
from .errors import ClusterError, NotPicklable, Unreachable, VersionMismatch
from .member import Member
from .station import StationPlugin
from .wire import pickled

__all__ = ["Stations", "connected", "local_cluster", "packed_lanes"]

_PATIENCE = 10.0  # seconds that a scheduler may take to answer
_REACH = 5.0  # seconds that a connection to a worker may take
_COMMS = 100_000  # connections: two for each worker
_INSTALL = "pip install 'aiohttp-workerpool[dask]'"

# As text, so that it travels whole: a worker without workerpool could not import a function of it.
_ASK = """
def facts():
    import sys
    python = "%d.%d" % sys.version_info[:2]
    try:
        import workerpool
        import workerpool.cluster
    except ImportError as exc:
        return python, None, str(exc) + ("" if exc.name != "workerpool" else ", so 'workerpool' is missing")
    return python, workerpool.__version__, ""
"""


def local_cluster(processes: int | None = None) -> LocalCluster:
    """Start worker processes on this machine, one per core unless told otherwise; over TLS, on 127.0.0.1 only."""
    return LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=processes,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        security=Security.temporary(),  # type: ignore[no-untyped-call]
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
    )


def connected(given: Any, name: str) -> Client:
    """Return a client of the pool's own, at the cluster of what was given: a Client, a cluster or an address."""
    if isinstance(given, Client):
        if given.asynchronous or given.scheduler is None:
            raise InvalidRequest("the Client must be a connected one that blocks, not Client(asynchronous=True)")
        address, security = str(given.scheduler.address), given.security
    elif isinstance(given, str):
        address, security = str(given), None
    elif hasattr(given, "scheduler_address"):
        address, security = str(given.scheduler_address), getattr(given, "security", None)
    else:
        kind = type(given).__name__
        raise InvalidRequest(f"a DaskPool takes a Client, a cluster, an address or None, not {kind}")
    try:
        return Client(  # type: ignore[no-untyped-call]
            address, security=security, timeout=_PATIENCE, set_as_default=False, name=f"workerpool-{name}"
        )
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as exc:
        cure = "start one with `dask scheduler`, or leave the address out for processes of this machine"
        if address.startswith("tls://") and security is None:
            cure = "its certificates are needed: give DaskPool(Client(address, security=Security(...)))"
        raise Unreachable(f"no Dask scheduler answers at {address!r} within {_PATIENCE:g} s ({exc}); {cure}") from exc


def packed_lanes(lanes: Sequence[Lane]) -> bytes:
    """Return lanes as they travel; raises NotPicklable, which names the field."""
    for lane in lanes:
        for each in fields(Lane):
            try:
                pickled(getattr(lane, each.name), each.name)
            except NotPicklable as exc:
                cure = "; make it on the worker: connector=, a function that is called there" * (each.name == "ssl")
                raise NotPicklable(f"lane '{lane.name}': {exc}{cure}") from exc.__cause__
    return pickled(list(lanes), "lanes")


class Stations:
    """Open a station on a worker, and close it. On the client's loop."""

    def __init__(
        self, client: Client, name: str, lanes: bytes, workers: int | None, store: BodyStore | None = None
    ) -> None:
        self._client = client
        self._lanes, self._workers, self._store, self._name = lanes, workers, store, name
        space: dict[str, Any] = {"__name__": "__main__"}  # what is of there is pickled whole
        exec(_ASK, space)
        self._ask = space["facts"]
        self._comms: ConnectionPool | None = None

    async def start(self) -> None:
        """Be able to reach workers."""
        self._comms = await ConnectionPool(limit=_COMMS, connection_args=self._client.connection_args, timeout=_REACH)

    async def open(self, address: str) -> Member:
        """Open a station at the worker; raises ClusterError for one that cannot have it."""
        assert self._comms is not None
        await self._check(address)
        member = Member(address, f"{self._name}-{uuid.uuid4().hex[:12]}", self._comms)
        plugin = StationPlugin(member.station, self._lanes, self._workers, self._store)
        try:
            reply = await member.call("plugin-add", plugin=pickled(plugin, "the plugin"), name=member.station)
        except (OSError, TimeoutError) as exc:
            raise Unreachable(
                f"the worker {address} cannot be reached from here ({exc}); run this program where it can connect to"
                " the workers themselves, for bodies do not go through the scheduler"
            ) from exc
        if reply["status"] == "error":
            _, error, _ = clean_exception(reply["exception"], reply["traceback"])
            raise _told(address, error) from error
        return member

    async def close(self, members: Sequence[Member]) -> None:
        """Close the stations, as far as they can be reached."""

        async def close(member: Member) -> None:
            with suppress(Exception):
                async with asyncio.timeout(_REACH):
                    await member.call("plugin-remove", name=member.station)

        await asyncio.gather(*map(close, members))
        if self._comms is not None:
            await self._comms.close()

    async def _check(self, address: str) -> None:
        """Raise VersionMismatch for a worker that does not fit."""
        found = await self._client.run(self._ask, workers=[address], on_error="return")
        facts = found.get(address)
        if isinstance(facts, BaseException) or facts is None:
            raise Unreachable(f"the worker {address} does not answer: {facts}; is it still starting, or gone?")
        python, version, trouble = facts
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        if version is None:
            what = "no workerpool" if "'workerpool'" in trouble else "not all that workerpool needs"
            raise VersionMismatch(f"the worker {address} has {what} ({trouble}); on each worker: {_INSTALL}")
        if version != __version__:
            cure = f"on each worker: pip install 'aiohttp-workerpool[dask]=={__version__}'"
            raise VersionMismatch(f"the worker {address} has workerpool {version}, and this is {__version__}; {cure}")
        if python != here:
            raise VersionMismatch(
                f"the worker {address} runs Python {python}, and this is {here};"
                " functions travel between equal ones only"
            )


def _told(address: str, error: BaseException | None) -> WorkerPoolError:
    if isinstance(error, InvalidRequest):  # its own words name the extra that is missing there, too
        return ClusterError(f"the worker {address} cannot have such a pool: {error} (on the worker)")
    text = f"{type(error).__name__}: {error}"
    return ClusterError(f"the worker {address} cannot open its pool: {text}; see the worker's log")
