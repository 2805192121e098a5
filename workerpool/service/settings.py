"""How the service is set up, as values: what `workerpool serve` and its file of settings say."""

from dataclasses import dataclass, field

from ..addresses import AddressRules
from ..scraping.politeness import Politeness
from .policy import usual_rules
from .records import Retention

__all__ = ["Limits", "ServiceSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may ask of the service at most; sizes in bytes."""

    body: int = 16 * 2**20  # of one JSON document
    batch_body: int = 256 * 2**20  # of one NDJSON submission
    line: int = 2**20  # of one line in it
    requests: int = 100_000  # of one job
    header_count: int = 100
    header_bytes: int = 32 * 2**10
    depth: int = 32  # of JSON
    jobs_per_token: int = 100_000  # that are not final
    event_clients: int = 100
    in_progress: int = 256  # calls at a time; beyond that 503, but for health
    max_body: int = 100 * 2**20  # that a request may allow its answer
    lanes: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """All that a process of the service is told."""

    host: str = "127.0.0.1"
    port: int = 8765
    database: str = "workerpool.sqlite"
    public_hosts: tuple[str, ...] = ()  # names beside the address by which clients reach it
    addresses: AddressRules = field(default_factory=usual_rules)  # what may be reached by whatever is sent
    workers: int | None = None  # threads of the pool
    politeness: Politeness = field(default_factory=lambda: Politeness(per_host=0))  # across all lanes
    default_timeout: float = 30.0  # of a request that gives none
    default_max_body: int = 16 * 2**20
    default_attempts: int = 3
    lease: float = 30.0  # seconds without a heartbeat after which others get what a runner had
    drain: float = 20.0  # seconds that running requests get after TERM
    retention: Retention = field(default_factory=Retention)
    limits: Limits = field(default_factory=Limits)
