"""What a server of a test answers with: replies in order, and a record of what was asked."""

import asyncio
import json as json_module
import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web
from multidict import CIMultiDictProxy, MultiDictProxy
from yarl import URL

__all__ = ["Received", "Reply", "Script", "Scripted", "Target", "unless_gone"]

Target = str | re.Pattern[str]
Handler = Callable[[Any], Awaitable[web.StreamResponse]]

_KINDS: dict[str, Any] = {  # what a reply takes beside json, error and None
    "target": str | re.Pattern, "method": str | None, "status": int, "text": str | None,
    "body": bytes | bytearray | memoryview | None, "headers": Mapping | None, "delay": int | float,
    "handler": Callable | None, "times": int | None,
}  # fmt: skip
_LOST = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


@dataclass(frozen=True, slots=True)
class Received:
    """What was asked: one request, as it came."""

    method: str
    url: str
    headers: "CIMultiDictProxy[str]"
    body: bytes

    @property
    def path(self) -> str:
        """The path, decoded, without the query."""
        return URL(self.url).path

    @property
    def query(self) -> "MultiDictProxy[str]":
        """The arguments behind the path."""
        return URL(self.url).query

    @property
    def text(self) -> str:
        """The body as UTF-8; raises UnicodeDecodeError."""
        return self.body.decode()

    def json(self) -> Any:
        """Return what the body says; raises ValueError if it is not JSON."""
        return json_module.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, made anew whenever it is given."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay: float = 0.0
    error: BaseException | None = None
    handler: Handler | None = None

    @property
    def loses_the_connection(self) -> bool:
        """Whether the request is read and the connection then closed without an answer."""
        return isinstance(self.error, _LOST)

    async def answer(self, request: Any) -> web.StreamResponse:
        """Return the answer, after the delay is over."""
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.handler is not None:
            return await self.handler(request)
        return web.Response(status=self.status, headers=self.headers, body=self.body)


@dataclass(slots=True)
class _Rule:
    target: Target
    method: str | None
    reply: Reply
    left: int | None  # how often it is still given, None for ever

    def __str__(self) -> str:
        where = self.target if isinstance(self.target, str) else f"re.compile({self.target.pattern!r})"
        return f"{self.method or 'any'} {where}"


class Script:
    """Replies by target and method, and what was received. Any thread may use it.

    `matches` tells whether a target is meant by a URL.
    """

    def __init__(self, matches: Callable[[Target, URL], bool]) -> None:
        self._matches = matches
        self._lock = threading.Lock()  # guards the next two
        self._rules: list[_Rule] = []
        self._received: list[Received] = []

    @property
    def received(self) -> tuple[Received, ...]:
        """What was asked so far, in the order in which it came."""
        with self._lock:
            return tuple(self._received)

    def add(self, target: Target, method: str | None, reply: Reply, times: int | None) -> None:
        """Give the reply when those before it, for the same target and method, have been given."""
        if times is not None and times < 1:
            raise ValueError(f"times must be at least 1, not {times}")
        with self._lock:
            self._rules.append(_Rule(target, method and method.upper(), reply, times))

    def take(self, method: str, url: URL) -> Reply | None:
        """Return the reply that is next for this request, None if there is none."""
        with self._lock:
            rules = [rule for rule in self._rules if rule.method in (None, method) and self._matches(rule.target, url)]
            if not rules:
                return None
            # The more particular goes first, whichever was scripted first.
            first = min(rules, key=lambda rule: (not isinstance(rule.target, str), rule.method is None))
            same = [rule for rule in rules if (rule.target, rule.method) == (first.target, first.method)]
            if first.left is not None or len(same) > 1:
                self._use_up(first)
            return first.reply

    def _use_up(self, rule: _Rule) -> None:
        rule.left = (rule.left or 1) - 1
        if not rule.left:
            self._rules = [each for each in self._rules if each is not rule]

    def note(self, received: Received) -> None:
        """Record what was asked."""
        with self._lock:
            self._received.append(received)

    def __str__(self) -> str:
        with self._lock:
            return ", ".join(map(str, self._rules)) or "nothing"


class Scripted:
    """Give what serves requests its script."""

    _script: Script

    @property
    def requests(self) -> tuple[Received, ...]:
        """What was asked so far, in the order in which it came. Thread-safe."""
        return self._script.received

    def reply(
        self,
        target: Target,
        *,
        method: str | None = None,
        status: int = 200,
        json: Any = ...,
        text: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
        error: "Literal['reset'] | BaseException | None" = None,
        handler: Handler | None = None,
        times: int | None = None,
    ) -> None:
        """Script one answer, for ever or so many `times`. Thread-safe.

        Several for one target are given in the order in which they were scripted; the last of them stays, unless it
        has a number of `times`. `delay` is in seconds. With `error="reset"` the request is read and the connection
        closed without an answer. A `handler` is an aiohttp handler: `async def handler(request) -> web.Response`.
        """
        _check_kinds(
            target=target, method=method, status=status, text=text, body=body, headers=headers, delay=delay,
            handler=handler, times=times,
        )  # fmt: skip
        content, kind = _content(json, text, body)
        given = _checked_headers(headers or {})
        if kind and "content-type" not in map(str.lower, given):
            given["Content-Type"] = kind
        reply = Reply(status, tuple(given.items()), content, delay, _checked_error(error), handler)
        self._check(reply)
        self._script.add(target, method, reply, times)

    def _check(self, reply: Reply) -> None:
        """Raise ValueError for a reply that cannot be given here."""


async def unless_gone(request: Any, answer: Awaitable[web.StreamResponse]) -> web.StreamResponse:
    """Return the answer; a client that has gone ends it in silence: aiohttp would log that as the server's error."""
    try:
        return await answer
    except ConnectionError:
        if request.transport is None or request.transport.is_closing():
            raise asyncio.CancelledError from None
        raise


def _check_kinds(**given: object) -> None:
    """Raise TypeError, by name, for what no reply is made of; when it is given it would be too late."""
    for name, value in given.items():
        if not isinstance(value, _KINDS[name]):
            raise TypeError(f"{name} of a reply cannot be a value of type {type(value).__name__}")


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    given = dict(headers.items())
    if not all(isinstance(text, str) for pair in given.items() for text in pair):
        raise TypeError("headers of a reply have names and values that are str")
    return given


def _content(json: Any, text: str | None, body: bytes | None) -> tuple[bytes, str]:
    """Return the body and its content type."""
    if (json is not ...) + (text is not None) + (body is not None) > 1:
        raise ValueError("a reply has one body: json, text or body")
    try:
        if json is not ...:
            return json_module.dumps(json).encode(), "application/json"
        if text is not None:
            return text.encode(), "text/plain; charset=utf-8"
    except (TypeError, ValueError, RecursionError) as exc:
        raise ValueError(f"{'text' if json is ... else 'json'} of a reply cannot be sent: {exc}") from exc
    return bytes(body or b""), ""


def _checked_error(error: object) -> BaseException | None:
    if isinstance(error, str) and error == "reset":
        return ConnectionResetError("Connection reset by peer")
    if error is None or isinstance(error, BaseException):
        return error
    what = repr(error) if isinstance(error, str) else f"a value of type {type(error).__name__}"
    raise ValueError(f"error must be 'reset' or an exception, not {what}")
