"""The secrets that webhooks are signed with: made at the first start, and rotated with a time in which both count."""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import time

from ..errors import Conflict
from ..store import Store

__all__ = ["Keyring", "Secret"]

_NAME = "webhooks"
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as receivers know it, `whsec_...`; one that was replaced signs until it expires."""

    secret: str
    created_at: float
    expires_at: float | None = None


class Keyring:
    """Keep the secrets in the store, so that all processes sign alike."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def secrets(self) -> tuple[Secret, ...]:
        """Return the secrets that count, the present one first; the first call ever makes it."""
        text = await self._store.get_secret(_NAME)
        if text is None:
            await self._store.swap_secret(_NAME, None, _written((_new(time()),)))
            text = await self._store.get_secret(_NAME)
        now = time()
        return tuple(each for each in _read(text or "[]") if each.expires_at is None or each.expires_at > now)

    async def rotate(self, overlap: float) -> tuple[Secret, ...]:
        """Make a new secret; the present one signs, too, for so many seconds. Raises Conflict if others were first."""
        current, now = await self.secrets(), time()
        text = await self._store.get_secret(_NAME)
        first = Secret(current[0].secret, current[0].created_at, now + overlap)
        kept = tuple(each for each in (first, *current[1:]) if (each.expires_at or 0.0) > now)
        if not await self._store.swap_secret(_NAME, text, _written((_new(now), *kept))):
            raise Conflict("the secret was rotated by somebody else at the same time; read it again")
        return await self.secrets()


def _new(now: float) -> Secret:
    return Secret(f"whsec_{base64.b64encode(secrets.token_bytes(_BYTES)).decode()}", now)


def _written(given: Sequence[Secret]) -> str:
    return json.dumps([asdict(each) for each in given])


def _read(text: str) -> tuple[Secret, ...]:
    return tuple(Secret(**each) for each in json.loads(text))
