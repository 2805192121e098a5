"""An answer as a value: finished, frozen, picklable; what is costly is worked out when asked for."""

import json as jsonlib
import re
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from http.cookies import CookieError, SimpleCookie
from io import BufferedIOBase, BufferedReader, RawIOBase
from types import TracebackType
from typing import Any, Self

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ..errors import Facts, JSONDecodeError, RequestError
from ..redaction import redact
from .charsets import apparent, character_set, charset, declared, is_text_encoding
from .request import Request

__all__ = ["HTTPStatusError", "Response", "Seconds", "charset", "checked_chunk_size"]

_PIECE = 2**16  # bytes that iter_content hands out at once unless told otherwise
_LINE_END = re.compile(r"\r\n|\n|\r")  # str.splitlines() has more, which may stand within JSON
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})

_SECRET = frozenset({"set-cookie", "location"})


class Seconds(float):
    """A duration in seconds; `total_seconds()` is there for code written for requests' timedelta."""

    __slots__ = ()

    def total_seconds(self) -> float:
        """Return the duration as a plain float."""
        return float(self)


class HTTPStatusError(RequestError):
    """The status is 400 or higher; only `raise_for_status()` raises this.

    A pickle of it carries the response without what could be a secret: the request's headers and body, query
    values and cookies.
    """

    response: "Response"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, vars(self) | {"response": self.response.without_secrets()}


