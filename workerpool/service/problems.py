"""Errors as the wire has them: RFC 9457 problem details, for whatever goes wrong and wherever."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from .errors import Busy, Conflict, Fingerprint, NoSuch, ServiceError, StoreDown
from .submitted import KINDS

__all__ = ["MEDIA_TYPE", "Problem", "errors_of", "install", "problem_of", "problem_response"]

MEDIA_TYPE = "application/problem+json"
_STATUSES: dict[type[Exception], int] = {NoSuch: 404, Conflict: 409, Fingerprint: 422, Busy: 503, StoreDown: 503}


class Problem(Exception):
    """An answer that says what is wrong; `errors` tell which fields, by JSON pointers."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status: int = status
        self.detail: str = detail
        self.errors: Sequence[Mapping[str, Any]] = errors
        self.headers: dict[str, str] = dict(headers or {})


def problem_response(found: Problem) -> Response:
    """Return a problem as an answer."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(found.status).phrase,
        "status": found.status,
        "detail": found.detail,
    }
    if found.errors:
        content["errors"] = list(found.errors)
    return JSONResponse(content, found.status, headers=found.headers, media_type=MEDIA_TYPE)


def errors_of(exc: ValidationError | RequestValidationError, *, skip: int = 0) -> list[dict[str, Any]]:
    """Return what is wrong with which fields, at most 100 of them; `skip` leaves out the first parts of each place."""
    return [{"pointer": _pointer(each["loc"][skip:]), "detail": each["msg"]} for each in list(exc.errors())[:100]]


def install(app: FastAPI) -> None:
    """Have the application answer with problems only."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _other)
    for kind in _STATUSES:
        app.add_exception_handler(kind, _other)


async def _problem(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Problem)
    return problem_response(exc)


async def _http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    if exc.status_code == 405:
        allowed = ", ".join(sorted(_methods(request)))
        return problem_response(Problem(405, f"there is {allowed}", headers={"Allow": allowed}))
    known = exc.status_code if exc.status_code in HTTPStatus.__members__.values() else 500
    return problem_response(Problem(known, str(exc.detail), headers=exc.headers))


async def _other(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError | ServiceError)
    return problem_response(problem_of(exc))


def problem_of(exc: Problem | RequestValidationError | ServiceError) -> Problem:
    """Return what is said of an error."""
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, RequestValidationError):
        return _invalid(exc)
    status = next(status for kind, status in _STATUSES.items() if isinstance(exc, kind))
    headers = {}
    if isinstance(exc, Busy | StoreDown):
        headers["Retry-After"] = str(max(1, round(exc.retry_after)))
    return Problem(status, str(exc), headers=headers)


def _invalid(exc: RequestValidationError) -> Problem:
    if any(each["type"] == "json_invalid" for each in exc.errors()):
        return Problem(400, "the body is no JSON")
    found = errors_of(exc, skip=1)
    return Problem(422, f"{found[0]['pointer'] or 'the request'}: {found[0]['detail']}", errors=found)


def _methods(request: Request) -> set[str]:
    """Return the methods that there are for a path: each route by itself knows its own only."""
    return {
        method.upper()
        for template, methods in request.app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), request.url.path)
        for method in methods
    }


def _pointer(parts: Sequence[int | str]) -> str:
    named = (str(each) for each in parts if each not in KINDS)
    return "".join(f"/{each.replace('~', '~0').replace('/', '~1')}" for each in named)
