"""Step-ups: fresh proofs before what is guarded. A venue proves itself too, by its password."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import StringConstraints

from api.routes.factors import ChallengeName, Digest, PasskeyAsked
from domain.step_up import FRESH, ActionClass, Method
from front import proving
from front.auth import Deps, SignedInPerson, allowed
from front.fields import Input
from front.proving import Offer
from store.identity import token_digest
from store.read.pages import View

router = APIRouter(prefix="/v1", tags=["factors"], dependencies=[Depends(allowed("step_ups.make"))])


class StepUpBody(Input):
    """`action` and `digest` are those of the refusal. `text`: the password, the code, or the token of the
    mailed link. `credential`: the answer of a passkey to the challenge `challenge_id`."""

    action: ActionClass
    digest: Digest
    method: Method
    text: Annotated[str, StringConstraints(max_length=200)] = ""
    challenge_id: ChallengeName = ""
    credential: dict[str, Any] | None = None


class StepUpAsk(Input):
    digest: Digest


class StepUpMade(View):
    """It is used by the request that was refused, sent again in this session before `expires_at`."""

    id: str
    action: ActionClass
    method: Method
    made_at: datetime
    expires_at: datetime


@router.post("/step-ups/options")
async def ask_passkey(body: StepUpAsk, deps: Deps, caller: SignedInPerson) -> PasskeyAsked:
    """Begin to prove it with a passkey."""
    asked = await proving.ask_passkey(
        deps, caller.actor.user_id, purpose="step_up", holder=token_digest(caller.token), about=body.digest
    )
    return PasskeyAsked(challenge_id=asked.challenge_id, options=asked.options)


@router.post("/step-ups", status_code=201)
async def make_step_up(body: StepUpBody, deps: Deps, caller: SignedInPerson) -> StepUpMade:
    """Confirm that it is you, for exactly one action. Then repeat the request that was refused."""
    offer = Offer(body.method, body.text, body.challenge_id, body.credential)
    made = await proving.step_up(deps, caller.actor, token_digest(caller.token), body.action, body.digest, offer)
    return StepUpMade(
        id=made.id,
        action=body.action,
        method=body.method,
        made_at=made.made_at,
        expires_at=made.made_at + FRESH,
    )
