"""The document on reliability, written from both tables."""

from itertools import groupby

from .expected import EXPECTED
from .table import FAULTS, Fault

__all__ = ["document"]

_TITLES = {
    "connections": "The connection ends, crawls or stops",
    "unasked": "More than was asked for",
    "framing": "The body's frame is wrong",
    "heads": "The head is too large, or not HTTP",
    "statuses": "Statuses and interim answers",
    "codings": "Content codings",
    "redirects": "Redirects",
    "tls": "TLS",
}

_INTRODUCTION = """\
# Reliability

What happens on the wire when a server or a network misbehaves, and what the caller gets. Every row is a test: a
server of raw sockets does what the row says, to a pool with `retry=None` and `max_body` of 1 MiB, once on
asyncio's own loop and once on uvloop. Each test also checks that

- the failure is a `RequestError`, at the stage named here, and never an error of another library,
- it comes, by the deadline where nothing else would end it,
- `attempts` is what the server saw,
- nothing is left in flight,
- and **the next requests on the same pool get their own answers**.

Stages are `connect`, `tls`, `headers` and `body`. Where two errors or no stage are named, the operating system's timing
decides between them. `DeadlineExceeded` also means: nothing but the deadline would have ended this. Run one row
with `pytest tests/faults/test_faults.py -k KIND`. Beside it, `test_malformed.py` adds several hundred damaged answers,
`test_server_fuzz.py` servers and proxies that say anything (`python -m faults.fuzzing 0 10000` in `tests/` for more of
them); `test_toxics.py` spoils the network between pool and server.

This page is written by `python -m faults` in `tests/`; a test keeps it up to date.
"""

_NETWORK = """
## The network between

A proxy between pool and server does to good connections what Toxiproxy's toxics of these names do.

| kind | what happens on the wire | what the caller gets | test |
|---|---|---|---|
"""

_TOXICS = (
    ("latency", "data is passed on late", "200; `DeadlineExceeded` if it is too late", "latency"),
    ("down", "nobody accepts", "`ConnectError`; right again once the proxy is up", "down"),
    ("bandwidth", "so many bytes a second", "200; `DeadlineExceeded`, stage body, if that is too few", "bandwidth"),
    ("slow_close", "the end is passed on late", "200, without waiting for the end", "slow_close"),
    ("timeout", "no data passes; the end comes later, or never", "`ConnectionLost`; `DeadlineExceeded`", "timeout"),
    ("reset_peer", "an RST, at once or after a while", "`ConnectionLost`", "reset_peer"),
    ("slicer", "data in pieces of a few bytes", "200", "slicer"),
    ("limit_data", "the end after so many bytes", "`TruncatedBody`; 200 below the limit", "limit_data"),
)


def document() -> str:
    """Return the whole text."""
    parts = [_INTRODUCTION]
    for room, faults in groupby(sorted(FAULTS.values(), key=_order), key=_room):
        parts.append(f"\n## {_TITLES[room]}\n\n| kind | what happens on the wire | what the caller gets | test |\n")
        parts.append("|---|---|---|---|\n")
        parts += [
            f"| {fault.kind} | {fault.says} | {EXPECTED[fault.kind]} | `test_faults[{fault.kind}]` |\n"
            for fault in faults
        ]
    parts.append(_NETWORK)
    parts += [f"| {kind} | {says} | {gets} | `test_toxics -k {test}` |\n" for kind, says, gets, test in _TOXICS]
    return "".join(parts)


def _room(fault: Fault) -> str:
    return fault.room


def _order(fault: Fault) -> int:
    return list(_TITLES).index(fault.room)
