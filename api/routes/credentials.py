"""What the trader of an account signs in to its venue with."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from sqlalchemy.ext.asyncio import AsyncSession

from domain.credentials import State
from domain.errors import Conflict, NotFound
from firm import credentials
from front import credentials as front
from front.auth import Caller, Deps, allowed
from front.fields import AccountId, Input, Reason
from front.once import Keyed
from store import credentials as stored
from store.read.accounts import visible_account
from store.read.pages import View

router = APIRouter(prefix="/v1/accounts/{account_id}/credentials", tags=["accounts"])


class CredentialsView(View):
    """`state`: making (the platform has not answered), ready (the password can be shown), shown (it was, once), or
    as_before (sign in with what you had before)."""

    state: State
    username: str | None
    asked_at: datetime
    shown_at: datetime | None
    resettable: bool


class Reset(Input):
    """`reason`: needed from staff."""

    reason: Reason | None = None


class PlatformSignIn(View):
    username: str
    password: str


class Accepted(View):
    account_id: str


@router.get("")
async def get_credentials(
    account_id: AccountId, caller: Annotated[Caller, Depends(allowed("accounts.read"))], deps: Deps
) -> CredentialsView:
    """How far they are. Never the password."""
    async with deps.db.transaction() as session:
        account = await visible_account(session, caller.scope, account_id)
        found = await stored.standing(session, account_id)
    if found is None:
        raise NotFound
    return CredentialsView(
        state=found.state,
        username=found.username,
        asked_at=found.asked_at,
        shown_at=found.shown_at,
        resettable=front.can_reset(deps, account.platform),
    )


@router.post("/show")
async def show_credentials(
    account_id: AccountId,
    caller: Annotated[Caller, Depends(allowed("credentials.show"))],
    deps: Deps,
    response: Response,
) -> PlatformSignIn:
    """The password, once: it is kept nowhere afterwards, and a second call is refused (409). Has no idempotency key,
    because its answer must not be stored."""
    response.headers["Cache-Control"] = "no-store"
    async with deps.db.transaction() as session:
        shown = await credentials.show(session, account_id, actor=caller.actor)
    if shown.password is None:
        raise Conflict("The password was shown before.", remedy="Reset it to get a new one.")
    return PlatformSignIn(username=shown.username, password=shown.password.get_secret_value())


@router.post("/reset", dependencies=[Depends(allowed("credentials.reset"))])
async def reset_credentials(account_id: AccountId, body: Reset, keyed: Keyed, deps: Deps) -> Accepted:
    """Has the platform replace the password; the trader is shown the new one once."""

    async def work(session: AsyncSession) -> Accepted:
        await front.reset(session, deps, account_id, keyed.actor, body.reason or "")
        return Accepted(account_id=account_id)

    return await keyed.write(Accepted, body, work)
