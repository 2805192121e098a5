"""The store: what the service asks of a database. Two homes keep it, SQLite (`sqlite`) and PostgreSQL (`postgres`).

Every method may raise StoreDown, which passes (503), and nothing that a method has returned from is ever lost: it is
on disk. Each is one transaction, seen whole or not at all. Methods may be called by many tasks of one loop.

Cursors are opaque texts that name the last row given, by values that stay: a cursor is valid while rows come and go.
One that is none raises ValueError.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from .records import (
    Attempt,
    Bulk,
    Delivery,
    Event,
    Filter,
    Finished,
    Idempotency,
    Job,
    LaneSettings,
    LaneState,
    Leased,
    NewJob,
    NewRequest,
    Page,
    Result,
    Retention,
    Stats,
    Submitted,
    Tended,
    Token,
)

__all__ = ["Begun", "Store"]

Begun = tuple[Leased, Sequence[Attempt]]  # with all attempts of this run, the new one last


class Jobs(Protocol):
    """Jobs: submitted, read, acted on."""

    async def submit(
        self, job: NewJob, requests: Iterable[Sequence[NewRequest]], idempotency: Idempotency | None = None
    ) -> Submitted:
        """Store a job with its requests, which come in batches, whole or not at all.

        Raises Conflict for an id that exists, or a key whose first submission is still being stored, and Fingerprint
        for a key that came with something else before. A lane that isn't there is made, as the default one is set.
        """

    async def find_idempotent(self, key: str, owner: str) -> tuple[str, str] | None:
        """Return fingerprint and job's id of a key that was used within its 24 hours."""

    async def job(self, id: str) -> Job:
        """Return a job; raises NoSuch."""

    async def jobs(self, which: Filter, *, cursor: str | None, limit: int) -> Page[Job]:
        """Return jobs, the newest first."""

    async def cancel(self, id: str) -> Job:
        """End a job: what waits or runs gets a result `cancelled`, and runners lose it. Raises NoSuch and Conflict."""

    async def retry(self, id: str, *, everything: bool) -> Job:
        """Begin the job's next run, of what did not succeed or of `everything`; their results go.

        Raises NoSuch, and Conflict unless the job is final and there is something to do again.
        """

    async def delete(self, id: str) -> None:
        """Remove a job and all that is of it; raises NoSuch, and Conflict while it is not final."""

    async def act(self, action: str, which: Filter, *, dry_run: bool) -> Bulk:
        """Do `cancel`, `retry` (what did not succeed) or `delete` to every job that matches and may be."""


class Results(Protocol):
    """Results, and the events that tell of them."""

    async def results(
        self, id: str, *, cursor: str | None, limit: int, ok: bool | None = None, newest_first: bool = False
    ) -> Page[Result]:
        """Return results of a job in the order they were finished; raises NoSuch.

        `next` is always a cursor while the job is not final: more may come behind it.
        """

    async def result(self, id: str, n: int) -> Result:
        """Return one result; raises NoSuch."""

    async def body(self, id: str, n: int) -> tuple[Result, bytes]:
        """Return a result with the bytes of its body; raises NoSuch where none is kept."""

    async def requests(self, id: str, *, cursor: str | None, limit: int) -> Page[tuple[int, NewRequest]]:
        """Return requests of a job with their numbers, those without a result too; raises NoSuch."""

    async def events(self, after: int, *, limit: int, job: str | None = None) -> tuple[Event, ...]:
        """Return events behind that id, in their order; what is stored later never has a lower id than these."""

    async def last_event(self) -> int:
        """Return the newest event's id; 0 if there was none."""

    async def news(self, after: int, timeout: float) -> int:
        """Wait until there is an event behind that id, or for `timeout` seconds; returns the newest id."""


