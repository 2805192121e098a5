"""The errors of the pool, one tree with one root; `HTTPStatusError`, which has a Response, is defined beside that.

Each error is built from one message, so that it survives pickling; the facts are attributes. URLs in
them are redacted: no userinfo, no query values.
"""

import json
from typing import Any, Literal, NamedTuple, Self, TypeAlias

__all__ = [
    "BodyTooLarge",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "DNSError",
    "DeadlineExceeded",
    "DecodingError",
    "Forbidden",
    "ForkedPool",
    "InvalidRequest",
    "JSONDecodeError",
    "PoolClosed",
    "ProtocolError",
    "ProxyError",
    "QueueFull",
    "ReadTimeout",
    "RequestError",
    "TLSError",
    "TooManyRedirects",
    "TruncatedBody",
    "WorkerLost",
    "WorkerPoolError",
    "WrongThread",
]


# What a program may want to know beyond the class: the answer was cut within its head, its Content-Length is none,
# a header of the request cannot be sent. Other libraries have classes for these.
Reason: TypeAlias = Literal["", "head-cut", "bad-length", "bad-header"]

# How far a piece of work came; empty where that is not known, or not to be told.
Stage: TypeAlias = Literal[
    "", "queued", "running", "robots", "dns", "connect", "proxy", "tls", "send", "headers", "body", "decode", "retry"
]
BEFORE_SENDING: frozenset[Stage] = frozenset({"queued", "robots", "dns", "connect", "proxy", "tls", "retry"})
BEFORE_THE_BODY: frozenset[Stage] = frozenset({"dns", "connect", "proxy", "tls", "send", "headers"})


class Facts(NamedTuple):
    """What every error of a request tells; empty what is not known. The URL is redacted."""

    url: str = ""
    method: str = ""
    attempts: int = 0
    stage: Stage = ""
    lane: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.url}".strip()


class WorkerPoolError(Exception):
    """Root of every error that the pool raises on its own account."""


class PoolClosed(WorkerPoolError, RuntimeError):
    """The pool is shut down, or was shut down before it could answer."""


class WrongThread(WorkerPoolError, RuntimeError):
    """A blocking call was made on a worker's own thread, where it would wait for itself."""


class ForkedPool(WorkerPoolError, RuntimeError):
    """The pool was made before a fork and its threads did not come along; make one in the child."""


class QueueFull(WorkerPoolError):
    """The lane's queue had no free place within the timeout."""


class WorkerLost(WorkerPoolError):
    """The worker that held the job ended before it could answer."""


class RequestError(WorkerPoolError):
    """A request failed; `stage` tells how far it came, `reason`, where it is set, what of the class's faults it was."""

    args: tuple[Any, ...]
    url: str
    method: str
    attempts: int
    stage: Stage
    lane: str
    reason: Reason

    def __init__(
        self,
        message: str,
        *,
        url: str = "",
        method: str = "",
        attempts: int = 0,
        stage: Stage = "",
        lane: str = "",
        reason: Reason = "",
    ) -> None:
        super().__init__(message)
        self.url = url
        self.method = method
        self.attempts = attempts
        self.stage = stage
        self.lane = lane
        self.reason = reason

    @classmethod
    def about(cls, facts: Facts, text: str, *, stage: Stage = "", reason: Reason = "") -> Self:
        """Return the error that says this of a request; the stage is the facts' unless another one is given."""
        return cls(
            f"{facts}: {text}",
            url=facts.url,
            method=facts.method,
            attempts=facts.attempts,
            stage=stage or facts.stage,
            lane=facts.lane,
            reason=reason,
        )

    def completed(self, facts: Facts) -> Self:
        """Add the facts to an error that was raised where they were not known, and return it."""
        self.url, self.method = self.url or facts.url, self.method or facts.method
        self.attempts, self.lane, self.stage = facts.attempts, facts.lane, self.stage or facts.stage
        if self.url not in str(self):
            self.args = (f"{self.method} {self.url}: {self}",)
        return self


class InvalidRequest(RequestError, ValueError):
    """The request cannot be sent as it was given; nothing was sent."""


class ConnectError(RequestError):
    """No connection could be made."""


class DNSError(ConnectError):
    """The host's name could not be resolved."""


class TLSError(ConnectError):
    """The TLS handshake failed or the certificate was refused."""


class ProxyError(ConnectError):
    """The proxy could not be reached or refused the connection."""


class ConnectionLost(RequestError):
    """The connection ended before the answer was complete."""


class TruncatedBody(ConnectionLost):
    """The body ended before its announced end; what came is not handed out as if it were whole."""


class DeadlineExceeded(RequestError, TimeoutError):
    """The time ran out: `Timeout.total`, or `Timeout.queue` before the work had its place; the message says in what."""


class ConnectTimeout(DeadlineExceeded):
    """No connection was made within `Timeout.connect` seconds."""


class ReadTimeout(DeadlineExceeded):
    """The server sent nothing for `Timeout.read` seconds."""


class ProtocolError(RequestError):
    """The server's answer is not valid HTTP."""


class DecodingError(ProtocolError):
    """The body is not what its Content-Encoding says."""


class JSONDecodeError(RequestError, json.JSONDecodeError):
    """The body is not JSON; only `response.json()` raises this."""

    def __init__(self, message: str, doc: str = "", pos: int = 0) -> None:
        json.JSONDecodeError.__init__(self, message, doc, pos)
        self.url = self.method = self.lane = ""
        self.attempts = 0
        self.stage: Stage = ""
        self.reason: Reason = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.msg, self.doc, self.pos), vars(self)


class TooManyRedirects(ProtocolError):
    """The redirects did not come to an end."""


class BodyTooLarge(ProtocolError):
    """The body, as decoded, is larger than `max_body` bytes."""


class Forbidden(RequestError):
    """The lane's own rules forbid the request; nothing of it was sent, and it is never tried again.

    `rule` is the one that does: as `loopback` of address rules, or `disallow: /private` of a robots.txt; `address` is
    what it was about, where it was one.
    """

    rule = ""
    address = ""

    @classmethod
    def by(cls, rule: str, facts: Facts, text: str, *, address: str = "", stage: Stage = "") -> Self:
        """Return the error that says by which rule a request is forbidden."""
        error = cls.about(facts, text, stage=stage)
        error.rule, error.address = rule, address
        return error
