"""What a request carries: turn `data`, `json` and `files`, as requests takes them, into frozen bodies."""

import asyncio
import json as jsonlib
import threading
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import field
from os import PathLike
from typing import IO, Any, TypeAlias, cast

from ..bells import Ending
from ..values import dataclass
from .multipart import encode_multipart
from .url import encoded_form

__all__ = ["FORM", "JSON", "SPENT", "TEXT", "Body", "Upload", "encode_body"]

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
SPENT = (
    "the body's source was read already and cannot be read once more; give bytes, a file that can seek, or a new source"
)


class _Use:
    """How far the source of an upload is: who reads it, whether it was begun, and where it stood before."""

    __slots__ = ("begun", "lock", "reading", "start")

    def __init__(self) -> None:
        self.lock = threading.RLock()  # guards the next one, whose owner has the rest
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

    @property
    def is_spent(self) -> bool:
        """Whether it was begun and cannot be sent again."""
        return self._use.begun and self._use.start is None and not isinstance(self.source, Sequence)

    def take(self) -> Ending | None:
        """Become the one who reads it, or return what tells when to try again.

        Raises ValueError if it is spent. From any thread.
        """
        use = self._use
        with use.lock:
            if use.reading is not None:
                return use.reading
            if self.is_spent:
                raise ValueError(SPENT)
            use.reading = Ending()
            return None

    def rewind(self) -> None:
        """Have it where it first stood, which takes as long as the source likes; for the one who reads it.

        Raises ValueError if it cannot go back.
        """
        use = self._use
        if use.start is None:
            use.start = None if use.begun else _position(self.source)
            return
        try:
            cast(IO[bytes], self.source).seek(use.start)
        except Exception as exc:
            raise ValueError(SPENT) from exc

    def begin(self) -> None:
        """Note that it is being read from now on."""
        self._use.begun = True

    def release(self) -> None:
        """Let the next one read it. From any thread, repeatable."""
        with self._use.lock:
            reading, self._use.reading = self._use.reading, None
        if reading is not None:
            reading.note()

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


Body: TypeAlias = bytes | Upload | None


def encode_body(data: Any, json: Any, files: Any) -> tuple[Body, str | None]:
    """Return the body and its content type; raises TypeError or ValueError for what cannot be sent."""
    if json is not None and (data is not None or files):
        raise ValueError("json cannot be combined with data or files")
    if json is not None:
        return jsonlib.dumps(json, allow_nan=False).encode(), JSON
    if files is not None and (files or not isinstance(files, Mapping | Iterable)):
        return encode_multipart(data, files)
    return (None, None) if data is None else _encode_data(data)


def _encode_data(data: Any) -> tuple[Body, str | None]:
    if isinstance(data, Upload):
        return data, None
    if isinstance(data, str):
        return data.encode(), TEXT
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data), None
    if hasattr(data, "read"):
        return Upload(_checked_file(data)), None
    if isinstance(data, Mapping) or _is_form(data):
        form = encoded_form("data", data).encode()
        return (form, FORM) if form else (None, None)
    if isinstance(data, Iterable):
        return _bytes_of(data) or Upload(data), None
    cure = "; a path is opened first: open(path, 'rb')" if isinstance(data, PathLike) else ""
    raise TypeError(f"data must be bytes, str, a form, a file or an iterable of bytes, not {type(data).__name__}{cure}")


def _is_form(data: object) -> bool:
    """Whether the pairs of a form are meant, and not the pieces of a body."""
    return isinstance(data, list | tuple) and not (data and all(isinstance(item, str | bytes) for item in data))


def _bytes_of(data: Any) -> bytes | None:
    """Return the bytes of an array, whose items are numbers; None where each item is a piece of its own."""
    try:
        return bytes(memoryview(data))
    except TypeError:
        return None


def _checked_file(file: Any) -> Any:
    if getattr(file, "closed", False) is True:
        raise ValueError("data is a file that is closed already")
    readable = getattr(file, "readable", None)
    if callable(readable) and readable() is False:
        raise ValueError("data is a file that was not opened for reading")
    return file
