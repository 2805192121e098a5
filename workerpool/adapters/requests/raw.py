"""What a session hands out: requests' response, with urllib3's as its `raw`, over bytes that the pool has brought."""

from collections.abc import Generator
from email.message import Message
from typing import Any

import requests
from multidict import CIMultiDictProxy
from requests.cookies import extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import ProtocolError
from urllib3.util import Retry

from ...caller.streaming import StreamedResponse
from ...messages.response import Response
from .http_client import RawBody, as_latin1

__all__ = ["raw_head", "raw_of", "whole_response"]

_NONE = Retry(0, read=False)  # as HTTPAdapter has it


def raw_of(answer: Response, retries: "Retry | None" = None) -> HTTPResponse:
    """Return urllib3's response over the body as it comes on the wire: it is here, or on its way."""
    if isinstance(answer, StreamedResponse):
        return _Raw(RawBody(answer, answer.iter_bytes(), answer.close), answer, retries)
    return _Raw(RawBody(answer, iter((answer.content,))), answer, retries)


def raw_head(answer: Response) -> HTTPResponse:
    """Return urllib3's response for an answer whose body is left alone."""
    return _Raw(RawBody(answer, iter(())), answer, None)


def whole_response(request: requests.PreparedRequest, answer: Response) -> requests.Response:
    """Return the response for an answer that is here and was not compressed: its content needs no `raw` to be read.

    Does what HTTPAdapter.build_response and Response.content do, at a third of the cost (a tenth of the request's).
    """
    response = requests.Response()
    state = {"_content": answer.content}  # as one comes out of a pickle: read to its end
    response.__setstate__(state)  # type: ignore[attr-defined]
    response.status_code = answer.status_code
    response.reason = answer.reason
    response.headers = _merged(answer.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.url = str(request.url)
    response.request = request
    response.raw = _Read(answer)
    extract_cookies_to_jar(response.cookies, request, response.raw)  # type: ignore[no-untyped-call]
    return response


class _Raw(HTTPResponse):
    """urllib3's response over the bytes that the pool brings."""

    def __init__(self, body: RawBody, answer: Response, retries: "Retry | None") -> None:
        super().__init__(
            body,
            HTTPHeaderDict((str(name), as_latin1(value)) for name, value in answer.headers.items()),
            answer.status_code,
            version=body.version,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            request_method=answer.request.method,
            request_url=answer.request.target.raw_path_qs,
            original_response=_original(answer),
            retries=_NONE if retries is None else retries,
        )
        self.version_string = f"HTTP/{body.version / 10}"
        self._raw_body = body

    def read_chunked(self, amt: int | None = None, decode_content: bool | None = None) -> Generator[bytes, None, None]:
        """Yield what comes, as it comes; raises ProtocolError where another thread closes the response meanwhile."""
        try:
            yield from super().read_chunked(amt, decode_content)
        except AttributeError as exc:  # urllib3 looks for the file between two looks at whether there is one
            if not self._raw_body.isclosed():
                raise
            raise ProtocolError("the response was closed while it was read", exc) from exc


class _Read(_Raw):
    """The raw of an answer that was read to its end. Few ask for it, so that it is made up when somebody does."""

    def __init__(self, answer: Response) -> None:
        self._answer = answer
        self._original_response = _original(answer)

    def __getattr__(self, name: str) -> Any:
        if "_fp" in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        super().__init__(RawBody(self._answer, iter(())), self._answer, None)
        return getattr(self, name)

    @property
    def closed(self) -> bool:
        """Whether it is closed: there is nothing left to read."""
        return True


def _merged(headers: "CIMultiDictProxy[str]") -> "CaseInsensitiveDict[str]":
    """Return the headers as requests has them: repeated fields joined."""
    merged: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for key, value in headers.items():
        name = str(key)  # and not multidict's own kind of str, which finds its way into caches and cassettes
        before = f"{merged[name]}, " if name in merged else ""
        merged[name] = before + as_latin1(value)
    return merged


def _original(answer: Response) -> Any:
    return _Original(answer) if "Set-Cookie" in answer.headers else None


class _Original:
    """As much of http.client's response as the cookie jars of the standard library and urllib3 ask for."""

    def __init__(self, answer: Response) -> None:
        self.msg = Message()
        self._method = answer.request.method  # urllib3 asks before it reads chunks
        for name, value in answer.headers.items():
            if name.lower() == "set-cookie":
                self.msg[name] = as_latin1(value)

    def isclosed(self) -> bool:
        """Whether it is closed: always, since it holds nothing."""
        return True

    def close(self) -> None:
        """Do nothing."""
