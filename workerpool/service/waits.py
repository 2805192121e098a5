"""Why jobs wait, in words."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from .lane_run import LaneRun
from .records import FINAL, Job, LaneState, State

__all__ = ["waiting_for", "waits_of"]

_WORDS = {
    "circuit": "host {host} can't be reached; it is tried again in {seconds} s",
    "crawl-delay": "host {host} wants a pause between two requests",
    "per-host": "host {host} has as many requests under way as it may have",
    "rate": "host {host} is asked as often as its rate allows",
    "retry-after": "host {host} asked for {seconds} s",
    "slowed": "host {host} is asked more slowly, since it complained",
    "robots": "the robots.txt of host {host} is asked for",
}


def waits_of(lanes: Iterable[LaneRun], now: float) -> dict[str, str]:
    """Return why those jobs wait of which a runner has requests and none is under way."""
    found: dict[str, str] = {}
    moving: set[str] = set()
    for lane in lanes:
        moving |= {ticket.lease.job for ticket in lane.under_way}
        for ticket in lane.turns.tickets():
            if ticket.lease.job not in found:
                why = _why(lane, ticket.host, now)
                if why is not None:
                    found[ticket.lease.job] = why
    return {job: why for job, why in found.items() if job not in moving}


def waiting_for(job: Job, lanes: Mapping[str, LaneState]) -> str | None:
    """Return why nothing of a job moves, as far as its own data, its lane and the runners tell."""
    if job.state in FINAL:
        return None
    if job.not_before is not None and job.not_before > datetime.now(UTC).timestamp():
        return f"not before {_moment(job.not_before)}"
    lane = lanes.get(job.lane)
    if lane is not None and lane.settings.paused:
        return f"lane {job.lane} is paused"
    if job.waiting_for is not None or not job.counts.queued or job.counts.running:
        return job.waiting_for
    if lane is not None and lane.settings.connections and lane.running >= lane.settings.connections:
        return f"lane {job.lane} is full"
    return "its turn" if job.state is State.QUEUED else None


def _why(lane: LaneRun, host: str, now: float) -> str | None:
    if lane.settings.paused:
        return f"lane {lane.settings.name} is paused"
    if lane.is_full:
        return f"lane {lane.settings.name} is full"
    cause, seconds = lane.turns.standing(host, now)
    name = host.removesuffix(":80").removesuffix(":443")
    return _WORDS[cause].format(host=name, seconds=max(1, round(seconds))) if cause else None


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
