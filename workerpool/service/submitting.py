"""The routes that take jobs in."""

import asyncio
import hashlib
from math import isfinite
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from .access import Caller
from .batch import Batch
from .bodies import check_json, check_length, media_of, read_body
from .policy import Refused, is_own, refusal_of
from .problems import Problem, errors_of
from .records import Idempotency, NewRequest, Submitted
from .schemas import SUBMIT
from .service import Service, accepts, as_submitter, the_service
from .settings import ServiceSettings
from .submitted import JobFields, JobIn, Submission, check_url, new_id, new_job, new_request
from .wire import job_json

__all__ = ["check_quota", "router", "submit_json"]

router: APIRouter = APIRouter(tags=["jobs"])
_JSON, _LINES = "application/json", "application/x-ndjson"
_LONG = 32 * 2**10  # bytes


@router.post("/v1/jobs", status_code=202, summary="Submit a job", **SUBMIT)
async def submit(request: Request, caller: Caller = as_submitter) -> Response:
    """Store a job; 202 says that it is on disk."""
    service = the_service(request)
    accepts(request, _JSON)
    kind = media_of(request, _JSON, _LINES)
    await check_quota(service, caller, request.headers.get("Idempotency-Key", ""))
    found = await (_submit_one if kind == _JSON else _submit_lines)(request, service, caller)
    job = job_json(found.job, await service.lanes())
    headers = {"Location": f"/v1/jobs/{quote(found.job.id)}"}
    if found.replayed:
        headers["Idempotent-Replayed"] = "true"
    return JSONResponse(job, 200 if found.replayed else 202, headers=headers)


async def _submit_one(request: Request, service: Service, caller: Caller) -> Submitted:
    if request.query_params:
        raise Problem(422, "fields of a JSON job go into the body", errors=[
            {"pointer": f"/{name}", "detail": "not as a query parameter"} for name in request.query_params
        ])  # fmt: skip
    content = await read_body(request, service.settings.limits.body)
    known_by = _idempotency(request, caller, hashlib.sha256(content).hexdigest())
    return await submit_json(service, caller, content, known_by)


async def submit_json(service: Service, caller: Caller, content: bytes, known_by: Idempotency | None) -> Submitted:
    """Store a job that is given as JSON; raises a Problem for one that is wrong."""
    async with service.turns:
        return await _store(service, caller, content, known_by)


async def _store(service: Service, caller: Caller, content: bytes, known_by: Idempotency | None) -> Submitted:
    # What is long is checked on a thread, so that others need not wait for it.
    checked = _checked(content, service.settings) if len(content) < _LONG else await asyncio.to_thread(
        _checked, content, service.settings)  # fmt: skip
    given, requests = checked
    _check_webhook(service, given, "/webhook/url")
    await _check_lane(service, given.lane)
    job = new_job(given, id=given.id or new_id(), total=len(requests), owner=caller.id)
    batches = [requests] if len(requests) <= 500 else [requests[at : at + 500] for at in range(0, len(requests), 500)]
    return await service.store.submit(job, batches, known_by)


def _checked(content: bytes, settings: ServiceSettings) -> tuple[JobIn, list[NewRequest]]:
    """Return what was submitted; raises a Problem with all that is wrong, up to a hundred."""
    check_json(content)
    given = _parsed(content)
    requests, errors, forbidden = list[NewRequest](), list[dict[str, Any]](), True
    for number, each in enumerate(given.all_requests()):
        try:
            requests.append(new_request(each, settings))
        except ValueError as exc:
            place = "/url" if given.requests is None else f"/requests/{number}{'' if isinstance(each, str) else '/url'}"
            errors.append({"pointer": place, "detail": str(exc)})
            forbidden = forbidden and isinstance(exc, Refused)
            if len(errors) == 100:
                break
    if errors:
        raise Problem(403 if forbidden else 422, f"{errors[0]['pointer']}: {errors[0]['detail']}", errors=errors)
    return given, requests


