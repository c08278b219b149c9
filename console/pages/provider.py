"""Signing in with the firm's identity provider, and linking a login to it."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from console.desk import Desk
from console.pages.door import entered, form_page
from domain.errors import Conflict, Unavailable
from domain.sign_in_errors import SignInRefused
from front import browsers, provider
from front.auth import browser_of, set_cookie
from front.visits import note_completed


class ProviderPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/sign-in/provider", self.go, methods=["GET"], response_model=None)
        router.add_api_route(provider.RETURN, self.come_back, methods=["GET"], response_model=None)
        path = "/sign-in/provider/invitation/{token}"
        router.add_api_route(path, self.invited, methods=["GET"], response_model=None)

    async def go(self, request: Request) -> Response:
        token = browsers.token_of(request)
        next_page = request.query_params.get("next", "/")
        try:
            address = await provider.go(self._desk.deps, browsers.holder_of(token), next_page=next_page)
        except (Unavailable, Conflict) as problem:
            return form_page(self._desk, request, next_page, problem=problem.message, status=problem.status)
        return self._away(address, token)

    async def invited(self, request: Request) -> Response:
        token = browsers.token_of(request)
        try:
            address = await provider.accept(
                self._desk.deps, browsers.holder_of(token), request.path_params["token"][:100]
            )
        except (SignInRefused, Conflict, Unavailable) as problem:
            return form_page(self._desk, request, "/", problem=problem.message, status=problem.status)
        return self._away(address, token)

    async def come_back(self, request: Request) -> Response:
        """The session begins with a redirect within our own site, so that the cookie is sent with the next page."""
        asked, deps = request.query_params, self._desk.deps
        if "error" in asked or not asked.get("code"):
            return form_page(self._desk, request, "/", problem="The identity provider did not sign you in.", status=401)
        holder = browsers.holder_of(browsers.token_of(request))
        try:
            signed_in, next_page = await provider.come_back(
                deps, holder, state=asked.get("state", ""), code=asked["code"], browser=browser_of(request)
            )
        except (SignInRefused, Conflict, Unavailable) as problem:
            return form_page(self._desk, request, "/", problem=problem.message, status=problem.status)
        response = entered(signed_in, next_page)
        set_cookie(response, deps, signed_in)
        if not signed_in.second_factor_due:
            await note_completed(request, response, deps, signed_in.actor, source="console")
        return response

    def _away(self, address: str, token: str) -> Response:
        response = RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})
        browsers.remember(response, self._desk.deps, token)
        return response
