"""Signing in and out, the colours, static files, and the live indicator."""

from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from console import templating
from console.assets import assets
from console.desk import FLASH, THEME, THEMES, Desk, came_from, read_flash, read_form, redirect, shell
from domain.approvals import PEOPLE
from domain.errors import BadInput, NotSignedIn, TooManyAttempts
from front.access import passkeys_work
from front.auth import COOKIE, browser_of, clear_cookie, set_cookie
from front.visits import note_visit
from store import identity
from store.identity import SignedIn

_EVERYBODY = PEOPLE
_YEAR = 365 * 24 * 3600


class Door:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/static/{version}/{name:path}", self.static, methods=["GET"], response_model=None)
        router.add_api_route("/sign-in", self.show, methods=["GET"], response_model=None)
        router.add_api_route("/sign-in", self.enter, methods=["POST"], response_model=None)
        router.add_api_route("/sign-out", self.leave, methods=["POST"], response_model=None)
        router.add_api_route("/theme", self.theme, methods=["POST"], response_model=None)
        router.add_api_route("/live", self.live, methods=["GET"], response_model=None)

    async def static(self, request: Request) -> Response:
        return assets.response(request.path_params["version"], request.path_params["name"])

    async def show(self, request: Request) -> HTMLResponse:
        return form_page(self._desk, request, next_page=request.query_params.get("next", "/"))

    async def enter(self, request: Request) -> Response:
        form = await read_form(request)
        deps = self._desk.deps
        try:
            signed_in = await identity.sign_in(
                deps.db,
                login=form.needed("login", longest=200),
                password=form.secret("password"),
                browser=browser_of(request),
                terms=deps.sign_ins,
            )
        except (BadInput, NotSignedIn, TooManyAttempts) as problem:
            words = f"{problem.message} {problem.remedy or ''}".strip()
            return form_page(
                self._desk,
                request,
                form.text("next", "/"),
                problem=words,
                login=form.text("login"),
                status=problem.status,
            )
        response = entered(signed_in, form.text("next", "/"))
        set_cookie(response, deps, signed_in)
        await note_visit(request, response, deps, signed_in, source="console")
        return response

    async def leave(self, request: Request) -> Response:
        await self._desk.posted(request)
        async with self._desk.deps.db.transaction() as session:
            await identity.sign_out(session, request.cookies[COOKIE])
        response = redirect("/sign-in")
        clear_cookie(response, self._desk.deps)
        return response

    async def theme(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        chosen = posted.form.text("theme")
        response = redirect(posted.form.text("back", "/"))
        if chosen in THEMES:
            response.set_cookie(THEME, chosen, max_age=_YEAR, samesite="lax", secure=self._desk.deps.cookie_secure)
        return response

    async def live(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, _EVERYBODY) as visit:
            return await visit.fragment("desk.html", "live")


def entered(signed_in: SignedIn, next_page: str) -> Response:
    """Where a person goes who has signed in: to the page, or first to the second factor."""
    if signed_in.second_factor_due:
        return redirect(f"/sign-in/second-factor?{urlencode({'next': next_page})}")
    return redirect(next_page)


@dataclass(frozen=True)
class Ways:
    """Ways to sign in beside login and password. `provider`: its name; empty: none."""

    passkeys: bool
    provider: str


def form_page(
    desk: Desk, request: Request, next_page: str, *, problem: str = "", login: str = "", status: int = 200
) -> HTMLResponse:
    """The sign-in page."""
    access, flash = desk.deps.access, read_flash(request)
    ways = Ways(passkeys_work(access, desk.deps.public_url), access.provider.label if access.provider else "")
    context = {"next": next_page, "problem": problem, "login": login, "flash": flash, "ways": ways, **shell(request)}
    response = HTMLResponse(templating.page("sign_in.html", context), status, headers=templating.HEADERS)
    if flash is not None:
        response.delete_cookie(FLASH)
    return response


def to_sign_in(request: Request) -> Response:
    """Where a browser without a session is sent. It comes back to the page that it asked for, or sent a form from."""
    return redirect(sign_in_address(shell(request)["path"] if request.method == "GET" else came_from(request)))


def sign_in_address(back: str) -> str:
    return "/sign-in" + ("" if back == "/" else f"?{urlencode({'next': back})}")
