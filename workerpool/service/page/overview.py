"""The overview: what goes on now, the lanes, the newest jobs."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from ..records import Filter, State
from ..service import the_service
from ..waits import waiting_for
from .door import AsReader, PageRoute
from .pulse import Pulse
from .rendering import Viewer, html

__all__ = ["router"]

router: APIRouter = APIRouter(route_class=PageRoute, include_in_schema=False)
_NEWEST = 8
_RECENT = 15  # steps of the pulse that the numbers are about


@router.get("/")
async def overview(request: Request, viewer: Viewer = AsReader) -> Response:
    """Show it."""
    service = the_service(request)
    lanes = await service.store.lanes()
    newest = await service.store.jobs(Filter(), cursor=None, limit=_NEWEST)
    by_name = {each.settings.name: each for each in lanes}
    return html(
        request, "overview.html", stats=await service.store.stats(), lanes=lanes, pulse=_recent(await _look(request)),
        jobs=[(job, waiting_for(job, by_name)) for job in newest.rows], open_states=[State.QUEUED, State.RUNNING],
    )  # fmt: skip


@router.get("/live.json")
async def live(request: Request, viewer: Viewer = AsReader) -> Response:
    """Return the last minutes as numbers, for the curves."""
    return JSONResponse(await _look(request), headers={"Cache-Control": "no-store"})


async def _look(request: Request) -> dict[str, Any]:
    pulse: Pulse = request.app.state.pulse
    return await pulse.look()


def _recent(found: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of the last half minute."""
    half = [each for each in found["half"][-_RECENT:] if each is not None]
    most = [each for each in found["most"][-_RECENT:] if each is not None]
    return {
        "rate": sum(found["succeeded"][-_RECENT:] + found["failed"][-_RECENT:]) / _RECENT,
        "failed": sum(found["failed"][-_RECENT:]) / _RECENT,
        "half": sorted(half)[len(half) // 2] if half else None,
        "most": max(most, default=None),
    }
