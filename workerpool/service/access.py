"""Who may do what: bearer tokens, of which only hashes are known, and the roles that they have."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from time import time

from fastapi import Request

from .fresh import Fresh
from .problems import Problem
from .records import Role, Token
from .store import Store

__all__ = ["Access", "Caller", "hash_of", "is_loopback", "new_token", "tokens_of"]

_FRESH = 2.0  # seconds that the stored tokens are taken for known
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9\-._~+/]+=*) *")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="workerpool"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls: a role, and the id of the token; empty without tokens."""

    id: str
    role: Role


class Access:
    """Say who calls, by the tokens of the store and those given at the start. Of the service's loop."""

    def __init__(self, store: Store, given: Iterable[Token] = (), *, needed: bool = False) -> None:
        """Know these tokens beside the store's; `needed`: nobody may call without, even if there is none any more."""
        self._store, self._given, self._needed = store, tuple(given), needed
        self._known = Fresh(self._ask, _FRESH)

    async def has_tokens(self) -> bool:
        """Whether there are tokens at all; without, everybody is admin."""
        return bool(await self._known.get())

    async def is_open(self) -> bool:
        """Whether nobody needs a token: there are none, and only this machine reaches the service."""
        return not self._needed and not await self.has_tokens()

    async def caller(self, request: Request) -> Caller:
        """Return who calls; raises a 401 for no or a wrong token."""
        if await self.is_open():
            return Caller("", Role.ADMIN)
        given = _BEARER.fullmatch(request.headers.get("Authorization", ""))
        if given is None:
            raise Problem(401, "give a token: Authorization: Bearer TOKEN", headers=_CHALLENGE)
        found = await self.of_secret(given[1])
        if found is None:
            raise Problem(401, "the token is not known", headers=_CHALLENGE)
        return found

    async def of_secret(self, secret: str) -> Caller | None:
        """Return whose token it is; None for one that is not known."""
        digest, found = hash_of(secret), None
        for token in await self._known.get():  # all of them, so that the time tells nothing
            if hmac.compare_digest(digest, token.sha256):
                found = token
        return None if found is None else Caller(found.id, found.role)

    async def of_id(self, id: str) -> Caller | None:
        """Return whoever has the token of that id; None once it was removed."""
        found = next((token for token in await self._known.get() if token.id == id), None)
        return None if found is None else Caller(found.id, found.role)

    def forget(self) -> None:
        """Ask the store again at the next call: its tokens have changed."""
        self._known.forget()

    async def _ask(self) -> tuple[Token, ...]:
        return (*self._given, *await self._store.tokens())


def hash_of(token: str) -> str:
    """Return what is stored of a token: it is random and long, so that a plain hash will do."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(role: Role, name: str = "") -> tuple[str, Token]:
    """Make a token: the secret, which is shown once, and what is stored."""
    secret = f"wp_{secrets.token_urlsafe(32)}"
    return secret, Token(id=secrets.token_hex(8), sha256=hash_of(secret), role=role, name=name, created_at=time())


def tokens_of(text: str) -> tuple[Token, ...]:
    """Return the tokens of WORKERPOOL_TOKENS: `ROLE:TOKEN`, with commas between. Raises ValueError."""
    found = []
    for number, each in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        role, _, secret = each.partition(":")
        if role not in list(Role) or not re.fullmatch(r"[A-Za-z0-9\-._~+/]{8,}=*", secret):
            raise ValueError(
                f"WORKERPOOL_TOKENS: number {number} is not ROLE:TOKEN; roles are {', '.join(Role)}, and a token has"
                " at least 8 of A-Z a-z 0-9 - . _ ~ + /"
            )
        digest = hash_of(secret)
        found.append(Token(id=f"env-{digest[:12]}", sha256=digest, role=Role(role), name="environment"))
    return tuple(found)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
