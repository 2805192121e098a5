"""The form that submits URLs."""

import asyncio
import hashlib
import json
import re
import secrets
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ..problems import Problem
from ..records import Idempotency
from ..service import the_service
from ..submitting import check_quota, submit_json
from .door import AsSubmitter, Form, PageRoute, redirect, sent
from .rendering import Viewer, html

__all__ = ["router"]

router: APIRouter = APIRouter(route_class=PageRoute, include_in_schema=False)
_FIELDS = ("urls", "id", "lane", "priority", "labels", "webhook", "attempts", "expires_in", "once")
_MOST = 4 * 2**20  # bytes; for more there are calls, which take lines one by one
_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
_PLACES = {"requests": "urls", "url": "urls", "retry": "attempts"}  # which field of the form a job's one is


@router.get("/submit")
async def submit_page(request: Request, viewer: Viewer = AsSubmitter) -> Response:
    """Show the form."""
    return await _form(request, {"lane": request.query_params.get("lane", "default"), "keep_bodies": "on"})


@router.post("/submit")
async def submit(request: Request, viewer: Viewer = AsSubmitter) -> Response:
    """Store a job, and show it."""
    service = the_service(request)
    form = await sent(request, most=min(_MOST, service.settings.limits.body))
    given = {name: form.get(name, "").replace("\r\n", "\n").strip() for name in (*_FIELDS, "keep_bodies")}
    try:
        job = await asyncio.to_thread(_job, given)
        await check_quota(service, viewer.caller)
        content = json.dumps(job).encode()
        found = await submit_json(service, viewer.caller, content, _known_by(viewer, given["once"], content))
    except Problem as exc:
        if exc.status != 422:
            raise
        return await _form(request, given, exc)
    return redirect(f"/jobs/{found.job.id}", request, "The job is stored.")


def _job(given: dict[str, str]) -> dict[str, Any]:
    """Return a form's values as the wire has them; raises a 422 for what cannot be read."""
    urls = [line.strip() for line in given["urls"].split("\n") if line.strip()]
    if not urls:
        raise _wrong("urls", "give at least one URL")
    job: dict[str, Any] = {"requests": urls, "keep_bodies": given["keep_bodies"] == "on"}
    job |= {name: given[name] for name in ("id", "lane") if given[name]}
    if given["priority"]:
        job["priority"] = _number(given, "priority")
    if given["expires_in"]:
        job["expires_in"] = _number(given, "expires_in")
    if given["attempts"]:
        job["retry"] = {"attempts": _number(given, "attempts")}
    if given["webhook"]:
        job["webhook"] = {"url": given["webhook"]}
    if given["labels"]:
        job["labels"] = dict(_label(line.strip()) for line in given["labels"].split("\n") if line.strip())
    return job


def _number(given: dict[str, str], name: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,12}", given[name]):
        raise _wrong(name, "give a whole number")
    return int(given[name])


def _label(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise _wrong("labels", f"{line}: write NAME:VALUE")
    return name.strip(), value.strip()


def _wrong(field: str, detail: str) -> Problem:
    return Problem(422, detail, errors=[{"pointer": f"/{field}", "detail": detail}])


def _known_by(viewer: Viewer, once: str, content: bytes) -> Idempotency | None:
    """Return what the form is known by, so that one that is sent twice makes one job."""
    if not _KEY.fullmatch(once):
        return None
    return Idempotency(key=f"page-{once}", owner=viewer.caller.id, fingerprint=hashlib.sha256(content).hexdigest())


async def _form(request: Request, given: Form | dict[str, str], wrong: Problem | None = None) -> Response:
    lanes = sorted(await the_service(request).lanes())
    values = {name: given.get(name, "") for name in (*_FIELDS, "keep_bodies")} | {"once": secrets.token_urlsafe(18)}
    return html(
        request, "submit.html", status=200 if wrong is None else wrong.status, given=values, lanes=lanes,
        errors=_by_field(values, wrong), wrong=wrong,
    )  # fmt: skip


def _by_field(given: dict[str, str], wrong: Problem | None) -> dict[str, list[str]]:
    """Return what is wrong by the form's fields; URLs are named by their lines."""
    found: dict[str, list[str]] = {}
    lines = [line.strip() for line in given["urls"].split("\n") if line.strip()]
    for each in wrong.errors if wrong is not None else ():
        top, *rest = each["pointer"].removeprefix("/").split("/")
        text = each["detail"]
        if top == "requests" and rest and rest[0].isdecimal() and int(rest[0]) < len(lines):
            text = f"line {int(rest[0]) + 1}, {lines[int(rest[0])][:80]}: {text}"
        found.setdefault(_PLACES.get(top, top), []).append(text)
    if wrong is not None and not found:
        found[""] = [wrong.detail]
    if given["webhook"] and "" in found:  # a URL is judged after the fields
        found["webhook"] = found.pop("")
    return found
