"""The statistics of lanes and workers, summed up from what the dispatchers have counted."""

from collections.abc import Iterable
from typing import Any

from ..stats import Durations, LaneStats, WorkerStats
from ..worker.thread import Worker
from .routing import Route

__all__ = ["lane_stats", "worker_stats"]

_TALLIED = ("submitted", "succeeded", "failed", "cancelled")
_COUNTED = ("in_flight", "queued", "attempts", "direct")


def lane_stats(route: Route) -> LaneStats:
    """Return the numbers of one lane on all of its workers."""
    dispatchers = route.dispatchers
    durations = Durations.sum(dispatcher.tally.durations.read() for dispatcher in dispatchers)
    tallied = _sums([dispatcher.tally for dispatcher in dispatchers], *_TALLIED)
    counted = _sums(dispatchers, *_COUNTED)
    counts = dict(zip((*_TALLIED, *_COUNTED), (*tallied, *counted), strict=True))
    return LaneStats(name=route.lane.name, group=route.group, durations=durations, **counts)


def worker_stats(worker: Worker) -> WorkerStats:
    """Return the numbers of one worker."""
    loop = worker.loop
    in_flight, queued = _sums(worker.dispatchers, "in_flight", "queued")
    return WorkerStats(worker.name, worker.alive, loop.blocked, loop.losses, in_flight, queued)


def _sums(items: Iterable[Any], *names: str) -> list[int]:
    items = tuple(items)
    return [sum(getattr(item, name) for item in items) for name in names]
