"""LaneView and PoolSession: the verbs of the pool, bound to one lane."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from .client import Client

if TYPE_CHECKING:
    from .routing import Route
    from .switchboard import Switchboard

__all__ = ["LaneView", "PoolSession"]


class LaneView(Client):
    """The verbs bound to one lane; made by `WorkerPool.lane(name)`, cheap, thread-safe."""

    _route: "Route"

    @property
    def name(self) -> str:
        """The lane's name."""
        return self._lane.name

    @property
    def route(self) -> "Route":
        """The lane and the workers that serve it: what a view is made of, and keeps no pool running."""
        return self._route

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.name}' of pool '{self._board.name}'>"


class PoolSession(LaneView):
    """A lane for a while: of `pool.session()` a private "browser", of `pool.like()` one like another lane.

    Nobody else shares its cookies and connections. For a `with` block; may be used by several threads at once, as a
    browser's tabs do.
    """

    _board: "Switchboard"

    def close(self, *, wait: bool = True) -> None:
        """Give up what is under way here and close it. Blocks shortly, unless `wait` is False; repeatable."""
        self._board.close(self._route, wait=wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
