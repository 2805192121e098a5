"""Requests signed for Web Bot Auth: HTTP Message Signatures (RFC 9421) with Ed25519, so that a site knows who asks.

signer = Signer.load("identity/private-key.pem", "https://bot.example.org")
headers = signer.headers("https://example.com/page")  # of one request to one host; each hop needs its own
"""

import os
import re
import secrets
import stat
import time
from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

try:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
except ImportError as _exc:
    raise ImportError(
        "workerpool.scraping.signing needs an extra: pip install 'aiohttp-workerpool[sign]'", name=_exc.name
    ) from _exc

from ..messages.url import parse_url

__all__ = ["Signer", "agent_origin", "generated_key", "pem_of", "public_jwk", "thumbprint"]

_LABEL = "sig1"
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")  # it stands within quotes
_PORTS = {"http": 80, "https": 443}


class Signer:
    """Sign requests with one key in the name of one agent; for any thread.

    `agent` is the https URL of the site that has the key's directory. A signature is good for `lifetime` seconds, for
    one host, and has a nonce. `as_member` writes Signature-Agent as a dictionary and signs its member, as the working
    group's draft of 2026 has it; without it as one string, which the earlier drafts have. Raises ValueError.
    """

    def __init__(self, key: Ed25519PrivateKey, agent: str, *, lifetime: int = 60, as_member: bool = False) -> None:
        if lifetime < 1:
            raise ValueError(f"lifetime must be at least 1 second, not {lifetime}")
        self.agent: str = agent_origin(agent)
        self.key_id: str = thumbprint(key.public_key())
        self._key = key
        self._lifetime = lifetime
        self._field = f'{_LABEL}="{self.agent}"' if as_member else f'"{self.agent}"'
        self._component = f'"signature-agent";key="{_LABEL}"' if as_member else '"signature-agent"'

    @classmethod
    def load(cls, path: "str | os.PathLike[str]", agent: str, **options: Any) -> Self:
        """Return a signer with the key of a PEM file; raises ValueError for what is none, or can be read by others."""
        file = Path(path)
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise ValueError(f"the key {str(file)!a} can be read by others; chmod 600 mends that")
        try:
            key = serialization.load_pem_private_key(file.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise ValueError(f"{str(file)!a} is no private key in PEM without a password") from exc
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"the key in {str(file)!a} is not for Ed25519; workerpool identity makes one")
        return cls(key, agent, **options)

    def headers(self, url: str, *, now: float | None = None, nonce: bytes | None = None) -> tuple[tuple[str, str], ...]:
        """Return the headers that sign one request to the URL's host: made anew for each attempt and each redirect."""
        created = int(time.time() if now is None else now)
        token = b64encode(secrets.token_bytes(48) if nonce is None else nonce).decode()
        parameters = (
            f'("@authority" {self._component});created={created};expires={created + self._lifetime}'
            f';keyid="{self.key_id}";alg="ed25519";nonce="{token}";tag="web-bot-auth"'
        )
        member = f'"{self.agent}"'  # both forms have this value
        base = f'"@authority": {_authority(url)}\n{self._component}: {member}\n"@signature-params": {parameters}'
        signature = b64encode(self._key.sign(base.encode())).decode()
        return (
            ("Signature-Agent", self._field),
            ("Signature-Input", f"{_LABEL}={parameters}"),
            ("Signature", f"{_LABEL}=:{signature}:"),
        )

    def __repr__(self) -> str:
        return f"<Signer {self.key_id} of {self.agent}>"


def generated_key() -> Ed25519PrivateKey:
    """Return a new key."""
    return Ed25519PrivateKey.generate()


def pem_of(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as PEM, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def agent_origin(agent: str) -> str:
    """Return scheme and host of the agent's site; raises ValueError for what is none of https."""
    try:
        url = parse_url(agent)
    except (TypeError, ValueError):
        url = None
    if url is None or url.scheme != "https" or not _HOST.fullmatch(url.raw_host or ""):
        raise ValueError(f"the agent must be the https URL of the site with the key's directory, not {agent!a}")
    if url.raw_path not in ("", "/") or url.raw_query_string or url.fragment or url.user or url.password:
        raise ValueError("the agent's URL must have no path, no query and no user: the directory is at a fixed place")
    return str(url.origin())


def public_jwk(key: Ed25519PublicKey) -> dict[str, str]:
    """Return the public key as a JWK (RFC 8037), without an id."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(raw)}


def thumbprint(key: Ed25519PublicKey) -> str:
    """Return the key's id: the SHA-256 of its JWK (RFC 7638)."""
    jwk = public_jwk(key)
    return _base64url(sha256(f'{{"crv":"{jwk["crv"]}","kty":"{jwk["kty"]}","x":"{jwk["x"]}"}}'.encode()).digest())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _authority(url: str) -> str:
    """Return the host as RFC 9421 has it (2.2.3): in lower case, without the scheme's own port."""
    found = parse_url(url)
    if not found.raw_host:
        raise ValueError("the URL to sign for has no host")
    host = found.host_subcomponent or ""
    return host.lower() if found.port in (None, _PORTS.get(found.scheme)) else f"{host.lower()}:{found.port}"
