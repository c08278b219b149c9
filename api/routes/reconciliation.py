"""Reconciliation and liability. Breaks are closed by the routes of decisions; a match by hand is here."""

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from firm import funded_accounts, liability
from firm.reconciliation import deciding
from front.auth import Deps, allowed
from front.fields import BreakId, DecisionBody, Input, Slug, window
from front.once import Keyed
from front.subjects.reconciliation_break import BreakDecided, answer
from store.read import reconciliation as read
from store.read.pages import Page, Window

router = APIRouter(prefix="/v1", tags=["reconciliation"])
_Product = Annotated[Slug | None, Query(description="Of this product only.")]
_Version = Annotated[int | None, Query(ge=1, le=999_999_999, description="Of this version only.")]
_Reason = Literal["eligible"] | funded_accounts.Reason
_Share = Annotated[Decimal, Query(ge=0, le=1)]


class MatchBody(DecisionBody):
    """`target`: an entry id of the source, or the number of a posting; empty: the only one of that amount."""

    target: Annotated[str, Field(max_length=80, pattern=r"^[!-~]*$")] = ""


class OwnerBody(Input):
    owner: Annotated[str, Field(pattern=r"^usr_[0-9a-z]{26}$")]


@router.get("/reconciliation", dependencies=[Depends(allowed("breaks.read"))])
async def get_reconciliation(deps: Deps) -> read.ReconciliationView:
    """How every source stands, and the open breaks by age."""
    async with deps.db.transaction() as session:
        return await read.overview(session)


@router.get("/reconciliation/unreconciled", dependencies=[Depends(allowed("breaks.read"))])
async def list_unreconciled(deps: Deps, page: Annotated[Window, Depends(window)]) -> Page[read.UnreconciledRow]:
    """What `unreconciled` counts, the oldest first: open breaks, and what has waited too long for its other side."""
    async with deps.db.transaction() as session:
        return await read.unreconciled(session, page)


@router.get("/breaks", dependencies=[Depends(allowed("breaks.read"))])
async def list_breaks(
    deps: Deps, page: Annotated[Window, Depends(window)], state: Literal["open", "closed"] = "open"
) -> Page[read.BreakRow]:
    async with deps.db.transaction() as session:
        return await read.page(session, page, state=state)


@router.get("/breaks/{break_id}", dependencies=[Depends(allowed("breaks.read"))])
async def get_break(break_id: BreakId, deps: Deps) -> read.BreakView:
    async with deps.db.transaction() as session:
        return await read.one(session, break_id)


@router.post("/breaks/{break_id}/match", dependencies=[Depends(allowed("breaks.decide"))])
async def match_break(break_id: BreakId, body: MatchBody, once: Keyed) -> BreakDecided:
    """The entry and the posting are the same money."""

    async def work(session: AsyncSession) -> BreakDecided:
        row = await deciding.decide(
            session,
            break_id=break_id,
            choice="match",
            actor=once.actor,
            reason=body.reason,
            key=once.message_key,
            target=body.target,
        )
        return answer(row)

    return await once.write(BreakDecided, body, work)


@router.post("/breaks/{break_id}/assign", dependencies=[Depends(allowed("breaks.decide"))])
async def assign_break(break_id: BreakId, body: OwnerBody, once: Keyed) -> BreakDecided:
    """Makes another person the owner of a break."""

    async def work(session: AsyncSession) -> BreakDecided:
        return answer(await deciding.take(session, break_id=break_id, actor=once.actor, owner_id=body.owner))

    return await once.write(BreakDecided, body, work)


@router.get("/liability", dependencies=[Depends(allowed("liability.read"))])
async def get_liability(deps: Deps, ask: _Share = Decimal(1), passes: _Share = Decimal(1)) -> liability.LiabilityView:
    """What the firm owes now, and what it would owe if every eligible trader asked now. `ask`: the share who ask;
    `passes`: the share of those whose payout is made."""
    async with deps.db.transaction() as session:
        return await liability.liability(session, ask=ask, passes=passes)


@router.get("/liability/accounts", dependencies=[Depends(allowed("liability.read"))])
async def list_funded_accounts(
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    product: _Product = None,
    version: _Version = None,
    reason: _Reason | None = None,
) -> Page[funded_accounts.FundedAccount]:
    """The accounts that `GET /v1/liability` counts, by id: what each trader would get now, or why he cannot ask.
    `reason`: those that can ask, or those against which it speaks."""
    async with deps.db.transaction() as session:
        return await funded_accounts.page(session, page, product or "", version, reason or "")
