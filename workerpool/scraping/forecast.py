"""A forecast of a run: how many requests each host would get, at what pace, and how long that takes at least."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ..caller.anypool import AnyPool
from ..errors import WorkerPoolError
from ..messages.request import Request
from .entry import Entry
from .gate import Gate
from .item import Item
from .politeness import Politeness
from .telling import Telling

__all__ = ["HostForecast", "forecast"]

_BATCH = 1000


@dataclass(slots=True)
class HostForecast:
    """What one host would get: `urls` requests, `refused` URLs by its robots.txt, `gap` seconds between two starts.

    `per_host` is how many may be under way at once, 0 for no bound. `cause` says where the gap comes from.
    """

    host: str
    urls: int = 0
    refused: int = 0
    gap: float = 0.0
    cause: str = ""
    per_host: int = 0

    @property
    def seconds(self) -> float | None:
        """How long it takes at least; None where only the answers bound it."""
        return self.gap * max(0, self.urls - 1) if self.gap else None


def forecast(items: Iterable[Item], politeness: Politeness, pool: AnyPool) -> Iterator[HostForecast]:
    """Yield a forecast for each host, those that take longest first; asks for each robots.txt and nothing else.

    What is no URL counts for the host `-`. In memory is what is known of each host.
    """
    gate = Gate(politeness, Telling(politeness))
    found: dict[str, HostForecast] = {}
    items = iter(items)
    while batch := [Entry(0, item) for item in islice(items, _BATCH)]:
        _learn(batch, gate, pool)
        for entry in batch:
            host = found.setdefault(entry.host, HostForecast(entry.host))
            if gate.reason(entry) is None:
                host.urls += 1
            else:
                host.refused += 1
            _note_pace(host, politeness, gate.delay(entry))
    yield from sorted(found.values(), key=lambda host: (-(host.seconds or 0.0), -host.urls))


def _learn(batch: Sequence[Entry], gate: Gate, pool: AnyPool) -> None:
    """Have the rules of all origins of a batch at hand, asked for at once."""
    held = ((entry, gate.hold(entry)) for entry in batch if not gate.lets(entry))
    asked = [(entry, request) for entry, request in held if request is not None]
    while asked:
        following = []
        for result in pool.fetch_many([request for _, request in asked]):
            entry = asked[result.index][0]
            answer = result.response if result.response is not None else result.error
            if not isinstance(answer, BaseException | None) or isinstance(answer, WorkerPoolError):
                nxt = gate.open(entry, answer)
                if isinstance(nxt, Request):
                    following.append((entry, nxt))
        asked = following


def _note_pace(host: HostForecast, politeness: Politeness, delay: float) -> None:
    own = politeness.delay or 0.0
    rate = 1 / politeness.per_host_rate if politeness.per_host_rate else 0.0
    gap, cause = max((delay, "robots.txt"), (own, "delay"), (rate, "per-host-rate"))
    host.gap, host.cause = (gap, cause) if gap else (0.0, "")
    host.per_host = 1 if max(delay, own) else politeness.per_host
