"""From a ticket to the pool's Request, and from what came to what is stored."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from ..errors import RequestError
from ..lane import LaneOptions
from ..messages.request import Request
from ..messages.response import Response
from .records import Attempt, Body, Ending, Failure, Finished
from .settings import ServiceSettings
from .ticket import Ticket

__all__ = ["failure_of", "finished", "outgoing", "request_of", "with_end"]

_PLAIN = ("method", "headers", "params", "json", "data")
_MEDIA = "application/octet-stream"


def outgoing(settings: ServiceSettings) -> LaneOptions:
    """Return how the pool sends for the service, under its address rules.

    The lanes of the service limit what is handed over, so that the pool's own lane needs no limits: nothing waits in
    it, and whatever waits can be told of, cancelled or moved.
    """
    return {
        "headers": settings.politeness.headers,
        "connections": 0,
        "timeout": settings.default_timeout,
        "max_body": settings.default_max_body,
        "retry": None,
        "trust_env": False,  # neither proxies nor logins of the environment
        "addresses": settings.addresses,
    }


def request_of(url: str, spec: Mapping[str, Any]) -> Request:
    """Make the pool's Request of what was submitted; raises InvalidRequest."""
    if not spec:
        return Request(url)
    given: dict[str, Any] = {name: spec[name] for name in _PLAIN if name in spec}
    if spec.get("json", "") is None:  # which is no body, to the pool
        given |= {"json": None, "data": b"null"}
    if "data_base64" in spec:
        given["data"] = base64.b64decode(spec["data_base64"])
    return Request(url, **given, timeout=spec.get("timeout"), max_body=spec.get("max_body"))


def with_end(ticket: Ticket, answer: Response | BaseException, now: float) -> Attempt:
    """Return the ticket's last attempt with when it was sent, and what came of it."""
    attempt = ticket.tried[-1]
    outcome = str(answer.status_code) if isinstance(answer, Response) else type(answer).__name__
    return Attempt(attempt.number, attempt.worker, ticket.sent_at, now, outcome)


def finished(ticket: Ticket, answer: Response | Failure) -> Finished:
    """Return what is stored of a ticket that has come to its end."""
    attempts = tuple(ticket.tried)
    elapsed = None
    if attempts and attempts[-1].finished_at is not None:
        elapsed = attempts[-1].finished_at - attempts[-1].started_at
    if isinstance(answer, Failure):
        return Finished(lease=ticket.lease, ending=Ending.FAILED, error=answer, attempts=attempts, elapsed=elapsed)
    content, headers = answer.content, answer.headers
    kept = ticket.lease.keep_bodies
    body = Body(
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        media_type=_storable(headers.get("Content-Type", "").strip()[:200]) or _MEDIA,
    )
    return Finished(
        lease=ticket.lease, ending=Ending.SUCCEEDED if answer.status_code < 400 else Ending.FAILED,
        final_url=answer.url, status=answer.status_code,
        headers=tuple([(name, _storable(value)) for name, value in headers.items()]),
        elapsed=elapsed, attempts=attempts, body=body if kept else None, content=content if kept else None,
    )  # fmt: skip


def failure_of(error: BaseException) -> Failure:
    """Return an error as it is stored."""
    stage = error.stage if isinstance(error, RequestError) else ""
    return Failure(type=type(error).__name__, stage=stage, message=_storable(str(error)[:1000]))


def _storable(text: str) -> str:
    """Return a text that a database takes: bytes that are no UTF-8 are taken for Latin-1."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text
