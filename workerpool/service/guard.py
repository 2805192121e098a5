"""The door: what every call has to pass before anything looks at it. Plain ASGI, so that streams pass untouched."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from .patience import Patience, Receive, Scope, Send
from .problems import Problem, problem_response
from .settings import Limits

__all__ = ["Guard", "is_long", "own_hosts"]

_HEALTH = "/healthz"
_HEALTHY = PlainTextResponse("ok\n")
_BREATH = 0.5  # seconds before a 503: whoever asks again at once would keep the service from what it has taken on
_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_CONTENT = b"content-security-policy"
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    b" font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ONCE = ("host", "origin", "authorization", "content-type", "content-encoding", "idempotency-key", "last-event-id")
_LOCAL = ("127.0.0.1", "::1", "localhost")
_EVERYWHERE = ("0.0.0.0", "::")


class Guard:
    """Refuse foreign hosts and origins, too many headers and too much at a time; add headers that protect browsers."""

    def __init__(self, app: Any, *, hosts: Callable[[], frozenset[str]], limits: Limits) -> None:
        self._app, self._hosts, self._limits = app, hosts, limits
        self._in_progress = {False: 0, True: 0}  # by whether it may go on for long

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != "http":
            return  # there is nothing else here
        patience, long = Patience(receive, _protecting(send)), is_long(scope)
        problem = self._problem(scope, long)
        if problem is None and scope["path"] == _HEALTH and scope["method"] == "GET":
            await _HEALTHY(scope, receive, _protecting(send))  # whatever else goes on
            return
        if problem is not None:
            if problem.status == 503:
                await asyncio.sleep(_BREATH)
            await problem_response(problem)(scope, patience.receive, patience.send)
            return
        self._in_progress[long] += 1
        try:
            await self._app(scope, patience.receive, patience.send)
        finally:
            self._in_progress[long] -= 1

    def _problem(self, scope: Scope, long: bool) -> Problem | None:
        headers = Headers(scope=scope)
        if len(scope["headers"]) > self._limits.header_count or _size(scope["headers"]) > self._limits.header_bytes:
            return Problem(431, "too many headers, or too long ones")
        if any(len(headers.getlist(name)) > 1 for name in _ONCE):
            return Problem(400, "a header that may come once came twice")
        if (problem := self._foreign(scope, headers)) is not None:
            return problem
        most = self._limits.event_clients if long else self._limits.in_progress
        if self._in_progress[long] >= most and scope["path"] != _HEALTH:
            return Problem(503, "too many calls at a time; try again", headers={"Retry-After": "1"})
        return None

    def _foreign(self, scope: Scope, headers: Headers) -> Problem | None:
        hosts = self._hosts()
        if headers.get("host", "").lower() not in hosts:
            return Problem(403, "the Host is not one of this service; give --public-host where it has another name")
        origin = headers.get("origin")
        is_foreign = origin is not None and origin.lower().partition("://")[2] not in hosts
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            is_link = headers.get("sec-fetch-mode") == "navigate" and scope["method"] == "GET"
            is_foreign = is_foreign or not is_link
        return Problem(403, "calls from pages of other origins are refused") if is_foreign else None


def own_hosts(host: str, port: int, public: Iterable[str]) -> frozenset[str]:
    """Return the values of Host by which the service is called: its address, and names that it was given."""
    names = {host.strip("[]").lower()}
    if names & {*_LOCAL, *_EVERYWHERE}:
        names |= set(_LOCAL)
    found = {f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names}
    if port == 80:
        found |= {each.removesuffix(":80") for each in found}
    for name in public:
        found.add(name.lower())
        if ":" not in name.rpartition("]")[2]:
            found.add(f"{name.lower()}:{port}")
    return frozenset(found)


def _protecting(send: Send) -> Send:
    async def protecting(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            given = {name for name, _ in headers}
            headers += [each for each in _SAFE if each[0] not in given]
            if _CONTENT not in given:
                headers.append((_CONTENT, _POLICY))
            message = {**message, "headers": headers}
        await send(message)

    return protecting


def is_long(scope: Scope) -> bool:
    """Whether it is a stream, or waits for news: those are counted by themselves."""
    path, query = scope["path"], scope["query_string"]
    if scope["method"] != "GET":
        return False
    return path.endswith("/events") or (path.endswith("/results") and (b"follow=" in query or b"wait=" in query))


def _size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)
