"""Lanes: what waits and runs in them, their limits, a pause."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import ValidationError

from ..problems import Problem, errors_of
from ..records import LaneSettings, LaneState
from ..service import Service, the_service
from ..submitted import LaneIn
from .door import AsAdmin, AsReader, Form, PageRoute, redirect, safe_path, sent
from .rendering import Viewer, html

__all__ = ["router"]

router: APIRouter = APIRouter(route_class=PageRoute, include_in_schema=False)
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_LIMITS = {"connections": int, "per_host": int, "rate": float, "per_host_rate": float}
_FREE = ("rate", "per_host_rate")  # where nothing given is no limit


@router.get("/lanes")
async def lanes(request: Request, viewer: Viewer = AsReader) -> Response:
    """Show all lanes."""
    return html(request, "lanes.html", lanes=await the_service(request).store.lanes())


@router.get("/lanes/{name}")
async def lane(request: Request, name: Name, viewer: Viewer = AsReader) -> Response:
    """Show a lane, and its limits as a form."""
    found = await _lane(the_service(request), name)
    return html(request, "lane.html", lane=found, given=_given(found.settings), errors={})


@router.post("/lanes/{name}")
async def set_limits(request: Request, name: Name, viewer: Viewer = AsAdmin) -> Response:
    """Set a lane's limits."""
    form, service = await sent(request), the_service(request)
    found = await _lane(service, name)
    values, errors = _read(form)
    if errors:
        given = {field: form.get(field, "") for field in _LIMITS}
        return html(request, "lane.html", status=422, lane=found, given=given, errors=errors)
    await service.store.put_lane(replace(found.settings, **values))
    return redirect("/lanes", request, f"Lane {name} has its new limits.")


@router.post("/lanes/{name}/{action}")
async def pause(request: Request, name: Name, action: str, viewer: Viewer = AsAdmin) -> Response:
    """Begin nothing new in a lane, or go on."""
    form, service = await sent(request), the_service(request)
    if action not in ("pause", "resume"):
        raise Problem(404, "there is no such page")
    found = await _lane(service, name)
    await service.store.put_lane(replace(found.settings, paused=action == "pause"))
    said = f"Lane {name} is paused: nothing new begins in it." if action == "pause" else f"Lane {name} goes on."
    return redirect(safe_path(form.get("next", "/lanes")), request, said)


async def _lane(service: Service, name: str) -> LaneState:
    for each in await service.store.lanes():
        if each.settings.name == name:
            return each
    raise Problem(404, f"there is no lane {name}")


def _given(settings: LaneSettings) -> dict[str, str]:
    values = {field: getattr(settings, field) for field in _LIMITS}
    return {field: "" if value is None else f"{value:g}" for field, value in values.items()}


def _read(form: Form) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the limits of a form, and what is wrong with which field."""
    values, errors = dict[str, Any](), dict[str, str]()
    for field, kind in _LIMITS.items():
        text = form.get(field, "").strip()
        if not text and field in _FREE:
            values[field] = None
            continue
        try:
            values[field] = kind(text)
        except ValueError:
            errors[field] = "a whole number" if kind is int else "a number, or nothing"
    try:
        LaneIn.model_validate(values)
    except ValidationError as exc:
        errors |= {each["pointer"].strip("/"): each["detail"] for each in errors_of(exc)}
    return values, errors
