"""How a run stands, as a value that any thread may look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["HostProgress", "Progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProgress:
    """How one host stands: what waits for it here, what is under way, and what its next turn waits for."""

    host: str
    waiting: int = 0
    in_flight: int = 0
    cause: str = ""
    due_in: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How a run stood at `at` (monotonic seconds): counts of outcomes, of what is under way and of what waits.

    `known` counts all items so far; `waiting` those of them without an outcome that are not under way. `causes` are
    how many hosts wait for what (`crawl-delay`, `retry-after`, `per-host`, `rate`, `slowed`, `circuit`, `robots`), and
    `hosts` those that have the most to wait for. The `max_` are the run's budgets, where it has such.
    """

    at: float = 0.0
    seconds: float = 0.0
    known: int = 0
    fetched: int = 0
    failed: int = 0
    skipped: int = 0
    retried: int = 0
    bytes: int = 0
    in_flight: int = 0
    waiting: int = 0
    input_ended: bool = False
    workers: Mapping[str, int] = field(default_factory=dict)  # of a cluster: what each has
    statuses: Mapping[str, int] = field(default_factory=dict)  # by class: 2xx
    reasons: Mapping[str, int] = field(default_factory=dict)
    causes: Mapping[str, int] = field(default_factory=dict)
    hosts: tuple[HostProgress, ...] = ()
    max_pages: int | None = None
    max_seconds: float | None = None
    max_bytes: int | None = None

    @property
    def done(self) -> int:
        """How many outcomes this part of the run has brought."""
        return self.fetched + self.failed + self.skipped
