"""Reports: sums over months of the firm's zone, and the decisions that they count. The console shows the same."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from domain.reports.months import PATTERN
from front import reports
from front.auth import Deps, allowed
from front.fields import Slug, window
from front.lists import asked_of
from store.read import decided
from store.read.decided import Kind
from store.read.decision_times import DecisionTimes, decision_times
from store.read.listing import Asked
from store.read.owed import OwedDay
from store.read.pages import Page, View, Window
from store.read.pass_rates import PassRates, pass_rates
from store.read.revenue import Revenue, revenue

router = APIRouter(prefix="/v1", tags=["reports"])
From = Annotated[
    str | None, Query(pattern=PATTERN, description="The first month, such as 2026-01. Without: twelve months.")
]
To = Annotated[str | None, Query(pattern=PATTERN, description="The last month. Without: this month of market time.")]
Product = Annotated[Slug | None, Query(description="Of this product on sale only.")]
Currency = Annotated[str | None, Query(pattern=r"^[A-Z]{3,4}$", description="Of this currency only.")]


class OwedDays(View):
    """One row for each of the newest 90 days of the firm's zone of which a minute is kept, the oldest first."""

    items: tuple[OwedDay, ...]
    next_cursor: None = None


@router.get("/reports/pass-rates", dependencies=[Depends(allowed(reports.RIGHT))])
async def report_pass_rates(
    deps: Deps, from_month: From = None, to_month: To = None, product: Product = None
) -> PassRates:
    """How many purchases passed, were funded and were paid, by month of purchase, product and version. At most 36
    months."""
    async with deps.db.transaction() as session:
        asked = await reports.months_of(session, from_month or "", to_month or "")
        return await pass_rates(session, asked, product or "")


@router.get("/reports/revenue", dependencies=[Depends(allowed(reports.RIGHT))])
async def report_revenue(
    deps: Deps, from_month: From = None, to_month: To = None, currency: Currency = None
) -> Revenue:
    """Income, costs and payouts by month and currency: sums of the ledger's posted lines. At most 36 months."""
    async with deps.db.transaction() as session:
        asked = await reports.months_of(session, from_month or "", to_month or "")
        return await revenue(session, asked, reports.currency_of(currency or ""))


@router.get("/reports/decision-times", dependencies=[Depends(allowed(reports.RIGHT))])
async def report_decision_times(
    deps: Deps, from_month: From = None, to_month: To = None, kind: Kind | None = None
) -> DecisionTimes:
    """How long people took to decide, whether in time, and what was overturned later. Market time. At most 36
    months. `kind`: of this one only."""
    async with deps.db.transaction() as session:
        asked = await reports.months_of(session, from_month or "", to_month or "")
        return await decision_times(session, asked, kind or "")


@router.get("/reports/owed", dependencies=[Depends(allowed(reports.RIGHT))])
async def report_owed(deps: Deps) -> OwedDays:
    """What the firm would have owed at the end of each day. `GET /v1/liability` says what it would owe now, by
    product."""
    async with deps.db.transaction() as session:
        return OwedDays(items=await reports.owed_days(session))


@router.get("/decisions", dependencies=[Depends(allowed(reports.RIGHT))])
async def list_decisions(
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    asked: Annotated[Asked, Depends(asked_of(decided.DECISIONS))],
) -> Page[decided.DecidedView]:
    """The decisions that the report counts, newest first. Needs `decided_since`."""
    async with deps.db.transaction() as session:
        return await decided.page(session, page, asked)
