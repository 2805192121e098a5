"""An identity for Web Bot Auth: a private key, and the directory in which sites look its public half up.

identity = make_identity("identity", "https://bot.example.org")
print(identity.directory)  # to be served at https://bot.example.org/.well-known/...
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from .signing import agent_origin, generated_key, pem_of, public_jwk, thumbprint

__all__ = ["MEDIA_TYPE", "WELL_KNOWN", "Identity", "make_identity"]

WELL_KNOWN = "/.well-known/http-message-signatures-directory"
MEDIA_TYPE = "application/http-message-signatures-directory+json"


@dataclass(frozen=True, slots=True)
class Identity:
    """Say what was made: the files, the key's id, and where the directory must be found."""

    key: Path
    directory: Path
    key_id: str
    agent: str

    @property
    def url(self) -> str:
        """Where sites look for the directory; it is to be served as MEDIA_TYPE."""
        return self.agent + WELL_KNOWN


def make_identity(folder: "str | os.PathLike[str]", agent: str) -> Identity:
    """Make a key and its directory file in a folder; the key is readable by its owner only.

    Raises FileExistsError where one of them is there, and leaves that as it is; ValueError for an agent that is no
    https URL.
    """
    origin, place = agent_origin(agent), Path(folder)
    key = generated_key()
    key_id = thumbprint(key.public_key())
    jwk = {**public_jwk(key.public_key()), "kid": key_id, "use": "sig"}
    made = Identity(place / "private-key.pem", place / WELL_KNOWN.rpartition("/")[2], key_id, origin)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(made.directory, (json.dumps({"keys": [jwk]}, indent=2) + "\n").encode(), 0o644)
    try:
        _write(made.key, pem_of(key), 0o600)
    except BaseException:
        made.directory.unlink(missing_ok=True)
        raise
    return made


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a new file, never over another or through a link, to the disk."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with open(number, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(number)
