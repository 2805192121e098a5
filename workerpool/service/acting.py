"""The routes that act on jobs and lanes."""

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError

from .access import Caller
from .bodies import check_json, media_of, read_body
from .problems import Problem, errors_of
from .reading import Id, filter_of
from .records import LaneSettings, State
from .schemas import BulkOut, JobOut, LaneOut, LanesOut
from .service import accepts, as_admin, as_reader, as_submitter, the_service
from .submitted import BulkIn, LaneIn, RetryIn
from .wire import job_json, lane_json

__all__ = ["parsed", "router", "takes"]

router: APIRouter = APIRouter(tags=["jobs"])
_JSON = "application/json"
_MOST = 64 * 2**10
Model = TypeVar("Model", bound=BaseModel)
Lane = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


def takes(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return the part of the document that tells of a body."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"requestBody": {"required": required, "content": {_JSON: {"schema": schema}}}}


@router.post("/v1/jobs/actions", responses={200: {"model": BulkOut}}, openapi_extra=takes(BulkIn),
             summary="Act on all jobs that match")  # fmt: skip
async def act(request: Request, _caller: Caller = as_admin) -> Response:
    """Say how many jobs an action is about; with `dry_run: false` do it."""
    service = the_service(request)
    accepts(request, _JSON)
    given = await parsed(request, BulkIn)
    asked = given.filter
    labels = [f"{name}:{value}" for name, value in asked.labels.items()]
    labels += [] if asked.label is None else [asked.label]
    which = filter_of(None if asked.state is None else State(asked.state), labels, asked.q, asked.lane)
    found = await service.store.act(given.action, which, dry_run=given.dry_run)
    return JSONResponse(
        {"action": given.action, "dry_run": given.dry_run, "matched": found.matched, "changed": found.changed}
    )


@router.post("/v1/jobs/{id}/cancel", responses={200: {"model": JobOut}}, summary="Cancel a job")
async def cancel(request: Request, id: Id, _caller: Caller = as_submitter) -> Response:
    """End a job; what runs is aborted."""
    service = the_service(request)
    accepts(request, _JSON)
    return JSONResponse(job_json(await service.store.cancel(id), await service.lanes()))


@router.post("/v1/jobs/{id}/retry", responses={200: {"model": JobOut}}, openapi_extra=takes(RetryIn, required=False),
             summary="Do a job again")  # fmt: skip
async def retry(request: Request, id: Id, _caller: Caller = as_submitter) -> Response:
    """Begin a job's next run: of what failed, or of all."""
    service = the_service(request)
    accepts(request, _JSON)
    given = await parsed(request, RetryIn, optional=True)
    found = await service.store.retry(id, everything=given.only == "all")
    return JSONResponse(job_json(found, await service.lanes()))


@router.delete("/v1/jobs/{id}", status_code=204, responses={204: {"description": "It is gone"}}, summary="Delete a job")
async def delete(request: Request, id: Id, _caller: Caller = as_admin) -> Response:
    """Remove a job that is done, with all that is of it."""
    await the_service(request).store.delete(id)
    return Response(status_code=204)


@router.get("/v1/lanes", responses={200: {"model": LanesOut}}, tags=["lanes"], summary="List lanes")
async def list_lanes(request: Request, _caller: Caller = as_reader) -> Response:
    """Return every lane, with how much waits and runs in it."""
    accepts(request, _JSON)
    return JSONResponse({"lanes": [lane_json(each) for each in await the_service(request).store.lanes()]})


@router.put("/v1/lanes/{name}", responses={200: {"model": LaneOut}}, openapi_extra=takes(LaneIn), tags=["lanes"],
            summary="Set a lane")  # fmt: skip
async def put_lane(request: Request, name: Lane, _caller: Caller = as_admin) -> Response:
    """Set a lane, which is made if it isn't there; what is left out stays as it is."""
    service = the_service(request)
    accepts(request, _JSON)
    given = await parsed(request, LaneIn)
    lanes = {each.settings.name: each.settings for each in await service.store.lanes()}
    if name not in lanes and len(lanes) >= service.settings.limits.lanes:
        raise Problem(409, f"there are {len(lanes)} lanes already; use one of them")
    before = lanes.get(name, LaneSettings(name=name))
    fields = {field: getattr(given if field in given.model_fields_set else before, field) for field in _FIELDS}
    return JSONResponse(lane_json(await service.store.put_lane(LaneSettings(name=name, **fields))))


async def parsed(request: Request, model: type[Model], *, optional: bool = False) -> Model:
    """Return a body as a model; raises a Problem for what is none."""
    content = await read_body(request, _MOST)
    if not content and optional:
        return model()
    media_of(request, _JSON)
    check_json(content)
    try:
        return model.model_validate_json(content)
    except ValidationError as exc:
        if exc.errors()[0]["type"] == "json_invalid":
            raise Problem(400, f"the body is no JSON: {exc.errors()[0]['msg']}") from None
        errors = errors_of(exc)
        raise Problem(422, f"{errors[0]['pointer'] or 'the body'}: {errors[0]['detail']}", errors=errors) from None


_FIELDS = tuple(LaneIn.model_fields)