class Response:
    """Hold a complete answer; safe to share between threads.

    Named and shaped as in requests; false for a status of 400 or higher. `headers` is case-insensitive and keeps
    repeated fields (`headers.getall(name)`); `elapsed` is in seconds, `attempts` counts every try the server saw.
    The one thing that may be set is `encoding`: what `text` is decoded with.
    """

    # Plain slots behind properties: as closed as a frozen dataclass, and a third of its cost to make.
    __slots__ = ("_attempts", "_content", "_elapsed", "_encoding", "_headers", "_history", "_lane", "_raw",
                 "_reason", "_request", "_status", "_url", "_version")  # fmt: skip

    def __init__(
        self,
        request: Request,
        url: "URL | str",
        status: int,
        reason: str,
        headers: "CIMultiDictProxy[str]",
        content: bytes = b"",
        http_version: str = "1.1",
        elapsed: float = 0.0,
        attempts: int = 1,
        history: "tuple[Response, ...]" = (),
        lane: str = "",
    ) -> None:
        self._request = request
        self._url = url
        self._status = status
        self._reason = reason
        self._headers = headers
        self._content = content
        self._version = http_version
        self._elapsed = elapsed
        self._attempts = attempts
        self._history = history
        self._lane = lane  # for errors
        self._encoding: str | None = None  # chosen by the user
        self._raw: BufferedIOBase | None = None

    @property
    def request(self) -> Request:
        """The request as it was submitted."""
        return self._request

    @property
    def meta(self) -> Any:
        """The user's own data, as it was given to the request."""
        return self._request.meta

    @property
    def url(self) -> str:
        """The URL that answered, after redirects."""
        return str(self._url)

    @property
    def status_code(self) -> int:
        """The status of the answer."""
        return self._status

    @property
    def status(self) -> int:
        """The same as `status_code`, under aiohttp's name."""
        return self._status

    @property
    def reason(self) -> str:
        """The reason phrase as the server sent it; it may hold anything but line breaks."""
        return self._reason

    @property
    def headers(self) -> "CIMultiDictProxy[str]":
        """The headers as received: case-insensitive, repeated fields kept."""
        return self._headers

    @property
    def content(self) -> bytes:
        """The whole body, decoded by its Content-Encoding."""
        return self._content

    def _body(self) -> bytes:
        """Return what there is of the body: for what is made of it, also where it comes later or from elsewhere."""
        return self._content

    @property
    def http_version(self) -> str:
        """The version the server spoke, such as "1.1"."""
        return self._version

    @property
    def elapsed(self) -> Seconds:
        """Seconds from submit to the last byte: queue, redirects and retries included."""
        return Seconds(self._elapsed)

    @property
    def attempts(self) -> int:
        """How often the request was sent."""
        return self._attempts

    @property
    def history(self) -> "tuple[Response, ...]":
        """The redirects that led here, the oldest first."""
        return self._history

    @property
    def ok(self) -> bool:
        """Whether the status is below 400; the response itself is true or false as this is."""
        return self._status < 400

    def __bool__(self) -> bool:
        return self._status < 400

    @property
    def is_redirect(self) -> bool:
        """Whether the answer leads elsewhere, as one does that was not followed."""
        return self._status in _REDIRECTS and "Location" in self._headers

    @property
    def is_permanent_redirect(self) -> bool:
        """Whether the answer says that the page has moved for good."""
        return self._status in _PERMANENT and "Location" in self._headers

    @property
    def links(self) -> dict[str, dict[str, str]]:
        """The Link header: each link's `url` and parameters, by its relation: `links["next"]["url"]`."""
        from .links import parse_links  # few ask for it

        return parse_links(", ".join(self._headers.getall("Link", ())))

    @property
    def encoding(self) -> str:
        """The character set that `text` uses; may be set, None for the one that is found.

        Found is, in this order: that of a byte order mark, the declared one if Python knows it, what an HTML or XML
        page says of itself, UTF-8. Nothing is guessed: `response.encoding = response.apparent_encoding` does that.
        """
        return self._encoding or character_set(self._body(), self._headers.get("Content-Type", ""))

    @encoding.setter
    def encoding(self, name: str | None) -> None:
        if name is not None and not (isinstance(name, str) and is_text_encoding(name)):
            raise ValueError("encoding must be the name of a character set that Python knows, or None")
        self._encoding = name

    @property
    def apparent_encoding(self) -> str:
        """A guess from the body's bytes: UTF-8 where they fit, else what the page says, else charset-normalizer's.

        Without that library (`pip install 'aiohttp-workerpool[charset]'`) windows-1252 is the last guess.
        """
        return apparent(self.content, self._headers.get("Content-Type", ""))

    @property
    def text(self) -> str:
        """The body as text; bytes that do not fit the encoding become U+FFFD."""
        return self._body().decode(self.encoding, errors="replace")

    def json(self, **options: Any) -> Any:
        """Parse the body as JSON, in UTF-8, UTF-16, UTF-32 or what was declared.

        Raises JSONDecodeError, a RequestError that is a json.JSONDecodeError, too.
        """
        try:
            return jsonlib.loads(self._json(), **options)
        except jsonlib.JSONDecodeError as exc:
            failed = exc.msg, exc.doc, exc.pos
        except UnicodeDecodeError as exc:
            failed = "not in the encoding that it should be in", "", exc.start
        except RecursionError:
            failed = "nested too deeply", "", 0
        except ValueError:
            if options:
                raise  # it may be the hook's
            failed = "a number has too many digits", "", 0
        raise self._no_json(*failed)

    def _json(self) -> bytes | str:
        """Return the body for json, which tells the forms of Unicode apart by itself."""
        name = self._encoding or declared(self._headers.get("Content-Type", ""))
        return self._body() if name is None or name.startswith("utf") else self._body().decode(name)

    def _no_json(self, message: str, document: str, position: int) -> JSONDecodeError:
        kind, facts = self._headers.get("Content-Type", "no Content-Type").partition(";")[0], self._facts
        text = f"{facts}: the body ({self._status}, {kind!a}) is not JSON: {message}"
        error = JSONDecodeError(text, document, position)
        return error.completed(facts)

    @property
    def _facts(self) -> Facts:
        return Facts(redact(self._url), self._request.method, self._attempts, "body", self._lane)

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Yield the body in pieces of `chunk_size` bytes."""
        size = _PIECE if chunk_size is None else checked_chunk_size(chunk_size)
        content = self._body()
        return (content[start : start + size] for start in range(0, len(content), size))

    def iter_content(self, chunk_size: int | None = _PIECE, decode_unicode: bool = False) -> Iterator[Any]:
        """Yield the body in pieces, under requests' name: bytes, or with `decode_unicode` text."""
        pieces = self.iter_bytes(chunk_size)
        return _decoded(pieces, self.encoding) if decode_unicode else pieces

    def iter_lines(self) -> Iterator[str]:
        """Yield the body line by line as text, without line ends: LF, CR or CRLF."""
        lines = _LINE_END.split(self.text)
        return iter(lines if lines[-1] else lines[:-1])

    @property
    def raw(self) -> BufferedIOBase:
        """The body as a file to read from, once: `shutil.copyfileobj(response.raw, file)`. It is decoded already."""
        if self._raw is None:
            self._raw = BufferedReader(_Reader(self.iter_bytes()))
        return self._raw

    def close(self) -> None:
        """Do nothing: the answer is complete. There for code that closes any response."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that this answer set, by name."""
        return dict(_cookies(self._headers.getall("Set-Cookie", ())))

    def raise_for_status(self) -> Self:
        """Raise HTTPStatusError if the status is 400 or higher; else return the response."""
        if self.ok:
            return self
        error = HTTPStatusError.about(self._facts, f"the server answered {self._status} {self._reason!a}")
        error.response = self
        raise error

    def without_secrets(self) -> "Response":
        """Return a copy without the request's headers and body, userinfo, query values, cookies and history."""
        where = redact(self._url)
        headers = CIMultiDict((name, value) for name, value in self._headers.items() if name.lower() not in _SECRET)
        return Response(
            Request(self._request.method, where),
            where,
            self._status,
            self._reason,
            CIMultiDictProxy(headers),
            self._body(),
            http_version=self._version,
            elapsed=self._elapsed,
            attempts=self._attempts,
            lane=self._lane,
        )

    def __repr__(self) -> str:
        return f"<Response {self._status} {redact(self._url)}, {len(self._content)} bytes>"

    def __getstate__(self) -> tuple[Any, ...]:
        # The headers' proxy does not pickle; its items do.
        state = {name: getattr(self, name) for kind in type(self).__mro__ for name in getattr(kind, "__slots__", ())}
        return (state | {"_headers": tuple(self._headers.items()), "_url": self.url, "_raw": None},)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        for name, value in state[0].items():
            setattr(self, name, value)
        self._headers = CIMultiDictProxy(CIMultiDict(state[0]["_headers"]))


class _Reader(RawIOBase):
    """Read from an iterator of bytes as from a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def checked_chunk_size(size: object) -> int:
    """Return the size of pieces; raises ValueError for what is none."""
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError("chunk_size must be a number of bytes, at least 1, or None")
    return size


def _decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[str]:
    decoder = getincrementaldecoder(encoding)(errors="replace")
    for piece in pieces:
        if text := decoder.decode(piece):
            yield text
    if rest := decoder.decode(b"", final=True):
        yield rest


def _cookies(fields: Iterable[str]) -> Iterable[tuple[str, str]]:
    for field in fields:
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(field)
        except CookieError:
            continue
        for name, morsel in jar.items():
            yield name, morsel.value
