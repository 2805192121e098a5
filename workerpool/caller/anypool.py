"""What every pool has, whether its workers are threads of this process or processes of a cluster."""

from abc import abstractmethod

from ..stats import PoolStats
from .client import Client
from .session import LaneView

__all__ = ["AnyPool"]


class AnyPool(Client):
    """The verbs of the default lane, the other lanes, and whether it takes work."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether work is taken."""

    @abstractmethod
    def stats(self) -> PoolStats:
        """Return the pool's numbers as they are now."""

    @abstractmethod
    def lane(self, name: str) -> LaneView:
        """Return the verbs bound to that lane; raises InvalidRequest if there is none of that name."""
