"""What the part of a worker that serves a lane needs of it."""

from collections.abc import Callable
from typing import Protocol

from ..handover.deadlines import Deadlines

__all__ = ["Home"]


class Home(Protocol):
    """What a dispatcher needs of its worker."""

    name: str
    deadlines: Deadlines
    on_own_code: Callable[[], object]
    posted: int  # jobs handed over to the worker, under the pool's lock; what it took from other workers is beside it
    taken: int
    ended: int

    def call_soon(self, callback: Callable[..., object], *args: object) -> bool:
        """Call back on the loop, from any thread; False if there is none."""

    def while_open(self, step: Callable[[], object]) -> bool:
        """Do the step and return True, unless the worker's end has been decided. From any thread."""

    def on_idle(self) -> None:
        """Note that nothing is held and nothing waits. On the loop."""

    def on_broken(self, error: BaseException) -> None:
        """Give this loop up, since its state is no longer sure. On the loop."""
