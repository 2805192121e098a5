"""What the service answers, as frozen values: times are aware datetimes, mappings cannot be changed."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from json import loads
from typing import Any, Generic, TypeVar

from multidict import CIMultiDict, CIMultiDictProxy

from .errors import ClientError, RequestFailed

__all__ = [
    "Attempt",
    "Body",
    "Counts",
    "Delivery",
    "Event",
    "Explanation",
    "Failure",
    "Frozen",
    "Job",
    "LaneState",
    "Page",
    "Result",
    "ServiceStats",
]

T = TypeVar("T")
_DONE = frozenset({"succeeded", "partial", "failed", "cancelled", "expired"})


class Frozen(Mapping[str, T]):
    """A mapping that cannot be changed, and can be hashed and pickled."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, T]) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str) -> T:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items))

    def __repr__(self) -> str:
        return repr(self._items)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the cursor that goes on behind them; None behind the last one."""

    rows: tuple[T, ...]
    next: str | None = None


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

    @property
    def done(self) -> int:
        """How many have a result."""
        return self.succeeded + self.failed + self.cancelled + self.expired


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it was when the service was asked; ask again with `client.job(job)`.

    `state` is queued, running, succeeded (all), partial (some), failed (none), cancelled or expired. `waiting_for` says
    why nothing moves.
    """

    id: str
    state: str
    run: int
    lane: str
    priority: int
    labels: Mapping[str, str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    not_before: datetime | None
    expires_at: datetime | None
    counts: Counts
    webhook: str | None
    waiting_for: str | None

    @property
    def done(self) -> bool:
        """Whether the state is final."""
        return self.state in _DONE

    @property
    def ok(self) -> bool:
        """Whether all of its requests have succeeded."""
        return self.state == "succeeded"

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Job":
        """Return the job that the service describes."""
        names = ("id", "state", "lane", "priority", "waiting_for")
        return cls(
            **{name: found[name] for name in names}, **_times(found, *_TIMES), labels=Frozen(found["labels"]),
            run=found.get("run", 1), counts=Counts(**{name: int(found["counts"][name]) for name in _COUNTS}),
            webhook=None if found["webhook"] is None else found["webhook"]["url"],
        )  # fmt: skip


_TIMES = ("created_at", "started_at", "finished_at", "not_before", "expires_at")
_COUNTS = ("total", "queued", "running", "succeeded", "failed", "cancelled", "expired")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One sending: its end and outcome are None while it runs. `outcome` is a status, an error or "interrupted"."""

    number: int
    worker: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no answer: the error's class, how far the request came, and what is said of it."""

    type: str
    stage: str
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a body is; the bytes are asked for by themselves."""

    size: int
    sha256: str
    media_type: str
    href: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one request of a job. `ok`: there is an answer, with a status below 400.

    `n` is the request's place in the job. `content` asks the service for the body's bytes, once.
    """

    job: str
    n: int
    ref: str | None
    url: str
    final_url: str | None
    status: int | None
    ok: bool
    error: Failure | None
    header_items: tuple[tuple[str, str], ...]
    elapsed: float | None
    attempts: tuple[Attempt, ...]
    body: Body | None
    read: Callable[[str, int], bytes] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def headers(self) -> CIMultiDictProxy[str]:
        """The headers as received: case-insensitive, repeated fields kept."""
        return CIMultiDictProxy(CIMultiDict(self.header_items))

    @cached_property
    def content(self) -> bytes:
        """The body's bytes, fetched when first asked for; empty where there is none. Raises a ClientError."""
        if self.body is None:
            return b""
        if self.read is None:
            raise ClientError("this result was copied or pickled without its content; ask client.body(job, n) for it")
        content = self.read(self.job, self.n)
        if hashlib.sha256(content).hexdigest() != self.body.sha256:
            raise ClientError(f"job {self.job}, result {self.n}: the body is another one now; the job was run again")
        return content

    @property
    def text(self) -> str:
        """The content as text."""
        kind = "" if self.body is None else self.body.media_type
        charset = kind.partition("charset=")[2].partition(";")[0].strip(" \"'") or "utf-8"
        try:
            return self.content.decode(charset, "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Parse the content as JSON; raises ValueError for what is none."""
        return loads(self.content)

    def unwrap(self) -> "Result":
        """Return this result, or raise RequestFailed where there is no answer."""
        if self.error is None:
            return self
        error = self.error
        raise RequestFailed(f"{self.url}: {error.message}", url=self.url, type=error.type, stage=error.stage)

    def __getstate__(self) -> dict[str, Any]:
        names = self.__dataclass_fields__.keys() - {"read"} | vars(self).keys() & {"content"}
        return {name: getattr(self, name) for name in names} | {"read": None}

    @classmethod
    def of(cls, job: str, found: Mapping[str, Any], read: Callable[[str, int], bytes]) -> "Result":
        """Return the result that the service describes."""
        names = ("n", "ref", "url", "final_url", "status", "ok", "elapsed")
        error, body = found["error"], found["body"]
        return cls(
            job=job, **{name: found[name] for name in names}, read=read,
            error=None if error is None else Failure(**{name: error[name] for name in ("type", "stage", "message")}),
            header_items=tuple((name, value) for name, value in found["headers"]),
            attempts=tuple(_attempt(each) for each in found["attempts"]),
            body=None if body is None else Body(**{name: body[name] for name in _BODY}),
        )  # fmt: skip


_BODY = ("size", "sha256", "media_type", "href")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of the service: kind `job` (a new state), `result` or `done`; `data` is what it tells beside that."""

    id: int
    kind: str
    job: str
    at: datetime
    data: Mapping[str, Any]

    @classmethod
    def of(cls, id: str, kind: str, found: Mapping[str, Any]) -> "Event":
        """Return the event of a message."""
        rest = {name: value for name, value in found.items() if name not in ("job", "at")}
        return cls(id=int(id), kind=kind, job=str(found["job"]), at=_time(found["at"]), data=Frozen(rest))


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """A lane of the service, with how many requests wait in it and run; 0 and None are no limit."""

    name: str
    connections: int
    per_host: int
    rate: float | None
    per_host_rate: float | None
    paused: bool
    queued: int
    running: int

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "LaneState":
        """Return the lane that the service describes."""
        return cls(**{name: found[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStats:
    """The service in numbers: jobs by state, requests that wait and run, results and bytes that are kept."""

    jobs: Mapping[str, int]
    queued: int
    running: int
    results: int
    bytes: int
    last_event: int

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "ServiceStats":
        """Return the numbers that the service tells."""
        names = ("queued", "running", "results", "bytes", "last_event")
        return cls(jobs=Frozen(found["jobs"]), **{name: int(found[name]) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What the service's address rules say of a URL: the rule that decides, and what the name resolves to."""

    url: str
    allowed: bool
    rule: str
    addresses: tuple[str, ...]
    detail: str = ""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Explanation":
        """Return what the service says."""
        names = ("url", "allowed", "rule")
        told = {name: found[name] for name in names}
        return cls(**told, addresses=tuple(found["addresses"]), detail=str(found.get("detail", "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A webhook's message and how far it is; `id` is the webhook-id. `tries` are mappings, the oldest first."""

    id: str
    job: str
    run: int
    url: str
    state: str
    created_at: datetime
    due_at: datetime | None
    tries: tuple[Mapping[str, Any], ...]
    gives_up_at: datetime | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Delivery":
        """Return the delivery that the service describes."""
        names = ("id", "job", "run", "url", "state")
        tries = tuple(Frozen(each) for each in found["tries"])
        times = _times({"gives_up_at": None, **found}, "created_at", "due_at", "gives_up_at")
        return cls(**{name: found[name] for name in names}, **times, tries=tries)


def _attempt(found: Mapping[str, Any]) -> Attempt:
    names = ("number", "worker", "outcome")
    return Attempt(**{name: found[name] for name in names}, **_times(found, "started_at", "finished_at"))


def _times(found: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: None if found[name] is None else _time(found[name]) for name in names}


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time without a zone")
    return found
