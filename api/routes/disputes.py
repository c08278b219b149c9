"""Disputes about breaches, and appeals against what was decided about a trader's trading."""

import secrets
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from sqlalchemy.ext.asyncio import AsyncSession

from domain.disputes import DISPUTE
from firm import appeals, disputes
from front import compensating
from front.auth import Caller, Deps, SignedInCaller, allowed
from front.exports import prove_export
from front.fields import (
    BINARY,
    AccountId,
    ActionId,
    AmountText,
    BreachId,
    CompensationId,
    DisputeId,
    Input,
    Reason,
    Words,
    one_of,
    window,
)
from front.once import Keyed, Once
from front.subjects.compensation import CompensationMade, answered
from store.read import breaches, compensations
from store.read import disputes as read
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["disputes"])
_ZIP: Final = "application/zip"
Reader = Annotated[Caller, Depends(allowed("disputes.read"))]


class DisputeBody(Input):
    statement: Words


class CompensationBody(Input):
    """`reason` is for the firm, `message` for the trader. `amount`: in the account's currency, such as "50.00"."""

    amount: AmountText
    reason: Reason
    message: Words


class AppealOpened(View):
    id: str
    action_id: str
    state: str


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


@router.post("/actions/{action_id}/appeals", status_code=201, dependencies=[Depends(allowed("disputes.open"))])
async def open_appeal(action_id: ActionId, body: DisputeBody, once: Keyed) -> AppealOpened:
    """Appeal, once, against what was decided about your trading. Somebody who had no part in it decides: `uphold` keeps
    the action, `reinstate` grants the appeal."""

    async def work(session: AsyncSession) -> AppealOpened:
        row = await appeals.open_appeal(session, action_id=action_id, actor=once.actor, statement=body.statement)
        return AppealOpened(id=row.id, action_id=action_id, state=row.state)

    return await once.write(AppealOpened, body, work)


@router.post("/disputes/{dispute_id}/appeals", status_code=201, dependencies=[Depends(allowed("disputes.open"))])
async def open_second(dispute_id: DisputeId, body: DisputeBody, once: Keyed) -> DisputeOpened:
    """Appeal, once, against a dispute that was decided against you. Other people than the first time decide."""

    async def work(session: AsyncSession) -> DisputeOpened:
        row = await disputes.open_second(session, dispute_id=dispute_id, actor=once.actor, statement=body.statement)
        return DisputeOpened(id=row.id, breach_id=row.breach_id or "", state=row.state)

    return await once.write(DisputeOpened, body, work)


@router.post(
    "/disputes/{dispute_id}/compensations", status_code=201, dependencies=[Depends(allowed("compensations.propose"))]
)
async def propose_compensation(dispute_id: DisputeId, body: CompensationBody, once: Keyed) -> CompensationMade:
    """Propose a voucher for the trader. What the policy leaves to one person is granted at once, if that is finance or
    admin; a larger amount waits for `POST /v1/compensations/{id}/grant` by another person."""

    async def work(session: AsyncSession) -> CompensationMade:
        made = await compensating.propose(
            session, once, dispute_id, amount=body.amount, reason=body.reason, message=body.message
        )
        return answered(made)

    return await once.write(CompensationMade, body, work)


@router.get("/compensations/{compensation_id}", dependencies=[Depends(allowed("compensations.read"))])
async def get_compensation(compensation_id: CompensationId, deps: Deps) -> compensations.CompensationDetail:
    """A compensation with who proposed it, why, and who decided it. A trader finds their voucher in the dispute."""
    async with deps.db.transaction() as session:
        return await compensations.one(session, compensation_id)


@router.get("/disputes")
async def list_disputes(
    caller: Reader,
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    state: Annotated[str, one_of(DISPUTE.states)] | None = None,
    account: AccountId | None = None,
) -> Page[read.DisputeRow]:
    async with deps.db.transaction() as session:
        return await read.page(session, caller.scope, page, state=state, account_id=account)


@router.get("/disputes/{dispute_id}")
async def get_dispute(dispute_id: DisputeId, caller: Reader, deps: Deps) -> read.DisputeView:
    async with deps.db.transaction() as session:
        return await read.one(session, caller.scope, dispute_id)


@router.get("/disputes/{dispute_id}/pack", response_class=Response, responses={200: {"content": {_ZIP: BINARY}}})
async def get_pack(dispute_id: DisputeId, caller: Reader, deps: Deps) -> Response:
    """The frozen evidence as one zip. `propos dispute check` checks it without a database. Staff need a step-up."""
    once = Once(deps, caller.actor, "GET pack", secrets.token_hex(20), caller.token)
    async with deps.db.transaction() as session:
        data = await read.pack(session, caller.scope, dispute_id)
        await prove_export(session, once, dispute_id)
    named = {"Content-Disposition": f'attachment; filename="{dispute_id}.zip"'}
    return Response(data, media_type=_ZIP, headers=named)
