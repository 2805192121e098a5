"""The service as its routes see it: what each call may need, in one value."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Depends, Request

from .access import Access, Caller
from .fresh import Fresh
from .problems import Problem
from .query import check_query
from .records import LaneState, Role
from .settings import ServiceSettings
from .store import Store

__all__ = ["Needs", "Service", "accepts", "as_admin", "as_reader", "as_submitter", "the_service"]

_AT_ONCE = 32  # submissions that are stored at a time: more would gain nothing, and what comes beside them would wait
_FRESH = 0.25  # seconds that lanes are taken for known, where they only say why a job waits


@dataclass(slots=True)
class Service:
    """Hold what routes need. Of the service's loop."""

    store: Store
    settings: ServiceSettings
    access: Access
    hosts: frozenset[str] = frozenset()  # values of Host by which it is called; known once it listens
    event_clients: int = 0
    stopping: bool = False
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _lanes: "Fresh[Mapping[str, LaneState]]" = field(init=False)
    _unfinished: "dict[str, Fresh[int]]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lanes = Fresh(self._ask_lanes, _FRESH)

    async def lanes(self) -> Mapping[str, LaneState]:
        """Return the lanes by name, as they were a moment ago."""
        return await self._lanes.get()

    async def unfinished_of(self, owner: str) -> int:
        """Return how many jobs of a token's are not final, as it was a moment ago."""
        if owner not in self._unfinished:
            self._unfinished[owner] = Fresh(lambda: self.store.unfinished_of(owner), _FRESH)
        return await self._unfinished[owner].get()

    async def _ask_lanes(self) -> Mapping[str, LaneState]:
        return {each.settings.name: each for each in await self.store.lanes()}


def the_service(request: Request) -> Service:
    """Return the service of a call."""
    found: Service = request.app.state.service
    return found


class Needs:
    """What a route asks of whoever calls: a role, which the document tells, too."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: Request) -> Caller:
        """Return who calls; raises a 401, a 403 or, for query parameters, a 422."""
        caller = await the_service(request).access.caller(request)
        if not caller.role.includes(self.role):
            raise Problem(403, f"this needs the role {self.role.value}; the token has {caller.role.value}")
        check_query(request)
        return caller


as_reader: Any = Depends(Needs(Role.READ))
as_submitter: Any = Depends(Needs(Role.SUBMIT))
as_admin: Any = Depends(Needs(Role.ADMIN))


def accepts(request: Request, *media_types: str) -> str:
    """Return the one of these media types that the caller likes best; raises a 406 for none."""
    asked = request.headers.get("Accept", "*/*")
    best, found = 0.0, ""
    for each in media_types:
        quality = _quality(asked, each)
        if quality > best:
            best, found = quality, each
    if not found:
        raise Problem(406, f"there is {', '.join(media_types)}")
    return found


def _quality(asked: str, media_type: str) -> float:
    """Return how much an Accept likes a media type: the most exact range counts."""
    exact, quality = -1, 0.0
    for part in asked.split(","):
        name, *parameters = (each.strip().lower() for each in part.split(";"))
        rank = (media_type, f"{media_type.partition('/')[0]}/*", "*/*").index(name) if name in (
            media_type, f"{media_type.partition('/')[0]}/*", "*/*") else None  # fmt: skip
        if rank is not None and 3 - rank > exact:
            exact, quality = 3 - rank, _weight(parameters)
    return quality


def _weight(parameters: list[str]) -> float:
    for each in parameters:
        if each.startswith("q="):
            try:
                return min(1.0, max(0.0, float(each[2:])))
            except ValueError:
                return 0.0
    return 1.0
