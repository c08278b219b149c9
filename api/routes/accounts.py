"""Accounts with live money, their deals, bars, breaches and history; proof sheets."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime

from front.auth import Caller, Deps, allowed
from front.fields import AccountId, BreachId, ProofId, window
from front.lists import asked_of
from store.read import accounts, breaches, case_actions, deductions, gates, market, passes, room, timeline, warnings
from store.read.listing import Asked
from store.read.pages import Page, Window

router = APIRouter(prefix="/v1", tags=["accounts"])

Reader = Annotated[Caller, Depends(allowed("accounts.read"))]
BreachReader = Annotated[Caller, Depends(allowed("breaches.read"))]
Paged = Annotated[Window, Depends(window)]


@router.get("/accounts")
async def list_accounts(
    caller: Reader, deps: Deps, page: Paged, asked: Annotated[Asked, Depends(asked_of(accounts.ACCOUNTS))]
) -> Page[accounts.AccountRow]:
    async with deps.db.transaction() as session:
        return await accounts.page(session, caller.scope, page, asked)


@router.get("/accounts/{account_id}")
async def get_account(account_id: AccountId, caller: Reader, deps: Deps) -> accounts.AccountView:
    """Live equity, every floor with the room to it, what is missing to the target, the next reset."""
    async with deps.db.transaction() as session:
        return await accounts.one(session, caller.scope, account_id)


@router.get("/accounts/{account_id}/room")
async def get_room(account_id: AccountId, caller: Reader, deps: Deps) -> room.RoomView:
    """The room to every limit and the time to the next reset."""
    async with deps.db.transaction() as session:
        return await room.one(session, caller.scope, account_id)


@router.get("/accounts/{account_id}/warnings")
async def list_warnings(account_id: AccountId, caller: Reader, deps: Deps, page: Paged) -> Page[warnings.WarningView]:
    """What the trader was warned of, newest first: each limit once per reset period or phase."""
    async with deps.db.transaction() as session:
        await accounts.visible_account(session, caller.scope, account_id)
        return await warnings.page(session, caller.scope, page, account_id=account_id)


@router.get("/accounts/{account_id}/gates")
async def list_gates(account_id: AccountId, caller: Reader, deps: Deps) -> list[gates.GateView]:
    """What must be met before a pass or a payout, as of the last trading day at which it changed."""
    async with deps.db.transaction() as session:
        await accounts.visible_account(session, caller.scope, account_id)
        return await gates.list_gates(session, caller.scope, account_id)


@router.get("/accounts/{account_id}/deductions")
async def list_deductions(account_id: AccountId, caller: Reader, deps: Deps) -> list[deductions.AccountDeduction]:
    """The trades whose profit does not count for payouts, each with the rule that was broken."""
    async with deps.db.transaction() as session:
        await accounts.visible_account(session, caller.scope, account_id)
        return list(await deductions.of_account(session, account_id))


@router.get("/accounts/{account_id}/actions")
async def list_actions(account_id: AccountId, caller: Reader, deps: Deps) -> list[case_actions.AccountAction]:
    """What was decided about the trading on this account, each with the rule that was broken and the time to appeal."""
    async with deps.db.transaction() as session:
        await accounts.visible_account(session, caller.scope, account_id)
        return list(await case_actions.of_account(session, account_id))


@router.get("/accounts/{account_id}/deals")
async def list_deals(account_id: AccountId, caller: Reader, deps: Deps, page: Paged) -> Page[market.DealView]:
    async with deps.db.transaction() as session:
        await accounts.visible_account(session, caller.scope, account_id)
        return await market.deals(session, account_id, page)


@router.get("/accounts/{account_id}/bars")
async def list_bars(
    account_id: AccountId,
    caller: Reader,
    deps: Deps,
    page: Paged,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> Page[market.BarView]:
    """One-minute equity bars, oldest first; `since` inclusive, `until` exclusive."""
    span: dict[str, datetime | None] = {"since": since, "until": until}
    async with deps.db.transaction() as session:
        await accounts.visible_account(session, caller.scope, account_id)
        return await market.bars(session, account_id, page, **span)


@router.get("/accounts/{account_id}/breaches")
async def list_account_breaches(
    account_id: AccountId, caller: Reader, deps: Deps, page: Paged
) -> Page[breaches.BreachView]:
    async with deps.db.transaction() as session:
        await accounts.visible_account(session, caller.scope, account_id)
        return await breaches.page(session, caller.scope, page, account_id=account_id)


@router.get("/accounts/{account_id}/timeline")
async def list_timeline(
    account_id: AccountId, caller: Reader, deps: Deps, page: Paged, kind: timeline.Kind | None = None
) -> Page[timeline.TimelineEntry]:
    """Everything that happened on the account, newest first."""
    async with deps.db.transaction() as session:
        return await timeline.page(session, caller.scope, account_id, page, kind=kind)


@router.get("/breaches")
async def list_breaches(
    caller: BreachReader, deps: Deps, page: Paged, asked: Annotated[Asked, Depends(asked_of(breaches.BREACHES))]
) -> Page[breaches.BreachView]:
    async with deps.db.transaction() as session:
        return await breaches.page(session, caller.scope, page, asked)


@router.get("/passes", dependencies=[Depends(allowed("passes.read"))])
async def list_passes(
    deps: Deps, page: Paged, asked: Annotated[Asked, Depends(asked_of(passes.PASSES))]
) -> Page[passes.PassView]:
    async with deps.db.transaction() as session:
        return await passes.page(session, page, asked)


@router.get("/breaches/{breach_id}")
async def get_breach(breach_id: BreachId, caller: BreachReader, deps: Deps) -> breaches.BreachView:
    async with deps.db.transaction() as session:
        return await breaches.one(session, caller.scope, breach_id)


@router.get("/proofs/{proof_id}", response_model=dict[str, Any])
async def get_proof(proof_id: ProofId, caller: BreachReader, deps: Deps) -> JSONResponse:
    """The proof sheet as a file that `propos proof check FILE` recomputes without us."""
    async with deps.db.transaction() as session:
        body = await breaches.proof(session, caller.scope, proof_id)
    return JSONResponse(body, headers={"Content-Disposition": f'attachment; filename="{proof_id}.json"'})
