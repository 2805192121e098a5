"""What the answers look like, for the OpenAPI document; nothing is checked by these at run time."""

from typing import Any

from pydantic import BaseModel, Field

__all__ = [
    "DeliveriesOut",
    "DeliveryOut",
    "SecretsOut",
    "JobOut",
    "JobsOut",
    "LaneOut",
    "LanesOut",
    "ResultsOut",
    "SUBMIT",
]

_EXAMPLE = '"https://a.example/"\n{"url": "https://b.example/x", "ref": "row 2"}\n'
_LINES = "One request a line: a URL as a JSON string, or an object"


class CountsOut(BaseModel):
    """How many requests are where."""

    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int


class WebhookOut(BaseModel):
    """Whom to tell."""

    url: str


class JobOut(BaseModel):
    """A job."""

    id: str
    state: str
    run: int
    lane: str
    priority: int
    labels: dict[str, str]
    created_at: str
    started_at: str | None
    finished_at: str | None
    not_before: str | None
    expires_at: str | None
    counts: CountsOut
    webhook: WebhookOut | None
    waiting_for: str | None


class JobsOut(BaseModel):
    """A page of jobs."""

    jobs: list[JobOut]
    next: str | None


class ErrorOut(BaseModel):
    """Why there is no answer."""

    type: str
    stage: str
    message: str


class AttemptOut(BaseModel):
    """One sending."""

    number: int
    worker: str
    started_at: str
    finished_at: str | None
    outcome: str | None


class BodyOut(BaseModel):
    """A body, and where its bytes are."""

    size: int
    sha256: str
    media_type: str
    href: str


class ResultOut(BaseModel):
    """What became of one request."""

    n: int
    ref: str | None
    url: str
    final_url: str | None
    status: int | None
    ok: bool
    error: ErrorOut | None
    headers: list[list[str]] = Field(description="[name, value] each")
    elapsed: float | None
    attempts: list[AttemptOut]
    body: BodyOut | None


class ResultsOut(BaseModel):
    """A page of results."""

    results: list[ResultOut]
    next: str | None


class LaneOut(BaseModel):
    """A lane."""

    name: str
    connections: int
    per_host: int
    rate: float | None
    per_host_rate: float | None
    paused: bool
    queued: int
    running: int


class LanesOut(BaseModel):
    """All lanes."""

    lanes: list[LaneOut]


class TryOut(BaseModel):
    """One try of a webhook's message; it is under way while it has neither status nor error."""

    at: str
    status: int | None
    error: str | None
    elapsed: float | None


class DeliveryOut(BaseModel):
    """A webhook's message, and each try of it."""

    id: str
    job: str
    run: int
    url: str
    state: str
    created_at: str
    due_at: str | None
    gives_up_at: str | None
    tries: list[TryOut]


class RetryOut(BaseModel):
    """When a message is tried."""

    tries: int
    delays: list[float] = Field(description="seconds after each try that was not taken, a tenth more or less")
    window: list[float] = Field(description="seconds from the first try to the last one: at least, at most")


class DeliveriesOut(BaseModel):
    """A page of deliveries."""

    deliveries: list[DeliveryOut]
    next: str | None
    retry: RetryOut


class SecretOut(BaseModel):
    """A secret that webhooks are signed with."""

    secret: str
    created_at: str
    expires_at: str | None


class SecretsOut(SecretOut):
    """The present secret, and those that sign beside it."""

    previous: list[SecretOut]


class BulkOut(BaseModel):
    """How many jobs a bulk action is about, or was."""

    action: str
    dry_run: bool
    matched: int
    changed: int


class StatsOut(BaseModel):
    """The service in numbers."""

    jobs: dict[str, int]
    queued: int
    running: int
    results: int
    bytes: int
    last_event: int


class ExplainOut(BaseModel):
    """Whether address rules let a URL through."""

    url: str
    allowed: bool
    rule: str
    detail: str
    addresses: list[str]


def _parameter(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": f"{text} (NDJSON only)"}


SUBMIT: dict[str, Any] = {
    "responses": {
        202: {"model": JobOut, "description": "Stored: it is on disk"},
        200: {"model": JobOut, "description": "The job that this Idempotency-Key has made before"},
    },
    "openapi_extra": {
        "parameters": [
            {"name": "Idempotency-Key", "in": "header", "required": False,
             "schema": {"type": "string", "minLength": 1, "maxLength": 255}},
            _parameter("lane", {"type": "string"}, "The lane"),
            _parameter("id", {"type": "string"}, "The job's id"),
            _parameter("priority", {"type": "integer"}, "Higher goes first"),
            _parameter("label", {"type": "array", "items": {"type": "string"}}, "NAME:VALUE"),
            _parameter("not_before", {"type": "string", "format": "date-time"}, "When to begin"),
            _parameter("expires_in", {"type": "number"}, "Seconds"),
            _parameter("attempts", {"type": "integer"}, "How often each request is tried"),
            _parameter("keep_bodies", {"type": "boolean"}, "Whether bodies are kept"),
            _parameter("webhook_url", {"type": "string"}, "Whom to tell"),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/JobIn"}},
                "application/x-ndjson": {"schema": {"type": "string", "description": _LINES}, "example": _EXAMPLE},
            },
        },
    },
}  # fmt: skip
