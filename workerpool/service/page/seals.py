"""Seals: what the page gives to browsers and knows again, under a key that all processes of a service share."""

import hashlib
import hmac
import secrets
from time import monotonic, time

from ..errors import Busy, StoreDown
from ..store import Store

__all__ = ["Seals"]

_NAME = "page"
_PATIENCE = 1.0  # seconds between two looks whether another process has set another key


class Seals:
    """Sign-ins and forms, sealed. Of the service's loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = b""
        self._asked_at = 0.0

    async def signed_in(self, id: str, seconds: float) -> str:
        """Return the text by which a token's owner is known for so long; the token itself is not in it."""
        told = f"{id}.{int(time() + seconds)}"
        return f"{told}.{await self._seal('session', told)}"

    async def who(self, given: str) -> str | None:
        """Return the token's id of such a text; None for one that is none, or past its time."""
        told, _, seal = given.rpartition(".")
        id, _, until = told.rpartition(".")
        if not (until.isascii() and until.isdecimal() and len(until) < 15 and time() < int(until)):
            return None
        return id if await self._is_seal(seal, "session", told) else None

    async def form_key(self, session: str) -> str:
        """Return what forms of a session have in them, and pages of others can't know."""
        return await self._seal("form", session)

    async def is_form_key(self, given: str, session: str) -> bool:
        """Whether a form came from a page of this session."""
        return await self._is_seal(given, "form", session)

    async def _is_seal(self, given: str, *parts: str) -> bool:
        if hmac.compare_digest(given.encode(), (await self._seal(*parts)).encode()):
            return True
        if monotonic() - self._asked_at < _PATIENCE:
            return False
        before, self._key = self._key, b""
        seal = await self._seal(*parts)
        return before != self._key and hmac.compare_digest(given.encode(), seal.encode())

    async def _seal(self, *parts: str) -> str:
        if not self._key:
            self._key, self._asked_at = await self._shared_key(), monotonic()
        return hmac.new(self._key, "\n".join(parts).encode(), hashlib.sha256).hexdigest()

    async def _shared_key(self) -> bytes:
        found = await self._store.get_secret(_NAME)
        if found is None:
            made = secrets.token_hex(32)
            try:
                await self._store.swap_secret(_NAME, None, made)
                found = await self._store.get_secret(_NAME)
            except (StoreDown, Busy):
                found = made  # a key of this process, until the store takes one
        return bytes.fromhex(found or "")
