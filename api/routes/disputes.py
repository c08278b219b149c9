"""Disputes about breaches."""

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from firm import disputes
from front.auth import Caller, Deps, SignedInCaller, allowed
from front.fields import AccountId, BreachId, DisputeId, Input, State, Words, window
from front.once import Keyed
from store.read import breaches
from store.read import disputes as read
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["disputes"])
Reader = Annotated[Caller, Depends(allowed("disputes.read"))]


class DisputeBody(Input):
    statement: Words


class DisputeOpened(View):
    id: str
    breach_id: str
    state: str


@router.post("/breaches/{breach_id}/disputes", status_code=201, dependencies=[Depends(allowed("disputes.open"))])
async def open_dispute(breach_id: BreachId, body: DisputeBody, once: Keyed, caller: SignedInCaller) -> DisputeOpened:
    """Say what is wrong about a breach; a person decides on the evidence."""

    async def work(session: AsyncSession) -> DisputeOpened:
        await breaches.one(session, caller.scope, breach_id)
        dispute = await disputes.open_dispute(session, breach_id=breach_id, actor=once.actor, statement=body.statement)
        return DisputeOpened(id=dispute.id, breach_id=breach_id, state=dispute.state)

    return await once.write(DisputeOpened, body, work)


@router.get("/disputes")
async def list_disputes(
    caller: Reader,
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    state: State | None = None,
    account: AccountId | None = None,
) -> Page[read.DisputeRow]:
    async with deps.db.transaction() as session:
        return await read.page(session, caller.scope, page, state=state, account_id=account)


@router.get("/disputes/{dispute_id}")
async def get_dispute(dispute_id: DisputeId, caller: Reader, deps: Deps) -> read.DisputeView:
    async with deps.db.transaction() as session:
        return await read.one(session, caller.scope, dispute_id)
