"""An answer as a value: finished, frozen, picklable; what is costly is worked out when asked for."""

import json as jsonlib
from collections.abc import Iterable
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ..errors import HTTPStatusError, WorkerPoolError
from ..redaction import redact
from .request import Request

__all__ = ["Response", "Result", "Seconds", "charset"]


_SECRET = frozenset({"set-cookie", "location"})


class Seconds(float):
    """A duration in seconds; `total_seconds()` is there for code written for requests' timedelta."""

    __slots__ = ()

    def total_seconds(self) -> float:
        """Return the duration as a plain float."""
        return float(self)


class Response:
    """Hold a complete answer; safe to share between threads.

    Named and shaped as in requests. `headers` is case-insensitive and keeps repeated fields
    (`headers.getall(name)`); `elapsed` is in seconds, `attempts` counts every try the server saw.
    """

    # Plain slots behind properties: as closed as a frozen dataclass, and a third of its cost to make.
    __slots__ = ("_attempts", "_content", "_elapsed", "_headers", "_history", "_reason", "_request", "_status", "_url",
                 "_version")  # fmt: skip

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
        """Whether the status is below 400."""
        return self._status < 400

    @property
    def encoding(self) -> str:
        """The character set that `text` uses: the declared one if Python knows it, else UTF-8."""
        return charset(self._headers.get("Content-Type", ""))

    @property
    def text(self) -> str:
        """The body as text; bytes that do not fit the encoding become U+FFFD."""
        return self._content.decode(self.encoding, errors="replace")

    def json(self, **options: Any) -> Any:
        """Parse the body as JSON; raises json.JSONDecodeError (a ValueError)."""
        return jsonlib.loads(self._content, **options)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that this answer set, by name."""
        return dict(_cookies(self._headers.getall("Set-Cookie", ())))

    def raise_for_status(self) -> None:
        """Raise HTTPStatusError if the status is 400 or higher."""
        if self.ok:
            return
        where = redact(self._url)
        error = HTTPStatusError(
            f"{self._request.method} {where}: the server answered {self._status} {self._reason!a}",
            url=where,
            method=self._request.method,
            attempts=self._attempts,
            stage="body",
        )
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
            self._content,
            http_version=self._version,
            elapsed=self._elapsed,
            attempts=self._attempts,
        )

    def __repr__(self) -> str:
        return f"<Response {self._status} {redact(self._url)}, {len(self._content)} bytes>"

    def __getstate__(self) -> tuple[Any, ...]:
        # The headers' proxy does not pickle; its items do.
        state = {name: getattr(self, name) for name in self.__slots__}
        return (state | {"_headers": tuple(self._headers.items()), "_url": self.url},)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        for name, value in state[0].items():
            setattr(self, name, value)
        self._headers = CIMultiDictProxy(CIMultiDict(state[0]["_headers"]))


class Result:
    """Hold the outcome of one input of `fetch_many`: a response or an error, never both."""

    __slots__ = ("_error", "_index", "_request", "_response")

    def __init__(
        self,
        index: int,
        request: "Request | str",
        response: Response | None,
        error: BaseException | None,
    ) -> None:
        self._index = index
        self._request = request
        self._response = response
        self._error = error

    @property
    def index(self) -> int:
        """The place of the input, from 0."""
        return self._index

    @property
    def request(self) -> "Request | str":
        """The request; the input as it was given where no request could be made of it."""
        return self._request

    @property
    def meta(self) -> Any:
        """The user's own data, as it was given to the request; None where no request could be made."""
        return self._request.meta if isinstance(self._request, Request) else None

    @property
    def response(self) -> Response | None:
        """The answer, or None."""
        return self._response

    @property
    def error(self) -> BaseException | None:
        """The error, or None."""
        return self._error

    @property
    def ok(self) -> bool:
        """Whether there is a response, whatever its status."""
        return self._error is None

    def unwrap(self) -> Response:
        """Return the response or raise the error."""
        if self._error is not None:
            raise self._error
        if self._response is None:
            raise WorkerPoolError("this result holds neither a response nor an error")
        return self._response

    def __repr__(self) -> str:
        return f"<Result {self._index} {self._response or self._error!r}>"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def charset(content_type: str) -> str:
    """Return the declared character set if Python knows it as a text encoding, else utf-8."""
    message = Message()
    message["Content-Type"] = content_type
    try:
        declared = message.get_content_charset("utf-8")
        b" ".decode(declared, "replace")  # refuses what is unknown, and codecs such as "hex" that are no character set
    except (LookupError, ValueError):
        return "utf-8"
    return declared


def _cookies(fields: Iterable[str]) -> Iterable[tuple[str, str]]:
    for field in fields:
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(field)
        except CookieError:
            continue
        for name, morsel in jar.items():
            yield name, morsel.value
