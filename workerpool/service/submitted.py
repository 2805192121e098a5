"""What may be submitted: models of the wire, checked strictly, and what becomes of them."""

import base64
import binascii
import math
import re
import secrets
from collections.abc import Iterable
from datetime import datetime
from time import time
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict
from yarl import URL

from ..errors import InvalidRequest
from ..scraping.entry import host_of
from .policy import Refused, refusal_of
from .records import DEFAULT_LANE, NewJob, NewRequest
from .sending import request_of
from .settings import Limits, ServiceSettings

__all__ = [
    "BulkIn",
    "FilterIn",
    "JobIn",
    "LaneIn",
    "RequestIn",
    "RetryIn",
    "Strict",
    "Submission",
    "check_url",
    "new_id",
    "new_request",
]

_NAME = r"^[A-Za-z0-9_-]{1,64}$"
_TOP = ("url", "method", "headers", "params", "json_", "data", "data_base64", "timeout", "max_body", "ref")
_SPEC = ("method", "headers", "params", "data", "data_base64", "timeout", "max_body")
_YEAR = 366 * 86_400.0
_DEEPEST = Limits().depth

_OF_A_URL: JsonDict = {"pattern": "^[Hh][Tt][Tt][Pp][Ss]?://", "examples": ["https://a.example/"]}
_OF_A_JOB: JsonDict = {
    "examples": [
        {"url": "https://a.example/"},
        {
            "requests": ["https://a.example/", {"url": "https://b.example/x", "method": "POST", "json": {"n": 1}}],
            "labels": {"team": "tea"},
            "retry": {"attempts": 3},
            "webhook": {"url": "https://me.example/hook"},
        },
    ]
}

Name = Annotated[str, Field(pattern=_NAME)]
Text = Annotated[str, Field(max_length=1024)]
Scalar = str | int | float | bool
LabelName = Annotated[str, Field(pattern=r"^[^:\x00-\x1f]{1,64}$")]
Labels = Annotated[dict[LabelName, Annotated[str, Field(max_length=256)]], Field(max_length=32)]
Address = Annotated[str, Field(min_length=1, max_length=16_384, json_schema_extra=_OF_A_URL)]


class Strict(BaseModel):
    """A model that takes what it names, in the types that it names, and nothing else."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", strict=True, populate_by_name=False, allow_inf_nan=False
    )


class RequestFields(Strict):
    """What a request may say beside its URL."""

    method: Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$")] | None = None
    headers: dict[str, str] | None = None
    params: dict[str, Scalar | list[Scalar] | None] | None = None
    json_: Any = Field(default=None, alias="json")
    data: str | None = None
    data_base64: str | None = None
    timeout: Annotated[float, Field(gt=0, le=3600)] | None = None
    max_body: Annotated[int, Field(ge=1, le=Limits().max_body)] | None = None
    ref: Text | None = None

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        if value is not None and len(value) > 100:
            raise ValueError("at most 100 headers")
        return value

    @field_validator("json_")
    @classmethod
    def _check_json(cls, value: Any) -> Any:
        check_depth(value, _DEEPEST)
        return value

    @field_validator("data_base64")
    @classmethod
    def _check_base64(cls, value: str | None) -> str | None:
        try:
            base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("not base64") from None
        return value

    @model_validator(mode="after")
    def _check_body(self) -> "RequestFields":
        if sum(name in self.model_fields_set for name in ("json_", "data", "data_base64")) > 1:
            raise ValueError("one body at most: json, data or data_base64")
        return self


class RequestIn(RequestFields):
    """A request."""

    url: Address


def _kind(value: Any) -> str:
    return "(text)" if isinstance(value, str) else "(object)"


# Told apart by the JSON's own kind, so that only that kind's faults are told.
Either = Annotated[
    Annotated[Address, Tag("(text)")] | Annotated[RequestIn, Tag("(object)")],
    Discriminator(_kind),
]
KINDS = frozenset({"(text)", "(object)"})


class RetryOfJob(Strict):
    """How often each request is tried."""

    attempts: Annotated[int, Field(ge=1, le=20)]


class WebhookIn(Strict):
    """Whom to tell when the job is done."""

    url: Address


class JobFields(Strict):
    """What a job may say beside its requests."""

    id: Name | None = None
    lane: Name = DEFAULT_LANE
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    labels: Labels = Field(default_factory=dict)
    not_before: AwareDatetime | None = None
    expires_in: Annotated[float, Field(gt=0, le=_YEAR)] | None = None
    retry: RetryOfJob | None = None
    webhook: WebhookIn | None = None
    keep_bodies: bool = True

    @field_validator("not_before")
    @classmethod
    def _check_moment(cls, value: datetime | None) -> datetime | None:
        if value is not None and not time() - 10 * _YEAR < value.timestamp() < time() + 10 * _YEAR:
            raise ValueError("within ten years")
        return value

    @model_validator(mode="after")
    def _check_webhook(self) -> "JobFields":
        if self.webhook is not None:
            check_url(self.webhook.url)
        return self


class JobIn(JobFields, RequestFields):
    """A job: its requests, or one request at the top."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra=_OF_A_JOB)

    requests: Annotated[list[Either], Field(min_length=1, max_length=Limits().requests)] | None = None
    url: Address | None = None

    @model_validator(mode="after")
    def _check_either(self) -> "JobIn":
        if (self.requests is None) == (self.url is None):
            raise ValueError("give either requests, or one url")
        if self.requests is not None and (found := self.model_fields_set.intersection(_TOP)):
            raise ValueError(f"{', '.join(sorted(found)).replace('json_', 'json')}: within requests, not beside them")
        return self

    def all_requests(self) -> Iterable[str | RequestIn]:
        """Return the requests."""
        if self.requests is not None:
            return self.requests
        fields = {name: getattr(self, name) for name in self.model_fields_set.intersection(_TOP)}
        if "json_" in fields:
            fields["json"] = fields.pop("json_")
        return [RequestIn.model_validate(fields)]


