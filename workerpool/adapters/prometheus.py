"""The numbers of pools as Prometheus metrics, worked out when they are asked for.

    from prometheus_client import REGISTRY
    REGISTRY.register(PoolCollector(pool))

Lanes are told apart by the label `lane`; all sessions count as one lane, "session", and what an adapter opens for
a certificate or a proxy counts to the lane that it is like, so that the number of series stays small.
"""

from collections.abc import Iterator
from itertools import accumulate

try:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
except ImportError as _exc:
    raise ImportError(
        "workerpool.adapters.prometheus needs an extra: pip install 'aiohttp-workerpool[prometheus]'", name=_exc.name
    ) from _exc

from ..caller.pool import WorkerPool
from ..caller.registry import find_pool
from ..stats import Durations, LaneStats, PoolStats

__all__ = ["PoolCollector"]

_LANE = ("pool", "lane")
_WORKER = ("pool", "worker")


class PoolCollector(Collector):
    """Collect the numbers of pools: given ones, or by name those of `get_pool`; "default" if none is given.

    Register one collector for all pools of a registry. Thread-safe, never blocks. A pool of a name that has not been
    used yet is not made by a scrape; one that was shut down is told of as long as the collector holds it, and one that
    a forked child inherited is not.
    """

    def __init__(self, *pools: WorkerPool | str) -> None:
        for pool in pools:
            if not isinstance(pool, WorkerPool | str):
                raise TypeError(f"PoolCollector takes pools or names of pools, not {type(pool).__name__}")
        self._pools = pools or ("default",)

    def describe(self) -> Iterator[Metric]:
        """Return the metrics without values, by which the registry refuses a second collector of the same."""
        return iter(_Families().all)

    def collect(self) -> Iterator[Metric]:
        """Return the metrics as they are now."""
        families = _Families()
        for given in self._pools:
            pool = find_pool(given) if isinstance(given, str) else given
            if pool is not None and (stats := pool.stats()).state != "forked":
                families.add(stats)
        return iter(families.all)


class _Families:
    """One scrape's metrics.

    Jobs submitted are not among them: that number goes back when a full queue refuses a job, which no counter may.
    """

    def __init__(self) -> None:
        self.jobs = CounterMetricFamily("workerpool_jobs", "Jobs that ended, by outcome.", labels=(*_LANE, "outcome"))
        self.attempts = CounterMetricFamily("workerpool_attempts", "Requests tried, each try counted.", labels=_LANE)
        self.in_flight = GaugeMetricFamily("workerpool_jobs_in_flight", "Jobs that a worker is at.", labels=_LANE)
        self.queued = GaugeMetricFamily("workerpool_jobs_queued", "Jobs that wait for a place.", labels=_LANE)
        self.durations = HistogramMetricFamily(
            "workerpool_job_duration_seconds", "Seconds from submit to outcome.", labels=_LANE
        )
        self.up = GaugeMetricFamily("workerpool_worker_up", "Whether the worker's thread runs.", labels=_WORKER)
        self.blocked = GaugeMetricFamily(
            "workerpool_worker_blocked", "Whether code of the user's does not give the loop back.", labels=_WORKER
        )
        self.losses = CounterMetricFamily(
            "workerpool_worker_losses", "Loops that were lost and replaced.", labels=_WORKER
        )

    @property
    def all(self) -> tuple[Metric, ...]:
        """Every metric."""
        return tuple(vars(self).values())

    def add(self, stats: PoolStats) -> None:
        """Add the numbers of one pool."""
        for lane in _by_group(stats):
            labels = (stats.name, lane.group)
            for outcome in ("succeeded", "failed", "cancelled"):
                self.jobs.add_metric((*labels, outcome), getattr(lane, outcome))
            self.attempts.add_metric(labels, lane.attempts)
            self.in_flight.add_metric(labels, lane.in_flight)
            self.queued.add_metric(labels, lane.queued)
            self.durations.add_metric(labels, _buckets(lane.durations), lane.durations.total)
        for worker in stats.workers:
            where = (stats.name, worker.name)
            self.up.add_metric(where, worker.alive)
            self.blocked.add_metric(where, worker.blocked)
            self.losses.add_metric(where, worker.losses)


def _by_group(stats: PoolStats) -> Iterator[LaneStats]:
    groups: dict[str, LaneStats] = {}
    for lane in stats.lanes:
        known = groups.get(lane.group)
        groups[lane.group] = lane if known is None else known.plus(lane)
    return iter(groups.values())


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    """Return them as Prometheus has them: each bound with the number of all that are not above it."""
    bounds = [*map(str, durations.bounds), "+Inf"]
    return list(zip(bounds, accumulate(durations.counts), strict=True))
