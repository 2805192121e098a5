"""aiohttp sessions lent to submitted functions, and closed by their owner only."""

from typing import Any

import aiohttp

__all__ = ["close_at_once", "lend", "take_back"]


def lend(session: aiohttp.ClientSession) -> None:
    """Keep whoever closes the session, as `async with` does, from closing it for all who share it."""
    # Past `__setattr__`, which warns of attributes that are not aiohttp's when asyncio debugs.
    vars(session).update(close=_stay_open, detach=_stay_attached)
    vars(session.connector)["close"] = _stay_open


def take_back(connector: aiohttp.BaseConnector) -> None:
    """Let a connector that was lent be closed."""
    vars(connector).pop("close", None)


async def _stay_open(**_options: Any) -> None:
    pass


def _stay_attached() -> None:
    pass


def close_at_once(connector: aiohttp.BaseConnector) -> None:
    """Close a connector that has no connections yet, and with it every session, also one that is half made."""
    connector._close()
