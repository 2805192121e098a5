"""The door: what every call has to pass before anything looks at it. Plain ASGI, so that streams pass untouched."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from starlette.datastructures import Headers

from .problems import Problem, problem_response
from .settings import Limits

__all__ = ["Guard", "own_hosts"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HEALTH = "/healthz"
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


class Guard:
    """Refuse foreign hosts and origins, too many headers and too much at a time; add headers that protect browsers."""

    def __init__(self, app: Any, *, hosts: Callable[[], frozenset[str]], limits: Limits) -> None:
        self._app, self._hosts, self._limits = app, hosts, limits
        self._in_progress = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope)
        if problem is not None:
            await problem_response(problem)(scope, receive, _protecting(send))
            return
        counts = not _is_stream(scope)
        self._in_progress += counts
        try:
            await self._app(scope, receive, _protecting(send))
        finally:
            self._in_progress -= counts

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if len(scope["headers"]) > self._limits.header_count or _size(scope["headers"]) > self._limits.header_bytes:
            return Problem(431, "too many headers, or too long ones")
        hosts = self._hosts()
        host = headers.get("host", "").lower()
        if host not in hosts:
            return Problem(403, "the Host is not one of this service; give --public-host where it has another name")
        origin = headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] not in hosts:
            return Problem(403, "calls from pages of other origins are refused")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate":
            return Problem(403, "calls from pages of other origins are refused")
        if self._in_progress >= self._limits.in_progress and scope["path"] != _HEALTH:
            return Problem(503, "too many calls at a time; try again", headers={"Retry-After": "1"})
        return None


def own_hosts(host: str, port: int, public: Iterable[str]) -> frozenset[str]:
    """Return the values of Host by which the service is called: its address, and names that it was given."""
    names = {host.strip("[]").lower()}
    if names & {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::"}:
        names |= {"127.0.0.1", "::1", "localhost"}
    found = {f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names}
    if port == 80:
        found |= {each.removesuffix(":80") for each in found}
    for name in public:
        found.add(name.lower())
        if ":" not in name.rpartition("]")[2]:
            found.add(f"{name.lower()}:{port}")
    return frozenset(found)


def _protecting(send: Send) -> Send:
    async def protecting(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            given = {name for name, _ in headers}
            headers += [each for each in _SAFE if each[0] not in given]
            if _CONTENT not in given:
                headers.append((_CONTENT, _POLICY))
            message = {**message, "headers": headers}
        await send(message)

    return protecting


def _is_stream(scope: Scope) -> bool:
    """Whether it may go on for long: those have limits of their own."""
    return scope["path"].endswith("/events") or b"follow=" in scope["query_string"] or b"wait=" in scope["query_string"]


def _size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)
