"""The routes for whoever operates the service: health, numbers, address rules."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from ..addresses import AddressVerdict
from .access import Caller
from .errors import Busy, StoreDown
from .policy import Explained, explained
from .problems import Problem
from .schemas import ExplainOut, StatsOut
from .service import Service, accepts, as_reader, the_service
from .submitted import check_url

__all__ = ["router"]

_UNKNOWN = AddressVerdict(False, "name does not resolve")

router: APIRouter = APIRouter(tags=["operation"])


@router.get("/healthz", response_class=PlainTextResponse, summary="Whether the process lives")
async def healthz() -> Response:
    """Answer, whatever else goes on."""
    return PlainTextResponse("ok\n")


@router.get("/readyz", response_class=PlainTextResponse, summary="Whether it can take work")
async def readyz(request: Request) -> Response:
    """Say whether work can be taken; else a 503 with the reason."""
    service = the_service(request)
    if service.stopping:
        raise Problem(503, "the service is stopping", headers={"Retry-After": "5"})
    try:
        async with asyncio.timeout(5):
            await service.store.check()
    except (StoreDown, Busy) as exc:
        raise Problem(503, str(exc), headers={"Retry-After": "5"}) from None
    except TimeoutError:
        raise Problem(503, f"{service.store.name} takes longer than 5 s", headers={"Retry-After": "5"}) from None
    return PlainTextResponse("ready\n")


@router.get("/v1/stats", responses={200: {"model": StatsOut}}, summary="The service in numbers")
async def stats(request: Request, _caller: Caller = as_reader) -> Response:
    """Return numbers of jobs by state, of requests and results, and the bytes that are used."""
    accepts(request, "application/json")
    return JSONResponse(await _numbers(the_service(request)))


@router.get("/metrics", response_class=PlainTextResponse, summary="The numbers for Prometheus")
async def metrics(request: Request, _caller: Caller = as_reader) -> Response:
    """Return metrics in Prometheus' format."""
    service = the_service(request)
    numbers, registry = await _numbers(service), CollectorRegistry()
    jobs = Gauge("workerpool_service_jobs", "Jobs, by state.", ("state",), registry=registry)
    for state, number in numbers["jobs"].items():
        jobs.labels(state).set(number)
    for name, text in (("queued", "Requests that wait."), ("running", "Requests that are under way."),
                       ("results", "Results that are kept."), ("bytes", "Bytes that the database uses.")):  # fmt: skip
        Gauge(f"workerpool_service_{name}", text, registry=registry).set(numbers[name])
    Gauge("workerpool_service_event_clients", "Who follow events.", registry=registry).set(service.event_clients)
    waiting = Gauge("workerpool_service_lane_queued", "Requests that wait, by lane.", ("lane",), registry=registry)
    running = Gauge("workerpool_service_lane_running", "Requests under way, by lane.", ("lane",), registry=registry)
    for name, lane in (await service.lanes()).items():
        waiting.labels(name).set(lane.queued)
        running.labels(name).set(lane.running)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/policy/explain", responses={200: {"model": ExplainOut}}, summary="What address rules say of a URL")
async def explain(
    request: Request, url: Annotated[str, Query(min_length=1, max_length=2048)], _caller: Caller = as_reader
) -> Response:
    """Say whether the address rules let a URL through, by which rule, and what it resolves to."""
    accepts(request, "application/json")
    try:
        found = await explained(check_url(url), the_service(request).settings.addresses)
    except ValueError as exc:
        found = Explained(False, "url", str(exc))
    return JSONResponse(
        {"url": url, "allowed": found.allowed, "rule": found.rule, "detail": found.text, "addresses": found.addresses}
    )


async def _numbers(service: Service) -> dict[str, Any]:
    found = await service.store.stats()
    return {
        "jobs": dict(found.jobs), "queued": found.queued, "running": found.running, "results": found.results,
        "bytes": found.bytes, "last_event": found.last_event,
    }  # fmt: skip
