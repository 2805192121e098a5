"""The routes that read: jobs, results, bodies, deliveries."""

import asyncio
import json
from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from .access import Caller
from .errors import NoSuch
from .problems import Problem
from .records import Filter, Page, Result, State
from .schemas import JobOut, JobsOut, ResultsOut
from .service import Service, accepts, as_reader, the_service
from .wire import job_json, result_json

__all__ = ["Cursor", "Id", "Limit", "Number", "attachment", "filter_of", "paged", "router"]

router: APIRouter = APIRouter(tags=["jobs"])
_JSON, _LINES = "application/json", "application/x-ndjson"
_TURN = 15.0  # seconds that one wait for news takes at most
_LONGEST_WAIT = 60.0

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Number = Annotated[int, Path(ge=0, lt=2**31)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=200)]


@router.get("/v1/jobs", responses={200: {"model": JobsOut}}, summary="List jobs, the newest first")
async def list_jobs(
    request: Request,
    state: State | None = None,
    label: Annotated[list[str] | None, Query(max_length=32)] = None,
    q: Annotated[str | None, Query(max_length=1024)] = None,
    lane: Annotated[str | None, Query(max_length=64)] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
    _caller: Caller = as_reader,
) -> Response:
    """Return jobs that match all that is given."""
    service = the_service(request)
    accepts(request, _JSON)
    which = filter_of(state, label or [], q, lane)
    page = await paged(service.store.jobs(which, cursor=cursor, limit=limit))
    lanes = await service.lanes()
    return JSONResponse({"jobs": [job_json(each, lanes) for each in page.rows], "next": page.next})


@router.get("/v1/jobs/{id}", responses={200: {"model": JobOut}}, summary="Read a job")
async def read_job(request: Request, id: Id, _caller: Caller = as_reader) -> Response:
    """Return a job."""
    service = the_service(request)
    accepts(request, _JSON)
    return JSONResponse(job_json(await service.store.job(id), await service.lanes()))


@router.get(
    "/v1/jobs/{id}/results",
    responses={200: {"model": ResultsOut, "content": {_LINES: {"schema": {"type": "string"}}}}},
    summary="Read results, in the order they were finished",
)
async def list_results(
    request: Request,
    id: Id,
    cursor: Cursor = None,
    limit: Limit = 100,
    ok: bool | None = None,
    wait: Annotated[float, Query(ge=0, le=_LONGEST_WAIT)] = 0,
    follow: bool = False,
    _caller: Caller = as_reader,
) -> Response:
    """Return a page of results; as NDJSON a stream of all, with `follow` until the job is done."""
    service = the_service(request)
    kind = accepts(request, _JSON, _LINES)
    page = await paged(service.store.results(id, cursor=cursor, limit=limit, ok=ok))
    if kind == _LINES:
        return StreamingResponse(_lines(service, id, page, ok, follow), media_type=_LINES)
    deadline = monotonic() + wait
    while not page.rows and page.next is not None and monotonic() < deadline and not service.stopping:
        after = await service.store.last_event()
        page = await service.store.results(id, cursor=page.next, limit=limit, ok=ok)
        if not page.rows and page.next is not None:
            await service.store.news(after, min(deadline - monotonic(), 1.0))
            page = await service.store.results(id, cursor=page.next, limit=limit, ok=ok)
    return JSONResponse({"results": [result_json(each) for each in page.rows], "next": page.next})


@router.get(
    "/v1/jobs/{id}/results/{n}/body",
    response_class=Response,
    responses={200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}},
    summary="Read the bytes of a result's body",
)
async def read_body(request: Request, id: Id, n: Number, _caller: Caller = as_reader) -> Response:
    """Return a body as an attachment, whatever it is, never as a page of the service."""
    return attachment(id, n, *await the_service(request).store.body(id, n))


def attachment(id: str, n: int, result: Result, content: bytes) -> Response:
    """Return the bytes of a body so that browsers only keep them."""
    assert result.body is not None
    return Response(
        content,
        media_type=_media_type(result),
        headers={
            "Content-Disposition": f'attachment; filename="{quote(id)}-{n}"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox",
            "ETag": f'"{result.body.sha256}"',
        },
    )


def filter_of(state: State | None, labels: list[str], text: str | None, lane: str | None) -> Filter:
    """Return a filter; raises a 422 for a label that is none."""
    pairs = [each.partition(":") for each in labels]
    if any(not colon for _name, colon, _value in pairs):
        raise Problem(422, "label: give NAME:VALUE", errors=[{"pointer": "/label", "detail": "give NAME:VALUE"}])
    return Filter(state=state, labels={name: value for name, _, value in pairs}, text=text, lane=lane)


async def paged(found: Any) -> Page[Any]:
    """Return a page; raises a 422 for a cursor that is none."""
    try:
        page: Page[Any] = await found
    except ValueError as exc:
        raise Problem(422, str(exc), errors=[{"pointer": "/cursor", "detail": "not one that was given"}]) from None
    return page


async def _lines(service: Service, id: str, page: Page[Result], ok: bool | None, follow: bool) -> AsyncIterator[bytes]:
    """Yield results, a line each; none is left out or comes twice, whatever happens meanwhile."""
    after = await service.store.last_event()
    while True:
        if page.rows:
            yield b"".join(json.dumps(result_json(each)).encode() + b"\n" for each in page.rows)
        if page.next is None or service.stopping:
            return
        if not page.rows:
            if not follow:
                return
            await service.store.news(after, _TURN)
        after = await service.store.last_event()
        try:
            page = await service.store.results(id, cursor=page.next, limit=200, ok=ok)
        except NoSuch:
            return  # it was deleted
        await asyncio.sleep(0)


def _media_type(result: Result) -> str:
    """Return the type that the server gave, if a header can have it."""
    assert result.body is not None
    given = result.body.media_type
    return given if given.isascii() and given.isprintable() and "/" in given else "application/octet-stream"
