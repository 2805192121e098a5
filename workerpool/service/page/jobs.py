"""The list of jobs, by filters that are in its URL, and what can be done to all that match."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ..problems import Problem
from ..records import Filter, Job, Page, State
from ..service import the_service
from ..waits import waiting_for
from .door import AsAdmin, AsReader, Form, PageRoute, redirect, sent
from .rendering import Viewer, html
from .words import query

__all__ = ["router"]

router: APIRouter = APIRouter(route_class=PageRoute, include_in_schema=False)
_LIMIT = 50
_LONGEST = 1024
_DONE = {"cancel": "cancelled", "retry": "begun again", "delete": "deleted"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter as it was asked for, and what is wrong with it."""

    given: dict[str, Any]
    which: Filter
    wrong: str = ""


@router.get("/jobs")
async def jobs(request: Request, viewer: Viewer = AsReader) -> Response:
    """Show jobs, the newest first."""
    service, asked = the_service(request), _asked(request.query_params)
    cursor, wrong = request.query_params.get("cursor") or None, asked.wrong
    page: Page[Job] = Page(())
    if not wrong:
        try:
            page = await service.store.jobs(asked.which, cursor=cursor, limit=_LIMIT)
        except ValueError:
            wrong = "That place in the list is not known; begin at the newest job."
    lanes = await service.lanes()
    return html(
        request, "jobs.html", jobs=[(job, waiting_for(job, lanes)) for job in page.rows], next=page.next, cursor=cursor,
        given=asked.given, wrong=wrong, lanes=sorted(lanes), actions=list(_DONE),
    )  # fmt: skip


@router.get("/bulk")
async def bulk_page(request: Request, action: str, viewer: Viewer = AsAdmin) -> Response:
    """Say how many jobs an action is about, and ask whether it is to be done."""
    asked = _checked(request.query_params, action)
    found = await the_service(request).store.act(action, asked.which, dry_run=True)
    return html(request, "bulk.html", action=action, given=asked.given, found=found)


@router.post("/bulk")
async def bulk(request: Request, viewer: Viewer = AsAdmin) -> Response:
    """Do it."""
    form = await sent(request)
    action = form.get("do", "")  # not `action`: a form has one already
    asked = _checked(form, action)
    found = await the_service(request).store.act(action, asked.which, dry_run=False)
    jobs = "1 job was" if found.changed == 1 else f"{found.changed:,} jobs were"
    return redirect(f"/jobs?{query(asked.given)}", request, f"{jobs} {_DONE[action]}.")


def _checked(given: Any, action: str) -> Asked:
    asked = _asked(given)
    if action not in _DONE or asked.wrong:
        raise Problem(422, asked.wrong or f"there is {', '.join(_DONE)}")
    return asked


def _asked(given: Form | Any) -> Asked:
    """Return the filter of a query or a form."""
    text, lane = given.get("q", "").strip()[:_LONGEST], given.get("lane", "").strip()
    state, labels = given.get("state", ""), [each for each in map(str.strip, given.getlist("label")) if each]
    fields = {"state": state, "lane": lane, "label": labels, "q": text}
    if state and state not in list(State):
        return Asked(fields, Filter(), "There is no such state.")
    pairs = [each.partition(":") for each in labels]
    if any(not colon for _name, colon, _value in pairs):
        return Asked(fields, Filter(), "A label is asked for as NAME:VALUE, such as team:tea.")
    which = Filter(
        state=State(state) if state else None, labels={name: value for name, _, value in pairs}, text=text or None,
        lane=lane or None,
    )  # fmt: skip
    return Asked(fields, which)
