"""The OpenAPI document: whole, so that a program may be made from it: problems, headers, roles, examples."""

from collections.abc import Iterable
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel

from .problems import MEDIA_TYPE
from .service import Needs
from .submitted import BulkIn, JobIn, RequestIn

__all__ = ["DESCRIPTION", "documented"]

DESCRIPTION = (
    "Jobs of HTTP requests over HTTP: submitted, kept on disk, fetched politely, read. Each error is a problem of RFC"
    " 9457. Times are of RFC 3339 in UTC, durations seconds, sizes bytes. Roles: read < submit < admin; without tokens"
    " configured everybody is admin, and the service is reached from its own machine only."
)
_PROBLEMS = {
    400: "Malformed", 401: "No token, or a wrong one", 403: "Role, Host, Origin or address rule", 404: "Not there",
    405: "Another method", 406: "Another media type is asked for", 408: "The body came too slowly",
    409: "The state forbids it", 413: "Too large", 415: "Another media type, charset or coding was sent",
    422: "A field is wrong", 429: "Too much; see Retry-After", 431: "Headers too large",
    503: "Not now; see Retry-After",
}  # fmt: skip
_HEADERS = {
    "401": {"WWW-Authenticate": "How to give a token"},
    "405": {"Allow": "The methods that there are"},
    "415": {"Accept-Post": "The media types that are taken", "Accept-Encoding": "The codings that are taken"},
    "429": {"Retry-After": "Seconds"},
    "503": {"Retry-After": "Seconds"},
}
_OF_CALLS = {
    ("/v1/jobs", "post", "202"): {"Location": "Where the job is"},
    ("/v1/jobs", "post", "200"): {"Location": "Where the job is", "Idempotent-Replayed": "true"},
    ("/v1/jobs/{id}/results/{n}/body", "get", "200"): {
        "Content-Disposition": "attachment", "Content-Security-Policy": "sandbox", "ETag": "The body's SHA-256",
        "X-Content-Type-Options": "nosniff",
    },
    ("/v1/webhooks/secret", "get", "200"): {"Cache-Control": "no-store"},
    ("/v1/webhooks/secret/rotate", "post", "200"): {"Cache-Control": "no-store"},
}  # fmt: skip
_ALWAYS = ("WWW-Authenticate", "Allow", "Location", "Content-Disposition", "Cache-Control", "ETag")
_ERROR = {
    "type": "object",
    "properties": {
        "pointer": {"type": "string", "description": "The field, as a JSON pointer"},
        "detail": {"type": "string"},
        "line": {"type": "integer", "description": "The line, of NDJSON"},
    },
    "required": ["detail"],
}
_PROBLEM = {
    "type": "object",
    "description": "What is wrong, by RFC 9457",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": _ERROR, "description": "The fields that are at fault"},
    },
    "example": {
        "type": "about:blank", "title": "Unprocessable Entity", "status": 422, "detail": "/priority: no integer",
        "errors": [{"pointer": "/priority", "detail": "no integer"}],
    },
}  # fmt: skip


def documented(document: dict[str, Any], routes: Iterable[Any]) -> dict[str, Any]:
    """Return an OpenAPI document in which each call has its role, its headers and its problems."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    for model in (JobIn, RequestIn, BulkIn):
        found = _schema(model)
        schemas.update(found.pop("$defs", {}))
        schemas[model.__name__] = found
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's, which nothing answers with
        schemas.pop(name, None)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "description": "A token"}}
    roles = _roles(routes)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _secure(operation, roles.get((path, method)))
            _add_problems(operation)
            for status, response in operation["responses"].items():
                if response["description"] == "Successful Response":  # FastAPI's word, which says nothing
                    response["description"] = "Done"
                _add_headers(response, _HEADERS.get(status, {}) | _OF_CALLS.get((path, method, status), {}))
    return document


def _roles(routes: Iterable[Any]) -> dict[tuple[str, str], str]:
    """Return the role that each path and method needs."""
    return {
        (route.path, method.lower()): needed.call.role.value
        for route in routes if isinstance(route, APIRoute)
        for needed in route.dependant.dependencies if isinstance(needed.call, Needs)
        for method in route.methods or ()
    }  # fmt: skip


def _secure(operation: dict[str, Any], role: str | None) -> None:
    operation["security"] = [] if role is None else [{"token": [role]}, {}]
    if role is not None:
        operation["description"] = f"{operation.get('description', '')} Needs the role {role}.".strip()


def _add_problems(operation: dict[str, Any]) -> None:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status in _PROBLEMS:
        if str(status) not in operation["responses"] or status == 422:
            operation["responses"][str(status)] = {"description": _PROBLEMS[status], "content": content}


def _add_headers(response: dict[str, Any], headers: dict[str, str]) -> None:
    for name, text in headers.items():
        schema = {"type": "integer"} if name == "Retry-After" else {"type": "string"}
        header = {"description": text, "schema": schema, "required": name in _ALWAYS}
        response.setdefault("headers", {})[name] = header


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(ref_template="#/components/schemas/{model}")
