"""How an account stands and was traded: objectives, days, trades, statistics, and the statement as a file."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response

from firm import standing, trading
from firm.payouts import following
from front.auth import Caller, Deps, allowed
from front.exports import csv_name
from front.fields import AccountId, PayoutId, window
from front.statements import statement
from store.read import accounts, payouts, trades
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["accounts"])
Reader = Annotated[Caller, Depends(allowed("accounts.read"))]
Owner = Annotated[Caller, Depends(allowed("statements.read"))]
PayoutReader = Annotated[Caller, Depends(allowed("payouts.read"))]
Month = Annotated[str | None, Query(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
Zone = Annotated[str | None, Query(max_length=120)]
_CSV: Final = "text/csv"


class PayoutSteps(View):
    """The steps of a payout in order: an approval is not a transfer, and a transfer is not yet an arrival."""

    payout_id: str
    state: str
    items: tuple[following.StepView, ...]


@router.get("/accounts/{account_id}/standing")
async def get_standing(account_id: AccountId, caller: Reader, deps: Deps) -> standing.Standing:
    """What a pass or a payout needs: done, missing and by when; and what the rule about the best day leaves room
    for."""
    async with deps.db.transaction() as session:
        account = await accounts.one(session, caller.scope, account_id)
        return await standing.standing(session, account, deps.calendars)


@router.get("/accounts/{account_id}/days")
async def list_days(account_id: AccountId, caller: Reader, deps: Deps, month: Month = None) -> standing.TradedDays:
    """The trading days of a month such as 2026-03, newest first; without it, of the newest month. Each says whether it
    counts, and why."""
    async with deps.db.transaction() as session:
        account = await accounts.one(session, caller.scope, account_id)
        return await standing.days(session, account, deps.calendars, month)


@router.get("/accounts/{account_id}/trades")
async def list_trades(
    account_id: AccountId, caller: Reader, deps: Deps, page: Annotated[Window, Depends(window)]
) -> Page[trades.TradeView]:
    """The positions that were closed for good, with their costs, the last one closed first."""
    async with deps.db.transaction() as session:
        account = await accounts.visible_account(session, caller.scope, account_id)
        return await trades.page(session, account.id, account.currency, page)


@router.get("/accounts/{account_id}/statistics")
async def get_statistics(account_id: AccountId, caller: Reader, deps: Deps) -> trading.StatisticsView:
    """Win rate, expectancy, average win and loss, time held, by symbol and by hour, of the closed positions."""
    async with deps.db.transaction() as session:
        account = await accounts.one(session, caller.scope, account_id)
        return await trading.statistics(session, account)


@router.get("/accounts/{account_id}/statement", response_class=Response, responses={200: {"content": {_CSV: {}}}})
async def get_statement(
    account_id: AccountId, caller: Owner, deps: Deps, zone: Zone = None, month: Month = None
) -> Response:
    """Days, fills, payouts and fees as one CSV file, each with its time in UTC and in `zone` (an IANA name; without it,
    the zone of the account's reset); of one `month` there, or of all. For the trader of the account; staff export
    lists."""
    async with deps.db.transaction() as session:
        account = await accounts.one(session, caller.scope, account_id)
        data = await statement(session, caller.actor, caller.scope, account, zone, month)
    return Response(data, media_type=_CSV, headers=csv_name(f"statement-{account.number}"))


@router.get("/payouts/{payout_id}/steps", tags=["payouts"])
async def list_payout_steps(payout_id: PayoutId, caller: PayoutReader, deps: Deps) -> PayoutSteps:
    """Where the payout is: who holds it, by role, and until when."""
    async with deps.db.transaction() as session:
        found = await payouts.one(session, caller.scope, payout_id)
    return PayoutSteps(payout_id=found.id, state=found.state, items=following.steps(found))
