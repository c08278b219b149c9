"""Payouts: asked for by traders, decided by finance."""

from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from firm import confirmations
from firm.payouts import approving
from firm.payouts import refusals as payout_refusals
from firm.payouts import requests as payouts
from firm.payouts.preview import PayoutPreview, preview
from firm.payouts.row import transfer_of
from front.auth import Caller, Deps, SignedInCaller, allowed
from front.deprecating import Deprecated
from front.fields import AccountId, AmountText, BeneficiaryId, Input, PayoutId, positive_money, window
from front.lists import asked_of
from front.once import Keyed
from store.read import accounts
from store.read import payouts as read
from store.read.listing import Asked
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["payouts"])
Reader = Annotated[Caller, Depends(allowed("payouts.read"))]
Simulator = Annotated[Caller, Depends(allowed("payouts.simulate"))]


_SIMULATE_INSTEAD: Final = Deprecated(date(2026, 12, 1), date(2027, 12, 1), "simulate_payout")
Cycle = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{1,30}$")]


class PayoutBody(Input):
    """`amount` leaves the account, in its currency: the trader's share and the firm's together. `cycle`: the payout
    cycle the trader chooses, where the product has several. `beneficiary`: which of the trader's bank accounts is paid;
    the newest without it."""

    amount: AmountText
    cycle: Cycle | None = None
    beneficiary: BeneficiaryId | None = None


class SimulationBody(Input):
    """As `PayoutBody`; without `amount`, the most that can be requested is simulated."""

    amount: AmountText | None = None
    cycle: Cycle | None = None
    beneficiary: BeneficiaryId | None = None


class PayoutAsked(View):
    """The trader is sent `trader_minor` and `refund_minor` of the fee; nobody receives `forfeited_minor`. The bank
    account gets `paid_minor` in `paid_currency`; the rate may be renewed until it is sent."""

    id: str
    state: str
    gross_minor: int
    trader_minor: int
    firm_minor: int
    refund_minor: int = 0
    forfeited_minor: int = 0
    cycle: str | None = None
    currency: str
    paid_minor: int | None = None
    paid_currency: str | None = None
    approvers_needed: int
    least_room_minor: int | None = None
    warnings: tuple[str, ...] = ()


@router.get("/accounts/{account_id}/payouts/preview", deprecated=True, dependencies=[Depends(_SIMULATE_INSTEAD)])
async def preview_payout(
    account_id: AccountId, caller: Reader, deps: Deps, amount: AmountText, cycle: Cycle | None = None
) -> PayoutPreview:
    """Returns what a payout of `amount` would do. `POST /v1/accounts/{id}/payouts/simulate` says the same and more."""
    async with deps.db.transaction() as session:
        account = await accounts.visible_account(session, caller.scope, account_id)
        return await preview(
            session,
            account_id,
            positive_money(amount, account.currency),
            cycle=cycle,
            payable=deps.payments.rails.check,
            calendars=deps.calendars,
        )


@router.post("/accounts/{account_id}/payouts/simulate")
async def simulate_payout(account_id: AccountId, body: SimulationBody, caller: Simulator, deps: Deps) -> PayoutPreview:
    """Returns the figures that a request with this body would have, the room left to every limit, and what is in its
    way until when. Nothing is recorded."""
    async with deps.db.transaction() as session:
        account = await accounts.visible_account(session, caller.scope, account_id)
        return await preview(
            session,
            account_id,
            None if body.amount is None else positive_money(body.amount, account.currency),
            cycle=body.cycle,
            beneficiary_id=body.beneficiary,
            payable=deps.payments.rails.check,
            calendars=deps.calendars,
        )


@router.post("/accounts/{account_id}/payouts", status_code=201, dependencies=[Depends(allowed("payouts.request"))])
async def request_payout(
    account_id: AccountId, body: PayoutBody, once: Keyed, caller: SignedInCaller, deps: Deps
) -> PayoutAsked:
    """Ask for a payout. What is refused says why, and names the proof sheet that shows it."""

    async def work(session: AsyncSession) -> PayoutAsked:
        account = await accounts.visible_account(session, caller.scope, account_id)
        await confirmations.check_confirmed(session, account.trader_id, deps.sign_ins)
        gross = positive_money(body.amount, account.currency)
        ahead = await preview(
            session,
            account_id,
            gross,
            cycle=body.cycle,
            beneficiary_id=body.beneficiary,
            calendars=deps.calendars,
        )
        payout = await payouts.request_payout(
            session,
            account_id=account_id,
            actor=once.actor,
            gross=gross,
            rail=deps.payments.rails.default,
            payable=deps.payments.rails.check,
            cycle=body.cycle,
            beneficiary_id=body.beneficiary,
            calendars=deps.calendars,
        )
        return PayoutAsked(
            id=payout.id,
            state=payout.state,
            gross_minor=payout.gross_minor,
            trader_minor=payout.trader_minor,
            firm_minor=payout.firm_minor,
            refund_minor=payout.refund_minor,
            forfeited_minor=payout.forfeited_minor,
            cycle=payout.cycle,
            currency=payout.currency,
            paid_minor=transfer_of(payout).minor,
            paid_currency=transfer_of(payout).currency,
            approvers_needed=payout.approvers_needed,
            least_room_minor=ahead.least_room_minor,
            warnings=ahead.warnings,
        )

    async with payout_refusals.kept(deps.db):
        return await once.write(PayoutAsked, body, work)


@router.get("/payouts")
async def list_payouts(
    caller: Reader,
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    asked: Annotated[Asked, Depends(asked_of(read.PAYOUTS))],
) -> Page[read.PayoutRow]:
    async with deps.db.transaction() as session:
        return await read.page(session, caller.scope, page, asked)


@router.get("/payouts/{payout_id}")
async def get_payout(payout_id: PayoutId, caller: Reader, deps: Deps) -> read.PayoutView:
    """Returns the payout. An approval of it carries its `seen`."""
    async with deps.db.transaction() as session:
        return await approving.viewed(session, caller.scope, payout_id)
