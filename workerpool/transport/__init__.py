"""One private session on one loop: connector, exchange, decoding. The only home of aiohttp."""

from .decoding import load_inflater
from .direct import Direct, Driver
from .environment import Environment, read_environment
from .inside.patches import sessions_are_traced
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