class Queue(Protocol):
    """What runners ask: requests to send, and what came of them."""

    async def lease(
        self, owner: str, lane: str, n: int, *, seconds: float, without: Collection[str] = ()
    ) -> tuple[Leased, ...]:
        """Give up to `n` requests of a lane to a runner, the highest priority first, then in their order.

        `without` are hosts of which the runner has enough. Each has a new fencing token.
        """

    async def begin(self, begun: Sequence[Begun]) -> frozenset[int]:
        """Store sendings before they are sent; returns the keys that may be sent, the others' leases are lost."""

    async def heartbeat(self, owner: str, leases: Iterable[Leased], *, seconds: float) -> frozenset[int]:
        """Keep leases for so long from now on; returns the keys of those that are lost."""

    async def finish(self, finished: Sequence[Finished]) -> frozenset[int]:
        """Store what came of requests, one result each; returns the keys taken. A stale token's is refused."""

    async def give_back(self, leases: Sequence[tuple[Leased, Sequence[Attempt]]]) -> None:
        """Let others have these at once; their attempts become those given: what was begun and not sent is left out."""

    async def note_waits(self, owner: str, waits: Mapping[str, str]) -> None:
        """Say why jobs wait, in place of what this runner has said before: it is shown as their `waiting_for`."""

    async def work(self, timeout: float) -> None:
        """Wait until there may be something new to lease, or for `timeout` seconds."""

    async def withdrawn(self) -> str:
        """Wait for a job to be cancelled, expired or deleted, by whomever, and return its id."""


class Settings(Protocol):
    """Lanes, tokens and webhooks' deliveries."""

    async def lanes(self) -> tuple[LaneState, ...]:
        """Return every lane, by name; the default one is always there."""

    async def put_lane(self, settings: LaneSettings) -> LaneState:
        """Set a lane, which is made if it isn't there."""

    async def tokens(self) -> tuple[Token, ...]:
        """Return every token."""

    async def add_token(self, token: Token) -> None:
        """Store a token; raises Conflict for an id or hash that exists."""

    async def remove_token(self, id: str) -> None:
        """Remove a token; raises NoSuch."""

    async def unfinished_of(self, owner: str) -> int:
        """Return how many jobs of a token's are not final."""

    async def deliveries(self, id: str, *, cursor: str | None, limit: int) -> Page[Delivery]:
        """Return a job's deliveries, the newest first; raises NoSuch."""

    async def all_deliveries(self, *, cursor: str | None, limit: int) -> Page[Delivery]:
        """Return deliveries of all jobs, the newest first."""

    async def delivery(self, job: str, id: str) -> Delivery:
        """Return a delivery of a job; raises NoSuch."""

    async def replay_delivery(self, job: str, id: str, now: float) -> Delivery:
        """Have a delivery tried again from now on, by its id and as often as a new one; what was disabled, too.

        Raises NoSuch, and Conflict while it is being sent.
        """

    async def due_deliveries(
        self, owner: str, n: int, *, now: float, seconds: float, of_a_host: int, without: Collection[str] = ()
    ) -> tuple[Delivery, ...]:
        """Take up to `n` deliveries that are due, for so long; `of_a_host` at most of each, none of those `without`.

        Each finished run of a job with a webhook makes one. Its log has a try more then, without status and error; the
        one before that, if it has neither, gets the error "interrupted".
        """

    async def note_delivery(
        self, id: str, owner: str, tried: Mapping[str, object], *, state: str, due_at: float | None
    ) -> None:
        """Say what came of the last try, and what is to come; raises NoSuch for one that the owner has no longer.

        `disabled` goes for all that wait for the same URL, and what jobs tell it that were submitted before.
        """

    async def get_secret(self, name: str) -> str | None:
        """Return a text of the service's own, such as the webhooks' key."""

    async def swap_secret(self, name: str, before: str | None, after: str) -> bool:
        """Keep a text of the service's own, if what is there is still the one before; None: nothing."""


class Store(Jobs, Results, Queue, Settings, Protocol):
    """A database of the service. An instance is open: its home's `open_...` has made it, or raised StoreRefused."""

    @property
    def name(self) -> str:
        """How people know the database: its file, or its address without a password."""

    async def schema_version(self) -> int:
        """Return the version of the tables."""

    async def check(self) -> None:
        """Write something; raises StoreDown with the reason if the store can't take work."""

    async def tend(self, now: float) -> Tended:
        """Give out again what no runner keeps any more, have due jobs begin, and expire what is past its time."""

    async def sweep(self, retention: Retention, now: float) -> int:
        """Remove what need not be kept; returns how many jobs went."""

    async def stats(self) -> Stats:
        """Return the numbers."""

    async def close(self) -> None:
        """Let go of the database, once all that was accepted is on disk. Repeatable."""
