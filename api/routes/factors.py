"""A person's own factors."""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field, StringConstraints

from front.auth import Deps, SignedInPerson, allowed
from front.factors import FactorsView, NewAuthenticator, Own, RecoveryCodes
from front.fields import Input, Line, id_of
from store.identity import token_digest
from store.read.pages import View

router = APIRouter(prefix="/v1", tags=["factors"], dependencies=[Depends(allowed("factors.own"))])

PasskeyId = Annotated[str, id_of("psk")]
Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
ChallengeName = Annotated[str, Field(pattern=r"^(fch_[0-9a-z]{26})?$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PasskeyName = Annotated[Line, Field(max_length=60)]


class PasskeyAsked(View):
    """`options` go to `navigator.credentials` as JSON; `challenge_id` comes back with the answer."""

    challenge_id: str
    options: dict[str, Any]


class PasskeyBody(Input):
    challenge_id: ChallengeName
    name: PasskeyName
    credential: dict[str, Any]


class PasskeyAdded(View):
    id: str


class NameBody(Input):
    name: PasskeyName


class CodeBody(Input):
    code: Code


def own(deps: Deps, caller: SignedInPerson) -> Own:
    return Own(deps, caller.actor, token_digest(caller.token), secrets.token_hex(20))


Mine = Annotated[Own, Depends(own)]


@router.get("/factors")
async def list_factors(mine: Mine) -> FactorsView:
    """One's own passkeys, and whether there are an authenticator app and recovery codes."""
    return await mine.listed()


@router.post("/factors/link", status_code=204)
async def mail_link(mine: Mine) -> None:
    """Mail the link that adds the first factor. Its token is the `text` of a step-up with the method `mail`."""
    await mine.mail_link()


@router.post("/factors/passkeys/options")
async def begin_passkey(mine: Mine) -> PasskeyAsked:
    """Begin to add a passkey. Needs a step-up."""
    asked = await mine.begin_passkey()
    return PasskeyAsked(challenge_id=asked.challenge_id, options=asked.options)


@router.post("/factors/passkeys", status_code=201)
async def add_passkey(body: PasskeyBody, mine: Mine) -> PasskeyAdded:
    """Add the passkey that the browser made for the options."""
    return PasskeyAdded(id=await mine.add_passkey(body.challenge_id, body.name, body.credential))


@router.put("/factors/passkeys/{passkey_id}")
async def rename_passkey(passkey_id: PasskeyId, body: NameBody, mine: Mine) -> FactorsView:
    await mine.rename_passkey(passkey_id, body.name)
    return await mine.listed()


@router.delete("/factors/passkeys/{passkey_id}", status_code=204)
async def remove_passkey(passkey_id: PasskeyId, mine: Mine) -> None:
    """Remove a passkey. Needs a step-up. The last factor of a person whose role needs one stays."""
    await mine.remove_passkey(passkey_id)


@router.post("/factors/authenticator", status_code=201)
async def begin_authenticator(mine: Mine) -> NewAuthenticator:
    """Begin to add an authenticator app. Needs a step-up."""
    return await mine.begin_authenticator()


@router.post("/factors/authenticator/confirm")
async def confirm_authenticator(body: CodeBody, mine: Mine) -> RecoveryCodes:
    """The first code of the app makes it count. Answers ten recovery codes, once."""
    return await mine.confirm_authenticator(body.code)


@router.delete("/factors/authenticator", status_code=204)
async def remove_authenticator(mine: Mine) -> None:
    """Remove the authenticator app. Needs a step-up. The last factor of a person whose role needs one stays."""
    await mine.remove_authenticator()


@router.post("/factors/recovery-codes", status_code=201)
async def renew_recovery_codes(mine: Mine) -> RecoveryCodes:
    """Ten new recovery codes, shown once, in the place of the old ones. Needs a step-up."""
    return await mine.renew_recovery_codes()
