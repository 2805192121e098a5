"""A lane's and a session's face: the verbs of the pool, bound to one lane."""

from types import TracebackType
from typing import Protocol, Self

from ..handover.job import Job, Work
from ..handover.link import Link
from .client import Client
from .routing import Route

__all__ = ["LaneView", "PoolSession"]


class _Pool(Protocol):
    @property
    def name(self) -> str: ...

    def _post_to(self, route: Route, work: Work, *, block: bool = True) -> None: ...

    def _keep_open(self, link: Link, job: Job[None]) -> None: ...

    def _retire(self, route: Route, *, wait: bool = True) -> None: ...


class LaneView(Client):
    """The verbs bound to one lane; made by `WorkerPool.lane(name)`, cheap, thread-safe."""

    def __init__(self, pool: _Pool, route: Route) -> None:
        self._pool = pool
        self._route = route
        self._lane = route.lane

    @property
    def name(self) -> str:
        """The lane's name."""
        return self._lane.name

    @property
    def route(self) -> Route:
        """The lane and the workers that serve it: what a view is made of, and keeps no pool alive."""
        return self._route

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.name}' of pool '{self._pool.name}'>"

    @property
    def _owner(self) -> object:
        return self._pool

    def _keep_open(self, link: Link, job: Job[None]) -> None:
        self._pool._keep_open(link, job)

    def _post(self, work: Work, *, block: bool = True) -> None:
        self._pool._post_to(self._route, work, block=block)


class PoolSession(LaneView):
    """A lane for a while: of `pool.session()` a private "browser", of `pool.like()` one like another lane.

    Nobody else shares its cookies and connections. For a `with` block; may be used by several threads at once, as a
    browser's tabs do.
    """

    def close(self, *, wait: bool = True) -> None:
        """Give up what is under way here and close it. Blocks shortly, unless `wait` is False; repeatable."""
        self._pool._retire(self._route, wait=wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