async def _submit_lines(request: Request, service: Service, caller: Caller) -> Submitted:
    given = _of_query(request)
    _check_webhook(service, given, "/webhook_url")
    await _check_lane(service, given.lane)
    check_length(request, service.settings.limits.batch_body)
    with Batch(service.settings) as batch:
        await batch.take(request.stream())
        job = new_job(given, id=given.id or new_id(), total=batch.total, owner=caller.id)
        return await service.store.submit(job, batch.requests(), _idempotency(request, caller, batch.digest))


def _parsed(content: bytes) -> JobIn:
    try:
        return Submission.validate_json(content)
    except ValidationError as exc:
        if exc.errors()[0]["type"] == "json_invalid":
            raise Problem(400, f"the body is no JSON: {exc.errors()[0]['msg']}") from None
        raise _unprocessable(exc) from None


def _of_query(request: Request) -> JobFields:
    """Return a job's fields as query parameters have them."""
    query = request.query_params
    given: dict[str, Any] = {name: query[name] for name in ("lane", "id", "not_before") if name in query}
    for name, kind in (("priority", int), ("expires_in", float), ("attempts", int)):
        if name in query:
            given[name] = _number(name, query[name], kind)
    if "attempts" in given:
        given["retry"] = {"attempts": given.pop("attempts")}
    if "webhook_url" in query:
        given["webhook"] = {"url": query["webhook_url"]}
    if "keep_bodies" in query:
        given["keep_bodies"] = {"true": True, "false": False}.get(query["keep_bodies"], query["keep_bodies"])
    if labels := query.getlist("label"):
        given["labels"] = dict(_label(each) for each in labels)
    try:
        return JobFields.model_validate_json(_as_json(given))
    except ValidationError as exc:
        raise _unprocessable(exc) from None


def _as_json(given: dict[str, Any]) -> bytes:
    return JSONResponse(given).body  # type: ignore[return-value]  # bytes, of this class


def _number(name: str, text: str, kind: type[int] | type[float]) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise Problem(422, f"{name}: no number", errors=[{"pointer": f"/{name}", "detail": "no number"}])
    return value


def _label(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise Problem(422, "label: give NAME:VALUE", errors=[{"pointer": "/label", "detail": "give NAME:VALUE"}])
    return name, value


def _unprocessable(exc: ValidationError) -> Problem:
    errors = errors_of(exc)
    return Problem(422, f"{errors[0]['pointer'] or 'the job'}: {errors[0]['detail']}", errors=errors)


def _idempotency(request: Request, caller: Caller, digest: str) -> Idempotency | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise Problem(422, "Idempotency-Key: 1 to 255 printable characters")
    sent = f"{request.headers.get('Content-Type', '')}\n{request.url.query}\n{digest}"
    return Idempotency(key=key, owner=caller.id, fingerprint=hashlib.sha256(sent.encode()).hexdigest())


async def check_quota(service: Service, caller: Caller, key: str = "") -> None:
    """Raise a 429 for a token of which too many jobs are not done, unless the key is known: that makes no job."""
    most = service.settings.limits.jobs_per_token
    if await service.unfinished_of(caller.id) >= most:
        if key and await service.store.find_idempotent(key, caller.id) is not None:
            return
        raise Problem(429, f"{most} jobs of this token are not done yet; wait for some", headers={"Retry-After": "5"})


def _check_webhook(service: Service, given: JobFields, pointer: str) -> None:
    """Refuse a webhook that may not be sent, as far as its URL tells; the rest is seen when it is sent."""
    if given.webhook is None:
        return
    url = check_url(given.webhook.url)
    verdict = refusal_of(url, service.settings.addresses)
    if is_own(url, service.hosts):
        raise _forbidden(pointer, "own", "it is the service itself")
    if verdict is not None:
        raise _forbidden(pointer, verdict.rule, verdict.text)


def _forbidden(pointer: str, rule: str, text: str) -> Problem:
    detail = f"the address rules forbid it: rule '{rule}', {text}"
    return Problem(403, f"{pointer}: {detail}", errors=[{"pointer": pointer, "detail": detail}])


async def _check_lane(service: Service, name: str) -> None:
    lanes = await service.lanes()
    if name not in lanes and len(lanes) >= service.settings.limits.lanes:
        raise Problem(422, f"there is no lane {name}", errors=[{"pointer": "/lane", "detail": "no such lane"}])
