"""Which sink an output's name asks for."""

import os
from collections.abc import Callable
from typing import Any

from ..errors import SinkError
from .base import Sink
from .csv import Csv
from .folder import Folder
from .jsonl import JsonLines
from .warc import Warc

__all__ = ["SUFFIXES", "folder_for", "sink_for"]


def sink_for(path: str | os.PathLike[str], **options: Any) -> Sink:
    """Return the sink that the end of a name asks for; `-` is JSON Lines on stdout, the options are the sink's own.

    Raises SinkError for other names, TypeError for other options, ImportError where an extra is not installed.
    """
    name = os.fspath(path)
    if name == "-":
        return JsonLines(None, **options)
    for suffix, make in SUFFIXES.items():
        if name.lower().endswith(suffix):
            return make(path, **options)
    raise SinkError(f"{name}: what to write is told by the end of the name; known are {', '.join(SUFFIXES)}, and -")


def folder_for(path: str | os.PathLike[str], **options: Any) -> Sink:
    """Return the sink that saves bodies there: in a folder, or below a URL of fsspec such as `s3://bucket/path`."""
    name = os.fspath(path)
    if name.startswith("file://"):
        return Folder(name.removeprefix("file://"), **options)
    if "://" not in name:
        return Folder(path, **options)
    from .remote import RemoteFolder  # an extra

    return RemoteFolder(name, **options)


def _parquet(path: str | os.PathLike[str], **options: Any) -> Sink:
    from .parquet import Parquet  # an extra

    return Parquet(path, **options)


def _wacz(path: str | os.PathLike[str], **options: Any) -> Sink:
    from .wacz import Wacz  # zipfile and what it needs take a tenth of the start

    return Wacz(path, **options)


SUFFIXES: dict[str, Callable[..., Sink]] = {
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".jsonl.gz": JsonLines,
    ".ndjson.gz": JsonLines,
    ".csv": Csv,
    ".csv.gz": Csv,
    ".parquet": _parquet,
    ".warc": Warc,
    ".warc.gz": Warc,
    ".wacz": _wacz,
}
