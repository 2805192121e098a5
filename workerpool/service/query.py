"""Query parameters: those that a call has, each once. A misspelt filter would do nothing, and list everything."""

from fastapi import Request
from fastapi.routing import APIRoute

from .problems import Problem

__all__ = ["check_query"]

_OFTEN = frozenset({"label"})  # what may be given several times


def check_query(request: Request) -> None:
    """Raise a 422 for a query parameter that the call does not have by the document, or that is given twice."""
    query, route = request.query_params, request.scope.get("route")
    if not query or not isinstance(route, APIRoute):
        return
    call = request.app.openapi()["paths"][route.path][request.method.lower()]
    known = {each["name"] for each in call.get("parameters", ()) if each["in"] == "query"}
    wrong = {name: "no such parameter" for name in query if name not in known}
    wrong |= {name: "given twice" for name in known - _OFTEN if len(query.getlist(name)) > 1}
    if wrong:
        raise Problem(422, ", ".join(f"{name}: {why}" for name, why in wrong.items())[:1000], errors=[
            {"pointer": f"/{name}", "detail": why} for name, why in wrong.items()
        ])  # fmt: skip
