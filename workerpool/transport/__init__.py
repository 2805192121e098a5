"""One private session on one loop: connector, exchange, decoding. The only home of aiohttp."""

from .environment import Environment, read_environment
from .inside.short_way import sessions_are_traced
from .redirects import Moved
from .transport import Transport

__all__ = [
    "Environment",
    "Moved",
    "Transport",
    "read_environment",
    "sessions_are_traced",
]
