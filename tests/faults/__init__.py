"""A server that misbehaves on purpose, one kind of fault at a time, and a proxy that spoils good connections.

    with FaultServer(FAULTS["reset-in-body"]) as server:
        pool.get(server.url)        # goes wrong as the kind says
        pool.get(server.good(1))    # the same server's good answer: b"/good/1"

Raw sockets and threads only, so that the wire carries exactly what a kind says. `FAULTS` tells what happens on
the wire, `EXPECTED` what the caller gets; docs/reliability.md is written from both by `python -m faults`.
"""

from . import codings, connections, framing, heads, redirects, statuses, tls, unasked  # they fill the table
from .expected import EXPECTED
from .server import FaultServer
from .table import FAULTS, Fault

__all__ = [
    "EXPECTED",
    "FAULTS",
    "Fault",
    "FaultServer",
    "codings",
    "connections",
    "framing",
    "heads",
    "redirects",
    "statuses",
    "tls",
    "unasked",
]
