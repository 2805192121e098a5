"""Records as the wire has them: JSON objects, times in RFC 3339 with milliseconds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from .records import Attempt, Delivery, Event, Job, LaneState, Result
from .waits import waiting_for
from .webhooks.schedule import last_try

__all__ = ["delivery_json", "event_json", "job_json", "lane_json", "result_json", "time_text"]


def time_text(at: float | None) -> str | None:
    """Return a time in RFC 3339, in UTC with milliseconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_json(job: Job, lanes: Mapping[str, LaneState]) -> dict[str, Any]:
    """Return a job; the lanes say why it may wait."""
    counts = job.counts
    return {
        "id": job.id, "state": job.state.value, "run": job.run, "lane": job.lane, "priority": job.priority,
        "labels": dict(job.labels), "created_at": time_text(job.created_at), "started_at": time_text(job.started_at),
        "finished_at": time_text(job.finished_at), "not_before": time_text(job.not_before),
        "expires_at": time_text(job.expires_at),
        "counts": {
            "total": counts.total, "queued": counts.queued, "running": counts.running, "succeeded": counts.succeeded,
            "failed": counts.failed, "cancelled": counts.cancelled, "expired": counts.expired,
        },
        "webhook": None if job.webhook_url is None else {"url": job.webhook_url},
        "waiting_for": waiting_for(job, lanes),
    }  # fmt: skip


def result_json(result: Result) -> dict[str, Any]:
    """Return a result."""
    body, error = result.body, result.error
    return {
        "n": result.n, "ref": result.ref, "url": result.url, "final_url": result.final_url, "status": result.status,
        "ok": result.ok,
        "error": None if error is None else {"type": error.type, "stage": error.stage, "message": error.message},
        "headers": [list(each) for each in result.headers], "elapsed": result.elapsed,
        "attempts": [_attempt(each) for each in result.attempts],
        "body": None if body is None else {
            "size": body.size, "sha256": body.sha256, "media_type": body.media_type,
            "href": f"/v1/jobs/{quote(result.job)}/results/{result.n}/body",
        },
    }  # fmt: skip


def lane_json(lane: LaneState) -> dict[str, Any]:
    """Return a lane."""
    its = lane.settings
    return {
        "name": its.name, "connections": its.connections, "per_host": its.per_host, "rate": its.rate,
        "per_host_rate": its.per_host_rate, "paused": its.paused, "queued": lane.queued, "running": lane.running,
    }  # fmt: skip


def event_json(event: Event) -> dict[str, Any]:
    """Return an event's data."""
    return {"job": event.job, "at": time_text(event.at), **event.data}


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """Return a webhook's delivery."""
    return {
        "id": delivery.id, "job": delivery.job, "run": delivery.run, "url": delivery.url, "state": delivery.state,
        "created_at": time_text(delivery.created_at), "due_at": time_text(delivery.due_at),
        "gives_up_at": None if delivery.due_at is None else time_text(
            last_try(delivery.id, delivery.failed, delivery.due_at)
        ),
        "tries": [dict(each) for each in delivery.tries],
    }  # fmt: skip


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number, "worker": attempt.worker, "started_at": time_text(attempt.started_at),
        "finished_at": time_text(attempt.finished_at), "outcome": attempt.outcome,
    }  # fmt: skip
