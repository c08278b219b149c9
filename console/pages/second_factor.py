"""Signing in with a passkey, and the second step of a sign-in."""

import json
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from console import templating
from console.desk import Desk, read_form, redirect, shell
from console.pages.door import entered, form_page
from console.pages.proving import METHOD_WORDS
from console.proofs import offer_of
from domain.errors import BadInput, NotSignedIn, TooManyAttempts
from domain.sign_in_errors import ProofRefused
from domain.step_up import factors_of
from front import browsers, proving
from front.access import passkeys_work
from front.auth import COOKIE, browser_of, set_cookie
from front.factors import read_credential
from front.proving import Offer
from front.visits import note_completed, note_visit
from store.identity import token_digest


class SecondFactorPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/sign-in/passkey", self.passkey, methods=["POST"], response_model=None)
        router.add_api_route("/sign-in/second-factor", self.show, methods=["GET"], response_model=None)
        router.add_api_route("/sign-in/second-factor", self.complete, methods=["POST"], response_model=None)

    async def passkey(self, request: Request) -> Response:
        form, deps = await read_form(request), self._desk.deps
        holder = browsers.holder_of(browsers.token_of(request))
        try:
            credential = read_credential(form.text("credential"))
            offer = Offer("passkey", challenge_id=form.text("challenge")[:40], credential=credential)
            signed_in = await proving.sign_in_with_passkey(deps, holder, offer, browser_of(request))
        except ProofRefused as problem:
            return form_page(self._desk, request, form.text("next", "/"), problem=problem.message, status=401)
        response = entered(signed_in, form.text("next", "/"))
        set_cookie(response, deps, signed_in)
        await note_visit(request, response, deps, signed_in, source="console")
        return response

    async def show(self, request: Request) -> Response:
        return await self._page(request, request.query_params.get("next", "/"))

    async def complete(self, request: Request) -> Response:
        form = await read_form(request)
        try:
            actor = await proving.complete_sign_in(self._desk.deps, request.cookies.get(COOKIE, ""), offer_of(form))
        except (ProofRefused, TooManyAttempts, BadInput) as problem:
            words = f"{problem.message} {problem.remedy or ''}".strip()
            return await self._page(request, form.text("next", "/"), problem=words, status=problem.status)
        response = redirect(form.text("next", "/"))
        await note_completed(request, response, self._desk.deps, actor, source="console")
        return response

    async def _page(self, request: Request, next_page: str, *, problem: str = "", status: int = 200) -> Response:
        deps, token = self._desk.deps, request.cookies.get(COOKIE, "")
        try:
            user_id, held = await proving.due_factors(deps, token)
        except NotSignedIn:
            return redirect(f"/sign-in?{urlencode({'next': next_page})}")
        asked = None
        if held.passkeys and passkeys_work(deps.access, deps.public_url):
            asked = await proving.ask_passkey(deps, user_id, purpose="second_factor", holder=token_digest(token))
        context = {
            "next": next_page,
            "problem": problem,
            "methods": [each for each in factors_of(held) if each != "passkey"],
            "method_words": METHOD_WORDS,
            "passkey": asked,
            "options": json.dumps(asked.options) if asked else "",
            **shell(request),
        }
        return HTMLResponse(templating.page("second_factor.html", context), status, headers=templating.HEADERS)
