"""What people do about one account: freeze it, thaw it, write a note about it; and what they could do now."""

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from front import account_actions as front
from front.account_actions import AccountNoteBody, AccountNoted, FreezeBody, Frozen, PossibleAction
from front.auth import Caller, Deps, allowed
from front.fields import AccountId
from front.once import Keyed
from store.read import accounts
from store.read.pages import View

router = APIRouter(prefix="/v1/accounts/{account_id}", tags=["accounts"])


class PossibleActions(View):
    items: tuple[PossibleAction, ...]
    next_cursor: None = None


@router.get("/possible-actions")
async def list_possible_actions(
    account_id: AccountId, caller: Annotated[Caller, Depends(allowed("accounts.actions"))], deps: Deps
) -> PossibleActions:
    """What the caller's role can do about the account: the effect of each action now, or why it cannot be done."""
    async with deps.db.transaction() as session:
        account = await accounts.one(session, caller.scope, account_id)
        found = await front.possible(session, deps, account, caller.actor)
    return PossibleActions(
        items=tuple(
            PossibleAction(
                name=each.name, label=each.label, effects=each.effects, why_not=each.why_not, people=each.people
            )
            for each in found
        )
    )


@router.post("/freeze", dependencies=[Depends(allowed("accounts.freeze"))])
async def freeze_account(account_id: AccountId, body: FreezeBody, once: Keyed, deps: Deps) -> Frozen:
    """Stop the trading of an account now. Open positions stay, the time limit of its phase does not run, and its
    payouts wait until it is thawed."""

    async def work(session: AsyncSession) -> Frozen:
        return await front.freeze(session, deps, account_id, once.actor, body.reason)

    return await once.write(Frozen, body, work)


@router.post("/thaw", dependencies=[Depends(allowed("accounts.thaw"))])
async def thaw_account(account_id: AccountId, body: FreezeBody, once: Keyed) -> Frozen:
    """Let a frozen account trade again, unless something else keeps it from that."""

    async def work(session: AsyncSession) -> Frozen:
        return await front.thaw(session, account_id, once.actor, body.reason)

    return await once.write(Frozen, body, work)


@router.post("/notes", status_code=201, dependencies=[Depends(allowed("accounts.note"))])
async def write_account_note(account_id: AccountId, body: AccountNoteBody, once: Keyed) -> AccountNoted:
    """Staff read it in the timeline of the account; the trader never does."""

    async def work(session: AsyncSession) -> AccountNoted:
        return await front.note(session, account_id, once.actor, body.body)

    return await once.write(AccountNoted, body, work)
