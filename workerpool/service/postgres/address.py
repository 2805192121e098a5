"""The address of a database as people may see it, and PostgreSQL's errors in words."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..errors import StoreDown, StoreRefused

__all__ = ["Address", "meaning", "told"]

_DOWN = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction,
         psycopg.errors.IdleInTransactionSessionTimeout, psycopg.errors.InsufficientPrivilege)  # fmt: skip
_DEFAULTS = {
    "connect_timeout": "5",
    # A machine that has gone is noticed within half a minute, on either side.
    "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000",
}  # fmt: skip
_CURES = (
    ("password", "give the right user and password, such as by PGPASSWORD or ~/.pgpass"),
    ("does not exist", "make it (createuser, createdb), or give another --database"),
    ("too many", "raise max_connections: each process of the service takes up to 8"),
    ("remaining connection slots", "raise max_connections: each process of the service takes up to 8"),
    ("starting up", "wait until it has started"),
    ("shutting down", "start it again"),
    ("terminating connection", "start it again"),
    ("recovery", "wait until it has recovered, or give the address of the primary"),
    ("read-only", "give the address of the primary, or set default_transaction_read_only to off"),
    ("permission denied", "grant it: GRANT CREATE ON DATABASE ... TO ..."),
    ("No space left", "free some of its disk: what was accepted is safe"),
    ("lock timeout", "another process keeps it locked; end that"),
    ("pg_hba.conf", "allow it there"),
)


class Address:
    """Where a database is: what libpq takes, and `name` without a password."""

    def __init__(self, database: str) -> None:
        try:
            given = {name: str(value) for name, value in conninfo_to_dict(database).items() if value is not None}
        except psycopg.Error:
            raise StoreRefused(
                "the address after --database is none that PostgreSQL takes; write postgresql://USER@HOST:PORT/NAME"
            ) from None
        self.conninfo: str = make_conninfo("", **{**_DEFAULTS, "application_name": "workerpool", **given})
        user, host, port, name = (given.get(each, "") for each in ("user", "host", "port", "dbname"))
        at = f"{user}@" if user else ""
        self.name: str = f"postgresql://{at}{host}{f':{port}' if port else ''}/{name}"


@contextmanager
def told(name: str) -> Iterator[None]:
    """Say what PostgreSQL's errors mean for whoever asks."""
    try:
        yield
    except _DOWN as exc:
        raise StoreDown(f"{name}: {meaning(exc)}", retry_after=2.0) from exc


def meaning(exc: psycopg.Error) -> str:
    """Return what is wrong, and the cure."""
    lines = [each.strip() for each in str(exc).splitlines() if each.strip()]
    text = lines[0] if lines else type(exc).__name__
    cure = next((cure for word, cure in _CURES if word in str(exc)), "see that PostgreSQL runs there, and answers")
    return f"{text}; {cure}"
