"""The rates of payouts in another currency: imported, and renewed while nothing of a payout was sent.

The first call to send fixes the rate: the attempt keeps it, and a repeated call never has another one.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import record_keys
from domain.errors import BadInput
from domain.exchange import Rate
from domain.payouts.payout import OPEN_TO_PEOPLE
from firm.payouts import attempts, conversions, policies, row, signals
from store import audit, rates
from store.clock import market_now
from store.models import Payout

_RENEWED_IN: Final = ("reserved", "approved", *OPEN_TO_PEOPLE)


async def add(session: AsyncSession, quoted: Sequence[Rate]) -> int:
    """Puts rates on the record. Payouts that are exchanged and wait for people judge themselves again. Returns how many
    rates are new."""
    new = await rates.add(session, quoted)
    if not new:
        return 0
    waiting = await session.scalars(
        select(Payout.trader_id)
        .where(Payout.closed_at.is_(None), Payout.state.in_(OPEN_TO_PEOPLE), Payout.conversion.is_not(None))
        .distinct()
    )
    await signals.send_risk_changed(session, cause=record_keys.new_rates(max(new)), trader_ids=list(waiting))
    await audit.record(
        session,
        action="rates.imported",
        subject_kind="policy",
        subject_id="rates",
        occurred_at=await market_now(session),
        evidence={"new": len(new), "newest": max(rate.at for rate in quoted).isoformat()},
    )
    return len(new)


async def renew(session: AsyncSession, payout: Payout) -> None:
    """Exchanges a locked payout at the newest rate when its own is too old. Approvals until now were for the old amount
    and count no longer. While a call to send may be under way, or the money is out, the rate stays as it is."""
    held, now = conversions.of(payout), await market_now(session)
    if held is None or payout.state not in _RENEWED_IN:
        return
    if not conversions.why_waits(held, await policies.in_force(session), now):
        return
    product = await row.product_of(session, payout)
    if row.digest(payout, product) != payout.terms_digest or await _may_be_out(session, payout):
        return
    try:
        fresh = await conversions.of_amount(session, held.sold, held.bought.currency)
    except BadInput:
        return  # the old rate holds the payout in review, and its check says why
    payout.conversion = conversions.stored(fresh)
    payout.terms_digest = row.digest(payout, product)
    await audit.record(
        session,
        action="payout.rate_renewed",
        subject_kind="payout",
        subject_id=payout.id,
        occurred_at=now,
        reason="the rate was too old",
        evidence={"old": held.evidence(), "new": payout.conversion, "terms_digest": payout.terms_digest},
    )


async def _may_be_out(session: AsyncSession, payout: Payout) -> bool:
    return attempts.is_unanswered(await attempts.last(session, payout.id)) or bool(
        await attempts.out(session, payout.id)
    )
