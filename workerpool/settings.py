"""Settings as values: frozen, checked when they are made, changed with `dataclasses.replace`."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

__all__ = ["IDEMPOTENT", "RETRY_STATUSES", "Rate", "Retry", "RetryDetails", "Timeout"]

# RFC 9110, 9.2.2
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Timeout:
    """Say how long a request may take, in seconds; None means no limit.

    `total` runs from submit to the last byte: queue, DNS, connect, TLS, redirects, retries and body
    included. `connect` limits each connection made, `read` each pause of the server.
    """

    total: float | None = 30.0
    connect: float | None = None
    read: float | None = None

    def __post_init__(self) -> None:
        for name in ("total", "connect", "read"):
            _check_positive(f"timeout {name}", getattr(self, name), optional=True)

    @classmethod
    def of(cls, value: "Timeout | float | tuple[float | None, float | None]") -> "Timeout":
        """Return the Timeout that a number (total) or a pair (connect, read), as in requests, stands for."""
        if isinstance(value, Timeout):
            return value
        if isinstance(value, tuple):
            if len(value) != 2:
                raise ValueError(f"a timeout tuple is (connect, read), not {len(value)} values")
            return cls(total=None, connect=value[0], read=value[1])
        return cls(total=value)


@dataclass(frozen=True, slots=True)
class Rate:
    """Allow `limit` starts every `per` seconds, evenly spaced; `burst` of them may come at once."""

    limit: float
    per: float = 1.0
    burst: int = 1

    def __post_init__(self) -> None:
        _check_positive("rate limit", self.limit)
        _check_positive("rate per", self.per)
        if self.burst < 1:
            raise ValueError(f"rate burst must be at least 1, not {self.burst}")

    @classmethod
    def of(cls, value: "Rate | float") -> "Rate":
        """Return the Rate that a plain number (per second) stands for."""
        return value if isinstance(value, Rate) else cls(value)


@dataclass(frozen=True, slots=True)
class Retry:
    """Say what is tried again, how often and after which pause in seconds.

    `attempts` counts the first one. A method outside `methods`, or a body that cannot be sent twice,
    is never tried again. The pause before attempt n+1 is `wait_initial * wait_exp_base ** (n - 1)`, at
    most `wait_max`, plus up to `wait_jitter`; a Retry-After of the server goes before it. A pause that would
    outlast the deadline is not begun: the answer, or the error, is handed out at once. Beyond that each lane
    has a budget, which good answers refill: a server that fails everything is not asked much more often than without.

    `on_retry` is called before each pause with a RetryDetails, on a worker's thread: it must not block.
    """

    attempts: int = 3
    statuses: frozenset[int] = RETRY_STATUSES
    methods: frozenset[str] = IDEMPOTENT
    wait_initial: float = 0.1
    wait_max: float = 5.0
    wait_jitter: float = 0.1
    wait_exp_base: float = 2.0
    on_retry: "Callable[[RetryDetails], object] | None" = None

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):
            raise TypeError(f"retry attempts must be a whole number, not {type(self.attempts).__name__}")
        if self.attempts < 1:
            raise ValueError(f"retry attempts must be at least 1, not {self.attempts}")
        for name in ("wait_initial", "wait_max", "wait_jitter"):
            _check_not_negative(f"retry {name}", getattr(self, name))
        _check_positive("retry wait_exp_base", self.wait_exp_base)
        if self.on_retry is not None and not callable(self.on_retry):
            raise TypeError("retry on_retry must be a function of one RetryDetails")
        object.__setattr__(self, "statuses", frozenset(self.statuses))
        object.__setattr__(self, "methods", frozenset(method.upper() for method in self.methods))


@dataclass(frozen=True, slots=True)
class RetryDetails:
    """Tell an `on_retry` hook what failed and what comes next.

    `attempt` is the number of the one that failed, from 1; `wait` the seconds until the next; `status` or
    `error` is what came of it.
    """

    url: str
    method: str
    attempt: int
    wait: float
    status: int | None
    error: Exception | None


def _check_not_negative(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ValueError(f"{name} must be 0 or more seconds, not {value!r}")


def _check_positive(name: str, value: Any, *, optional: bool = False) -> None:
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {type(value).__name__}")
    if not isfinite(value) or value <= 0:
        raise ValueError(f"{name} must be more than 0, not {value}")
