"""The routes of events: what was missed is replayed, then what comes follows. Each event is a stored row."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from .access import Caller
from .errors import NoSuch, ServiceError
from .problems import Problem
from .reading import Id
from .records import FINAL, Event
from .service import Service, accepts, as_reader, the_service
from .wire import event_json

__all__ = ["router"]

router: APIRouter = APIRouter(tags=["events"])
_STREAM = "text/event-stream"
_BEAT = 15.0  # seconds between comments, which keep the line open
_AT_ONCE = 500
LastEvent = Annotated[str | None, Query(max_length=100, description="As Last-Event-ID, which browsers cannot set")]
_DOCUMENTED: dict[int | str, dict[str, Any]] = {200: {"content": {_STREAM: {"schema": {"type": "string"}}}}}


@router.get("/v1/events", response_class=StreamingResponse, responses=_DOCUMENTED, summary="Follow all events")
async def all_events(request: Request, last_event_id: LastEvent = None, _caller: Caller = as_reader) -> Response:
    """Stream events of all jobs, from now on or behind Last-Event-ID."""
    return await _stream(request, None, last_event_id)


@router.get(
    "/v1/jobs/{id}/events", response_class=StreamingResponse, responses=_DOCUMENTED, summary="Follow a job's events"
)
async def job_events(
    request: Request, id: Id, last_event_id: LastEvent = None, _caller: Caller = as_reader
) -> Response:
    """Stream a job's events, from its first one or behind Last-Event-ID, until it is done."""
    await the_service(request).store.job(id)
    return await _stream(request, id, last_event_id)


async def _stream(request: Request, job: str | None, last_event_id: str | None) -> Response:
    service = the_service(request)
    accepts(request, _STREAM)
    if service.event_clients >= service.settings.limits.event_clients:
        raise Problem(503, "too many clients follow events", headers={"Retry-After": "10"})
    given = request.headers.get("Last-Event-ID", last_event_id)
    if given is not None and not (given.isascii() and given.isdecimal() and len(given) <= 18):
        raise Problem(422, "Last-Event-ID: not one that was given")
    start = int(given) if given is not None else (0 if job is not None else await service.store.last_event())
    events = _events(service, start, job)
    return StreamingResponse(
        events, media_type=_STREAM, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


async def _events(service: Service, after: int, job: str | None) -> AsyncIterator[bytes]:
    service.event_clients += 1
    try:
        yield b": workerpool\nretry: 1000\n\n"
        while not service.stopping:
            latest = await service.store.last_event()
            found = await service.store.events(after, limit=_AT_ONCE, job=job)
            if found:
                after = found[-1].id
                yield b"".join(map(_written, found))
                if job is not None and found[-1].kind == "done" and await _is_final(service, job):
                    return
            elif job is not None and await _is_final(service, job):
                # What has made it final may have been written since the events were read.
                if not await service.store.events(after, limit=1, job=job):
                    return
            elif await service.store.news(latest, _BEAT) <= latest:
                yield b": still here\n\n"
    except NoSuch:
        return  # the job was deleted
    except ServiceError:
        return  # whoever follows comes again, and goes on behind what came
    finally:
        service.event_clients -= 1


async def _is_final(service: Service, job: str) -> bool:
    return (await service.store.job(job)).state in FINAL


def _written(event: Event) -> bytes:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event_json(event))}\n\n".encode()
