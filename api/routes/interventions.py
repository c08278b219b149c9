"""Adjustments, closings and free resets of accounts: proposed here, and read with who decided them."""

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from domain.interventions import INTERVENTION, Kind
from front import account_actions as front
from front.account_actions import AdjustmentAhead, AdjustmentAsked, AdjustmentBody, InterventionBody
from front.auth import Deps, allowed
from front.fields import AccountId, InterventionId, one_of, window
from front.once import Keyed, Once
from front.subjects.intervention import InterventionStep
from store.read import interventions as read
from store.read.pages import Page, Window

router = APIRouter(prefix="/v1", tags=["accounts"])
_PROPOSE = [Depends(allowed("interventions.propose"))]
_READ = [Depends(allowed("interventions.read"))]


async def _propose(once: Once, deps: Deps, account_id: str, kind: Kind, body: InterventionBody) -> InterventionStep:
    async def work(session: AsyncSession) -> InterventionStep:
        return await front.intervene(session, deps, account_id, kind, body, once.actor)

    return await once.write(InterventionStep, body, work)


@router.post("/accounts/{account_id}/adjustments", status_code=201, dependencies=_PROPOSE)
async def propose_adjustment(account_id: AccountId, body: AdjustmentBody, once: Keyed, deps: Deps) -> InterventionStep:
    """Propose to correct the balance of an account at its platform. It counts as profit or loss once a second person
    has approved it."""
    return await _propose(once, deps, account_id, "adjust", body)


@router.post("/accounts/{account_id}/adjustments/simulate", dependencies=_PROPOSE)
async def simulate_adjustment(account_id: AccountId, body: AdjustmentAsked, deps: Deps) -> AdjustmentAhead:
    """Returns the balance and the room to every level that an adjustment would lead to. Nothing is recorded."""
    async with deps.db.transaction() as session:
        return await front.adjustment_ahead(session, deps, account_id, body)


@router.post("/accounts/{account_id}/closings", status_code=201, dependencies=_PROPOSE)
async def propose_closing(account_id: AccountId, body: InterventionBody, once: Keyed, deps: Deps) -> InterventionStep:
    """Propose to close an account without a case: its positions are closed and its challenge ends once a second person
    has approved it. Nothing is refunded."""
    return await _propose(once, deps, account_id, "close", body)


@router.post("/accounts/{account_id}/free-resets", status_code=201, dependencies=_PROPOSE)
async def propose_free_reset(
    account_id: AccountId, body: InterventionBody, once: Keyed, deps: Deps
) -> InterventionStep:
    """Propose to give an evaluation phase anew without a fee: the account ends, and a new one of the same phase opens
    once a second person has approved it."""
    return await _propose(once, deps, account_id, "reset", body)


@router.get("/interventions", dependencies=_READ)
async def list_interventions(
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    state: Annotated[str, one_of(INTERVENTION.states)] | None = None,
    account_id: AccountId | None = None,
) -> Page[read.InterventionRow]:
    """Adjustments, closings and free resets, newest first."""
    async with deps.db.transaction() as session:
        return await read.page(session, page, state=state, account_id=account_id)


@router.get("/interventions/{intervention_id}", dependencies=_READ)
async def get_intervention(intervention_id: InterventionId, deps: Deps) -> read.InterventionDetail:
    """With who proposed it, why, and who decided it."""
    async with deps.db.transaction() as session:
        return await read.one(session, intervention_id)
