"""Signing in with a passkey, and completing a sign-in with a second factor."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from api.routes.factors import ChallengeName, PasskeyAsked
from api.routes.people import SessionView, WhoAmI, session_view
from domain.step_up import Method, factors_of
from front import browsers, proving
from front.auth import Deps, browser_of, set_cookie, token_of
from front.fields import Input
from front.proving import Offer
from front.visits import note_completed, note_visit
from store.identity import token_digest
from store.read.pages import View

router = APIRouter(prefix="/v1/sessions", tags=["people"])


class PasskeySignIn(Input):
    challenge_id: ChallengeName
    credential: dict[str, Any]


class SecondFactorBody(Input):
    method: Annotated[Method, Field(description="One of those that the session waits for.")]
    text: Annotated[str, StringConstraints(max_length=200)] = ""
    challenge_id: ChallengeName = ""
    credential: dict[str, Any] | None = None


class SecondFactorDue(View):
    """How the session can be completed. `passkey`: what a passkey is asked, for people who have one."""

    methods: tuple[Method, ...]
    passkey: PasskeyAsked | None


@router.post("/passkey/options")
async def begin_passkey_sign_in(request: Request, response: Response, deps: Deps) -> PasskeyAsked:
    """Begin to sign in with a passkey, without a login. The cookie that comes with it must come back."""
    token = browsers.token_of(request)
    asked = await proving.ask_passkey(deps, "", purpose="sign_in", holder=browsers.holder_of(token))
    browsers.remember(response, deps, token)
    return PasskeyAsked(challenge_id=asked.challenge_id, options=asked.options)


@router.post("/passkey", status_code=201)
async def sign_in_with_passkey(body: PasskeySignIn, request: Request, response: Response, deps: Deps) -> SessionView:
    """Sign in with a passkey. It needs no second factor."""
    offer = Offer("passkey", challenge_id=body.challenge_id, credential=body.credential)
    holder = browsers.holder_of(browsers.token_of(request))
    signed_in = await proving.sign_in_with_passkey(deps, holder, offer, browser_of(request))
    set_cookie(response, deps, signed_in)
    await note_visit(request, response, deps, signed_in, source="api")
    return session_view(signed_in)


@router.post("/second-factor/options")
async def begin_second_factor(request: Request, deps: Deps) -> SecondFactorDue:
    """How a session that waits for a second factor can be completed."""
    token, _ = token_of(request)
    user_id, held = await proving.due_factors(deps, token)
    asked = None
    if held.passkeys:
        made = await proving.ask_passkey(deps, user_id, purpose="second_factor", holder=token_digest(token))
        asked = PasskeyAsked(challenge_id=made.challenge_id, options=made.options)
    return SecondFactorDue(methods=factors_of(held), passkey=asked)


@router.post("/second-factor")
async def complete_sign_in(body: SecondFactorBody, request: Request, response: Response, deps: Deps) -> WhoAmI:
    """Complete a session that waits for a second factor. Its token is worth nothing before."""
    token, _ = token_of(request)
    actor = await proving.complete_sign_in(
        deps, token, Offer(body.method, body.text, body.challenge_id, body.credential)
    )
    await note_completed(request, response, deps, actor, source="api")
    return WhoAmI(user_id=actor.user_id, role=actor.role, trader_id=actor.trader_id)
