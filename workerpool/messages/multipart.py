"""Forms with files, put together as requests does it, byte for byte (RFC 7578)."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .url import given_pairs

__all__ = ["encode_multipart"]

_BREAKER = re.compile(r"[\x00-\x1f\x7f]")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2


def encode_multipart(data: Any, files: Any) -> tuple[bytes, str]:
    """Return the form and its content type; files are read here. Raises TypeError or ValueError."""
    boundary = os.urandom(16).hex()
    pieces: list[bytes] = []
    for head, content in (*_fields(data), *_files(files)):
        pieces += [f"--{boundary}\r\n{head}\r\n".encode(), content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"


def _fields(data: Any) -> Iterator[tuple[str, bytes]]:
    if isinstance(data, str | bytes | bytearray | memoryview) or hasattr(data, "read"):
        raise TypeError("data beside files must be a form: a mapping or pairs of name and value")
    for name, value in () if data is None else given_pairs("data", data):
        yield _head(_name(name), None), value if isinstance(value, bytes) else str(value).encode()


def _files(files: Any) -> Iterator[tuple[str, bytes]]:
    """Yield each file, given as in requests: a file, content, or (filename, content[, type[, headers]])."""
    for name, value in _pairs(files):
        field = _name(name)
        filename, content, kind, headers = _parts(field, value)
        if (read := _read(field, content)) is not None:
            yield _head(field, filename, kind, headers), read


def _pairs(files: Any) -> list[tuple[Any, Any]]:
    pairs = list(files.items() if isinstance(files, Mapping) else files if isinstance(files, list | tuple) else [()])
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise TypeError("files must be a mapping, or a list of pairs, of field names and files")
    return pairs


def _parts(field: str, value: Any) -> tuple[Any, Any, Any, Any]:
    if not isinstance(value, tuple | list):
        return _base_name(getattr(value, "name", None)) or field, value, None, None
    if not 2 <= len(value) <= 4:
        raise ValueError(f"file {field!r} must be (filename, content), (…, type) or (…, type, headers)")
    filename, content, kind, headers = (*value, None, None)[:4]
    return filename, content, kind, headers


def _base_name(name: object) -> str | None:
    if isinstance(name, str) and not (name.startswith("<") and name.endswith(">")):
        return name.replace("\\", "/").rpartition("/")[2]
    return None


def _read(field: str, content: Any) -> bytes | None:
    """Return the bytes; None where there is no file, which is left out, as in requests."""
    if hasattr(content, "read"):
        content = content.read()
    if isinstance(content, int):
        content = str(content)
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    if content is None:
        return None
    raise TypeError(
        f"file {field!r} must be an open file, bytes, or (filename, content), not {type(content).__name__};"
        " a path is opened first: open(path, 'rb')"
    )


def _head(name: str, filename: Any, kind: Any = None, headers: Any = None) -> str:
    disposition = f'form-data; name="{_quoted(name)}"'
    if filename is not None:
        disposition += f'; filename="{_quoted(_text("a file name", filename))}"'
    lines = {"Content-Disposition": disposition}
    if kind is not None:
        lines["Content-Type"] = _text("a file's content type", kind)
    return "".join([f"{name}: {value}\r\n" for name, value in (lines | _own_lines(headers)).items()])


def _own_lines(headers: Any) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping) or not all(
        isinstance(name, str) and _TOKEN.fullmatch(name) for name in headers
    ):
        raise TypeError("a file's headers must be a mapping of names to values")
    return {name: _text("a file's header", value) for name, value in headers.items()}


def _quoted(text: str) -> str:
    return text.replace('"', "%22")  # as browsers and requests do (WHATWG)


def _name(name: object) -> str:
    return _text("a field's name", name)


def _text(what: str, value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str):
        raise TypeError(f"{what} in files or data must be a str, not {type(value).__name__}")
    if _BREAKER.search(value):
        raise ValueError(f"{what} in files or data holds a control character (CR, LF, NUL...)")
    return value