class RetryIn(Strict):
    """What is done again."""

    only: Literal["failed", "all"] = "failed"


class LaneIn(Strict):
    """A lane's settings; those left out are the usual ones."""

    connections: Annotated[int, Field(ge=0, le=10_000)] = 100
    per_host: Annotated[int, Field(ge=0, le=10_000)] = 8
    rate: Annotated[float, Field(ge=0.0001, le=1e6)] | None = None
    per_host_rate: Annotated[float, Field(ge=0.0001, le=1e6)] | None = None
    paused: bool = False


class FilterIn(Strict):
    """Which jobs."""

    state: Literal["queued", "running", "succeeded", "partial", "failed", "cancelled", "expired"] | None = None
    label: Text | None = None
    labels: Annotated[dict[str, Text], Field(max_length=32)] = Field(default_factory=dict)
    q: Text | None = None
    lane: Name | None = None


class BulkIn(Strict):
    """Something to do to all jobs that match."""

    action: Literal["cancel", "retry", "delete"]
    filter: FilterIn = Field(default_factory=FilterIn)
    dry_run: bool = True


Submission: TypeAdapter[JobIn] = TypeAdapter(JobIn)
OneRequest: TypeAdapter[str | RequestIn] = TypeAdapter(Either)


def new_id() -> str:
    """Make a job's id: it sorts by its time."""
    return f"{int(time() * 1000):011x}{secrets.token_hex(5)}"


def new_job(given: JobFields, *, id: str, total: int, owner: str) -> NewJob:
    """Return what is stored of a job."""
    now = time()
    return NewJob(
        id=id, total=total, created_at=now, lane=given.lane, priority=given.priority, labels=given.labels,
        not_before=None if given.not_before is None else given.not_before.timestamp(),
        expires_at=None if given.expires_in is None else now + given.expires_in,
        retry_attempts=None if given.retry is None else given.retry.attempts,
        webhook_url=None if given.webhook is None else given.webhook.url, keep_bodies=given.keep_bodies, owner=owner,
    )  # fmt: skip


def new_request(given: str | RequestIn, settings: ServiceSettings) -> NewRequest:
    """Return what is stored of a request; raises Refused or another ValueError for one that cannot be sent."""
    if isinstance(given, str):
        return NewRequest(url=given, host=_host_of(given, settings))
    host = _host_of(given.url, settings)
    spec = {name: value for name in _SPEC if (value := getattr(given, name)) is not None}
    if "json_" in given.model_fields_set:
        spec["json"] = given.json_
    if spec:
        try:
            request_of(given.url, spec)
        except InvalidRequest as exc:
            raise ValueError(str(exc)) from None
    return NewRequest(url=given.url, host=host, ref=given.ref, spec=spec)


def check_url(text: str) -> URL:
    """Return a URL that can be asked for; raises ValueError."""
    try:
        url = URL(text)
        if url.scheme in ("http", "https") and url.raw_host and not _BAD.search(text):
            return url
    except (ValueError, IndexError):  # yarl has both for what it cannot read
        pass
    raise ValueError("not an http or https URL")


def _host_of(text: str, settings: ServiceSettings) -> str:
    url = check_url(text)
    verdict = refusal_of(url, settings.addresses)
    if verdict is not None:
        raise Refused(verdict)
    return host_of(url)


def check_depth(value: Any, most: int) -> None:
    """Raise ValueError for JSON that is nested too deep, or has a number that JSON has not."""
    level = [value]
    for _ in range(most):
        level = [
            inner for each in level if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]  # fmt: skip
        if any(isinstance(each, float) and not math.isfinite(each) for each in level):
            raise ValueError("a number that JSON does not have")
        if not level:
            return
    raise ValueError(f"nested deeper than {most}")


_BAD = re.compile(r"[\x00-\x20\x7f]")
