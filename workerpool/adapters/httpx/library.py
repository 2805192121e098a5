"""httpx and httpx2, which are alike: the classes that stand for both, and the one that a request comes from."""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

__all__ = ["AsyncBaseTransport", "AsyncByteStream", "BaseTransport", "SyncByteStream", "library_of"]

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport, AsyncByteStream, BaseTransport, SyncByteStream
else:
    _INSTALLED = [import_module(name) for name in ("httpx", "httpx2") if find_spec(name) is not None]

    def _common(name: str) -> type:
        """Return a base class that is both libraries' own, for their isinstance()."""
        return type(name, tuple(getattr(library, name) for library in _INSTALLED), {})

    BaseTransport, AsyncBaseTransport = _common("BaseTransport"), _common("AsyncBaseTransport")
    SyncByteStream, AsyncByteStream = _common("SyncByteStream"), _common("AsyncByteStream")


def library_of(request: object) -> Any:
    """Return the library whose request this is."""
    return sys.modules[type(request).__module__.partition(".")[0]]
