"""Signing in with a token, signing out, the theme, and the files that browsers need."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ..problems import Problem
from ..service import the_service
from .door import PageRoute, redirect, safe_path, sent, set_cookie, theme_of, viewer_of
from .rendering import asset, cookie_name, html

__all__ = ["router"]

router: APIRouter = APIRouter(route_class=PageRoute, include_in_schema=False)
_LASTS = 12 * 3600  # seconds that a sign-in lasts
_YEAR = 365 * 86_400
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "LICENSE": "text/plain"}


@router.get("/sign-in")
async def sign_in_page(request: Request) -> Response:
    """Ask for a token."""
    if await viewer_of(request) is not None:
        return redirect(safe_path(request.query_params.get("next")))
    return await _asking(request, request.query_params.get("next"))


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Take a token, and give a cookie that stands for it."""
    form = await sent(request)
    caller = await the_service(request).access.of_secret(form.get("token", "").strip())
    if caller is None:
        return await _asking(request, form.get("next"), wrong=True)
    answer = redirect(safe_path(form.get("next")))
    session = await request.app.state.seals.signed_in(caller.id, _LASTS)
    set_cookie(request, answer, "session", session, _LASTS)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Take the cookie back."""
    await sent(request)
    answer = redirect("/sign-in")
    set_cookie(request, answer, "session", "", 0)
    return answer


@router.post("/theme")
async def set_theme(request: Request) -> Response:
    """Keep which theme was chosen."""
    form = await sent(request)
    answer = redirect(safe_path(form.get("next")))
    set_cookie(request, answer, "theme", form.get("theme", "auto"), _YEAR)
    return answer


@router.get("/assets/{version}/{name}")
async def asset_file(version: str, name: str) -> Response:
    """Return a file that is the same for everybody."""
    try:
        content = asset(name)
    except KeyError:
        raise Problem(404, "there is no such file") from None
    headers = {"Cache-Control": f"public, max-age={_YEAR}, immutable"}
    return Response(content, media_type=_KINDS[name.rpartition(".")[2]], headers=headers)


async def _asking(request: Request, after: str | None, *, wrong: bool = False) -> Response:
    session = request.cookies.get(cookie_name(request, "session"), "")
    return html(
        request, "sign_in.html", status=401 if wrong else 200, wrong=wrong, after=safe_path(after),
        form_key=await request.app.state.seals.form_key(session), theme=theme_of(request),
    )  # fmt: skip
