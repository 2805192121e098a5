"""One private session on one loop: connector, exchange, decoding. The only home of aiohttp."""

from .environment import Environment, read_environment
from .express import sessions_are_patched, sessions_are_traced
from .hops import Moved
from .session import Transport
from .websockets import serve_websocket

__all__ = [
    "Environment",
    "Moved",
    "Transport",
    "read_environment",
    "serve_websocket",
    "sessions_are_patched",
    "sessions_are_traced",
]
