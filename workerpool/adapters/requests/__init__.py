"""The pool under requests: one line changes what carries the requests of code that need not be touched.

    session.mount("https://", PoolAdapter())        # one session
    install()                                       # every session that is made from now on

Redirects, cookies, authentication and decoding stay with requests; connections, deadlines, limits, retries and
metrics are the pool's. `FuturesSession` has the interface of requests-futures, without a thread per request.
"""

try:
    import requests  # noqa: F401
except ImportError as _exc:
    raise ImportError(
        "workerpool.adapters.requests needs an extra: pip install 'aiohttp-workerpool[requests]'", name=_exc.name
    ) from _exc

from .adapter import PoolAdapter
from .futures import FuturesSession
from .installing import install, uninstall

__all__ = ["FuturesSession", "PoolAdapter", "install", "uninstall"]
