"""Templates, and the answers made of them: everything is escaped, nothing is kept, nothing else may run."""

import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from ...assets import asset_text
from ..access import Caller
from ..problems import Problem
from ..records import FINAL, Role, State
from . import pictures, words

__all__ = ["Viewer", "asset", "cookie_name", "error_page", "html"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# With no-referrer browsers send `Origin: null` with a form, and the service would refuse its own ones.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Vary": "Cookie",
}
_SHARED = frozenset({"uPlot.iife.min.js", "uPlot.min.css"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at the page, and how it is shown."""

    caller: Caller
    form_key: str
    theme: str
    signed_in: bool

    @property
    def role(self) -> Role:
        """What they may do."""
        return self.caller.role

    def may(self, role: str) -> bool:
        """Whether they may do what needs this role."""
        return self.caller.role.includes(Role(role))


def html(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """Return a page."""
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    said = request.cookies.get(cookie_name(request, "said"))
    values |= {"viewer": viewer, "here": path, "path": request.url.path, "said": unquote(said or "")}
    answer = HTMLResponse(_environment().get_template(template).render(values), status, headers=_HEADERS)
    if said is not None:
        answer.delete_cookie(cookie_name(request, "said"))
    return answer


def cookie_name(request: Request, name: str) -> str:
    """Return a cookie's name: browsers mix those of all ports of a host."""
    server = request.scope.get("server") or ("", 0)
    return f"workerpool-{name}-{server[1]}"


def error_page(request: Request, found: Problem) -> Response:
    """Return a page that says what is wrong."""
    title = HTTPStatus(found.status).phrase
    answer = html(request, "error.html", status=found.status, title=title, detail=found.detail, errors=found.errors)
    answer.headers.update(found.headers)
    return answer


@cache
def asset(name: str) -> bytes:
    """Return a file that the page's browsers get; raises KeyError for one that is none."""
    if name in _SHARED:
        return asset_text(name).encode()
    if name not in _own_assets():
        raise KeyError(name)
    return (files(__package__) / "assets" / name).read_bytes()


@cache
def _own_assets() -> frozenset[str]:
    return frozenset(each.name for each in (files(__package__) / "assets").iterdir())


@cache
def _asset_path(name: str) -> str:
    """Return where a file is asked for; it changes with the file, so that browsers may keep it."""
    return f"/assets/{hashlib.sha256(asset(name)).hexdigest()[:12]}/{name}"


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True, loader=PackageLoader(__package__), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, extensions=[],
    )  # fmt: skip
    environment.filters.update(words.FILTERS)
    environment.globals.update(
        asset=_asset_path, final=FINAL, states=[each.value for each in State], progress=pictures.progress,
        sendings=pictures.sendings, share=pictures.share,
    )  # fmt: skip
    # Whatever is printed is shown whole: what can't be seen, or would turn the direction of writing, is written out.
    environment.finalize = words.shown
    return environment
