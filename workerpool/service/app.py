"""The application: the routes together, behind the door, with problems for whatever goes wrong."""

import logging
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from .._version import __version__
from . import acting, docs_page, following, health, hooks, reading, submitting
from .document import DESCRIPTION, documented
from .guard import Guard
from .page.routes import add_page
from .problems import Problem, install, problem_response
from .service import Service

__all__ = ["make_app", "openapi"]

log: logging.Logger = logging.getLogger("workerpool.service")
_ROUTERS = (
    submitting.router, acting.router, reading.router, hooks.router, following.router, health.router, docs_page.router,
)  # fmt: skip
_TITLE = "workerpool's job service"


def make_app(service: Service) -> ASGIApp:
    """Make the application of a service."""
    app = _routed()
    app.state.service = service
    add_page(app, service)
    install(app)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return Guard(_Caught(app), hosts=lambda: service.hosts, limits=service.settings.limits)


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of a service, without one."""
    return _document(_routed())


def _routed() -> FastAPI:
    app = FastAPI(title=_TITLE, version=__version__, docs_url=None, redoc_url=None, openapi_url="/openapi.json",
                  redirect_slashes=False)  # fmt: skip
    for router in _ROUTERS:
        app.include_router(router)
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        plain = get_openapi(title=app.title, version=app.version, routes=app.routes, description=DESCRIPTION)
        app.openapi_schema = documented(plain, [route for router in _ROUTERS for route in router.routes])
    return app.openapi_schema


class _Caught:
    """Answer with a problem what nobody has foreseen, and log it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Any) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            return  # nobody waits for an answer
        except Exception:
            log.exception("%s %r has failed", scope.get("method"), scope.get("path"))
            if begun:
                raise
            await problem_response(Problem(500, "this is a fault of the service; its log tells more"))(
                scope, receive, send
            )
