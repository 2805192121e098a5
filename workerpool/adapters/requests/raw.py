"""What a session hands out: requests' response, with urllib3's as its `raw`, over bytes that the pool has brought."""

import io
from collections.abc import Generator
from email.message import Message
from typing import Any

import requests
from multidict import CIMultiDictProxy
from requests.cookies import extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPHeaderDict, HTTPResponse

from ...errors import WorkerPoolError
from ...messages.response import Response
from ...streaming import StreamedResponse
from .errors import as_urllib3

__all__ = ["raw_response", "raw_stream", "whole_response"]


def raw_response(answer: Response) -> HTTPResponse:
    """Return urllib3's response for an answer whose body is here, as it came on the wire."""
    return _Raw(io.BytesIO(answer.content), answer)


def raw_stream(answer: StreamedResponse) -> HTTPResponse:
    """Return urllib3's response for an answer whose body is on its way."""
    return _Raw(io.BufferedReader(_Body(answer)), answer)


def whole_response(request: requests.PreparedRequest, answer: Response) -> requests.Response:
    """Return the response for an answer that is here and was not compressed: its content needs no `raw` to be read.

    Does what HTTPAdapter.build_response and Response.content do, at a third of the cost (a tenth of the request's).
    """
    response = requests.Response()
    response.status_code = answer.status_code
    response.reason = answer.reason
    response.headers = _merged(answer.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.url = str(request.url)
    response.request = request
    response.raw = _Read(answer)
    extract_cookies_to_jar(response.cookies, request, response.raw)  # type: ignore[no-untyped-call]
    response._content = answer.content
    response._content_consumed = True  # type: ignore[attr-defined]
    return response


class _Raw(HTTPResponse):
    """Hand out the pieces of a chunked body as they come, as urllib3 does with its own."""

    def __init__(self, body: "io.BytesIO | io.BufferedReader", answer: Response) -> None:
        super().__init__(
            body,
            HTTPHeaderDict((name, _as_latin1(value)) for name, value in answer.headers.items()),
            answer.status_code,
            version=10 if answer.http_version == "1.0" else 11,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            request_method=answer.request.method,
            request_url=answer.request.url,
            original_response=_original(answer),
            enforce_content_length=False,  # the pool has seen to that
        )

    def stream(self, amt: int | None = 2**16, decode_content: bool | None = None) -> Generator[bytes, None, None]:
        """Yield the body in pieces of so many bytes; of a chunked one as much as is there."""
        if not self.chunked:
            yield from super().stream(amt, decode_content)
            return
        while piece := self.read1(amt, decode_content):
            yield piece


class _Read(_Raw):
    """The raw of an answer that was read to its end. Few ask for it, so that it is made up when somebody does."""

    def __init__(self, answer: Response) -> None:
        self._answer = answer
        self._original_response = _original(answer)

    def __getattr__(self, name: str) -> Any:
        if "_fp" in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        super().__init__(io.BytesIO(), self._answer)
        return getattr(self, name)

    @property
    def closed(self) -> bool:
        """Whether it is closed: there is nothing left to read."""
        return True


def _merged(headers: "CIMultiDictProxy[str]") -> "CaseInsensitiveDict[str]":
    """Return the headers as requests has them: repeated fields joined."""
    merged: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in headers.items():
        before = f"{merged[name]}, " if name in merged else ""
        merged[name] = before + _as_latin1(value)
    return merged


def _original(answer: Response) -> Any:
    return _Original(answer.headers) if "Set-Cookie" in answer.headers else None


def _as_latin1(value: str) -> str:
    """Return a header's value as http.client decodes it; aiohttp takes it for UTF-8."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")


class _Original:
    """As much of http.client's response as the cookie jars of the standard library ask for."""

    def __init__(self, headers: "CIMultiDictProxy[str]") -> None:
        self.msg = Message()
        for name, value in headers.items():
            if name.lower() == "set-cookie":
                self.msg[name] = _as_latin1(value)

    def isclosed(self) -> bool:
        """Whether it is closed: always, since it holds nothing."""
        return True

    def close(self) -> None:
        """Do nothing."""


class _Body(io.RawIOBase):
    """The bytes of a streamed answer as a file; each read blocks for what comes next."""

    def __init__(self, answer: StreamedResponse) -> None:
        self._answer = answer
        self._pieces = answer.iter_bytes()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        """Read what is there; 0 at the end. Raises urllib3's errors."""
        try:
            if not self._rest:
                self._rest = memoryview(next(self._pieces, b""))
        except WorkerPoolError as exc:
            raise as_urllib3(exc, self._answer.request.url) from exc
        size = min(len(self._rest), len(buffer))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        """Stop the download. Repeatable."""
        if not self.closed:
            self._answer.close()
        super().close()
