"""One private session on one loop: connector, exchange, decoding. The only home of aiohttp.

With the library itself only that is loaded which looks at aiohttp as it is: later somebody may have put code of his own
in its place, as a mock does for a while. The rest comes with the first pool.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .inside import contract  # noqa: F401  it looks
from .inside.patches import sessions_are_traced

if TYPE_CHECKING:
    from .decoding import load_inflater
    from .direct import Direct, Driver
    from .environment import Environment, read_environment
    from .moved import Moved
    from .struck import Struck, has_struck
    from .transport import Transport

__all__ = [
    "Direct",
    "Driver",
    "Environment",
    "Moved",
    "Struck",
    "Transport",
    "has_struck",
    "load_inflater",
    "read_environment",
    "sessions_are_traced",
]

_LATER = {
    "Direct": "direct",
    "Driver": "direct",
    "Environment": "environment",
    "Moved": "moved",
    "Struck": "struck",
    "Transport": "transport",
    "has_struck": "struck",
    "load_inflater": "decoding",
    "read_environment": "environment",
}


def __getattr__(name: str) -> Any:
    """Load what is named for the first time."""
    if (place := _LATER.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f".{place}", __name__), name)
    return found
