"""Whether somebody watches or fakes aiohttp's sessions, as tracers, recorders and mocks do, at any time."""

from types import FunctionType
from typing import Any

import aiohttp

__all__ = ["requests_are_patched", "sessions_are_patched", "sessions_are_traced"]

_Session = aiohttp.ClientSession


def _genuine(name: str) -> Any:
    """Return the session's method, None if somebody has put another in its place already."""
    method = getattr(_Session, name)
    return method if type(method) is FunctionType and method.__globals__ is vars(aiohttp.client) else None


_REQUEST, _PUBLIC, _INIT = _genuine("_request"), _genuine("request"), _genuine("__init__")


def sessions_are_traced() -> bool:
    """Whether somebody has patched the session to give each new one hooks, as OpenTelemetry's instrumentation does."""
    return _Session.__init__ is not _INIT


def requests_are_patched() -> bool:
    """Whether somebody has put code of his own where requests go through, as aioresponses, vcrpy and tracers do."""
    return _Session._request is not _REQUEST or _Session.request is not _PUBLIC


def sessions_are_patched() -> bool:
    """Whether either is so."""
    return requests_are_patched() or sessions_are_traced()
