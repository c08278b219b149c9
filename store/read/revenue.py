"""What the firm took and what it cost, by month and currency, out of the ledger. For staff."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.reports.months import Months
from store.read.pages import View

# Debits are positive. A payout that gives a fee back debits `fees`: that part is told apart by its kind.
_MONTHS: Final = text("""
    WITH lines AS (
        SELECT to_char(t.occurred_at AT TIME ZONE :zone, 'YYYY-MM') AS month, p.currency, p.account, p.amount_minor,
               t.kind LIKE 'payout%' AS of_payout, t.kind IN ('payout_sent', 'payout_returned') AS moves
          FROM ledger_transactions t JOIN postings p ON p.transaction_id = t.id
         WHERE t.occurred_at >= :since AND t.occurred_at < :until AND p.layer = 'posted'
           AND (CAST(:currency AS text) = '' OR p.currency = :currency)
           AND p.account IN ('fees', 'discounts', 'refunds', 'payout-expense', 'chargebacks', 'provider-fees',
                             'goodwill', 'write-offs', 'fx-gain-loss', 'trader-payable')
    )
    SELECT month, currency,
           coalesce(-sum(amount_minor) FILTER (WHERE account = 'fees' AND NOT of_payout), 0) AS fees_minor,
           coalesce(sum(amount_minor) FILTER (WHERE account = 'discounts'), 0) AS discounts_minor,
           coalesce(sum(amount_minor) FILTER (WHERE account = 'refunds'), 0) AS refunds_minor,
           coalesce(sum(amount_minor) FILTER (WHERE account = 'fees' AND of_payout), 0) AS fees_returned_minor,
           coalesce(sum(amount_minor) FILTER (WHERE account = 'chargebacks'), 0) AS chargebacks_minor,
           coalesce(sum(amount_minor) FILTER (WHERE account = 'payout-expense'), 0) AS profit_shares_minor,
           coalesce(sum(amount_minor) FILTER (
               WHERE account IN ('provider-fees', 'goodwill', 'write-offs', 'fx-gain-loss')), 0) AS other_costs_minor,
           coalesce(-sum(amount_minor) FILTER (WHERE account <> 'trader-payable'), 0) AS result_minor,
           coalesce(sum(amount_minor) FILTER (WHERE account = 'trader-payable' AND moves), 0) AS payouts_sent_minor
      FROM lines
     GROUP BY GROUPING SETS ((month, currency), (currency))
    HAVING count(*) FILTER (WHERE account <> 'trader-payable' OR moves) > 0
     ORDER BY currency, month NULLS LAST
""")


class RevenueRow(View):
    """One month in one currency, or all months (`month` is null). Each number is a sum of posted lines of the ledger.
    `fees_minor`: booked on `fees`, without those given back with payouts. `discounts_minor`, `refunds_minor` and
    `chargebacks_minor`: booked on these accounts, as costs. `fees_returned_minor`: fees given back with payouts.
    `profit_shares_minor`: the traders' shares of profit, booked when their money first leaves. `other_costs_minor`:
    fees of providers, compensations, differences written off, and the loss from foreign currency. `result_minor`:
    what is left, the sum of all income and expenses. `payouts_sent_minor`: money sent to traders less what came
    back, in the currency that was sent; no part of the result."""

    month: str | None
    currency: str
    fees_minor: int
    discounts_minor: int
    refunds_minor: int
    fees_returned_minor: int
    chargebacks_minor: int
    profit_shares_minor: int
    other_costs_minor: int
    result_minor: int
    payouts_sent_minor: int


class Revenue(View):
    """`zone`: whose calendar months are meant. `items`: by currency and month, the oldest first; months without entries
    are left out. `totals`: by currency."""

    from_month: str
    to_month: str
    zone: str
    items: tuple[RevenueRow, ...]
    totals: tuple[RevenueRow, ...]


async def revenue(session: AsyncSession, asked: Months, currency: str = "") -> Revenue:
    """Returns the sums of these months. `currency`: of this one only.

    One statement. It reads the entries of these months by the index of their time: its cost grows with them."""
    values = {"since": asked.since, "until": asked.until, "zone": asked.zone, "currency": currency}
    rows = [RevenueRow(**row) for row in (await session.execute(_MONTHS, values)).mappings()]
    return Revenue(
        from_month=asked.names[0],
        to_month=asked.names[-1],
        zone=asked.zone,
        items=tuple(row for row in rows if row.month is not None),
        totals=tuple(row for row in rows if row.month is None),
    )
