"""`workerpool token`: who may call a service, kept in its database."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from .calling import FAILED, trouble
from .defaults import Command, option

__all__ = ["token"]

_REFUSED = 4  # exit code, as of `serve`: the database cannot be used
_DATABASE = option("--database", default="workerpool.sqlite", show_default=True, metavar="FILE",
                   help="The database of the service, which may run.")  # fmt: skip


@click.group()
def token() -> None:
    """Add, list and remove the tokens with which a service is called.

    \b
    They are in the service's database, as hashes only; a running service knows of a change within two seconds.
    Roles: read; submit, which includes read; admin, which includes both.
    Each exits 0, 1 if there is no such token, 2 for wrong usage, 4 if the database cannot be used.
    """


@token.command("add", cls=Command)
@click.option("--role", required=True, type=click.Choice(["read", "submit", "admin"]), help="What it allows.")
@click.option("--name", default="", help="Whose it is, for the list.")
@_DATABASE
def add(role: str, name: str, database: str) -> None:
    """Make a token, and print it: this once, since only its hash is stored."""
    with _tokens() as tokens:
        from ..service.records import Role

        secret, stored = tokens.add(database, Role(role), name)
    click.echo(f"workerpool: token {stored.id}, role {role}; keep it, it is not shown again", err=True)
    click.echo(secret)


@token.command("list", cls=Command)
@_DATABASE
def listed(database: str) -> None:
    """Print a line of JSON for each token of the database; those of WORKERPOOL_TOKENS are not among them."""
    with _tokens() as tokens:
        found = tokens.listed(database)
    for each in found:
        made = datetime.fromtimestamp(each.created_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        click.echo(json.dumps({"id": each.id, "role": each.role.value, "name": each.name, "created_at": made}))


@token.command("remove", cls=Command)
@click.argument("id")
@_DATABASE
def remove(id: str, database: str) -> None:
    """Remove the token of that ID: who has it can call the service no more."""
    with _tokens() as tokens:
        tokens.remove(database, id)


@contextmanager
def _tokens() -> Iterator[Any]:
    """Give what does it, loaded here: an optional extra."""
    try:
        from ..service import tokens
        from ..service.errors import NoSuch, ServiceError
    except ImportError as exc:
        if (exc.name or "").partition(".")[0] not in ("fastapi", "starlette", "pydantic"):
            raise
        raise click.UsageError(f"{exc.name} is missing; install it: pip install 'aiohttp-workerpool[server]'") from None
    try:
        yield tokens
    except NoSuch as exc:
        trouble(str(exc))
        sys.exit(FAILED)
    except ServiceError as exc:
        trouble(str(exc))
        sys.exit(_REFUSED)
