"""What a request carries: turn `data`, `json` and `files`, as requests takes them, into frozen bodies."""

import json as jsonlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeAlias
from urllib.parse import urlencode

__all__ = ["Body", "Multipart", "Part", "Upload", "encode_body"]

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a multipart form."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Multipart:
    """A form with files; read into memory, so it can be sent again."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A file or an iterable of bytes; sent while it is read, so it can be sent once."""

    source: "IO[bytes] | Iterable[bytes]"


Body: TypeAlias = bytes | Multipart | Upload | None


def encode_body(data: Any, json: Any, files: Any) -> tuple[Body, str | None]:
    """Return the body and its content type; raises TypeError or ValueError for what cannot be sent."""
    if json is None and data is None and not files:
        return None, None
    if json is not None and (data is not None or files):
        raise ValueError("json= cannot be combined with data= or files=")
    if json is not None:
        return jsonlib.dumps(json, allow_nan=False).encode(), "application/json"
    if files:
        return Multipart((*_form_parts(data), *_file_parts(files))), None
    return _encode_data(data)


def _encode_data(data: Any) -> tuple[Body, str | None]:
    if isinstance(data, str):
        return data.encode(), "text/plain; charset=utf-8"
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data), None
    if hasattr(data, "read"):
        return Upload(data), None
    if isinstance(data, Mapping) or _is_pairs(data):
        return urlencode(data, doseq=True).encode(), FORM
    if isinstance(data, Iterable):
        return Upload(data), None
    raise TypeError(f"data must be bytes, str, a form, a file or an iterable of bytes, not {type(data).__name__}")


def _is_pairs(data: object) -> bool:
    if not isinstance(data, Sequence):
        return False
    return all(isinstance(item, tuple) and len(item) == 2 for item in data)


def _form_parts(data: Any) -> Iterable[Part]:
    if data is None:
        return
    if not isinstance(data, Mapping) and not _is_pairs(data):
        raise TypeError("data= beside files= must be a form: a mapping or a list of pairs")
    for name, value in data.items() if isinstance(data, Mapping) else data:
        for one in value if isinstance(value, list | tuple) else (value,):
            yield Part(str(name), one if isinstance(one, bytes) else str(one).encode())


def _file_parts(files: Any) -> Iterable[Part]:
    """Read each file, given as in requests: a file, content, or (filename, content[, type])."""
    for name, value in files.items() if isinstance(files, Mapping) else files:
        filename, content, kind = _file_fields(name, value)
        yield Part(str(name), content, filename, kind)


def _file_fields(name: str, value: Any) -> tuple[str, bytes, str | None]:
    if not isinstance(value, tuple):
        return _base_name(getattr(value, "name", None)) or str(name), _read(value), None
    if not 2 <= len(value) <= 3:
        raise ValueError(f"file {name!r} must be (filename, content) or (filename, content, type)")
    filename, content, kind = (*value, None)[:3]
    return str(filename or name), _read(content), kind


def _base_name(name: object) -> str | None:
    return name.replace("\\", "/").rpartition("/")[2] if isinstance(name, str) else None


def _read(content: Any) -> bytes:
    got = content.read() if hasattr(content, "read") else content
    return got.encode() if isinstance(got, str) else bytes(got)
