"""What a request carries: turn `data`, `json` and `files`, as requests takes them, into frozen bodies."""

import asyncio
import json as jsonlib
import threading
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, TypeAlias, cast
from urllib.parse import urlencode

from ..bells import Ending

__all__ = ["Body", "Multipart", "Part", "Upload", "encode_body"]

FORM = "application/x-www-form-urlencoded"
_SPENT = (
    "the body's source was read already and cannot be read once more; give bytes, a file that can seek, or a new source"
)


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


class _Use:
    """How far the source of an upload is: who reads it, whether it was begun, and where it stood before."""

    __slots__ = ("begun", "lock", "reading", "start")

    def __init__(self) -> None:
        self.lock = threading.RLock()  # guards the rest
        self.reading: Ending | None = None
        self.begun = False
        self.start: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A file or an iterable of bytes, sent while it is read; an asynchronous one is read on its `loop`.

    Once begun it can be sent again only if it is a file that can seek, or a sequence.
    """

    source: "IO[bytes] | Iterable[bytes] | AsyncIterable[bytes]"
    loop: asyncio.AbstractEventLoop | None = None
    _use: _Use = field(default_factory=_Use, init=False, repr=False)

    def take(self) -> Ending | None:
        """Become the one who reads it and have it where it first stood, or return what tells when to try again.

        Raises ValueError if it was begun and cannot be sent again. From any thread.
        """
        use = self._use
        with use.lock:
            if use.reading is not None:
                return use.reading
            if use.begun:
                self._go_back()
            else:
                use.start = _position(self.source)
            use.reading = Ending()
            return None

    def begin(self) -> None:
        """Note that it is being read from now on."""
        self._use.begun = True

    def release(self) -> None:
        """Let the next one read it. From any thread, repeatable."""
        with self._use.lock:
            reading, self._use.reading = self._use.reading, None
        if reading is not None:
            reading.note()

    def _go_back(self) -> None:
        if isinstance(self.source, Sequence):
            return
        try:
            if self._use.start is not None:
                cast(IO[bytes], self.source).seek(self._use.start)
                return
        except Exception as exc:
            raise ValueError(_SPENT) from exc
        raise ValueError(_SPENT)

    def __copy__(self) -> "Upload":
        return self  # two would not know of each other

    def __reduce__(self) -> tuple[Any, ...]:
        if self.loop is not None or (self._use.begun and not isinstance(self.source, Sequence)):
            raise TypeError("an upload that was begun, or is asynchronous, cannot be pickled")
        return Upload, (self.source,)


def _position(source: object) -> Any:
    """Return where a file stands, None for what cannot go back."""
    file = cast(IO[bytes], source)
    try:
        return file.tell() if file.seekable() else None
    except Exception:  # noqa: BLE001  whatever the object is and raises, it is no file that can seek
        return None


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
    if isinstance(data, Upload):
        return data, None
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
