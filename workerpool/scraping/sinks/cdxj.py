"""CDXJ: the index of an archive, a line for each answer, sorted by a key that is made of the URL."""

import heapq
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import quote, urlsplit

from .files import AppendFile, Fsync, publish

__all__ = ["index_line", "offset_of", "parsed_line", "sort_lines", "surt"]

_RUN = 2**26  # bytes of lines that are sorted in memory
_WWW = re.compile(r"www\d*\.")
_PORTS = {"http": 80, "https": 443}
_SAFE = "!$%&'()*+,/:;=?@[]~"


def surt(url: str) -> str:
    """Return the key that a URL is found by: `com,example)/path?a=1`.

    As pywb and the Internet Archive make it: the host reversed and without `www.`, no scheme, no usual port, no slash
    at the end, in lower case, the parameters sorted.
    """
    parts = urlsplit(url)
    host = _WWW.sub("", (parts.hostname or "").rstrip("."), count=1)
    name = host if ":" in host else ",".join(reversed(host.split(".")))
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    path = parts.path.rstrip("/") or "/"
    query = "&".join(sorted(parts.query.lower().split("&")))
    return quote(f"{name}{port}){path}".lower() + (f"?{query}" if query else ""), safe=_SAFE)


def index_line(url: str, date: str, facts: Mapping[str, str]) -> bytes:
    """Return a line of the index; `date` is ISO 8601 in UTC, to the second."""
    stamp = re.sub(r"\D", "", date)
    return f"{surt(url)} {stamp} {json.dumps({'url': url, **facts})}\n".encode("ascii")


def parsed_line(line: bytes) -> tuple[str, dict[str, str]]:
    """Return the date, as it was given, and the facts of a line."""
    _, stamp, facts = line.decode("ascii").split(" ", 2)
    date = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[8:10]}:{stamp[10:12]}:{stamp[12:14]}Z"
    return date, json.loads(facts)


def offset_of(line: bytes) -> int:
    """Return where the record of a line lies."""
    return int(parsed_line(line)[1]["offset"])


def sort_lines(source: Path, target: Path, key: Callable[[bytes], Any] | None = None, *, fsync: Fsync) -> None:
    """Write the lines of a file sorted, in bounded memory; the other file gets its name when it is whole."""
    part = AppendFile(target.with_name(f"{target.name}.part"), fsync=fsync)
    assert part.path is not None
    part.open(None)
    try:
        with ExitStack() as stack:
            runs = list(_sorted_runs(source, key, stack))
            for line in heapq.merge(*runs, key=key):
                part.write(line)
        part.close()
    except BaseException:
        part.abandon()
        part.path.unlink(missing_ok=True)
        raise
    publish(part.path, target)


def _sorted_runs(source: Path, key: Callable[[bytes], Any] | None, stack: ExitStack) -> Iterator[Iterator[bytes]]:
    with source.open("rb") as file:
        while lines := file.readlines(_RUN):
            lines.sort(key=key)
            # The last one, as a rule the only one, stays in memory.
            yield _kept(lines, source.parent, stack) if file.peek(1) else iter(lines)


def _kept(lines: list[bytes], folder: Path, stack: ExitStack) -> Iterator[bytes]:
    """Put a run aside, beside the output: where that has room, this has."""
    run: IO[bytes] = stack.enter_context(TemporaryFile(dir=folder))  # noqa: SIM115  it is the stack's
    run.writelines(lines)
    run.seek(0)
    return iter(run)
