"""Tokens of a database, from outside a service: added, listed, removed. Only hashes are stored."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from .access import new_token
from .homes import open_store
from .records import Role, Token
from .settings import ServiceSettings
from .sqlite import outside
from .store import Store

__all__ = ["add", "listed", "remove"]

T = TypeVar("T")


def add(database: str, role: Role, name: str = "") -> tuple[str, Token]:
    """Make a token; returns the secret, which nobody can tell later, and what is stored."""
    secret, token = new_token(role, name)
    if _is_file(database):
        outside.add_token(Path(database), token)
    else:
        _in_store(database, lambda store: store.add_token(token))
    return secret, token


def listed(database: str) -> tuple[Token, ...]:
    """Return every token."""
    if _is_file(database):
        return outside.tokens(Path(database))
    return _in_store(database, lambda store: store.tokens())


def remove(database: str, id: str) -> None:
    """Remove a token; a running service knows it for two more seconds. Raises NoSuch."""
    if _is_file(database):
        outside.remove_token(Path(database), id)
    else:
        _in_store(database, lambda store: store.remove_token(id))


def _is_file(database: str) -> bool:
    return "://" not in database


def _in_store(database: str, act: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        store = await open_store(ServiceSettings(database=database))
        try:
            return await act(store)
        finally:
            await store.close()

    return asyncio.run(run())
