"""One worker process of the cluster as the client's side sees it."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

from .station import op_of

__all__ = ["Member"]

_PUT = 20.0  # seconds that a parcel may take to arrive
_TAKE = 20.0  # seconds after which a question for outcomes is no longer waited for
_PROBE = 2.0  # seconds that a connection may take to be made
_LEARN = 0.25  # seconds over which a rate is measured


class Member:
    """Carry parcels to a worker and outcomes back. On the client's loop only."""

    def __init__(self, address: str, station: str, rpc: Callable[[str], Any]) -> None:
        self.address = address
        self.station = station
        self.parcels: int = 0
        self.confirmed = 0
        self.putting = False  # a parcel is on its way
        self.leaving = False  # Dask has taken it from the cluster: it gets nothing more
        self.gone = False
        self.given_up: list[int] = []  # numbers of work that nobody wants any more
        self.places: dict[str, int] = {}  # limits that it is to be told
        self.ended: dict[str, int] = {}  # of each lane, since the last look
        self.since: float = monotonic()
        self._rpc = rpc

    async def call(self, op: str, **what: Any) -> Any:
        """Ask the worker itself; raises OSError where it does not answer."""
        answer = await getattr(self._rpc(self.address), op)(**what)
        if answer is None:  # it is being closed
            raise ConnectionResetError(f"{self.address} ends and has not answered")
        return answer

    async def put(self, parcel: bytes, places: dict[str, int], given_up: list[int]) -> dict[str, Any]:
        """Hand a parcel over; the worker knows one that comes twice."""
        self.parcels += 1
        number = self.parcels
        for last in (False, True):
            try:
                async with asyncio.timeout(_PUT):
                    answer: dict[str, Any] = await self.call(
                        op_of(self.station, "put"), number=number, parcel=parcel, places=places, given_up=given_up
                    )
                return answer
            except OSError:
                if last:
                    raise
        raise AssertionError

    async def take(self) -> dict[str, Any]:
        """Wait for outcomes, a second at most."""
        async with asyncio.timeout(_TAKE):
            answer: dict[str, Any] = await self.call(op_of(self.station, "take"), confirmed=self.confirmed)
        return answer

    async def is_dead(self) -> bool | None:
        """Whether its process has surely ended; None where it can be reached."""
        _scheme, _, place = self.address.partition("://")
        host, _, port = place.rpartition(":")
        if not port.isdigit():
            return True  # within this process
        try:
            async with asyncio.timeout(_PROBE):
                _reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        writer.close()
        return None

    def learn(self) -> dict[str, float] | None:
        """Return how much of each lane was done a second, where that is worth a look."""
        past = monotonic() - self.since
        if past < _LEARN:
            return None
        found = {lane: number / past for lane, number in self.ended.items()}
        self.ended.clear()
        self.since = monotonic()
        return found
