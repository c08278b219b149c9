"""What the firm owes its traders now, and what it would owe if every eligible trader asked for a payout now.

The estimate adds up the funded accounts, each judged as a request would be.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.money import half_up
from domain.payouts.payout import STAGES
from firm.funded_accounts import funded_accounts
from store.clock import market_now
from store.models import Payout
from store.read.pages import View

_STAGE: Final = {state: stage for stage, states in STAGES.items() for state in states}


class Owed(View):
    """Open payouts in one stage: what goes to the traders, with the refunded part of the fee."""

    currency: str
    stage: str
    payouts: int
    amount_minor: int


class WouldOwe(View):
    """The funded accounts of one product version. `all_minor`: what the traders get if every eligible one asks for all
    it may; `expected_minor`: with the base rates. `blocked`: how many accounts each reason blocks."""

    product: str
    version: int
    currency: str
    accounts: int
    eligible: int
    all_minor: int
    expected_minor: int
    blocked: dict[str, int]


class LiabilityView(View):
    """`ask`: the share of eligible traders who ask; `passes`: the share of those whose payout is made."""

    as_of: datetime
    ask: Decimal
    passes: Decimal
    owed: tuple[Owed, ...]
    would_owe: tuple[WouldOwe, ...]


@dataclass
class _Sum:
    accounts: int = 0
    all_minor: int = 0
    judged: Counter[str] = field(default_factory=Counter)


async def liability(session: AsyncSession, *, ask: Decimal = Decimal(1), passes: Decimal = Decimal(1)) -> LiabilityView:
    """Returns the liability at market time now; the shares are between 0 and 1."""
    sums, now = dict[tuple[str, int, str], _Sum](), await market_now(session)
    async for each in funded_accounts(session):
        one = sums.setdefault((each.product, each.version, each.currency), _Sum())
        one.accounts += 1
        one.all_minor += each.amount_minor
        one.judged.update(each.codes)
    would = tuple(
        WouldOwe(
            product=product,
            version=version,
            currency=currency,
            accounts=one.accounts,
            eligible=one.judged.pop("eligible", 0),
            all_minor=one.all_minor,
            expected_minor=half_up(one.all_minor * ask * passes),
            blocked=dict(sorted(one.judged.items())),
        )
        for (product, version, currency), one in sorted(sums.items())
    )
    return LiabilityView(as_of=now, ask=ask, passes=passes, owed=await _owed(session), would_owe=would)


async def _owed(session: AsyncSession) -> tuple[Owed, ...]:
    amount = func.sum(Payout.trader_minor + Payout.refund_minor)
    rows = await session.execute(
        select(Payout.currency, Payout.state, func.count().label("payouts"), amount.label("minor"))
        .where(Payout.closed_at.is_(None))
        .group_by(Payout.currency, Payout.state)
    )
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        place = row.currency, _STAGE[row.state]
        count, minor = sums.get(place, (0, 0))
        sums[place] = count + row.payouts, minor + int(row.minor)
    order = sorted(sums.items(), key=lambda each: (each[0][0], [*STAGES].index(each[0][1])))
    return tuple(Owed(currency=c, stage=s, payouts=n, amount_minor=minor) for (c, s), (n, minor) in order)
