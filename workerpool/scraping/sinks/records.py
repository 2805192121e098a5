"""Records of WARC/1.1: an answer, a request, a second sight of the same body, as bytes."""

import re
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

from ...messages.response import Response
from ..validators import digest

__all__ = [
    "Earlier", "Exchange", "answer_record", "bare", "exchanges", "info_record", "packed", "record_id",
    "request_record", "warc_date",
]  # fmt: skip

_PROFILE = "http://netpreserve.org/warc/1.1/revisit/"
_SECRET = frozenset({"authorization", "proxy-authorization", "cookie"})
_OF_A_BODY = frozenset({"content-type", "content-length", "content-encoding", "content-language"})
# What goes on to another origin, as the pool's redirects have it.
_TRAVELS = frozenset({"accept", "accept-encoding", "accept-language", "cache-control", "dnt", "pragma", "range"})
_TRAVELS |= {"user-agent"}
_PORTS = {"http": 80, "https": 443}
_BREAKS = re.compile(r"[\x00\r\n]+[ \t]*")
_URL_SAFE = "!#$%&'()*+,/:;=?@[]~"
_BODILESS = frozenset({204, 304})
_GZIP = 31  # zlib's number for gzip with 32 KiB of window

Fields = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Earlier:
    """The record that has the body, under which URL and when: found by its digest, or named so by the site's 304."""

    url: str
    date: str
    profile: Literal["identical-payload-digest", "server-not-modified"] = "identical-payload-digest"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request on the wire, as far as it is known, and its answer."""

    method: str
    url: str  # without credentials and fragment
    headers: tuple[tuple[str, str], ...]
    body: bytes
    answer: Response

    @property
    def has_body(self) -> bool:
        """Whether the answer is of a kind that has a body."""
        return self.method != "HEAD" and self.answer.status_code not in _BODILESS


def exchanges(response: Response, extra: tuple[tuple[str, str], ...] = ()) -> Iterator[Exchange]:
    """Yield the redirects that led to a response, and itself; a request loses its body as the redirects say."""
    request = response.request
    method, body = request.method, request.body if isinstance(request.body, bytes) else b""
    headers = tuple(pair for pair in (*extra, *request.headers) if pair[0].lower() not in _SECRET)
    before = None
    for answer in (*response.history, response):
        if before not in (None, _origin(answer.url)):
            headers = tuple(pair for pair in headers if pair[0].lower() in _TRAVELS)
        before = _origin(answer.url)
        yield Exchange(method, bare(answer.url), headers, body, answer)
        if (answer.status_code == 303 and method != "HEAD") or (answer.status_code in (301, 302) and method == "POST"):
            method, body = "GET", b""
            headers = tuple(pair for pair in headers if pair[0].lower() not in _OF_A_BODY)


def info_record(filename: str, date: str, fields: Mapping[str, str]) -> bytes:
    """Return the record that a file begins with."""
    block = "".join(f"{name}: {_one_line(value)}\r\n" for name, value in fields.items()).encode("utf-8", "replace")
    head = [("WARC-Filename", filename), ("Content-Type", "application/warc-fields")]
    return _record("warcinfo", record_id(), date, head, block)


def answer_record(
    exchange: Exchange, name: str, date: str, payload: str, seen: Earlier | None = None
) -> tuple[bytes, str]:
    """Return the record of an answer, and its type; where its body was `seen`, without that."""
    answer, body = exchange.answer, exchange.answer.content
    block = _http_head(exchange)
    fields = [("WARC-Target-URI", exchange.url), ("WARC-Payload-Digest", payload)]
    kind = "response" if seen is None else "revisit"
    if seen is not None:
        fields += [("WARC-Profile", _PROFILE + seen.profile)]
        fields += [("WARC-Refers-To-Target-URI", seen.url), ("WARC-Refers-To-Date", seen.date)]
    elif exchange.has_body and not body and answer.headers.get("Content-Length", "0").strip("0 "):
        fields += [("WARC-Truncated", "length")]  # the body of a redirect that was too long to wait for
    fields += [("Content-Type", "application/http;msgtype=response")]
    return _record(kind, name, date, fields, block if seen is not None else block + body), kind


def request_record(exchange: Exchange, answered_by: str, date: str) -> bytes:
    """Return the record of a request, which an answer belongs to; without credentials and cookies."""
    parts = urlsplit(exchange.url)
    target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    head = [f"{exchange.method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
    head += [f"{name}: {_one_line(value)}" for name, value in exchange.headers if name.lower() != "host"]
    if exchange.body and not any(name.lower() == "content-length" for name, _ in exchange.headers):
        head += [f"Content-Length: {len(exchange.body)}"]
    fields = [("WARC-Target-URI", exchange.url), ("WARC-Concurrent-To", answered_by)]
    fields += [("WARC-Payload-Digest", digest(exchange.body))] if exchange.body else []
    fields += [("Content-Type", "application/http;msgtype=request")]
    return _record("request", record_id(), date, fields, _encoded("\r\n".join(head) + "\r\n\r\n") + exchange.body)


def packed(record: bytes, level: int = 6) -> bytes:
    """Return the record as a gzip member of its own."""
    packer = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
    return packer.compress(record) + packer.flush()


def record_id() -> str:
    """Return a name that no other record has."""
    return f"<urn:uuid:{uuid.uuid4()}>"


def warc_date(seconds: float) -> str:
    """Return a time since the epoch as archives write it, to the second, as their indexes have it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _record(kind: str, name: str, date: str, fields: Fields, block: bytes) -> bytes:
    head = [("WARC-Type", kind), ("WARC-Record-ID", name), ("WARC-Date", date), *fields]
    head += [("WARC-Block-Digest", digest(block)), ("Content-Length", str(len(block)))]
    text = "WARC/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in head) + "\r\n"
    return text.encode("utf-8", "replace") + block + b"\r\n\r\n"


def _http_head(exchange: Exchange) -> bytes:
    """Return the head of an answer so that it fits the body that is stored with it.

    aiohttp has taken the chunks apart, and the body is decoded but for requests that are sent as they are: what is
    no longer so is told under another name.
    """
    answer = exchange.answer
    lines = [f"HTTP/{answer.http_version} {answer.status_code} {_one_line(answer.reason)}"]
    moved = {"transfer-encoding"} | (set() if answer.request.as_is or not exchange.has_body else {"content-encoding"})
    length = str(len(answer.content))
    if exchange.has_body and answer.headers.getall("Content-Length", []) != [length]:
        moved |= {"content-length"}
    for name, value in answer.headers.items():
        prefix = "X-Archive-Orig-" if name.lower() in moved else ""
        lines += [f"{prefix}{name}: {_one_line(value)}"]
    if "content-length" in moved:
        lines += [f"Content-Length: {length}"]
    return _encoded("\r\n".join(lines) + "\r\n\r\n")


def bare(url: str) -> str:
    """Return a URL as archives write it: without credentials and fragment."""
    parts = urlsplit(url)
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/", parts.query, ""))
    return quote(bare, safe=_URL_SAFE)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _one_line(text: str) -> str:
    return _BREAKS.sub(" ", text)


def _encoded(text: str) -> bytes:
    """Return text of a head as the bytes that it was read from."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
