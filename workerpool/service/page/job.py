"""One job: its requests with their results, and what can be done to it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import time

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ..errors import NoSuch
from ..problems import Problem
from ..reading import Id, Number, attachment
from ..records import FINAL, Delivery, Job, Page, Result, Role
from ..service import Service, the_service
from ..waits import waiting_for
from .door import AsReader, AsSubmitter, PageRoute, redirect, sent
from .rendering import Viewer, html

__all__ = ["router"]

router: APIRouter = APIRouter(route_class=PageRoute, include_in_schema=False)
_LIMIT = 50
_SHOWN = ("all", "failed", "succeeded", "newest")
_ROLES = {"cancel": Role.SUBMIT, "retry": Role.SUBMIT, "delete": Role.ADMIN}


@dataclass(frozen=True, slots=True)
class Row:
    """A request, and its result once there is one."""

    n: int
    url: str
    ref: str | None
    result: Result | None


@router.get("/jobs/{id}")
async def job_page(request: Request, id: Id, viewer: Viewer = AsReader) -> Response:
    """Show a job."""
    service, show = the_service(request), request.query_params.get("show", "all")
    cursor = request.query_params.get("cursor") or None
    job = await service.store.job(id)
    if show not in _SHOWN:
        raise Problem(422, f"show: there is {', '.join(_SHOWN)}")
    try:
        rows = await _rows(service, job, show, cursor)
    except ValueError:
        raise Problem(422, "that place in the list is not known; begin at the first one") from None
    deliveries: Page[Delivery] = Page(())
    if job.webhook_url is not None:
        deliveries = await service.store.deliveries(id, cursor=None, limit=_LIMIT)
    return html(
        request, "job.html", job=job, waits=waiting_for(job, await service.lanes()), rows=rows.rows, next=rows.next,
        show=show, shown=_SHOWN, cursor=cursor, deliveries=deliveries.rows, actions=_actions(job, viewer),
    )  # fmt: skip


@router.get("/jobs/{id}/requests/{n}")
async def request_page(request: Request, id: Id, n: Number, viewer: Viewer = AsReader) -> Response:
    """Show what became of one request."""
    store = the_service(request).store
    job, result = await asyncio.gather(store.job(id), store.result(id, n))
    return html(request, "request.html", job=job, result=result)


@router.get("/jobs/{id}/requests/{n}/body")
async def body(request: Request, id: Id, n: Number, viewer: Viewer = AsReader) -> Response:
    """Return the bytes of a body, to be kept and not shown."""
    found = attachment(id, n, *await the_service(request).store.body(id, n))
    found.headers["Cache-Control"] = "no-store"
    return found


@router.get("/jobs/{id}/{action}")
async def ask(request: Request, id: Id, action: str, viewer: Viewer = AsReader) -> Response:
    """Ask whether something is to be done."""
    job = await the_service(request).store.job(id)
    if action not in _ROLES:
        raise Problem(404, "there is no such page")
    if not viewer.may(_ROLES[action]):
        raise Problem(403, f"this needs the role {_ROLES[action].value}; you have {viewer.role.value}")
    return html(request, "ask.html", job=job, action=action, possible=action in _actions(job, viewer))


@router.post("/jobs/{id}/{action}")
async def act(request: Request, id: Id, action: str, viewer: Viewer = AsSubmitter) -> Response:
    """Do it."""
    form, store = await sent(request), the_service(request).store
    if action not in _ROLES:
        raise Problem(404, "there is no such page")
    if not viewer.may(_ROLES[action]):
        raise Problem(403, f"this needs the role {_ROLES[action].value}; you have {viewer.role.value}")
    if action == "cancel":
        await store.cancel(id)
    elif action == "retry":
        await store.retry(id, everything=form.get("only") == "all")
    else:
        await store.delete(id)
        return redirect("/jobs", request, f"Job {id} was deleted.")
    return redirect(f"/jobs/{id}", request, "It was cancelled." if action == "cancel" else "Its next run has begun.")


@router.post("/jobs/{id}/deliveries/{delivery}/replay")
async def replay(request: Request, id: Id, delivery: str, viewer: Viewer = AsSubmitter) -> Response:
    """Have a webhook's message sent once more, under its id."""
    await sent(request)
    await the_service(request).store.replay_delivery(id, delivery, time())
    return redirect(f"/jobs/{id}#webhook", request, "The message is sent once more.")


async def _rows(service: Service, job: Job, show: str, cursor: str | None) -> Page[Row]:
    store = service.store
    if show == "all":
        page = await store.requests(job.id, cursor=cursor, limit=_LIMIT)
        results = await asyncio.gather(*(_result(service, job.id, n) for n, _ in page.rows))
        rows = tuple(Row(n, each.url, each.ref, result) for (n, each), result in zip(page.rows, results, strict=True))
        return Page(rows, page.next)
    ok = None if show == "newest" else show == "succeeded"
    found = await store.results(job.id, cursor=cursor, limit=_LIMIT, ok=ok, newest_first=show == "newest")
    return Page(tuple(map(_row, found.rows)), found.next if len(found.rows) == _LIMIT else None)


def _row(result: Result) -> Row:
    return Row(result.n, result.url, result.ref, result)


async def _result(service: Service, id: str, n: int) -> Result | None:
    try:
        return await service.store.result(id, n)
    except NoSuch:
        return None


def _actions(job: Job, viewer: Viewer) -> Sequence[str]:
    """Return what the viewer may do to a job as it is."""
    possible = ["retry", "delete"] if job.state in FINAL else ["cancel"]
    return [each for each in possible if viewer.may(_ROLES[each])]
