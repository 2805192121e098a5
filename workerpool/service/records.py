"""What the service keeps, as frozen values. Times are seconds since the epoch, durations seconds, sizes bytes.

A *job* is what was submitted; its *requests* are counted from 0 (`n`); each ends in one *result*. A *run* is one way
of a job from `queued` to a final state; an explicit retry begins the next one. A *lease* gives requests to one runner
for a time; its fencing token refuses whoever has lost it.

What each request makes anew is a named tuple: a frozen dataclass takes several times as long.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = [
    "DEFAULT_LANE",
    "FINAL",
    "Attempt",
    "Body",
    "Bulk",
    "Counts",
    "Delivery",
    "Ending",
    "Event",
    "Failure",
    "Filter",
    "Finished",
    "Idempotency",
    "Job",
    "LaneSettings",
    "LaneState",
    "Leased",
    "NewJob",
    "NewRequest",
    "Page",
    "Result",
    "Retention",
    "Role",
    "State",
    "Stats",
    "Submitted",
    "Tended",
    "Token",
]

T = TypeVar("T")
DEFAULT_LANE = "default"


class State(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


FINAL = frozenset({State.SUCCEEDED, State.PARTIAL, State.FAILED, State.CANCELLED, State.EXPIRED})


class Role(StrEnum):
    """What a token allows; each role may do what those before it may."""

    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether whoever has this role may do what needs the other."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Ending(StrEnum):
    """How a request ended; a job counts each."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """One request as it was submitted, checked. `host` is what its pace goes by.

    `spec` holds what was given beside URL and ref, as the wire has it, and is empty for a plain GET.
    """

    url: str
    host: str
    ref: str | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What is submitted beside the requests, checked. `total` says how many of these will follow."""

    id: str
    total: int
    created_at: float
    lane: str = DEFAULT_LANE
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    not_before: float | None = None
    expires_at: float | None = None
    retry_attempts: int | None = None
    webhook_url: str | None = None
    keep_bodies: bool = True
    owner: str = ""  # the token's id that submitted it; empty without tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """What a submission is known by: the key that was given, whose it is, and a fingerprint of all that was sent."""

    key: str
    owner: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many requests of a job are where."""

    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is now."""

    id: str
    state: State
    lane: str
    priority: int
    labels: Mapping[str, str]
    created_at: float
    started_at: float | None
    finished_at: float | None
    not_before: float | None
    expires_at: float | None
    counts: Counts
    webhook_url: str | None
    run: int = 1
    waiting_for: str | None = None  # as runners say; where none does, nobody has begun it
    retry_attempts: int | None = None
    keep_bodies: bool = True
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What came of a submission: the job, and whether it was there already by its Idempotency-Key."""

    job: Job
    replayed: bool = False


class Attempt(NamedTuple):
    """One sending. It is stored before it is sent, and has neither end nor outcome until there is one.

    `outcome` is a status such as "200", the name of an error's class, or "interrupted" where the process that sent it
    ended first, so that nobody knows what came of it.
    """

    number: int
    worker: str
    started_at: float
    finished_at: float | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no answer: an error's class, how far the request had come, and a text without secrets."""

    type: str
    stage: str
    message: str


class Body(NamedTuple):
    """What an answer's body is; the bytes are asked for by themselves."""

    size: int
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one request of a job. `seq` is its place among all events: it grows with each that is stored."""

    seq: int
    job: str
    n: int
    ref: str | None
    url: str
    ending: Ending
    final_url: str | None = None
    status: int | None = None
    error: Failure | None = None
    headers: tuple[tuple[str, str], ...] = ()
    elapsed: float | None = None
    attempts: tuple[Attempt, ...] = ()
    body: Body | None = None

    @property
    def ok(self) -> bool:
        """Whether there is an answer, with a status below 400."""
        return self.ending is Ending.SUCCEEDED


class Leased(NamedTuple):
    """One request that a runner has for a time. `token` is the fencing token: one that was replaced is refused.

    `attempts` are those of this run that were begun before; without an outcome they were interrupted.
    """

    key: int  # of the queue's row, the store's own
    token: int
    job: str
    n: int
    lane: str
    priority: int
    url: str
    host: str
    ref: str | None
    spec: Mapping[str, Any]
    retry_attempts: int | None
    keep_bodies: bool
    expires_at: float | None
    attempts: tuple[Attempt, ...] = ()
    held_until: float | None = None  # before then its host is not to be asked, as another process was told


class Finished(NamedTuple):
    """What a runner hands in for a request that it has: all of a result that the store doesn't know by itself."""

    lease: Leased
    ending: Ending
    final_url: str | None = None
    status: int | None = None
    error: Failure | None = None
    headers: tuple[tuple[str, str], ...] = ()
    elapsed: float | None = None
    attempts: tuple[Attempt, ...] = ()
    body: Body | None = None
    content: bytes | None = None  # None where bodies are not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A row that somebody may have to hear of: kind `job` (a new state), `result` or `done`."""

    id: int
    kind: str
    job: str
    at: float
    data: Mapping[str, Any]  # `job` and `done`: {"state", "run"}; `result`: {"n", "ok", "status", "elapsed"}


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the cursor that goes on behind them; None behind the last one."""

    rows: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which jobs: all that is given has to hold. `text` is looked for in ids, labels and the first URL."""

    state: State | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    lane: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """How much of a lane runs at once: 0 and None are no limit. `paused` begins nothing new."""

    name: str
    connections: int = 100
    per_host: int = 8
    rate: float | None = None
    per_host_rate: float | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """A lane with how many requests wait in it and run."""

    settings: LaneSettings
    queued: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token as it is stored: only its SHA-256, in hex."""

    id: str
    sha256: str
    role: Role
    name: str = ""
    created_at: float = 0.0
    last_used_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One webhook message and how far it is; each try of it is logged. `id` is the webhook-id, also of a replay.

    A try without status and error is under way; one before it in the log was interrupted, so that nobody knows.
    """

    id: str
    job: str
    run: int
    url: str
    created_at: float
    due_at: float | None  # when it is tried next; None: never again
    state: str  # "waiting", "delivered", "failed" or "disabled"
    tries: tuple[Mapping[str, Any], ...] = ()  # {"at", "status", "error", "elapsed"}
    failed: int = 0  # tries that were not taken, since it was made or replayed
    payload: str = ""  # what is sent: the job as it was when its run had ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """How many jobs a bulk action is about, or was."""

    matched: int
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tended:
    """What looking after the store has brought: requests whose lease had ended, jobs that are due, jobs expired."""

    rescued: int = 0
    due: int = 0
    expired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What is kept: final jobs for `age` seconds, and at most `size` bytes in all, the oldest going first."""

    age: float | None = 30 * 86_400.0
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """The store in numbers."""

    jobs: Mapping[str, int]  # by state
    queued: int
    running: int
    results: int
    bytes: int
    last_event: int
