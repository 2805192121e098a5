"""The page's door: who looks at it, what a form has to bring, and answers for whatever goes wrong."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.datastructures import ImmutableMultiDict

from ..access import Caller
from ..bodies import read_body
from ..errors import ServiceError
from ..problems import Problem, problem_of
from ..records import Role
from ..service import the_service
from .rendering import Viewer, cookie_name, error_page
from .seals import Seals

__all__ = ["AsAdmin", "AsReader", "AsSubmitter", "Form", "PageRoute", "redirect", "safe_path", "sent", "set_cookie",
           "theme_of", "viewer_of"]  # fmt: skip

Form = ImmutableMultiDict[str, str]
_THEMES = ("auto", "light", "dark")
_FORM = "application/x-www-form-urlencoded"
_FIELDS = 300
_LONG = 32 * 2**10  # bytes; others need not wait while such a one is read
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,2000}")


class SignIn(Exception):
    """Whoever asks has to sign in first."""


class PageRoute(APIRoute):
    """A route whose problems are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what serves a call."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except SignIn:
                return _to_sign_in(request)
            except (Problem, RequestValidationError, ServiceError) as exc:
                return error_page(request, problem_of(exc))

        return handler


@dataclass(frozen=True, slots=True)
class _Needs:
    role: Role

    async def __call__(self, request: Request) -> Viewer:
        viewer = await viewer_of(request)
        if viewer is None:
            raise SignIn
        if not viewer.may(self.role):
            raise Problem(403, f"this needs the role {self.role.value}; you have {viewer.role.value}")
        request.state.viewer = viewer
        return viewer


AsReader: Any = Depends(_Needs(Role.READ))
AsSubmitter: Any = Depends(_Needs(Role.SUBMIT))
AsAdmin: Any = Depends(_Needs(Role.ADMIN))


async def viewer_of(request: Request) -> Viewer | None:
    """Return who looks at the page; None for somebody who has to sign in."""
    access, seals = the_service(request).access, _seals(request)
    if await access.is_open():
        return Viewer(Caller("", Role.ADMIN), await seals.form_key(""), theme_of(request), signed_in=False)
    session = request.cookies.get(cookie_name(request, "session"), "")
    id = await seals.who(session)
    caller = None if id is None else await access.of_id(id)
    if caller is None:
        return None
    return Viewer(caller, await seals.form_key(session), theme_of(request), signed_in=True)


async def sent(request: Request, *, most: int = 64 * 2**10) -> Form:
    """Return a form that a page of this session has sent; raises a 403 for any other."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if site != "same-origin" or kind != _FORM:
        raise Problem(403, "only forms of this page are taken")
    content = await read_body(request, most)
    form = _form_of(content) if len(content) < _LONG else await asyncio.to_thread(_form_of, content)
    session = request.cookies.get(cookie_name(request, "session"), "")
    if await the_service(request).access.is_open():
        session = ""
    if not await _seals(request).is_form_key(form.get("form_key", ""), session):
        raise Problem(403, "the form is not of this page, or too old; go back, load it again and send it once more")
    return form


def _form_of(content: bytes) -> Form:
    try:
        text = content.decode("ascii")
        return Form(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS))
    except ValueError:
        raise Problem(400, "that is no form") from None


def theme_of(request: Request) -> str:
    """Return the theme that was chosen."""
    given = request.cookies.get(cookie_name(request, "theme"), "auto")
    return given if given in _THEMES else "auto"


def safe_path(text: str | None) -> str:
    """Return a path of this page, whatever was given."""
    return text if text is not None and _PATH.fullmatch(text) else "/"


def redirect(path: str, request: Request | None = None, said: str = "") -> Response:
    """Have the browser GET another page, which says what was done."""
    answer = RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})
    if request is not None:
        set_cookie(request, answer, "said", quote(said), 60)
    return answer


def set_cookie(request: Request, answer: Response, name: str, value: str, lasts: int) -> None:
    """Set a cookie that no script reads and no other site has sent."""
    answer.set_cookie(
        cookie_name(request, name), value, max_age=lasts, path="/", httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip


def _to_sign_in(request: Request) -> Response:
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in", "Cache-Control": "no-store"})
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return redirect("/sign-in" if request.method != "GET" else f"/sign-in?next={quote(path, safe='/')}")


def _seals(request: Request) -> Seals:
    found: Seals = request.app.state.seals
    return found
