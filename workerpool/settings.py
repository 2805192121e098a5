"""Settings as values: frozen, checked when they are made, changed with `dataclasses.replace`."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

__all__ = ["IDEMPOTENT", "RETRY_STATUSES", "Rate", "Retry", "Timeout"]

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
    most `wait_max`, plus up to `wait_jitter`; a Retry-After of the server goes before it.
    """

    attempts: int = 3
    statuses: frozenset[int] = RETRY_STATUSES
    methods: frozenset[str] = IDEMPOTENT
    wait_initial: float = 0.1
    wait_max: float = 5.0
    wait_jitter: float = 0.1
    wait_exp_base: float = 2.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"retry attempts must be at least 1, not {self.attempts}")
        object.__setattr__(self, "statuses", frozenset(self.statuses))
        object.__setattr__(self, "methods", frozenset(method.upper() for method in self.methods))


def _check_positive(name: str, value: Any, *, optional: bool = False) -> None:
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {type(value).__name__}")
    if not isfinite(value) or value <= 0:
        raise ValueError(f"{name} must be more than 0, not {value}")
