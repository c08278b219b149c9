"""How many purchases passed, were funded and were paid, by month of purchase, product and version. For staff."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.reports.months import Months
from domain.reports.shares import Alike, Fates, fates, grouped, share
from store.read.pages import View
from store.read.purchases import FATE, SOLD

# What is put together is what went the same way, so rows do not grow with the number of purchases.
_ALIKE: Final = text(f"""
    SELECT to_char(bought.bought_at AT TIME ZONE :zone, 'YYYY-MM') AS month, sold.product, sold.version, went.passed,
           went.funded, went.paid, went.ended, count(*) AS purchases
      FROM challenges bought CROSS JOIN LATERAL (
               SELECT FROM transitions t WHERE t.subject_kind = 'challenge' AND t.subject_id = bought.id
                  AND t.trigger = 'payment_settled' LIMIT 1) AS settled
           CROSS JOIN LATERAL ({SOLD.format(challenge="bought")}) AS sold
           CROSS JOIN LATERAL ({FATE.format(id="bought.id", state="bought.state")}) AS went
     WHERE bought.bought_at >= :since AND bought.bought_at < :until AND bought.replaces IS NULL
       AND (CAST(:product AS text) = '' OR sold.product = :product)
     GROUP BY 1, 2, 3, 4, 5, 6, 7
     ORDER BY 1, 2, 3, 4, 5, 6, 7
""")


class RateRow(View):
    """Purchases of one month (`month`), of one product and version, or of both; null: of all. Months are of the
    firm's zone. `bought`: purchases whose fee was paid. `passed`: how many passed the first evaluation phase, the
    second and so on. `funded`: a funded account was opened. `paid`: at least one payout arrived. `breached`: ended by a
    broken rule. `expired`: ended by the time limit. `ended_otherwise`: closed, refunded or charged back.
    `in_evaluation`: go on and are not funded. `unpaid_yet`: funded, go on, and were not paid so far. `funded_share`:
    funded of bought, 0 to 1. `paid_share`: paid of bought, 0 to 1. `paid_of_funded`: paid of funded, 0 to 1.
    `pass_rate_early`: a tenth or more of the purchases are still in evaluation. `payout_rate_early`: a tenth or more
    can still get a first payout."""

    month: str | None = None
    product: str | None = None
    version: int | None = None
    bought: int
    passed: tuple[int, ...]
    funded: int
    paid: int
    breached: int
    expired: int
    ended_otherwise: int
    in_evaluation: int
    unpaid_yet: int
    funded_share: Decimal | None
    paid_share: Decimal | None
    paid_of_funded: Decimal | None
    pass_rate_early: bool
    payout_rate_early: bool


class PassRates(View):
    """`zone`: whose calendar months are meant. `phases`: how many evaluation phases anybody passed, at least 1.
    `items`: by month, product and version. `months`: by month of purchase. `products`: by product and version.
    `total`: of all."""

    from_month: str
    to_month: str
    zone: str
    phases: int
    items: tuple[RateRow, ...]
    months: tuple[RateRow, ...]
    products: tuple[RateRow, ...]
    total: RateRow


async def pass_rates(session: AsyncSession, asked: Months, product: str = "") -> PassRates:
    """Returns the rates of purchases of these months. `product`: of this one on sale only.

    One statement. It reads the purchases of these months by the index of their time, and for each its steps, passes
    and payouts by theirs: its cost grows with the purchases of the range, not with the firm's past."""
    values = {"since": asked.since, "until": asked.until, "zone": asked.zone, "product": product}
    rows = [Alike(**row) for row in (await session.execute(_ALIKE, values)).mappings()]
    phases = max((row.passed for row in rows), default=0) or 1
    each = grouped(rows, lambda row: (row.month, row.product, row.version))
    by_product = grouped(rows, lambda row: (row.product, row.version))
    by_month = grouped(rows, lambda row: row.month)
    return PassRates(
        from_month=asked.names[0],
        to_month=asked.names[-1],
        zone=asked.zone,
        phases=phases,
        items=tuple(_row(some, phases, month=m, product=p, version=v) for (m, p, v), some in each.items()),
        months=tuple(_row(by_month[name], phases, month=name) for name in asked.names if name in by_month),
        products=tuple(_row(some, phases, product=p, version=v) for (p, v), some in sorted(by_product.items())),
        total=_row(rows, phases),
    )


def _row(rows: Sequence[Alike], phases: int, **of: Any) -> RateRow:
    found: Fates = fates(rows, phases)
    return RateRow(
        **of,
        bought=found.bought,
        passed=found.passed,
        funded=found.funded,
        paid=found.paid,
        breached=found.breached,
        expired=found.expired,
        ended_otherwise=found.ended_otherwise,
        in_evaluation=found.in_evaluation,
        unpaid_yet=found.unpaid_yet,
        funded_share=share(found.funded, found.bought),
        paid_share=share(found.paid, found.bought),
        paid_of_funded=share(found.paid, found.funded),
        pass_rate_early=found.pass_rate_early,
        payout_rate_early=found.payout_rate_early,
    )
