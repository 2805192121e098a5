"""The pool under httpx, and under httpx2: `httpx.Client(transport=PoolTransport())`.

Redirects, cookies, authentication and decoding stay with httpx; connections, limits, retries and metrics are the
pool's. One transport serves both libraries, whichever sends the request.
"""

from importlib.util import find_spec

if find_spec("httpx") is None and find_spec("httpx2") is None:
    raise ImportError(
        "workerpool.adapters.httpx needs an extra: pip install 'aiohttp-workerpool[httpx]', or httpx2", name="httpx"
    )

from .transport import AsyncPoolTransport, PoolTransport

__all__ = ["AsyncPoolTransport", "PoolTransport"]
