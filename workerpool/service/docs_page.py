"""The page at /docs: every call, of the same document that programs read; no script, nothing from elsewhere."""

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

__all__ = ["router"]

router: APIRouter = APIRouter()
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title></head>
<body><main><h1>{title}</h1><p>The whole of it, for programs: <a href="/openapi.json">openapi.json</a></p>
{calls}</main></body></html>
"""


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """Return the page."""
    document = request.app.openapi()
    calls = "\n".join(
        _call(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    return HTMLResponse(_PAGE.format(title=escape(document["info"]["title"]), calls=calls))


def _call(method: str, path: str, operation: dict[str, object]) -> str:
    parameters = operation.get("parameters", [])
    assert isinstance(parameters, list)
    rows = "".join(f"<li><code>{escape(each['name'])}</code> ({escape(each['in'])})</li>" for each in parameters)
    return (
        f"<section><h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
        f"<p>{escape(str(operation.get('summary', '')))}. {escape(str(operation.get('description', '')))}</p>"
        f"<ul>{rows}</ul></section>"
    )
