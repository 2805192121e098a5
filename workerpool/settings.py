"""Settings as values: frozen, checked when they are made, changed with `dataclasses.replace`."""

import re
import sys
from collections.abc import Callable, Iterable
from threading import TIMEOUT_MAX
from typing import Any

from .values import dataclass

__all__ = ["IDEMPOTENT", "MAX_SECONDS", "RETRY_STATUSES", "Rate", "Retry", "RetryDetails", "Timeout", "checked_seconds"]

# RFC 9110, 9.2.2
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 9.1: any token
_MOST_STARTS = 10**9  # a second; clocks tell no more apart
_MOST = sys.float_info.max
RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


MAX_SECONDS = 2**31  # 68 years; beyond, the system's own calls refuse


@dataclass(frozen=True, slots=True)
class Timeout:
    """Say how long a request may take, in seconds; None means no limit.

    `total` runs to the last byte: DNS, connect, TLS, redirects, retries with their pauses, and body included. For the
    verbs that block it runs from the call, since somebody waits; for `submit`, `map` and `fetch_many` from when the
    request gets its place, and stands still while a redirect or a retry waits for the lane's own limits, so that these
    lose nothing. `queue` limits the wait for that place, and with it such waits. `connect` limits each connection
    made, `read` each pause of the server.
    """

    total: float | None = 30.0
    connect: float | None = None
    read: float | None = None
    queue: float | None = None

    def __post_init__(self) -> None:
        for name in ("total", "connect", "read", "queue"):
            _check_positive(f"timeout {name}", getattr(self, name), optional=True)
            if (getattr(self, name) or 0) > TIMEOUT_MAX:
                object.__setattr__(self, name, TIMEOUT_MAX)  # 292 years: no lock and no loop waits for longer

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
        _check_whole("rate burst", self.burst)
        if not 1 / _MOST_STARTS <= float(self.per) / self.limit <= TIMEOUT_MAX or self.burst > _MOST_STARTS:
            raise ValueError("rate: limit, per and burst must come to at most 10**9 a second, or one in 292 years")

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
        _check_whole("retry attempts", self.attempts)
        for name in ("wait_initial", "wait_max", "wait_jitter"):
            _check_not_negative(f"retry {name}", getattr(self, name))
        _check_positive("retry wait_exp_base", self.wait_exp_base)
        if self.on_retry is not None and not callable(self.on_retry):
            raise TypeError("retry on_retry must be a function of one RetryDetails")
        object.__setattr__(self, "statuses", frozenset(_checked_statuses(self.statuses)))
        object.__setattr__(self, "methods", frozenset(method.upper() for method in _checked_methods(self.methods)))


@dataclass(frozen=True, slots=True)
class RetryDetails:
    """Tell an `on_retry` hook what failed and what comes next.

    `attempt` is the number of the one that failed, from 1; `wait` the seconds until the next, which then waits for
    its turn by the lane's rates; `status` or `error` is what came of it.
    """

    url: str
    method: str
    attempt: int
    wait: float
    status: int | None
    error: Exception | None


def _checked_statuses(statuses: Any) -> list[int]:
    found = _listed("retry statuses", statuses, "{503}")
    if not all(type(status) is int and 100 <= status <= 999 for status in found):
        raise ValueError("retry statuses must be numbers from 100 to 999, such as {429, 503}")
    return found


def _checked_methods(methods: Any) -> list[str]:
    found = _listed("retry methods", methods, '{"GET"}')
    if not all(isinstance(method, str) and _METHOD.fullmatch(method) for method in found):
        raise ValueError('retry methods must be names of HTTP methods, such as {"GET", "PUT"}')
    return found


def _listed(name: str, values: Any, example: str) -> list[Any]:
    """Return what a set or list holds; a str would be taken apart into its letters."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a set or list, such as {example}, not {type(values).__name__}")
    try:
        return list(values)
    except Exception as exc:  # noqa: BLE001  it is the caller's own, and may raise anything
        raise TypeError(f"{name} must be a set or list, such as {example}; it raised {type(exc).__name__}") from None


def _check_whole(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1")


def _check_not_negative(name: str, value: Any) -> None:
    _check_number(name, value)
    if value < 0:
        raise ValueError(f"{name} must be 0 or more seconds, not {value:.6g}")


def checked_seconds(value: Any) -> float | None:
    """Return a number of seconds that a call may block, or None; raises TypeError or ValueError for what is neither."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"must be a number of seconds or None, not {type(value).__name__}")
    if not value >= 0:  # nor NaN
        raise ValueError(f"must be 0 or more seconds, not {value}")
    return float(min(value, MAX_SECONDS))


def _check_positive(name: str, value: Any, *, optional: bool = False) -> None:
    if optional and value is None:
        return
    _check_number(name, value)
    if value <= 0:
        raise ValueError(f"{name} must be more than 0, not {value:.6g}")


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {type(value).__name__}")
    if not abs(value) <= _MOST:  # so that not a number is refused, too
        raise ValueError(f"{name} must be a number that a float holds, not infinite, nor beyond it")
