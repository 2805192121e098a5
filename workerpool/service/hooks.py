"""The routes of webhooks: what was delivered, what is sent again, and the secret that receivers check by."""

from time import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from .access import Caller
from .acting import parsed, takes
from .reading import Cursor, Id, Limit, paged
from .schemas import DeliveriesOut, DeliveryOut, SecretsOut
from .service import accepts, as_admin, as_reader, as_submitter, the_service
from .submitted import Strict
from .webhooks.keyring import Keyring, Secret
from .webhooks.schedule import DELAYS, TRIES, WINDOW
from .wire import delivery_json, time_text

__all__ = ["router"]

router: APIRouter = APIRouter(tags=["webhooks"])
_JSON = "application/json"
_DAY = 86_400.0
_UNSEEN = {"Cache-Control": "no-store"}
DeliveryId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class RotateIn(Strict):
    """How long the secret that is replaced signs beside the new one."""

    overlap: Annotated[float, Field(ge=0, le=30 * _DAY)] = _DAY


@router.get("/v1/jobs/{id}/deliveries", responses={200: {"model": DeliveriesOut}}, summary="Read a job's webhooks")
async def list_deliveries(
    request: Request, id: Id, cursor: Cursor = None, limit: Limit = 100, _caller: Caller = as_reader
) -> Response:
    """Return each webhook's message of a job, with each try of it, and when a message is tried in general."""
    accepts(request, _JSON)
    page = await paged(the_service(request).store.deliveries(id, cursor=cursor, limit=limit))
    content = {
        "deliveries": [delivery_json(each) for each in page.rows],
        "next": page.next,
        "retry": {"tries": TRIES, "delays": list(DELAYS), "window": list(WINDOW)},
    }
    return JSONResponse(content)


@router.post("/v1/jobs/{id}/deliveries/{delivery}/replay", status_code=202, summary="Send a webhook again",
             responses={202: {"model": DeliveryOut, "description": "It is sent again"}})  # fmt: skip
async def replay(request: Request, id: Id, delivery: DeliveryId, _caller: Caller = as_submitter) -> Response:
    """Send a message again, by its original id and the present secret, and as often as a new one if need be."""
    accepts(request, _JSON)
    found = await the_service(request).store.replay_delivery(id, delivery, time())
    return JSONResponse(delivery_json(found), 202)


@router.get("/v1/webhooks/secret", responses={200: {"model": SecretsOut}}, summary="Read the webhooks' secret")
async def read_secret(request: Request, _caller: Caller = as_admin) -> Response:
    """Return the secret that webhooks are signed with, and those that sign beside it until they expire."""
    accepts(request, _JSON)
    return JSONResponse(_secrets_json(await Keyring(the_service(request).store).secrets()), headers=_UNSEEN)


@router.post("/v1/webhooks/secret/rotate", responses={200: {"model": SecretsOut}},
             openapi_extra=takes(RotateIn, required=False), summary="Replace the webhooks' secret")  # fmt: skip
async def rotate(request: Request, _caller: Caller = as_admin) -> Response:
    """Make a new secret; for `overlap` seconds each message has two signatures, one by the old secret."""
    accepts(request, _JSON)
    given = await parsed(request, RotateIn, optional=True)
    found = await Keyring(the_service(request).store).rotate(given.overlap)
    return JSONResponse(_secrets_json(found), headers=_UNSEEN)


def _secrets_json(found: tuple[Secret, ...]) -> dict[str, Any]:
    rows = [
        {"secret": each.secret, "created_at": time_text(each.created_at), "expires_at": time_text(each.expires_at)}
        for each in found
    ]
    return {**rows[0], "previous": rows[1:]}
