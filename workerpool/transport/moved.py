"""How a request leaves its worker after a redirect, and what goes with it."""

from ..messages.hop import Onward
from .inside.contract import holds

__all__ = ["KEPT", "Moved"]

# The one header that goes to no origin, but to the proxy again.
KEPT: frozenset[str] = frozenset({"proxy-authorization"}) if holds("request") else frozenset()


class Moved(Exception):
    """The request goes on at another host, and where limits count per host, from there."""

    def __init__(self, onward: Onward) -> None:
        super().__init__(onward)
        self.onward = onward
